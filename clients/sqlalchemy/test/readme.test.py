"""The examples of the README run, and print what their comments say."""

import contextlib
import io
import os
import re
import unittest
from pathlib import Path

from help import execute, main, new_database

from racefree import sqlalchemy as racefree

TEXT = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language):
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S))


class Readme(unittest.TestCase):
    def test_the_examples(self):
        made = new_database("racefree_sqlalchemy_readme", extension=False)
        execute(made, blocks("sql"))
        made.dispose()
        os.environ["PGDATABASE"] = "racefree_sqlalchemy_readme"

        code = blocks("python")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
        expected = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.M)
        self.assertGreaterEqual(len(expected), 6)
        self.assertEqual(printed.getvalue().splitlines(), expected)

    def test_it_names_all_there_is(self):
        for name in racefree.__all__:
            self.assertIn(name, TEXT)


if __name__ == "__main__":
    main()
