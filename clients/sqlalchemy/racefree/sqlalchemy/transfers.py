"""Money that moves between two instances, or is set aside for that."""

from __future__ import annotations

import datetime
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, Mapping, Optional, Sequence, TypeVar, Union

from sqlalchemy import BigInteger, Boolean, Integer, Numeric, Table, Text, column, inspect, text
from sqlalchemy.orm import Session

from .models import Target, relation_text
from .values import Amount, amount_text, names_text, to_json, to_text

M = TypeVar("M")
Journal = Union[str, Table, type[Any]]
RequestId = Union[str, int, uuid.UUID]

#: as min_balance: this call asks for no floor
NO_FLOOR = Decimal("-Infinity")

_EXTRA: list[Any] = [
    column("side", Integer),
    column("moved", Numeric),
    column("replayed", Boolean),
    column("entry", Text),
]

# What the functions take, besides the accounts, and of which type it is.
_TYPES = {
    "from_id": "text",
    "to_id": "text",
    "entry_id": "bigint",
    "amount": "numeric",
    "journal": "regclass",
    "request_id": "text",
    "details": "jsonb",
    "columns": "jsonb",
    "min_balance": "numeric",
    "max_balance": "numeric",
    "must_match": "name[]",
    "up_to": "boolean",
    "expires_at": "timestamptz",
    "final": "boolean",
    "beyond": "boolean",
    "id_column": "name",
    "balance_column": "name",
    "max_count": "integer",
}


@dataclass(frozen=True)
class Transfer(Generic[M]):
    """What was done."""

    #: the accounts as they are now; None in a replay, if there is none any more
    from_account: Optional[M]
    to_account: Optional[M]
    #: what was moved, held, or let go of
    amount: Decimal
    #: True if the request was done before, and is not done again
    replayed: bool
    #: the entry of the journal, its numbers as int or Decimal
    entry: Optional[Mapping[str, Any]]

    @property
    def entry_id(self) -> Optional[int]:
        return None if self.entry is None else self.entry.get("id")


def transfer(
    session: Session,
    from_account: M,
    to_account: M,
    amount: Amount,
    *,
    journal: Optional[Journal] = None,
    request_id: Optional[RequestId] = None,
    details: Any = None,
    columns: Optional[Mapping[str, Any]] = None,
    min_balance: Optional[Amount] = None,
    max_balance: Optional[Amount] = None,
    must_match: Optional[Sequence[str]] = None,
    up_to: bool = False,
    balance: str = "balance",
) -> Transfer[M]:
    """Move an amount from one account to another, both or neither.

    With a journal and a request_id it is done once, however often it is asked
    for.  balance is the attribute that has the balances.
    """
    target, ids = _accounts(session, from_account, to_account)
    return _call(
        target,
        "transfer",
        balance,
        **ids,
        amount=amount_text("amount", amount),
        journal=journal,
        request_id=request_id,
        details=details,
        columns=columns,
        min_balance=min_balance,
        max_balance=max_balance,
        must_match=must_match,
        up_to=up_to,
    )


def reverse(
    session: Session,
    model: type[M],
    entry_id: int,
    amount: Optional[Amount] = None,
    *,
    journal: Journal,
    request_id: Optional[RequestId] = None,
    details: Any = None,
    columns: Optional[Mapping[str, Any]] = None,
    min_balance: Optional[Amount] = None,
    max_balance: Optional[Amount] = None,
    up_to: bool = False,
    balance: str = "balance",
) -> Transfer[M]:
    """Move back what an entry moved, whole or in part, never more."""
    return _call(
        Target(session, model),
        "reverse_transfer",
        balance,
        entry_id=entry_id,
        amount=amount,
        journal=journal,
        request_id=request_id,
        details=details,
        columns=columns,
        min_balance=min_balance,
        max_balance=max_balance,
        up_to=up_to,
    )


def hold(
    session: Session,
    from_account: M,
    to_account: M,
    amount: Amount,
    *,
    journal: Journal,
    expires_at: Optional[datetime.datetime] = None,
    request_id: Optional[RequestId] = None,
    details: Any = None,
    columns: Optional[Mapping[str, Any]] = None,
    min_balance: Optional[Amount] = None,
    must_match: Optional[Sequence[str]] = None,
    up_to: bool = False,
    balance: str = "balance",
) -> Transfer[M]:
    """Set an amount aside for a transfer that post makes later."""
    target, ids = _accounts(session, from_account, to_account)
    return _call(
        target,
        "hold_transfer",
        balance,
        **ids,
        amount=amount_text("amount", amount),
        journal=journal,
        expires_at=expires_at,
        request_id=request_id,
        details=details,
        columns=columns,
        min_balance=min_balance,
        must_match=must_match,
        up_to=up_to,
    )


