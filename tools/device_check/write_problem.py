#!/usr/bin/env python3
"""problem.json for peers.sinkhorn_run, from convoy's summary: write_problem.py SUMMARY FOLDER"""
import json
import pathlib
import sys


def main():
    solution = json.loads(pathlib.Path(sys.argv[1]).read_text())["solution"]
    (pathlib.Path(sys.argv[2]) / "problem.json").write_text(json.dumps({"epsilon": solution["epsilon"]}))


if __name__ == "__main__":
    main()
