"""Transfers, holds, and transactions that are run again."""

import datetime
import threading
import uuid
from decimal import Decimal

from help import DatabaseCase, execute, main
from sqlalchemy import BigInteger, Column, DateTime, Numeric, String, func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import declarative_base, scoped_session, sessionmaker

from racefree import sqlalchemy as racefree
from racefree.sqlalchemy import NO_FLOOR, expire_holds, hold, post, retry, reverse, sqlstate, transfer, void

Base = declarative_base()
JOURNAL = "public.payment"
IN_AN_HOUR = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)


class Account(Base):
    __tablename__ = "account"

    id = Column(BigInteger, primary_key=True)
    money = Column("balance", Numeric(12, 2), nullable=False)
    held = Column(Numeric(12, 2), nullable=False, server_default="0")
    owner = Column(String)
    top = Column(Numeric)
    currency = Column(String, server_default="EUR")
    closed_at = Column(DateTime(timezone=True))


class Wallet(Base):
    __tablename__ = "wallet"

    name = Column(String, primary_key=True)
    balance = Column(BigInteger, nullable=False)


class Payment(Base):
    __tablename__ = "payment"

    id = Column(BigInteger, primary_key=True)
    request_id = Column(String)
    order_id = Column(BigInteger)


class Money(DatabaseCase):
    statements = [
        "CREATE TABLE account (id bigserial PRIMARY KEY, balance numeric(12,2) NOT NULL, held numeric(12,2) NOT NULL"
        " DEFAULT 0, owner text, top numeric, currency text DEFAULT 'EUR', closed_at timestamptz)",
        "CREATE TABLE wallet (name text PRIMARY KEY, balance bigint NOT NULL)",
        "SELECT create_journal('public.payment', NULL::account, opening => 100, held_column => 'held',"
        " max_balance_column => 'top', must_match => '{currency}', closed_column => 'closed_at')",
        "ALTER TABLE payment ADD order_id bigint",
    ]

    def setUp(self):
        execute(
            self.engine,
            "TRUNCATE wallet",
            "ALTER TABLE payment DISABLE TRIGGER ALL",
            "TRUNCATE account, payment, payment_holds RESTART IDENTITY",
            "ALTER TABLE payment ENABLE TRIGGER ALL",
            "INSERT INTO account (balance) VALUES (100), (100), (100)",
        )
        self.session = self.Session()
        self.addCleanup(self.session.close)
        self.a, self.b, self.c = self.session.scalars(select(Account).order_by(Account.id))

    def pay(self, amount, **options):
        return transfer(self.session, self.a, self.b, amount, journal=JOURNAL, balance="money", **options)

    def assertSound(self):
        self.session.commit()
        self.assertEqual(self.value("SELECT sum(balance) FROM account"), 300)
        self.assertIsNone(self.value("SELECT problem FROM verify_journal('public.payment', NULL::account)"))