def post(
    session: Session,
    model: type[M],
    entry_id: int,
    amount: Optional[Amount] = None,
    *,
    journal: Journal,
    final: bool = True,
    beyond: bool = False,
    request_id: Optional[RequestId] = None,
    details: Any = None,
    columns: Optional[Mapping[str, Any]] = None,
    min_balance: Optional[Amount] = None,
    max_balance: Optional[Amount] = None,
    balance: str = "balance",
) -> Transfer[M]:
    """Move what was held, or a part of it; what is left is let go of, if final."""
    return _call(
        Target(session, model),
        "post_transfer",
        balance,
        entry_id=entry_id,
        amount=amount,
        journal=journal,
        final=final,
        beyond=beyond,
        request_id=request_id,
        details=details,
        columns=columns,
        min_balance=min_balance,
        max_balance=max_balance,
    )


def void(
    session: Session,
    model: type[M],
    entry_id: int,
    *,
    journal: Journal,
    request_id: Optional[RequestId] = None,
    details: Any = None,
    columns: Optional[Mapping[str, Any]] = None,
    balance: str = "balance",
) -> Transfer[M]:
    """Let go of what is left of a hold."""
    return _call(
        Target(session, model),
        "void_transfer",
        balance,
        entry_id=entry_id,
        journal=journal,
        request_id=request_id,
        details=details,
        columns=columns,
    )


def expire_holds(
    session: Session, model: type[Any], *, journal: Journal, max_count: int = 1000, balance: str = "balance"
) -> int:
    """Let go of holds that have expired, and return how many these were."""
    target = Target(session, model)
    arguments = _arguments(target, balance, journal=journal, max_count=max_count)
    call = target.call("expire_holds", [(name, _TYPES[name]) for name in arguments])
    ((count,),) = target.run(text(f"SELECT {call}").columns(column("count", BigInteger)), arguments)
    return int(count)


def _accounts(session: Session, from_account: M, to_account: M) -> tuple[Target[M], dict[str, str]]:
    if type(from_account) is not type(to_account):
        raise TypeError("the accounts must be of one model")
    target = Target(session, type(from_account))
    # A new one gets its id when it is flushed.
    session.flush()
    attribute = target.mapper.get_property_by_column(_id_column(target)).key
    ids = {}
    for name, account in (("from_id", from_account), ("to_id", to_account)):
        state: Any = inspect(account)
        # Known without a SELECT, also where it has expired.
        value = state.identity[0] if state.identity else getattr(account, attribute)
        if value is None:
            raise ValueError(f"the account in {name} has no id: add it to the session")
        ids[name] = value
    return target, ids


def _id_column(target: Target[Any]) -> Any:
    if len(target.mapper.primary_key) != 1:
        raise TypeError(f"{target.model.__name__} has no single primary key")
    return target.mapper.primary_key[0]


def _call(target: Target[M], function: str, balance: str, **given: Any) -> Transfer[M]:
    arguments = _arguments(target, balance, **given)
    call = target.call(function, [(name, _TYPES[name]) for name in arguments])
    sql = (
        f"SELECT {target.fields('s.account')}, s.side, r.amount, r.replayed, CAST(r.entry AS text)"
        f" FROM {call} AS r, LATERAL (VALUES (1, r.from_account), (2, r.to_account)) AS s (side, account)"
        " ORDER BY s.side"
    )
    first, second = target.load(sql, arguments, _EXTRA)
    entry = None if first[4] is None else json.loads(first[4], parse_float=Decimal)
    return Transfer(first[0], second[0], Decimal(first[2]), first[3], entry)


def _arguments(target: Target[Any], balance: str, **given: Any) -> dict[str, str]:
    """What was given, as text.  None is never sent: it means not given."""
    given.update(id_column=_id_column(target).name, balance_column=target.column(balance).name)
    return {name: _text(target, name, value) for name, value in given.items() if value is not None}


def _text(target: Target[Any], name: str, value: Any) -> str:
    if _TYPES[name] == "numeric":
        return amount_text(name, value)
    if name == "journal":
        return relation_text(value)
    if name in ("details", "columns"):
        return to_json(value)
    if name == "must_match":
        return names_text([target.column(attribute).name for attribute in value])
    if name == "expires_at" and value.tzinfo is None:
        raise ValueError("expires_at must have a time zone")
    return to_text(value)
