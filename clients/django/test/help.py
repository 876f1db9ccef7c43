"""What the tests share: a database, settings, models, and TAP.

Each file is a program. It makes a database of its own on the server that PGHOST
and the like name, runs its tests, and writes TAP to the folder RACEFREE_TAP.
"""

import os
import sys
import threading
import unittest
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

import django  # noqa: E402
from django.conf import settings  # noqa: E402

NAME = "racefree_django_" + os.path.basename(sys.argv[0]).split(".")[0]


def driver():
    try:
        import psycopg2 as module
    except ImportError:
        import psycopg as module
    return module


def make_database(name):
    """Make an empty database, and nothing in it."""
    connection = driver().connect(dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    connection.cursor().execute(f'CREATE DATABASE "{name}"')
    connection.close()


def setup(apps=(), **more):
    """Give Django its settings, with a second database that is no PostgreSQL."""
    make_database(NAME)
    settings.configure(
        **{
            "SECRET_KEY": "test",
            "DATABASES": {
                "default": {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": NAME,
                    "HOST": os.environ.get("PGHOST", ""),
                    "PORT": os.environ.get("PGPORT", ""),
                    "USER": os.environ.get("PGUSER", ""),
                },
                "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
            },
            "INSTALLED_APPS": list(apps),
            "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
            "USE_TZ": True,
            "TIME_ZONE": "UTC",
            **more,
        }
    )
    # Of the distribution's Django beside a newer Python.
    warnings.simplefilter("ignore", DeprecationWarning)
    django.setup()


def execute(sql, params=None, using="default"):
    from django.db import connections

    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None


def create_tables(*models, using="default"):
    from django.db import connections

    with connections[using].schema_editor() as editor:
        for model in models:
            editor.create_model(model)


def at_once(count, work):
    """Run work(n) in threads that begin together; return results and errors."""
    from django.db import connections

    barrier = threading.Barrier(count)
    results = [None] * count

    def run(n):
        try:
            barrier.wait()
            results[n] = work(n)
        except Exception as error:
            results[n] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class TapResult(unittest.TextTestResult):
    """Also writes TAP."""

    lines = None

    def _say(self, ok, test, note=""):
        if TapResult.lines is None:
            TapResult.lines = []
        number = len(TapResult.lines) + 1
        TapResult.lines.append(f"{'ok' if ok else 'not ok'} {number} - {test.id().removeprefix('__main__.')}{note}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self._say(True, test)

    def addError(self, test, error):
        super().addError(test, error)
        self._say(False, test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._say(False, test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._say(True, test, f" # SKIP {reason}")

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self._say(True, test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._say(False, test)


def write_tap():
    folder = os.environ.get("RACEFREE_TAP")
    if folder:
        lines = TapResult.lines or []
        with open(os.path.join(folder, os.path.basename(sys.argv[0]) + ".tap"), "w") as file:
            print(*lines, f"1..{len(lines)}", sep="\n", file=file)


def main():
    """Run the tests of the file that is the program."""
    program = unittest.main(
        testRunner=unittest.TextTestRunner(resultclass=TapResult, verbosity=2, stream=sys.stdout), exit=False
    )
    write_tap()
    if settings.configured:
        from django.db import connections

        connections.close_all()
    sys.exit(not program.result.wasSuccessful())
