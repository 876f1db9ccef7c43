"""Django's own tests of these methods, with racefree's manager in all models.

They are in the source of the Django that is installed, whose folder
RACEFREE_DJANGO_SOURCE names: without it, they are skipped.
"""

import os
import sys
import unittest

import help

SOURCE = os.environ.get("RACEFREE_DJANGO_SOURCE", "")

# Where get_or_create, update_or_create and what calls them are tested.
APPS = ["get_or_create", "delete", "generic_relations", "m2m_through", "many_to_one", "multiple_database"]

# It looks for "obj.save" in the traceback of an IntegrityError: but the row was
# not to be saved by Django, but by the extension.
CANNOT_PASS = {
    "GetOrCreateTestsWithManualPKs.test_get_or_create_raises_IntegrityError_plus_traceback",
}


def version_of(source):
    with open(os.path.join(source, "django", "__init__.py")) as file:
        return next(line for line in file if line.startswith("VERSION"))


def run():
    import django
    import django.db.models.base
    from django.test.runner import DiscoverRunner

    from django_racefree import RacefreeManager, RacefreeQuerySet

    # Before any model is made.
    django.db.models.base.Manager = RacefreeManager
    sys.path.insert(0, os.path.join(SOURCE, "tests"))
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("PGHOST", ""),
        "PORT": os.environ.get("PGPORT", ""),
        "USER": os.environ.get("PGUSER", ""),
        # Django makes databases for its tests as copies of this one.
        "TEST": {"TEMPLATE": help.NAME},
    }
    help.setup(
        ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sites", *APPS],
        DATABASES={
            "default": {**database, "NAME": help.NAME},
            "other": {**database, "NAME": f"{help.NAME}_other"},
        },
        USE_TZ=False,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        MIGRATION_MODULES={"auth": None, "contenttypes": None, "sites": None},
    )
    help.execute("CREATE EXTENSION racefree")
    from django.db import connection

    connection.close()

    from get_or_create import tests
    from get_or_create.models import Person

    assert type(Person.objects.all()) is RacefreeQuerySet
    for name in CANNOT_PASS:
        case, method = name.split(".")
        case = getattr(tests, case)
        setattr(case, method, unittest.expectedFailure(getattr(case, method)))

    class Runner(DiscoverRunner):
        def get_resultclass(self):
            return help.TapResult

    failed = Runner(verbosity=1, interactive=False).run_tests(APPS)
    help.write_tap()
    sys.exit(bool(failed))


class Own(unittest.TestCase):
    def test_own(self):
        self.skipTest(reason)


reason = None
if not SOURCE:
    reason = "RACEFREE_DJANGO_SOURCE does not name Django's source"
else:
    import django

    if version_of(SOURCE) != version_of(os.path.dirname(os.path.dirname(django.__file__))):
        reason = f"{SOURCE} is of another version than Django {django.__version__}"

if __name__ == "__main__":
    help.main() if reason else run()
