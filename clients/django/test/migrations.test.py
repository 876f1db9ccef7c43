"""The operations for migrations."""

import io
import unittest

import help

help.setup(["shop"])

from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.db.migrations.writer import MigrationWriter  # noqa: E402
from shop.models import Account  # noqa: E402

from django_racefree import Accounts  # noqa: E402
from django_racefree.operations import CreateJournal, RacefreeExtension  # noqa: E402


def migrate(*args, database="default"):
    out = io.StringIO()
    call_command("migrate", *args, database=database, verbosity=1, stdout=out)
    connection.close()
    return out.getvalue()


def functions():
    return help.execute("SELECT count(*) FROM pg_extension WHERE extname = 'racefree'")[0][0]


class Migrations(unittest.TestCase):
    def test_forwards_and_backwards(self):
        migrate("shop")
        ann, bob = (Account.objects.create(balance=100, currency="EUR", floor=floor) for floor in (0, None))
        bank = Accounts("shop.Account", journal='"Odd %s journal"')
        moved = bank.transfer(ann, bob, 1)
        self.assertEqual((99, 1), (ann.balance, moved.entry_id))
        self.assertEqual([], bank.verify_journal())
        # Its rules are there.
        cem = Account.objects.create(balance=100, currency="USD")
        with self.assertRaisesRegex(Exception, "currency"):
            bank.transfer(ann, cem, 1)
        bank.transfer(bob, ann, 200)
        self.assertEqual(-99, bob.balance)
        self.assertEqual({"Odd %s journal", "holding", "holding_holds", "shop_account"}, self.tables())
        migrate("shop", "0003")
        self.assertEqual({"Odd %s journal", "shop_account"}, self.tables())
        self.assertEqual(1, functions())
        migrate("shop", "zero")
        self.assertEqual(0, functions())
        self.assertEqual(set(), self.tables())

    def tables(self):
        return set(connection.introspection.table_names()) - {"django_migrations"}

    def test_other_databases(self):
        migrate("shop", database="other")
        self.assertIn("shop_account", connections["other"].introspection.table_names())
        migrate("shop", "zero", database="other")

    def test_sqlmigrate(self):
        out = io.StringIO()
        call_command("sqlmigrate", "shop", "0003", stdout=out)
        self.assertIn("create_journal", out.getvalue())
        self.assertIn("ARRAY['currency']", out.getvalue())
        self.assertIn("Odd %s journal", out.getvalue())

    def test_written(self):
        for operation in [
            RacefreeExtension(),
            RacefreeExtension(schema="ext"),
            CreateJournal("payment", "Account"),
            CreateJournal("payment", "shop.Account", balance="money", opening=0, must_match=["currency"]),
        ]:
            text = MigrationWriter.serialize(operation)[0]
            namespace = {}
            exec("import django_racefree.operations\nwritten = " + text, namespace)
            self.assertEqual(operation.deconstruct(), namespace["written"].deconstruct())
            self.assertTrue(operation.describe())
        self.assertEqual("journal_payment", operation.migration_name_fragment)
        with self.assertRaises(TypeError):
            CreateJournal("payment", "Account", floor="x")

    def test_nothing_is_missing(self):
        """The operations change nothing of what Django knows."""
        call_command("makemigrations", "--check", "--dry-run", verbosity=0)

    def test_router(self):
        class Nowhere:
            def allow_migrate(self, db, app_label, **hints):
                return False

        from django.test import override_settings

        with override_settings(DATABASE_ROUTERS=[Nowhere()]):
            migrate("shop")
            self.assertEqual(0, functions())
        help.execute("DROP TABLE django_migrations")


if __name__ == "__main__":
    help.main()
