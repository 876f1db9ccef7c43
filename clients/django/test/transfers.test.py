"""Transfers, their errors, and transactions that are run again."""

import datetime
import unittest
import uuid
from decimal import Decimal

import help

help.setup()

from django.db import DatabaseError, IntegrityError, NotSupportedError, models, transaction  # noqa: E402

import django_racefree as racefree  # noqa: E402
from django_racefree import NO_FLOOR, Accounts, Move, retry_serialization, transfer  # noqa: E402
from django_racefree.errors import BY_SQLSTATE  # noqa: E402


class Account(models.Model):
    owner = models.CharField(max_length=10, default="", db_column="Owner")
    currency = models.CharField(max_length=3, default="EUR")
    balance = models.DecimalField(max_digits=20, decimal_places=2, db_column="Amount", default=0)
    held = models.DecimalField(max_digits=20, decimal_places=2, default=0)
    touched = models.IntegerField(default=0)

    class Meta:
        app_label = "bank"
        db_table = "Bank account"


class Payment(models.Model):
    request_id = models.UUIDField(null=True)
    order = models.IntegerField(null=True, db_column="order")
    amount = models.DecimalField(max_digits=20, decimal_places=2)
    details = models.JSONField(null=True)

    class Meta:
        app_label = "bank"
        managed = False
        db_table = "Payment"


class Plain(models.Model):
    code = models.UUIDField(primary_key=True, default=uuid.uuid4)
    balance = models.IntegerField(default=100)

    class Meta:
        app_label = "bank"


class Special(Plain):
    """Its balance is in the other table."""

    name = models.CharField(max_length=10, default="")

    class Meta:
        app_label = "bank"


bank = Accounts(Account, journal=Payment)


def setUpModule():
    help.execute("CREATE EXTENSION racefree")
    help.create_tables(Account, Plain, Special)
    help.execute(
        "SELECT create_journal('\"Payment\"', NULL::\"Bank account\", balance_column => 'Amount',"
        " held_column => 'held', opening => 100);"
        'ALTER TABLE "Payment" ADD "order" integer;'
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END';"
        'CREATE TRIGGER touch BEFORE UPDATE ON "Bank account" FOR EACH ROW EXECUTE FUNCTION touch()'
    )


class Case(unittest.TestCase):
    def setUp(self):
        names = ("ann", "bob", "cem")
        self.ann, self.bob, self.cem = (Account.objects.create(owner=name, balance=100) for name in names)

    def tearDown(self):
        self.assertEqual([], bank.verify_journal())

    def stored(self, *accounts):
        return [Account.objects.get(pk=account.pk).balance for account in accounts]


