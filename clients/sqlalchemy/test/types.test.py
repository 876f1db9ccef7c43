"""The types, where mypy is installed."""

import re
import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path

from help import main

HERE = Path(__file__).parent


@unittest.skipIf(find_spec("mypy") is None, "there is no mypy")
class Types(unittest.TestCase):
    def check(self, *paths):
        with tempfile.TemporaryDirectory() as cache:
            options = ["--cache-dir", cache, "--namespace-packages", "--explicit-package-bases"]
            options += ["--disallow-untyped-defs", "--warn-unused-ignores", "--no-warn-no-return"]
            # SQLAlchemy has types from version 2 on; theirs are not judged.
            options += ["--ignore-missing-imports", "--follow-imports=silent", "--no-error-summary"]
            done = subprocess.run(
                [sys.executable, "-m", "mypy", *options, *paths],
                cwd=HERE.parent, env={"MYPYPATH": "."}, capture_output=True, text=True,
            )
        return done.stdout + done.stderr

    def test_the_client(self):
        self.assertEqual(self.check("racefree"), "")

    def test_its_use(self):
        lines = (HERE / "types" / "use.py").read_text().splitlines()
        refused = {n for n, line in enumerate(lines, 1) if line.endswith("# refused")}
        found = self.check("test/types/use.py")
        self.assertEqual({int(n) for n in re.findall(r"use\.py:(\d+): error", found)}, refused, found)
        self.assertEqual(len(refused), 4)


if __name__ == "__main__":
    main()
