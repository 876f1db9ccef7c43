"""What mypy must accept, and below it what it must not."""

from decimal import Decimal
from typing import List, Optional
from uuid import uuid4

from django_racefree import NO_FLOOR, Accounts, InsufficientFunds, Move, Outcome, retry_serialization

bank = Accounts("shop.Account", journal="payment")
paid = bank.transfer(1, 2, "1.50", request_id=uuid4(), min_balance=NO_FLOOR)
amount: Decimal = paid.amount
entry: Optional[int] = paid.entry_id
outcomes: List[Outcome] = bank.transfer_many([Move(1, 2, 3)], on_error="report")
try:
    bank.reverse(entry or 0)
except InsufficientFunds as error:
    detail: Optional[str] = error.detail


@retry_serialization(attempts=3)
def work(n: int) -> str:
    return str(n)


bank.transfer(1, 2, 1.5)  # refused
bank.transfer(1, 2)  # refused
bank.transfer(1, 2, 1, up_to="yes")  # refused
bank.reverse("1")  # refused
Move(1, 2, 0.1)  # refused
work("1")  # refused
