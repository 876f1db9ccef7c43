"""Statements for the extension, and where it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from django.db import Error, NotSupportedError, transaction

from .errors import sqlstate_of, translated

# The schema of the extension, by database. It is looked for once, so that no
# call depends on the search path.
_schemas: Dict[Tuple[Any, ...], str] = {}


def supports(connection: Any) -> bool:
    """Return true if the database is a PostgreSQL: others are left to Django."""
    return bool(connection.vendor == "postgresql")


def require(connection: Any) -> None:
    if not supports(connection):
        raise NotSupportedError(
            "racefree is an extension of PostgreSQL, and the database "
            f"{connection.alias!r} is not one."
        )


def _database(connection: Any) -> Tuple[Any, ...]:
    settings = connection.settings_dict
    return tuple(settings.get(name) for name in ("NAME", "HOST", "PORT", "USER"))


def function(connection: Any, name: str) -> str:
    """Return the name of a function of the extension, with its schema."""
    schema = _schemas.get(_database(connection))
    if schema is None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT n.nspname FROM pg_catalog.pg_extension AS e"
                " JOIN pg_catalog.pg_namespace AS n"
                " ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
                " WHERE e.extname OPERATOR(pg_catalog.=) 'racefree'"
            )
            found = cursor.fetchone()
        if found is None:
            raise NotSupportedError(
                f"The database {connection.alias!r} does not have the extension "
                "racefree: give it the migration operation RacefreeExtension()."
            )
        schema = _schemas[_database(connection)] = found[0]
    return f"{quote(connection, schema)}.{quote(connection, name)}"


def quote(connection: Any, name: str) -> str:
    """Return a name as it stands in a statement that has parameters."""
    return str(connection.ops.quote_name(name)).replace("%", "%%")


def regclass(connection: Any, table: Any) -> str:
    """Return what names a model's table, or the table as it is named in SQL."""
    if isinstance(table, str):
        return table
    return str(connection.ops.quote_name(table._meta.db_table))


@contextmanager
def savepoint(connection: Any, wanted: bool = True) -> Iterator[None]:
    """Let a failure in the block leave the transaction usable, if there is one.

    Without one, the block's single statement is a transaction.
    """
    if wanted and (connection.in_atomic_block or not connection.get_autocommit()):
        with transaction.atomic(using=connection.alias):
            yield
    else:
        yield


def fetch(connection: Any, sql: str, params: Sequence[Any]) -> List[Tuple[Any, ...]]:
    """Run a statement and return its rows, or raise a translated error."""
    with translated():
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return list(cursor.fetchall())
        except Error as error:
            # The extension may have been moved.
            if sqlstate_of(error) in ("42883", "3F000"):
                _schemas.pop(_database(connection), None)
            raise