class Transfers(Money):
    def test_moves(self):
        done = self.pay("10.50", details={"order": 4711, "at": IN_AN_HOUR, "share": Decimal("0.10")})
        self.assertIs(done.from_account, self.a)
        self.assertIs(done.to_account, self.b)
        self.assertEqual((self.a.money, self.b.money), (Decimal("89.50"), Decimal("110.50")))
        self.assertEqual((done.amount, done.replayed, done.entry_id), (Decimal("10.50"), False, done.entry["id"]))
        self.assertEqual(str(done.amount), "10.50")
        self.assertEqual(done.entry["details"]["share"], Decimal("0.10"))
        self.assertEqual(done.entry["details"]["at"], IN_AN_HOUR.isoformat())
        self.assertSound()

    def test_without_a_journal(self):
        self.session.add_all([Wallet(name="x'", balance=5), Wallet(name="y", balance=0)])
        x, y = self.session.new
        done = transfer(self.session, x, y, 2)
        self.assertEqual((x.balance, y.balance, done.entry, done.entry_id), (3, 2, None, None))

    def test_happens_once(self):
        request_id = uuid.uuid4()
        first = self.pay(10, request_id=request_id)
        self.session.commit()
        again = self.pay(10, request_id=request_id)
        self.assertTrue(again.replayed)
        self.assertEqual(again.entry_id, first.entry_id)
        self.assertEqual(self.a.money, 90)
        self.assertEqual(self.pay(10, request_id=str(request_id)).entry_id, first.entry_id)
        with self.assertRaises(racefree.RequestMismatch):
            self.pay(11, request_id=request_id)
        self.session.rollback()
        self.assertSound()

    def test_a_loaded_instance_does_not_save_the_old_balance_back(self):
        self.assertEqual(self.a.money, 100)
        self.pay(9)
        self.a.money += 1
        self.b.money -= 1
        self.session.commit()
        self.assertEqual(self.value("SELECT balance FROM account WHERE id = 1"), 92)

    def test_what_is_pending_comes_first(self):
        self.a.owner = "Ada"
        self.pay(1)
        self.assertEqual(self.a.owner, "Ada")
        new = Account(money=0)
        self.session.add(new)
        transfer(self.session, self.a, new, 1, balance="money")
        self.assertEqual(new.money, 1)

    def test_limits(self):
        with self.assertRaises(racefree.InsufficientFunds) as caught:
            self.pay(1000)
        self.assertIsInstance(caught.exception, DBAPIError)
        self.assertEqual(caught.exception.sqlstate, "RF001")
        self.assertIn("insufficient funds", caught.exception.message_primary)
        self.assertIn("1000", caught.exception.message_detail or "")
        self.session.rollback()
        for options, error in (
            ({"min_balance": 95}, racefree.InsufficientFunds),
            ({"max_balance": 105}, racefree.LimitExceeded),
            ({"must_match": ["owner"]}, racefree.Mismatch),
        ):
            self.b.owner = "Bob"
            with self.assertRaises(error), self.session.begin_nested():
                self.pay(10, **options)
        self.assertEqual(self.pay(1000, up_to=True).amount, 100)
        self.assertEqual(self.pay(5, min_balance=NO_FLOOR).from_account.money, -5)
        self.assertSound()

    def test_a_failure_in_a_savepoint_leaves_the_rest(self):
        self.pay(1)
        with self.assertRaises(racefree.InsufficientFunds), self.session.begin_nested():
            self.pay(1000)
        self.pay(2)
        self.session.commit()
        self.assertEqual(self.a.money, 97)
        self.assertSound()

    def test_errors(self):
        self.c.closed_at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        self.b.top = 105
        gone = Account(id=99)
        for work, error in (
            (lambda: transfer(self.session, self.a, self.c, 1, journal=JOURNAL, balance="money"), racefree.AccountClosed),
            (lambda: self.pay(6), racefree.LimitExceeded),
            (lambda: transfer(self.session, self.a, gone, 1, journal=JOURNAL, balance="money"), racefree.AccountNotFound),
            (lambda: reverse(self.session, Account, 99, journal=JOURNAL, balance="money"), racefree.EntryNotFound),
            (lambda: post(self.session, Account, 99, journal=JOURNAL, balance="money"), racefree.HoldNotFound),
            (lambda: void(self.session, Account, 99, journal=JOURNAL, balance="money"), racefree.HoldNotFound),
        ):
            with self.assertRaises(error), self.session.begin_nested():
                work()

    def test_slips_are_refused(self):
        for amount in (1.5, True, None):
            with self.assertRaises(TypeError):
                self.pay(amount)
        with self.assertRaises(TypeError):
            self.pay(1, min_balance=float("-inf"))
        with self.assertRaises(TypeError):
            self.pay(1, must_match="currency")
        with self.assertRaises(TypeError):
            transfer(self.session, self.a, Wallet(name="x", balance=1), 1)
        with self.assertRaises(ValueError):
            transfer(self.session, self.a, Account(money=1), 1, balance="money")
        with self.assertRaises(ValueError):
            hold(self.session, self.a, self.b, 1, journal=JOURNAL, balance="money", expires_at=datetime.datetime.now())

    def test_reverse(self):
        paid = self.pay(10)
        undone = reverse(self.session, Account, paid.entry_id, 4, journal=JOURNAL, balance="money")
        self.assertEqual((undone.from_account, undone.to_account, undone.amount), (self.b, self.a, 4))
        with self.assertRaises(racefree.OverReversed), self.session.begin_nested():
            reverse(self.session, Account, paid.entry_id, 7, journal=JOURNAL, balance="money")
        self.assertEqual(reverse(self.session, Account, paid.entry_id, journal=JOURNAL, balance="money").amount, 6)
        self.assertSound()

    def test_journals_by_model_and_table_and_their_columns(self):
        for journal in (Payment, Payment.__table__, "payment"):
            done = transfer(self.session, self.a, self.b, 1, journal=journal, balance="money", columns={"order_id": 7})
            self.assertEqual(self.session.get(Payment, done.entry_id).order_id, 7)

    def test_accounts_that_are_gone(self):
        self.session.add_all([Wallet(name="x", balance=5), Wallet(name="y", balance=0)])
        x, y = self.session.new
        self.session.flush()
        execute_ = self.session.execute
        execute_(text("SELECT create_journal('pocket', NULL::wallet, foreign_keys => false)"))
        request_id = uuid.uuid4()
        transfer(self.session, x, y, 2, journal="pocket", request_id=request_id)
        execute_(text("DELETE FROM wallet WHERE name = 'x'"))
        again = transfer(self.session, x, y, 2, journal="pocket", request_id=request_id)
        self.assertIsNone(again.from_account)
        self.assertEqual((again.to_account, again.replayed), (y, True))
        self.session.rollback()

    def test_a_scoped_session(self):
        session = scoped_session(self.Session)
        self.addCleanup(session.remove)
        a, b = session.scalars(select(Account).order_by(Account.id).limit(2))
        self.assertEqual(transfer(session, a, b, 1, balance="money").from_account.money, 99)


