"""Transactions that are run again."""

from __future__ import annotations

import functools
import random
import time
from typing import Callable, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from .errors import sqlstate

P = ParamSpec("P")
R = TypeVar("R")

_REPEATED = ("40001", "40P01")


def retry(
    maker: "sessionmaker[Session]", *, attempts: int = 5, lost: bool = False
) -> Callable[[Callable[Concatenate[Session, P], R]], Callable[P, R]]:
    """Run a function in a transaction, with a new session as its first argument.

    It is run again after a serialization failure (40001) and a deadlock (40P01),
    attempts times in all.  With lost, after a lost connection, too, when it may
    have been committed: so all that it does must be such that it happens once,
    by request ids or get_or_create.
    """

    def decorate(function: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            for attempt in range(1, attempts + 1):
                try:
                    with maker.begin() as session:
                        return function(session, *args, **kwargs)
                except DBAPIError as error:
                    again = sqlstate(error) in _REPEATED or (lost and error.connection_invalidated)
                    if not again or attempt >= attempts:
                        raise
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
            raise ValueError("attempts must be at least 1")

        return run

    return decorate
