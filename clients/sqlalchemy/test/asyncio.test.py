"""An AsyncSession with asyncpg, where that is installed."""

import asyncio
import unittest
import uuid
from decimal import Decimal
from importlib.util import find_spec

from help import engine, execute, main, new_database
from sqlalchemy import Column, Integer, Numeric, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declarative_base

from racefree.sqlalchemy import InsufficientFunds, get_or_create, get_or_create_many, hold, transfer

Base = declarative_base()
NAME = "racefree_asyncio"


class Account(Base):
    __tablename__ = "account"

    id = Column(Integer, primary_key=True)
    balance = Column(Numeric(12, 2), nullable=False)
    owner = Column(String)
    more = Column(JSONB)
    held = Column(Numeric(12, 2), server_default="0", nullable=False)


@unittest.skipIf(find_spec("asyncpg") is None or find_spec("greenlet") is None, "there is no asyncpg or greenlet")
class Asyncio(unittest.TestCase):
    def test_all(self):
        database = new_database(NAME)
        self.addCleanup(database.dispose)
        Base.metadata.create_all(database)
        execute(database, "SELECT create_journal('public.payment', NULL::account, held_column => 'held')")
        asyncio.run(self.work())

    async def work(self):
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        made = create_async_engine(engine(NAME).url.set(drivername="postgresql+asyncpg"))
        async with AsyncSession(made, expire_on_commit=False) as session:
            defaults = {"balance": Decimal("10.50"), "more": {"a": [1]}}
            ada, created = await session.run_sync(get_or_create, Account, defaults, owner="Ada")
            self.assertEqual((ada.balance, ada.more, created), (Decimal("10.50"), {"a": [1]}, True))
            ((bob, _),) = await session.run_sync(
                get_or_create_many, Account, [{"owner": "Bob", "balance": 0}], ["owner"]
            )
            request = {"journal": "public.payment", "request_id": uuid.uuid4()}
            await session.run_sync(transfer, ada, bob, "1.50", **request)
            again = await session.run_sync(transfer, ada, bob, "1.50", must_match=["more"], **request)
            self.assertEqual((again.replayed, ada.balance, bob.balance), (True, 9, Decimal("1.50")))
            held = await session.run_sync(hold, ada, bob, 2, journal="public.payment")
            self.assertEqual((held.entry["kind"], ada.held), ("hold", 2))
            await session.commit()
            with self.assertRaises(InsufficientFunds) as caught:
                await session.run_sync(transfer, ada, bob, 100)
            self.assertIn("insufficient funds", caught.exception.message_primary)
            self.assertTrue(caught.exception.message_detail)
        await made.dispose()


if __name__ == "__main__":
    main()
