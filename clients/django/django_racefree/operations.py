"""Operations for migrations. Databases other than PostgreSQL ignore them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from django.db import router
from django.db.migrations.operations.base import Operation

from . import server

# The arguments of create_journal, besides the first two, and their types.
_RULES = {
    "request_id_type": "regtype",
    "foreign_keys": "bool",
    "partition_by": "text",
    "min_balance_column": "name",
    "max_balance_column": "name",
    "closed_column": "name",
    "must_match": "name[]",
    "opening": "numeric",
    "held_column": "name",
}


class RacefreeExtension(Operation):
    """CREATE EXTENSION racefree.

    The role needs the privilege CREATE on the database, no more.
    """

    reversible = True

    def __init__(self, schema: Optional[str] = None) -> None:
        self.schema = schema

    def deconstruct(self) -> Tuple[str, List[Any], Dict[str, Any]]:
        return self.__class__.__qualname__, [], {} if self.schema is None else {"schema": self.schema}

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _concerns(schema_editor, app_label):
            where = "" if self.schema is None else f" SCHEMA {schema_editor.quote_name(self.schema)}"
            schema_editor.execute(f"CREATE EXTENSION IF NOT EXISTS racefree{where}")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _concerns(schema_editor, app_label):
            schema_editor.execute("DROP EXTENSION IF EXISTS racefree")

    def describe(self) -> str:
        return "Creates the extension racefree"

    @property
    def migration_name_fragment(self) -> str:
        return "racefree_extension"


class CreateJournal(Operation):
    """Create a table that the transfers of a model's instances are booked in.

    name is that of the table, as SQL writes it; the options are those of
    create_journal(), with names of fields for columns. A model for it, if you
    want one, has managed = False.
    """

    reversible = True

    # One by one, and none by keyword only: Django writes no others.
    def __init__(
        self,
        name: str,
        accounts: str,
        balance: str = "balance",
        request_id_type: Optional[str] = None,
        foreign_keys: Optional[bool] = None,
        partition_by: Optional[str] = None,
        min_balance_column: Optional[str] = None,
        max_balance_column: Optional[str] = None,
        closed_column: Optional[str] = None,
        must_match: Optional[Sequence[str]] = None,
        opening: Optional[Union[Decimal, int, str]] = None,
        held_column: Optional[str] = None,
    ) -> None:
        self.name = name
        self.accounts = accounts
        self.balance = balance
        given = {
            "request_id_type": request_id_type,
            "foreign_keys": foreign_keys,
            "partition_by": partition_by,
            "min_balance_column": min_balance_column,
            "max_balance_column": max_balance_column,
            "closed_column": closed_column,
            "must_match": must_match,
            "opening": opening,
            "held_column": held_column,
        }
        self.options: Dict[str, Any] = {
            option: value for option, value in given.items() if value is not None
        }

    def deconstruct(self) -> Tuple[str, List[Any], Dict[str, Any]]:
        kwargs = {"name": self.name, "accounts": self.accounts, **self.options}
        if self.balance != "balance":
            kwargs["balance"] = self.balance
        return self.__class__.__qualname__, [], kwargs

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = self._model(app_label, to_state)
        if not _concerns(schema_editor, model._meta.app_label, model):
            return
        connection = schema_editor.connection
        arguments = {
            "journal": (self.name, "text"),
            "accounts": (None, ""),
            "balance_column": (self._column(model, self.balance), "name"),
        }
        for option, value in self.options.items():
            if option == "must_match":
                value = [self._column(model, name) for name in value]
            elif option.endswith("_column"):
                value = self._column(model, value)
            arguments[option] = (value, _RULES[option])
        sql: List[str] = []
        params: List[Any] = []
        for argument, (value, type) in arguments.items():
            if argument == "accounts":
                sql.append(f"accounts => NULL::{server.quote(connection, model._meta.db_table)}")
            elif isinstance(value, (list, tuple)):
                # Not a driver's array, which sqlmigrate could not print.
                sql.append(f"{argument} => ARRAY[{', '.join(['%s'] * len(value))}]::pg_catalog.{type}")
                params += value
            elif value is not None:
                sql.append(f"{argument} => %s::pg_catalog.{type}")
                params.append(value if isinstance(value, bool) else str(value))
        schema_editor.execute(
            f"SELECT {self._function(schema_editor)}({', '.join(sql)})", params
        )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = self._model(app_label, from_state)
        if not _concerns(schema_editor, model._meta.app_label, model):
            return
        tables = [self.name, *self._holds(schema_editor)]
        schema_editor.execute(f"DROP TABLE {', '.join(tables)}", None)

    def references_model(self, name: str, app_label: str, *args: Any) -> bool:
        """Return true for the accounts, so that squashing keeps the order."""
        return True

    def describe(self) -> str:
        return f"Creates the journal {self.name}"

    @property
    def migration_name_fragment(self) -> str:
        return "journal_" + "".join(c if c.isalnum() else "_" for c in self.name).lower()

    def _model(self, app_label: str, state: Any) -> Any:
        label, _, name = self.accounts.rpartition(".")
        return state.apps.get_model(label or app_label, name)

    def _holds(self, schema_editor: Any) -> List[str]:
        """Return the table of the journal's holds: its guard names it."""
        if "held_column" not in self.options or schema_editor.collect_sql:
            return []
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "SELECT t.tgargs FROM pg_catalog.pg_trigger AS t"
                " WHERE t.tgrelid OPERATOR(pg_catalog.=) %s::pg_catalog.regclass",
                [self.name],
            )
            arguments = b"\0".join(bytes(row[0]) for row in cursor.fetchall()).split(b"\0")
        return sorted({a[len(b"holds="):].decode() for a in arguments if a.startswith(b"holds=")})

    @staticmethod
    def _column(model: Any, name: str) -> str:
        return str(model._meta.get_field(name).column)

    @staticmethod
    def _function(schema_editor: Any) -> str:
        # What sqlmigrate prints may be for a database without the extension.
        if schema_editor.collect_sql:
            return "create_journal"
        return server.function(schema_editor.connection, "create_journal")


def _concerns(schema_editor: Any, app_label: str, model: Any = None) -> bool:
    """Return true if the operation is one for this database."""
    connection = schema_editor.connection
    if not server.supports(connection):
        return False
    if model is not None:
        return bool(router.allow_migrate_model(connection.alias, model))
    return bool(router.allow_migrate(connection.alias, app_label))


__all__: Sequence[str] = ("CreateJournal", "RacefreeExtension")
