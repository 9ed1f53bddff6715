"""The pages in docs/: every ```sh and ```python block runs as it stands, page by page, each page in a folder of its own.

What a ```text block shows after one that ran has to be in its output: line by line, in this order, whatever the numbers
and the spaces. Lines "..." stand for others.
"""

import ast
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import unittest

from program import PROGRAM, ProgramTest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# Without these a page cannot be gone through; other modules are needed by the block alone that imports them.
NEEDS = {"images.md": ["PIL"]}
DRAWS = re.compile(r"tools/convoy-(plot|report)")
NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")


def is_there(module):
    return importlib.util.find_spec(module) is not None


HAS_FIGURES = is_there("matplotlib")


def blocks(page):
    """(line, language, text) of every fenced block."""
    found, language, begin, text = [], None, 0, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if language is None and line.startswith("```"):
            language, begin, text = line[3:].strip(), number, []
        elif language is not None and line.strip() == "```":
            found.append((begin, language, "\n".join(text) + "\n"))
            language = None
        elif language is not None:
            text.append(line)
    assert language is None, f"{page}: a block that begins in line {begin} does not end"
    return found


def imported(code):
    nodes = list(ast.walk(ast.parse(code)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return sorted({name.split(".")[0] for name in names})


def shape_of(line):
    return " ".join(NUMBER.sub("#", line).split())


class Docs(ProgramTest):
    def go_through(self, page):
        lacking = [module for module in NEEDS.get(page.name, []) if not is_there(module)]
        if lacking:
            self.skipTest(f"this Python has no {', '.join(lacking)}")
        (self.folder / "tools").symlink_to(ROOT / "tools")
        bin_folder = self.folder / ".bin"
        bin_folder.mkdir()
        (bin_folder / "convoy").symlink_to(PROGRAM)
        self.environment = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}
        self.output = ""
        for line, language, text in blocks(page):
            with self.subTest(f"{page.name}:{line}"):
                self.take(language, text)

    def take(self, language, text):
        if language == "sh":
            self.output = "" if HAS_FIGURES or not DRAWS.search(text) else None
            if self.output is not None:
                self.execute(["bash", "-euo", "pipefail", "-c", text])
        elif language == "python":
            lacking = [module for module in imported(text) if not is_there(module)]
            self.output = None if lacking else ""
            if not lacking:
                self.execute([sys.executable, "-c", text])
        elif language == "text" and self.output is not None:
            self.assert_shown(text)

    def execute(self, command):
        done = subprocess.run(command, cwd=self.folder, env=self.environment, timeout=100, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = done.stdout
        self.assertEqual(done.returncode, 0, done.stdout)

    def assert_shown(self, text):
        left = [shape_of(line) for line in self.output.splitlines()]
        for line in map(shape_of, text.splitlines()):
            if line in ("", "..."):
                continue
            self.assertIn(line, left, f"not in the output, or not in this order:\n{self.output}")
            left = left[left.index(line) + 1:]


def test_of(page):
    return lambda self: self.go_through(page)


for one in PAGES:
    setattr(Docs, f"test_of_{one.stem.replace('-', '_')}", test_of(one))


class Links(unittest.TestCase):
    def test_lead_to_files_and_headings(self):
        for page in [*PAGES, ROOT / "README.md"]:
            for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
                if "://" in target:
                    continue
                path, _, heading = target.partition("#")
                file = page.parent / path if path else page
                with self.subTest(page=page.name, target=target):
                    self.assertTrue(file.exists())
                    self.assertTrue(not heading or heading in headings(file))


def headings(page):
    lines = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return [re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines]


if __name__ == "__main__":
    unittest.main()
