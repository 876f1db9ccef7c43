"""The types, as mypy sees them."""

import os
import shutil
import subprocess
import unittest

import help

ROOT = os.path.dirname(help.HERE)


@unittest.skipIf(shutil.which("mypy") is None, "there is no mypy")
class Types(unittest.TestCase):
    def mypy(self, *args):
        result = subprocess.run(
            ["mypy", "--cache-dir", os.devnull, "--no-error-summary", "--config-file", "pyproject.toml", *args],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return result.stdout.splitlines()

    def test_package(self):
        self.assertEqual([], self.mypy("django_racefree"))

    def test_use(self):
        path = os.path.join("test", "types", "use.py")
        with open(os.path.join(ROOT, path)) as file:
            refused = {n for n, line in enumerate(file, 1) if line.endswith("# refused\n")}
        found = {int(line.split(":")[1]) for line in self.mypy(path) if ": error: " in line}
        self.assertEqual(refused, found)


if __name__ == "__main__":
    help.main()