class Transfers(Case):
    def test_refreshes(self):
        stale = Account.objects.get(pk=self.ann.pk)
        moved = bank.transfer(self.ann, self.bob, "10.50", details={"at": datetime.datetime.max, "d": Decimal("1.10")})
        self.assertEqual((Decimal("89.50"), Decimal("110.50")), (self.ann.balance, self.bob.balance))
        self.assertIs(self.ann, moved.from_account)
        self.assertIs(self.bob, moved.to_account)
        self.assertEqual((Decimal("10.50"), False), (moved.amount, moved.replayed))
        # What a trigger wrote, too.
        self.assertEqual(1, self.ann.touched)
        self.ann.owner = "Ann"
        self.ann.save()
        self.assertEqual([Decimal("89.50")], self.stored(self.ann))
        self.assertEqual(Decimal(100), stale.balance)
        payment = Payment.objects.get(pk=moved.entry_id)
        self.assertEqual({"at": "9999-12-31T23:59:59.999999", "d": "1.10"}, payment.details)

    def test_by_id(self):
        moved = bank.transfer(self.ann.pk, self.bob.pk, 1)
        ann = moved.from_account
        self.assertEqual((Account, self.ann.pk, Decimal(99)), (type(ann), ann.pk, ann.balance))
        self.assertEqual("default", moved.to_account._state.db)

    def test_deferred(self):
        ann = Account.objects.only("balance").get(pk=self.ann.pk)
        bank.transfer(ann, self.bob, 1)
        self.assertEqual({"owner", "currency", "held", "touched"}, ann.get_deferred_fields())
        self.assertEqual(99, ann.balance)

    def test_once(self):
        request = uuid.uuid4()
        first = bank.transfer(self.ann, self.bob, 1, request_id=request)
        again = bank.transfer(self.ann, self.bob, 1, request_id=str(request))
        self.assertEqual((False, True), (first.replayed, again.replayed))
        self.assertEqual(first.entry_id, again.entry_id)
        self.assertEqual(99, self.ann.balance)
        with self.assertRaises(racefree.RequestMismatch):
            bank.transfer(self.ann, self.bob, 2, request_id=request)

    def test_once_for_many(self):
        request = uuid.uuid4()
        results = help.at_once(8, lambda n: bank.transfer(self.ann.pk, self.bob.pk, 1, request_id=request))
        self.assertEqual(1, sum(not result.replayed for result in results))
        self.assertEqual([99, 101], self.stored(self.ann, self.bob))

    def test_both_ways_at_once(self):
        def work(n):
            for _ in range(20):
                one, other = (self.ann.pk, self.bob.pk) if n % 2 else (self.bob.pk, self.ann.pk)
                bank.transfer(one, other, 1)

        self.assertEqual([None] * 6, help.at_once(6, work))
        self.assertEqual([100, 100], self.stored(self.ann, self.bob))

    def test_errors(self):
        for error, call in [
            (racefree.InsufficientFunds, lambda: bank.transfer(self.ann, self.bob, 1000)),
            (racefree.InsufficientFunds, lambda: bank.transfer(self.ann, self.bob, 50, min_balance=60)),
            (racefree.AccountNotFound, lambda: bank.transfer(self.ann, -1, 1)),
            (racefree.LimitExceeded, lambda: bank.transfer(self.ann, self.bob, 1, max_balance="100.5")),
            (racefree.Mismatch, lambda: bank.transfer(self.ann, self.bob, 1, must_match=["owner"])),
            (racefree.EntryNotFound, lambda: bank.reverse(-1)),
            (racefree.HoldNotFound, lambda: bank.post(-1)),
        ]:
            with self.subTest(error=error.__name__), transaction.atomic():
                with self.assertRaises(error) as caught:
                    call()
                self.assertIsInstance(caught.exception, DatabaseError)
                self.assertEqual(error.sqlstate, racefree.sqlstate_of(caught.exception))
                # The transaction goes on.
                self.assertEqual([100], self.stored(self.ann))
        with self.assertRaises(racefree.InsufficientFunds) as caught:
            bank.transfer(self.ann, self.bob, 1000)
        self.assertEqual("insufficient_funds", caught.exception.status)
        self.assertIn("100", caught.exception.detail)
        self.assertEqual(100, self.ann.balance)

    def test_error_without_savepoint(self):
        with self.assertRaises(DatabaseError):
            with transaction.atomic():
                with self.assertRaises(racefree.InsufficientFunds):
                    bank.transfer(self.ann, self.bob, 1000, savepoint=False)
                self.stored(self.ann)

    def test_djangos_own_errors(self):
        help.execute('ALTER TABLE "Bank account" ADD CONSTRAINT c CHECK ("Amount" < 150)')
        try:
            with self.assertRaises(IntegrityError) as caught:
                bank.transfer(self.ann, self.bob, 60)
            self.assertEqual("23514", racefree.sqlstate_of(caught.exception))
        finally:
            help.execute('ALTER TABLE "Bank account" DROP CONSTRAINT c')

    def test_refused(self):
        for amount in [1.5, True, None, [1]]:
            with self.assertRaises(TypeError):
                bank.transfer(self.ann, self.bob, amount)
        with self.assertRaises(ValueError):
            bank.transfer(self.ann, Account(), 1)
        with self.assertRaises(TypeError):
            bank.transfer(self.ann, Plain(), 1)
        with self.assertRaises(TypeError):
            bank.transfer(self.ann, self.bob, 1, must_match="currency")
        with self.assertRaises(NotSupportedError):
            Accounts(Account, using="other").transfer(1, 2, 1)

    def test_floor(self):
        bank.transfer(self.ann, self.bob, 150, min_balance=NO_FLOOR)
        self.assertEqual(-50, self.ann.balance)
        bank.transfer(self.bob, self.ann, 1000, up_to=True)
        self.assertEqual((200, 0), (self.ann.balance, self.bob.balance))

    def test_columns(self):
        moved = bank.transfer(self.ann, self.bob, 1, columns={"order": 4711})
        self.assertEqual(4711, Payment.objects.get(pk=moved.entry_id).order)

    def test_reverse(self):
        moved = bank.transfer(self.ann, self.bob, 10)
        bank.reverse(moved.entry_id, 4, accounts=[self.bob, self.ann, self.cem])
        self.assertEqual((94, 106, 100), (self.ann.balance, self.bob.balance, self.cem.balance))
        bank.reverse(moved.entry_id)
        with self.assertRaises(racefree.OverReversed):
            bank.reverse(moved.entry_id)
        self.assertEqual([100], self.stored(self.ann))

    def test_holds(self):
        held = bank.hold(self.ann, self.bob, 60, request_id=uuid.uuid4())
        self.assertEqual((100, 60), (self.ann.balance, self.ann.held))
        self.ann.save()
        with self.assertRaises(racefree.InsufficientFunds):
            bank.transfer(self.ann, self.bob, 50)
        bank.post(held.entry_id, 20, final=False, accounts=[self.ann])
        self.assertEqual((80, 40), (self.ann.balance, self.ann.held))
        with self.assertRaises(racefree.OverPosted):
            bank.post(held.entry_id, 41)
        bank.void(held.entry_id, accounts=[self.ann])
        self.assertEqual((80, 0), (self.ann.balance, self.ann.held))
        with self.assertRaises(racefree.HoldSettled):
            bank.void(held.entry_id)
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
        held = bank.hold(self.ann, self.bob, 1, expires_at=soon)
        help.execute("SELECT pg_sleep(2.1)")
        with self.assertRaises(racefree.HoldExpired):
            bank.post(held.entry_id)
        self.assertEqual((1, 0), (bank.expire_holds(), bank.expire_holds()))

    def test_balance_at(self):
        bank.transfer(self.ann, self.bob, 10)
        [(now,)] = help.execute("SELECT clock_timestamp()")
        bank.transfer(self.ann, self.bob, 10)
        self.assertEqual(90, bank.balance_at(self.ann, now))
        self.assertIsNone(bank.balance_at(self.cem, now))

    def test_many(self):
        request = uuid.uuid4()
        outcomes = bank.transfer_many(
            [
                Move(self.ann, self.bob, 10, request_id=request, details={"n": 1}, columns={"order": 1}),
                Move(self.bob, self.cem, "0.01"),
                Move(self.ann, self.bob, 10, request_id=request),
                Move(self.ann, self.cem, 1000),
                Move(self.ann, self.cem, 1, chain=1),
                Move(self.cem, self.ann, 1000, chain=1),
            ],
            on_error="report",
        )
        self.assertEqual(
            ["ok", "ok", "replayed", "insufficient_funds", "chain_failed", "insufficient_funds"],
            [outcome.status for outcome in outcomes],
        )
        self.assertEqual([True, True, True, False, False, False], [outcome.ok for outcome in outcomes])
        self.assertEqual(
            (90, Decimal("109.99"), Decimal("100.01")), (self.ann.balance, self.bob.balance, self.cem.balance)
        )
        [undone] = bank.transfer_many([Move(entry_id=outcomes[0].entry_id)])
        self.assertEqual(("ok", 10), (undone.status, undone.amount))
        with self.assertRaises(racefree.InsufficientFunds):
            bank.transfer_many([Move(self.ann, self.bob, 1), Move(self.ann, self.bob, 1000)])
        self.assertEqual([], bank.transfer_many([]))


