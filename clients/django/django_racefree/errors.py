"""Exceptions by SQLSTATE.

Each is also the exception of Django that the driver's error would have been
without this package, so that code which catches that one keeps working.
SQLSTATEs that are not named here stay what Django makes of them: 23505 an
IntegrityError, 22P02 a DataError, and so on.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional, Type

from django.db import DatabaseError, Error, OperationalError, ProgrammingError


class RacefreeError(Exception):
    """An error that the server has raised for a call of racefree."""

    sqlstate: str = ""
    #: What transfer_many reports instead, if anything.
    status: Optional[str] = None
    detail: Optional[str] = None
    hint: Optional[str] = None


class InsufficientFunds(RacefreeError, DatabaseError):
    sqlstate, status = "RF001", "insufficient_funds"


class AccountNotFound(RacefreeError, DatabaseError):
    sqlstate, status = "RF002", "account_not_found"


class RequestMismatch(RacefreeError, DatabaseError):
    sqlstate, status = "RF003", "request_mismatch"


class LimitExceeded(RacefreeError, DatabaseError):
    sqlstate, status = "RF004", "limit_exceeded"


class Mismatch(RacefreeError, DatabaseError):
    sqlstate, status = "RF005", "mismatch"


class OverReversed(RacefreeError, DatabaseError):
    sqlstate, status = "RF006", "over_reversed"


class EntryNotFound(RacefreeError, DatabaseError):
    sqlstate, status = "RF007", "entry_not_found"


class AccountClosed(RacefreeError, DatabaseError):
    sqlstate, status = "RF008", "account_closed"


class HoldNotFound(RacefreeError, DatabaseError):
    sqlstate, status = "RF009", "hold_not_found"


class HoldSettled(RacefreeError, DatabaseError):
    sqlstate, status = "RF010", "hold_settled"


class HoldExpired(RacefreeError, DatabaseError):
    sqlstate, status = "RF011", "hold_expired"


class OverPosted(RacefreeError, DatabaseError):
    sqlstate, status = "RF012", "over_posted"


class SeveralRows(RacefreeError, ProgrammingError):
    """Several accounts have one id. (Of models: MultipleObjectsReturned.)"""

    sqlstate = "21000"


class TriggeredChange(RacefreeError, OperationalError):
    """A trigger, or other code of the table, wrote something else."""

    sqlstate = "27000"


class SerializationFailure(RacefreeError, OperationalError):
    """Run the transaction again: see retry_serialization."""

    sqlstate = "40001"


class DeadlockDetected(RacefreeError, OperationalError):
    """Run the transaction again: see retry_serialization."""

    sqlstate = "40P01"


def _leaves(cls: Type[RacefreeError]) -> Iterator[Type[RacefreeError]]:
    for leaf in cls.__subclasses__():
        yield leaf


BY_SQLSTATE: Dict[str, Type[RacefreeError]] = {
    cls.sqlstate: cls for cls in _leaves(RacefreeError)
}


def sqlstate_of(error: Optional[BaseException]) -> Optional[str]:
    """Return the SQLSTATE of an error of this package, Django or the driver.

    None if it has none: a lost connection, say.
    """
    while error is not None:
        for name in ("sqlstate", "pgcode"):
            code = getattr(error, name, None)
            if code:
                return str(code)
        error = error.__cause__
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raise the exception of this module for what Django raises in the block."""
    try:
        yield
    except Error as error:
        if isinstance(error, RacefreeError):
            raise
        cls = BY_SQLSTATE.get(sqlstate_of(error) or "")
        if cls is None:
            raise
        cause: Any = error.__cause__
        translation = cls(*error.args)
        diag = getattr(cause, "diag", None)
        translation.detail = getattr(diag, "message_detail", None)
        translation.hint = getattr(diag, "message_hint", None)
        raise translation from cause
