"""An environment of their own for the libraries that Convoy is compared with: made, filled by pip, entered."""
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

INSIDE = "CONVOY_COMPARE_INSIDE"
ENVIRONMENT_HELP = "Python environment to use, made if absent and kept (default: a temporary one)"
OTT = ["ott-jax==0.6.0", "jax==0.8.0", "jaxlib==0.8.0"]  # OTT-JAX 0.6.0's online mode fails on JAX 0.10
OTT_PROGOT = ["ott-jax==0.5.0", "jax==0.5.3", "jaxlib==0.5.3"]  # up to 0.6.0 later ones do not move ProgOT's cloud


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def is_inside():
    """Whether this is the script's second start, in the environment."""
    return os.environ.get(INSIDE) == "1"


def check_program(program):
    if not os.access(program, os.X_OK):
        fail(f"no program {program} (tools/build makes it; --convoy PROGRAM names another)")


def run_inside(script, environment, needed, optional, variables):
    """Installs into `environment` (None: one that is thrown away) and runs the script there; its exit code.

    Each of `optional` is a list of packages that come together; what pip cannot install is a warning.
    """
    if environment:
        return run_in(script, environment, needed, optional, variables)
    with tempfile.TemporaryDirectory(prefix="convoy-peers-") as folder:
        return run_in(script, folder, needed, optional, variables)


def run_in(script, folder, needed, optional, variables):
    python = filled(folder, needed, optional)
    return subprocess.run([python, script, *sys.argv[1:]], env={**os.environ, INSIDE: "1", **variables}).returncode


def filled(folder, needed, optional):
    """The Python of the environment there, made if absent, with these packages."""
    python = pathlib.Path(folder).resolve() / "bin" / "python"
    if not python.exists():
        done = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"no environment in {folder}: {(done.stderr or done.stdout).strip().splitlines()[-1]} "
                 "(Debian: apt-get install python3-venv)")
    print("installing the peers into an environment of their own", file=sys.stderr)
    if message := pip(python, needed):
        fail(f"{', '.join(needed)}: {message}")
    for packages in optional:
        if message := pip(python, packages):
            print(f"warning: {', '.join(packages)} could not be installed on Python {platform.python_version()}: "
                  f"{message}", file=sys.stderr)
    return python


def pip(python, packages):
    """What pip said at last, empty if it installed them."""
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
                          capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "pip failed")