class Holds(Money):
    def hold(self, amount, **options):
        return hold(self.session, self.a, self.b, amount, journal=JOURNAL, balance="money", **options)

    def test_post_and_void(self):
        held = self.hold(30, expires_at=IN_AN_HOUR, request_id=uuid.uuid4())
        self.assertEqual((self.a.money, self.a.held, held.entry["kind"]), (100, 30, "hold"))
        posted = post(self.session, Account, held.entry_id, 20, journal=JOURNAL, balance="money")
        self.assertEqual((posted.amount, self.a.money, self.a.held, self.b.money), (20, 80, 0, 120))
        with self.assertRaises(racefree.HoldSettled), self.session.begin_nested():
            void(self.session, Account, held.entry_id, journal=JOURNAL, balance="money")
        self.assertEqual(void(self.session, Account, self.hold(5).entry_id, journal=JOURNAL, balance="money").amount, 5)
        self.assertSound()

    def test_parts_and_more(self):
        held = self.hold(30).entry_id
        post(self.session, Account, held, 10, journal=JOURNAL, balance="money", final=False)
        self.assertEqual(self.a.held, 20)
        with self.assertRaises(racefree.OverPosted), self.session.begin_nested():
            post(self.session, Account, held, 21, journal=JOURNAL, balance="money")
        post(self.session, Account, held, 21, journal=JOURNAL, balance="money", beyond=True)
        self.assertEqual((self.a.held, self.a.money), (0, 69))
        self.assertSound()

    def test_expiry(self):
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
        held = self.hold(30, expires_at=soon).entry_id
        self.session.commit()
        self.session.execute(text("SELECT pg_sleep(1.1)"))
        with self.assertRaises(racefree.HoldExpired), self.session.begin_nested():
            post(self.session, Account, held, journal=JOURNAL, balance="money")
        self.assertEqual(expire_holds(self.session, Account, journal=JOURNAL, balance="money"), 1)
        self.assertSound()


class Retries(Money):
    def setUp(self):
        super().setUp()
        self.maker = sessionmaker(self.engine.execution_options(isolation_level="REPEATABLE READ"))

    def test_serialization_failures(self):
        seen = []

        @retry(self.maker)
        def pay(session, amount, *, to):
            a, b = session.get(Account, 1), session.get(Account, to)
            seen.append(a.money)
            if len(seen) == 1:
                with self.Session.begin() as other:
                    x, y = other.get(Account, 1), other.get(Account, 3)
                    transfer(other, x, y, 5, journal=JOURNAL, balance="money")
            return transfer(session, a, b, amount, journal=JOURNAL, balance="money").from_account.money

        self.assertEqual(pay(10, to=2), 85)
        self.assertEqual(seen, [100, 95])
        self.assertSound()

    def test_gives_up(self):
        tries = []

        @retry(self.maker, attempts=2)
        def fail(session, sqlstate_):
            tries.append(sqlstate_)
            session.execute(text(f"DO $$BEGIN RAISE SQLSTATE '{sqlstate_}'; END$$"))

        for sqlstate_, times in (("40001", 2), ("40P01", 2), ("RF001", 1), ("23505", 1)):
            with self.assertRaises(DBAPIError) as caught:
                fail(sqlstate_)
            self.assertEqual(sqlstate(caught.exception), sqlstate_)
            self.assertEqual(tries.count(sqlstate_), times)

    def test_lost_connections(self):
        request_id = uuid.uuid4()
        tries = []

        def pay(session):
            tries.append(session)
            transfer(session, *session.scalars(select(Account).order_by(Account.id).limit(2)), 10,
                     journal=JOURNAL, request_id=request_id, balance="money")
            if len(tries) == 1:
                self.value(f"SELECT pg_terminate_backend({session.scalar(func.pg_backend_pid())})")
            session.execute(text("SELECT 1"))

        with self.assertRaises(OperationalError):
            retry(self.maker)(pay)()
        tries.clear()
        retry(self.maker, lost=True)(pay)()
        self.assertEqual(len(tries), 2)
        self.assertEqual(self.value("SELECT count(*) FROM payment"), 1)
        self.assertSound()

    def test_many_at_once(self):
        @retry(self.maker, attempts=50)
        def pay(session, from_id, to_id):
            accounts = session.get(Account, from_id), session.get(Account, to_id)
            transfer(session, *accounts, 1, journal=JOURNAL, balance="money")

        def work(i):
            for _ in range(10):
                pay(1 + i % 3, 1 + (i + 1) % 3)

        threads = [threading.Thread(target=work, args=[i]) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.value("SELECT count(*) FROM payment"), 60)
        self.assertSound()


if __name__ == "__main__":
    main()