class WithoutJournal(unittest.TestCase):
    def test_function(self):
        one, other = Plain.objects.create(), Plain.objects.create()
        moved = transfer(one, other, 30)
        self.assertEqual((70, 130, None, None), (one.balance, other.balance, moved.entry, moved.entry_id))

    def test_inherited(self):
        one, other = Special.objects.create(name="a"), Special.objects.create(name="b")
        transfer(one, other, 30)
        self.assertEqual((70, "a"), (one.balance, one.name))
        one.save()
        self.assertEqual((70, 130), tuple(Special.objects.get(pk=o.pk).balance for o in (one, other)))


class Errors(unittest.TestCase):
    def test_every_sqlstate(self):
        """The extension's own SQLSTATEs have a class each."""
        self.assertEqual({f"RF{n:03}" for n in range(1, 13)}, {code for code in BY_SQLSTATE if code.startswith("RF")})
        for code, cls in BY_SQLSTATE.items():
            self.assertIs(cls, getattr(racefree, cls.__name__))


class Retry(Case):
    def test_serialization(self):
        calls = []

        @retry_serialization(isolation="repeatable read")
        def work(n):
            calls.append(n)
            balance = Account.objects.get(pk=self.ann.pk).balance
            if len(calls) == 1:
                help.at_once(1, lambda _: bank.transfer(self.ann.pk, self.bob.pk, 1))
            Account.objects.filter(pk=self.ann.pk).update(owner=str(balance))
            return n

        self.assertEqual(7, work(7))
        self.assertEqual([7, 7], calls)
        self.assertEqual("99.00", Account.objects.get(pk=self.ann.pk).owner)

    def test_transfer(self):
        """racefree's own error of this kind is one to repeat."""
        calls = []

        @retry_serialization(isolation="REPEATABLE READ")
        def work():
            calls.append(Account.objects.count())
            if len(calls) == 1:
                help.at_once(1, lambda _: bank.transfer(self.ann.pk, self.bob.pk, 1))
            bank.transfer(self.ann, self.bob, 1)

        work()
        self.assertEqual(2, len(calls))
        self.assertEqual([98], self.stored(self.ann))

    def test_gives_up(self):
        calls = []

        @retry_serialization(attempts=3)
        def work():
            calls.append(1)
            help.execute("DO $$BEGIN RAISE SQLSTATE '40P01'; END$$")

        with self.assertRaises(DatabaseError):
            work()
        self.assertEqual(3, len(calls))

    def test_other_errors(self):
        calls = []

        @retry_serialization
        def work():
            calls.append(1)
            bank.transfer(self.ann, self.bob, 1)
            bank.transfer(self.ann, self.bob, 1000)

        with self.assertRaises(racefree.InsufficientFunds):
            work()
        self.assertEqual(1, len(calls))
        self.assertEqual([100], self.stored(self.ann))
        with self.assertRaises(ValueError):
            retry_serialization(isolation="none; DROP TABLE")
        with self.assertRaises(ValueError):
            retry_serialization(attempts=0)

    def test_within_a_transaction(self):
        calls = []

        @retry_serialization
        def work():
            calls.append(1)
            help.execute("DO $$BEGIN RAISE SQLSTATE '40001'; END$$")

        with self.assertRaises(DatabaseError):
            with transaction.atomic():
                work()
        self.assertEqual(1, len(calls))


if __name__ == "__main__":
    help.main()
