"""The examples of the README run, and print what their comments say."""

import importlib
import io
import os
import re
import sys
import tempfile
import unittest
from contextlib import redirect_stdout

import help

with open(os.path.join(help.HERE, "..", "README.md"), encoding="utf-8") as file:
    TEXT = file.read()

FOLDER = tempfile.TemporaryDirectory()
sys.path.insert(0, FOLDER.name)
EXAMPLES = []
for block in re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S):
    # A block that begins with a path is that file.
    path = re.match(r"# (\S+\.py)\n", block)
    if path is None:
        EXAMPLES.append(block)
        continue
    path = os.path.join(FOLDER.name, path[1])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(os.path.join(os.path.dirname(path), "__init__.py"), "w").close()
    with open(path, "w") as file:
        file.write(block)

help.setup(["shop"])

from django.core.management import call_command  # noqa: E402

import django_racefree  # noqa: E402


class Readme(unittest.TestCase):
    def test_examples(self):
        # Makes 0001_initial, which the example follows.
        last = os.path.join(FOLDER.name, "shop", "migrations", "0002_racefree.py")
        os.rename(last, last + ".later")
        call_command("makemigrations", "shop", verbosity=0)
        os.rename(last + ".later", last)
        importlib.invalidate_caches()
        call_command("migrate", verbosity=0)
        out = io.StringIO()
        code = "\n".join(EXAMPLES)
        with redirect_stdout(out):
            exec(code, {"__name__": "readme"})
        expected = [
            line for lines in re.findall(r"^ *print\(.*\)  # (.*)$", code, re.M) for line in lines.split(", ")
        ]
        self.assertGreater(len(expected), 5)
        self.assertEqual(expected, out.getvalue().splitlines())

    def test_every_error(self):
        for name in django_racefree.__all__:
            cls = getattr(django_racefree, name)
            if isinstance(cls, type) and issubclass(cls, django_racefree.RacefreeError) and cls.sqlstate:
                self.assertIn(f"`{name}` ({cls.sqlstate})", re.sub(r"\s+", " ", TEXT))

    def test_every_call(self):
        for name in vars(django_racefree.Accounts):
            if not name.startswith("_") and name not in ("model", "using"):
                self.assertIn(f"`{name}(", TEXT)


if __name__ == "__main__":
    help.main()
