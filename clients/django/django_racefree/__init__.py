"""racefree for Django: see README.md."""

from .errors import (
    AccountClosed,
    AccountNotFound,
    DeadlockDetected,
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
    SerializationFailure,
    SeveralRows,
    TriggeredChange,
    sqlstate_of,
)
from .retry import retry_serialization
from .transfers import NO_FLOOR, Accounts, Move, Outcome, Problem, Transfer, transfer
from .upserts import RacefreeManager, RacefreeQuerySet

__version__ = "0.4.0"

__all__ = [
    "AccountClosed",
    "AccountNotFound",
    "Accounts",
    "DeadlockDetected",
    "EntryNotFound",
    "HoldExpired",
    "HoldNotFound",
    "HoldSettled",
    "InsufficientFunds",
    "LimitExceeded",
    "Mismatch",
    "Move",
    "NO_FLOOR",
    "Outcome",
    "OverPosted",
    "OverReversed",
    "Problem",
    "RacefreeError",
    "RacefreeManager",
    "RacefreeQuerySet",
    "RequestMismatch",
    "SerializationFailure",
    "SeveralRows",
    "Transfer",
    "TriggeredChange",
    "retry_serialization",
    "sqlstate_of",
    "transfer",
]
