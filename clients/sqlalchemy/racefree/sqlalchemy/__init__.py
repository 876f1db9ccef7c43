"""racefree, a PostgreSQL extension, from SQLAlchemy.

Each function takes the session first, flushes what is pending in it, runs one
statement on the connection that the session writes with, and returns instances
that are as the server has them now, also where the session had loaded them
before.
"""

from .errors import (
    AccountClosed,
    AccountNotFound,
    EntryNotFound,
    HoldExpired,
    HoldNotFound,
    HoldSettled,
    InsufficientFunds,
    LimitExceeded,
    Mismatch,
    OverPosted,
    OverReversed,
    RacefreeError,
    RequestMismatch,
    SeveralRows,
    sqlstate,
)
from .retries import retry
from .transfers import NO_FLOOR, Transfer, expire_holds, hold, post, reverse, transfer, void
from .upserts import get_or_create, get_or_create_many, update_or_create, update_or_create_many

__all__ = [
    "NO_FLOOR",
    "AccountClosed",
    "AccountNotFound",
    "EntryNotFound",
    "HoldExpired",
    "HoldNotFound",
    "HoldSettled",
    "InsufficientFunds",
    "LimitExceeded",
    "Mismatch",
    "OverPosted",
    "OverReversed",
    "RacefreeError",
    "RequestMismatch",
    "SeveralRows",
    "Transfer",
    "expire_holds",
    "get_or_create",
    "get_or_create_many",
    "hold",
    "post",
    "retry",
    "reverse",
    "sqlstate",
    "transfer",
    "update_or_create",
    "update_or_create_many",
    "void",
]
