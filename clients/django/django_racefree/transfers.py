"""Money that moves between accounts, which are instances of a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type, Union
from uuid import UUID

from django.apps import apps
from django.db import connections, router, transaction
from django.db.models import Model

from . import server, values

Amount = Union[Decimal, int, str]
RequestId = Union[UUID, str, int]
ModelOrName = Union[Type[Model], str]

#: A floor that lets the payer's balance fall as far as it may by the rules of
#: the journal and the accounts.
NO_FLOOR = Decimal("-Infinity")


@dataclass(frozen=True)
class Transfer:
    """What was moved, or held, posted, let go of."""

    amount: Decimal
    #: True if the request was booked before: then nothing has moved now.
    replayed: bool
    #: The row of the journal, as JSON has it; None without a journal.
    entry: Optional[Dict[str, Any]]
    #: The accounts as they are now; None if there is none any more.
    from_account: Any
    to_account: Any

    @property
    def entry_id(self) -> Optional[int]:
        return None if self.entry is None else self.entry.get("id")


@dataclass
class Move:
    """One transfer, reversal, hold, post or void of transfer_many."""

    from_: Any = None
    to: Any = None
    amount: Optional[Amount] = None
    request_id: Optional[RequestId] = None
    #: Moves with one number succeed or fail together.
    chain: Optional[int] = None
    details: Any = None
    columns: Optional[Mapping[str, Any]] = None
    kind: Optional[str] = None
    #: What is reversed, posted or voided.
    entry_id: Optional[int] = None
    expires_at: Optional[datetime] = None
    final: Optional[bool] = None
    beyond: Optional[bool] = None


class Outcome(NamedTuple):
    """What became of a Move."""

    status: str
    amount: Optional[Decimal]
    from_balance: Optional[Decimal]
    from_available: Optional[Decimal]
    to_balance: Optional[Decimal]
    entry_id: Optional[int]

    @property
    def ok(self) -> bool:
        return self.status in ("ok", "replayed")


class Problem(NamedTuple):
    """What verify_journal has found."""

    account_id: Optional[str]
    entry_id: Optional[int]
    problem: str
    expected: Optional[Decimal]
    found: Optional[Decimal]


class Accounts:
    """The accounts of a model, and the journal that their transfers are booked in.

    model is a class, or "app_label.ModelName"; journal a model, or the name of a
    table as SQL writes it. Accounts are named by instances, which a call
    refreshes, or by primary keys.
    """

    def __init__(
        self,
        model: ModelOrName,
        *,
        journal: Optional[ModelOrName] = None,
        balance: str = "balance",
        using: Optional[str] = None,
    ) -> None:
        self._named = model
        self._journal = journal
        self._balance = balance
        self._using = using

    # Calls ------------------------------------------------------------------

    def transfer(
        self,
        from_: Any,
        to: Any,
        amount: Amount,
        *,
        request_id: Optional[RequestId] = None,
        details: Any = None,
        columns: Optional[Mapping[str, Any]] = None,
        min_balance: Optional[Amount] = None,
        max_balance: Optional[Amount] = None,
        must_match: Sequence[str] = (),
        up_to: bool = False,
        savepoint: bool = True,
    ) -> Transfer:
        """Move an amount, both balances or none."""
        return self._one(
            "transfer",
            [(self._id(from_), "text"), (self._id(to), "text"), (_amount(amount), "numeric")],
            (from_, to),
            savepoint,
            min_balance=(_limit(min_balance), "numeric"),
            max_balance=(_limit(max_balance), "numeric"),
            must_match=(self._columns_named(must_match), "name[]"),
            up_to=(up_to or None, "bool"),
            **self._booked(request_id, details, columns),
        )

    def reverse(
        self,
        entry_id: int,
        amount: Optional[Amount] = None,
        *,
        accounts: Sequence[Any] = (),
        request_id: Optional[RequestId] = None,
        details: Any = None,
        columns: Optional[Mapping[str, Any]] = None,
        min_balance: Optional[Amount] = None,
        max_balance: Optional[Amount] = None,
        up_to: bool = False,
        savepoint: bool = True,
    ) -> Transfer:
        """Move back what an entry of the journal moved, whole or in part.

        accounts are instances to refresh, if they take part in it.
        """
        return self._one(
            "reverse_transfer",
            self._entry(entry_id),
            accounts,
            savepoint,
            amount=(_optional_amount(amount), "numeric"),
            min_balance=(_limit(min_balance), "numeric"),
            max_balance=(_limit(max_balance), "numeric"),
            up_to=(up_to or None, "bool"),
            **self._booked(request_id, details, columns),
        )

    def hold(
        self,
        from_: Any,
        to: Any,
        amount: Amount,
        *,
        expires_at: Optional[datetime] = None,
        request_id: Optional[RequestId] = None,
        details: Any = None,
        columns: Optional[Mapping[str, Any]] = None,
        min_balance: Optional[Amount] = None,
        must_match: Sequence[str] = (),
        up_to: bool = False,
        savepoint: bool = True,
    ) -> Transfer:
        """Set an amount aside, for post() or void()."""
        return self._one(
            "hold_transfer",
            [(self._id(from_), "text"), (self._id(to), "text"), (_amount(amount), "numeric")],
            (from_, to),
            savepoint,
            expires_at=(expires_at, "timestamptz"),
            min_balance=(_limit(min_balance), "numeric"),
            must_match=(self._columns_named(must_match), "name[]"),
            up_to=(up_to or None, "bool"),
            **self._booked(request_id, details, columns),
        )

    def post(
        self,
        entry_id: int,
        amount: Optional[Amount] = None,
        *,
        final: bool = True,
        beyond: bool = False,
        accounts: Sequence[Any] = (),
        request_id: Optional[RequestId] = None,
        details: Any = None,
        columns: Optional[Mapping[str, Any]] = None,
        min_balance: Optional[Amount] = None,
        max_balance: Optional[Amount] = None,
        savepoint: bool = True,
    ) -> Transfer:
        """Move what was held, or a part of it."""
        return self._one(
            "post_transfer",
            self._entry(entry_id),
            accounts,
            savepoint,
            amount=(_optional_amount(amount), "numeric"),
            final=(final, "bool"),
            beyond=(beyond, "bool"),
            min_balance=(_limit(min_balance), "numeric"),
            max_balance=(_limit(max_balance), "numeric"),
            **self._booked(request_id, details, columns),
        )

    def void(
        self,
        entry_id: int,
        *,
        accounts: Sequence[Any] = (),
        request_id: Optional[RequestId] = None,
        details: Any = None,
        columns: Optional[Mapping[str, Any]] = None,
        savepoint: bool = True,
    ) -> Transfer:
        """Let go of what is left of a hold."""
        return self._one(
            "void_transfer",
            self._entry(entry_id),
            accounts,
            savepoint,
            **self._booked(request_id, details, columns),
        )

    def transfer_many(
        self,
        moves: Iterable[Move],
        *,
        on_error: str = "raise",
        min_balance: Optional[Amount] = None,
        max_balance: Optional[Amount] = None,
        must_match: Sequence[str] = (),
        up_to: bool = False,
        savepoint: bool = True,
    ) -> List[Outcome]:
        """Do many, in order, with a few statements.

        on_error="report": a failure is a status, and the others go on.
        """
        given = list(moves)
        if not given:
            return []
        connection = self._connection()

        def array(items: List[Any], type: str) -> Tuple[Any, str]:
            wanted = any(item is not None for item in items)
            return (items if wanted else None, f"{type}[]")

        def objects(items: List[Any]) -> Tuple[Any, str]:
            wanted = any(item is not None for item in items)
            return (values.to_json(items) if wanted else None, "jsonb")

        rows = self._call(
            "transfer_many",
            "r.status, r.amount, r.from_balance, r.from_available, r.to_balance, r.entry_id",
            [
                ([self._id(move.from_) for move in given], "text[]"),
                ([self._id(move.to) for move in given], "text[]"),
                ([_optional_amount(move.amount) for move in given], "numeric[]"),
            ],
            savepoint,
            " ORDER BY r.ordinality",
            on_error=(on_error, "text"),
            journal=(self._journal_name(), "regclass"),
            request_ids=array([_request_id(move.request_id) for move in given], "text"),
            chains=array([move.chain for move in given], "int4"),
            details=objects([move.details for move in given]),
            columns=objects([move.columns for move in given]),
            kinds=array([move.kind for move in given], "text"),
            entry_ids=array([move.entry_id for move in given], "int8"),
            expires_at=array([move.expires_at for move in given], "timestamptz"),
            final=array([move.final for move in given], "bool"),
            beyond=array([move.beyond for move in given], "bool"),
            min_balance=(_limit(min_balance), "numeric"),
            max_balance=(_limit(max_balance), "numeric"),
            must_match=(self._columns_named(must_match), "name[]"),
            up_to=(up_to or None, "bool"),
            balance_column=(self._balance_column(), "name"),
        )
        self._refresh([account for move in given for account in (move.from_, move.to)], connection)
        return [Outcome(*row) for row in rows]

    def expire_holds(self, max_count: int = 1000) -> int:
        """Let go of holds that have expired, and return how many these were."""
        [(count,)] = self._call(
            "expire_holds",
            "r.*",
            [(self._journal_name(), "regclass"), (max_count, "int4")],
            True,
            balance_column=(self._balance_column(), "name"),
        )
        return int(count)

    def verify_journal(self, opening: Optional[Amount] = None) -> List[Problem]:
        """Return what does not add up: nothing, if all is well."""
        connection = self._connection()
        rows = server.fetch(
            connection,
            "SELECT r.account_id, r.entry_id, r.problem, r.expected, r.found"
            f" FROM {server.function(connection, 'verify_journal')}(%s::pg_catalog.regclass, NULL::{self._table()},"
            " balance_column => %s::pg_catalog.name, opening => %s::pg_catalog.numeric) AS r",
            [self._journal_name(), self._balance_column(), _optional_amount(opening)],
        )
        return [Problem(*row) for row in rows]

    def balance_at(self, account: Any, at: datetime) -> Optional[Decimal]:
        """Return the balance that an account had at a time, by the journal."""
        connection = self._connection()
        [(balance,)] = server.fetch(
            connection,
            f"SELECT {server.function(connection, 'balance_at')}"
            "(%s::pg_catalog.regclass, %s::pg_catalog.text, %s::pg_catalog.timestamptz)",
            [self._journal_name(), self._id(account), at],
        )
        return None if balance is None else Decimal(balance)

    # What they are made of --------------------------------------------------

    @property
    def model(self) -> Any:
        """The model whose table has the balances."""
        named = apps.get_model(self._named) if isinstance(self._named, str) else self._named
        return named._meta.get_field(self._balance).model._meta.concrete_model

    @property
    def using(self) -> str:
        return self._using or router.db_for_write(self.model)

    def _connection(self) -> Any:
        connection = connections[self.using]
        server.require(connection)
        return connection

    def _table(self) -> str:
        return server.quote(connections[self.using], self.model._meta.db_table)

    def _balance_column(self) -> str:
        return str(self.model._meta.get_field(self._balance).column)

    def _journal_name(self) -> Optional[str]:
        if self._journal is None:
            return None
        return server.regclass(connections[self.using], self._journal)

    def _columns_named(self, names: Sequence[str]) -> Optional[List[str]]:
        if isinstance(names, str):
            raise TypeError("must_match must be a list of names of fields")
        return [self.model._meta.get_field(name).column for name in names] or None

    def _id(self, account: Any) -> Optional[str]:
        if account is None:
            return None
        if isinstance(account, Model):
            if not isinstance(account, self.model):
                raise TypeError(f"{account!r} is not one of the accounts, {self.model._meta.label}")
            account = account.pk
        if account is None:
            raise ValueError("an account must be saved before money can move")
        return str(self.model._meta.pk.get_prep_value(account))

    def _entry(self, entry_id: int) -> List[Tuple[Any, str]]:
        return [(self._journal_name(), "regclass"), (entry_id, "int8")]

    def _booked(
        self, request_id: Optional[RequestId], details: Any, columns: Optional[Mapping[str, Any]]
    ) -> Dict[str, Tuple[Any, str]]:
        return {
            "request_id": (_request_id(request_id), "text"),
            "details": (values.to_json(details), "jsonb"),
            "columns": (values.to_json(columns), "jsonb"),
        }

    def _call(
        self,
        name: str,
        result: str,
        positional: Sequence[Tuple[Any, str]],
        savepoint: bool,
        tail: str = "",
        **named: Tuple[Any, str],
    ) -> List[Tuple[Any, ...]]:
        """Call a function of the extension. A named None is left out."""
        connection = self._connection()
        arguments = [f"NULL::{self._table()}"]
        params = []
        for value, type in positional:
            arguments.append(f"%s::pg_catalog.{type}")
            params.append(value)
        for argument, (value, type) in named.items():
            if value is not None:
                arguments.append(f"{argument} => %s::pg_catalog.{type}")
                params.append(value)
        sql = f"SELECT {result} FROM {server.function(connection, name)}({', '.join(arguments)}) AS r{tail}"
        with server.savepoint(connection, savepoint):
            return server.fetch(connection, sql, params)

    def _one(
        self,
        name: str,
        positional: Sequence[Tuple[Any, str]],
        accounts: Sequence[Any],
        savepoint: bool,
        **named: Tuple[Any, str],
    ) -> Transfer:
        connection = self._connection()
        fields = self.model._meta.local_concrete_fields
        # The functions for entries have the journal by position.
        if name in ("transfer", "hold_transfer"):
            named["journal"] = (self._journal_name(), "regclass")
        [row] = self._call(
            name,
            "r.amount, r.replayed, r.entry::pg_catalog.text, "
            f"{values.columns_of(fields, 'r.from_account', connection)}, "
            f"{values.columns_of(fields, 'r.to_account', connection)}",
            positional,
            savepoint,
            "",
            balance_column=(self._balance_column(), "name"),
            **named,
        )
        amount, replayed, entry, *rest = row
        return Transfer(
            amount,
            replayed,
            values.from_json(entry),
            self._account(rest[:len(fields)], accounts, connection),
            self._account(rest[len(fields):], accounts, connection),
        )

    def _account(self, row: Sequence[Any], accounts: Sequence[Any], connection: Any) -> Any:
        """Return the account of a row: the instance that was given, refreshed."""
        fields = self.model._meta.local_concrete_fields
        row = values.from_row(self.model, fields, row, self.using, connection)
        pk = row[fields.index(self.model._meta.pk)]
        if pk is None:
            return None
        found = None
        for account in accounts:
            if isinstance(account, self.model) and account.pk == pk:
                values.fill(account, fields, row, self.using)
                found = found or account
        return found or self.model.from_db(self.using, [field.attname for field in fields], row)

    def _refresh(self, accounts: Iterable[Any], connection: Any) -> None:
        """Read the instances among the accounts again."""
        instances: Dict[Any, List[Any]] = {}
        for account in accounts:
            if isinstance(account, Model):
                instances.setdefault(account.pk, []).append(account)
        if not instances:
            return
        fields = self.model._meta.local_concrete_fields
        for fresh in self.model._base_manager.using(self.using).filter(pk__in=list(instances)):
            row = [getattr(fresh, field.attname) for field in fields]
            for account in instances[fresh.pk]:
                values.fill(account, fields, row, self.using)


def transfer(
    from_: Model,
    to: Model,
    amount: Amount,
    *,
    journal: Optional[ModelOrName] = None,
    balance: str = "balance",
    using: Optional[str] = None,
    **options: Any,
) -> Transfer:
    """Move an amount from one instance to another, and refresh both.

    The options are those of Accounts.transfer().
    """
    accounts = Accounts(type(from_), journal=journal, balance=balance, using=using)
    return accounts.transfer(from_, to, amount, **options)


def _amount(amount: Amount) -> str:
    # str() of a float may not be what was meant: 0.1 + 0.2 has 17 digits.
    if isinstance(amount, bool) or not isinstance(amount, (Decimal, int, str)):
        raise TypeError(f"an amount must be a Decimal, int or str, not a {type(amount).__name__}")
    return str(amount)


def _optional_amount(amount: Optional[Amount]) -> Optional[str]:
    return None if amount is None else _amount(amount)


_limit = _optional_amount


def _request_id(request_id: Optional[RequestId]) -> Optional[str]:
    return None if request_id is None else str(request_id)
