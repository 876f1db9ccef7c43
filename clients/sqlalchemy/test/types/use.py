"""What a type checker is to find of this client's types."""

from decimal import Decimal
from typing import Any, Optional

from sqlalchemy.orm import Session, sessionmaker

from racefree.sqlalchemy import Transfer, get_or_create, get_or_create_many, retry, transfer


class Account:
    id: int
    balance: Decimal


def use(session: Session, a: Account, b: Account, maker: "sessionmaker[Session]") -> None:
    account, created = get_or_create(session, Account, {"balance": 0}, id=1)
    money: Decimal = account.balance
    new: bool = created
    several: list[tuple[Account, bool]] = get_or_create_many(session, Account, [{"id": 1}], ["id"])
    done: Transfer[Account] = transfer(session, a, b, "1.50", journal="public.payment")
    entry: Optional[int] = done.entry_id

    @retry(maker)
    def work(session: Session, amount: int, *, to: str) -> str:
        return to

    text: str = work(1, to="x")
    print(money, new, several, entry, text)

    transfer(session, a, b, 1.5)  # refused
    work("1", to="x")  # refused
    number: int = work(1, to="x")  # refused
    wrong: Any = get_or_create(session)  # refused
    print(number, wrong)
