"""Imported first by the scripts here: if this Python lacks a module, goes on in /usr/bin/python3, which may have it."""
import importlib.util
import os
import sys

SYSTEM = "/usr/bin/python3"


def need(*modules):
    absent = [m for m in modules if importlib.util.find_spec(m) is None]
    if not absent:
        return
    if os.path.exists(SYSTEM) and os.environ.get("CONVOY_PYTHON_TRIED") != "1":
        os.environ["CONVOY_PYTHON_TRIED"] = "1"
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    sys.exit(f"error: this Python has no {', '.join(absent)} (Debian: apt-get install python3-{absent[0]}; "
             f"pip install {' '.join(absent)})")
