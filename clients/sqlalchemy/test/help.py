"""What the tests share: databases, models, and results as TAP."""

import os
import sys
import unittest
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

# Not the one that SQLAlchemy takes by itself, which differs by version.
DRIVER = os.environ.get("RACEFREE_DRIVER", "psycopg2")


def engine(database="postgres", driver=DRIVER, **options):
    # The rest is in PGHOST and the like.
    return create_engine(f"postgresql+{driver}:///{database}", **options)


def new_database(name, extension=True):
    """A new database, and an engine for it."""
    admin = engine(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
        # A test that fails may leave locks to the next.
        connection.execute(text(f"ALTER DATABASE {name} SET lock_timeout = '10s'"))
    admin.dispose()

    made = engine(name)
    if extension:
        execute(made, "CREATE EXTENSION racefree")
    return made


def execute(some_engine, *statements):
    with some_engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


class DatabaseCase(unittest.TestCase):
    """A database for each class, which begins with its statements."""

    base = None
    statements = ()

    @classmethod
    def setUpClass(cls):
        cls.engine = new_database("racefree_" + cls.__name__.lower())
        if cls.base is not None:
            cls.base.metadata.create_all(cls.engine)
        execute(cls.engine, *cls.statements)
        cls.Session = sessionmaker(cls.engine)

    @classmethod
    def tearDownClass(cls):
        cls.engine.dispose()

    def value(self, statement):
        with self.engine.connect() as connection:
            return connection.execute(text(statement)).scalar()


class TapResult(unittest.TextTestResult):
    """Each result, as a line of TAP as well."""

    lines = []

    def _line(self, result, test, note=""):
        self.lines.append(f"{result} {len(self.lines) + 1} - {test.id()}{note}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line("ok", test)

    def addError(self, test, error):
        super().addError(test, error)
        self._line("not ok", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._line("not ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("ok", test, f" # SKIP {reason}")


def main():
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=TapResult)
    done = unittest.main(testRunner=runner, exit=False)
    folder = os.environ.get("RACEFREE_TAP")
    if folder:
        lines = [*TapResult.lines, f"1..{len(TapResult.lines)}"]
        Path(folder, Path(sys.argv[0]).name + ".tap").write_text("\n".join(lines) + "\n")
    sys.exit(not done.result.wasSuccessful())
