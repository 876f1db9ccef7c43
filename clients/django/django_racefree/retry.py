"""Transactions that are run again."""

from __future__ import annotations

import functools
import random
import time
from typing import Any, Callable, Optional, TypeVar, cast, overload

from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from .errors import sqlstate_of

F = TypeVar("F", bound=Callable[..., Any])

#: A serialization failure, and a deadlock.
RETRIED = ("40001", "40P01")

ISOLATION_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@overload
def retry_serialization(function: F) -> F:
    ...


@overload
def retry_serialization(
    *, attempts: int = 5, using: str = DEFAULT_DB_ALIAS, isolation: Optional[str] = None
) -> Callable[[F], F]:
    ...


def retry_serialization(
    function: Optional[F] = None,
    *,
    attempts: int = 5,
    using: str = DEFAULT_DB_ALIAS,
    isolation: Optional[str] = None,
) -> Any:
    """Run a function in a transaction, again if that fails with 40001 or 40P01.

    The function may run several times, so what it does besides the database
    must bear that. isolation is the transaction's level, by default that of the
    connection. Called within a transaction, where only the whole of it could
    be run again, the function is just called.
    """
    if isolation is not None and isolation.upper() not in ISOLATION_LEVELS:
        raise ValueError(f"isolation must be one of {', '.join(ISOLATION_LEVELS)}")
    if attempts < 1:
        raise ValueError("attempts must be at least 1")

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            connection = connections[using]
            if connection.in_atomic_block:
                return function(*args, **kwargs)
            for attempt in range(1, attempts + 1):
                try:
                    with transaction.atomic(using=using):
                        if isolation is not None and connection.vendor == "postgresql":
                            with connection.cursor() as cursor:
                                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation.upper()}")
                        return function(*args, **kwargs)
                except Error as error:
                    if attempt == attempts or sqlstate_of(error) not in RETRIED:
                        raise
                # Not all at the same moment again.
                time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 7)))

        return cast(F, wrapper)

    return decorate if function is None else decorate(function)
