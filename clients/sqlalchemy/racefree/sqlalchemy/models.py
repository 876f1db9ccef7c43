"""What is known of a model, and how a statement for it runs."""

from __future__ import annotations

import contextlib
from typing import Any, Generic, Iterable, Iterator, Mapping, Optional, Sequence, TypeVar, Union

from sqlalchemy import Column, Table, inspect, select, text, update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.sql.expression import ColumnClause

from .errors import translated
from .values import column_json

M = TypeVar("M")


class Target(Generic[M]):
    """A model whose rows are in one table, for one session."""

    def __init__(self, session: Session, model: type[M]) -> None:
        self.session = session() if isinstance(session, scoped_session) else session
        self.model = model
        self.mapper: Any = inspect(model)
        self.table: Table = self.mapper.local_table
        if self.mapper.inherits is not None or self.mapper.polymorphic_on is not None:
            raise TypeError(f"{model.__name__} shares its rows with other models")
        if not isinstance(self.table, Table):
            raise TypeError(f"{model.__name__} is not mapped to a table")
        # A session that reads from elsewhere than it writes to tells an UPDATE
        # from a SELECT.
        self.bind = self.session.get_bind(mapper=self.mapper, clause=update(self.table))
        self.dialect: Dialect = self.bind.dialect

    def column(self, name: str) -> Column[Any]:
        """The column of an attribute."""
        attribute = self.mapper.column_attrs.get(name)
        if attribute is None or not isinstance(attribute.columns[0], Column):
            raise TypeError(f"{self.model.__name__} has no column attribute {name!r}")
        return attribute.columns[0]

    def members(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Columns, and their values as JSON, of attributes and theirs."""
        columns = ((self.column(name), value) for name, value in values.items())
        return {column.name: column_json(column, value, self.dialect) for column, value in columns}

    def python_defaults(self) -> dict[str, str]:
        """The defaults of columns that SQLAlchemy, not the server, would give."""
        found = {}
        for column in self.mapper.columns:
            default: Any = column.default if isinstance(column, Column) else None
            if default is None or not (default.is_scalar or default.is_callable):
                continue
            value = default.arg(None) if default.is_callable else default.arg
            found[column.name] = column_json(column, value, self.dialect)
        return found

    def call(self, function: str, arguments: Sequence[tuple[str, str]]) -> str:
        """A call with a null of the table's row type; values are parameters."""
        schema = self.session.info.get("racefree_schema")
        name = escaped(quoted(schema, function))
        target = escaped(quoted(self.table.schema, self.table.name))
        given = "".join(
            f", {parameter} => CAST(CAST(:{parameter} AS text) AS {type_})" for parameter, type_ in arguments
        )
        return f"{name}(CAST(NULL AS {target}){given})"

    def fields(self, row: str) -> str:
        """The mapped columns of a value of the row type."""
        return ", ".join(f"({row}).{escaped(quoted(None, column.name))}" for column in self.mapper.columns)

    def load(self, sql: str, parameters: Mapping[str, Optional[str]], extra: Iterable[ColumnClause[Any]]) -> list[Any]:
        """Rows of an instance, as it is now, and the extra columns."""
        extra = list(extra)
        statement = text(sql).columns(*self.mapper.columns, *extra)
        query = select(self.model, *extra).from_statement(statement)
        return self.run(query.execution_options(populate_existing=True), parameters)

    def run(self, statement: Any, parameters: Mapping[str, Optional[str]]) -> list[Any]:
        """Run it where the session writes, after what the session has to write."""
        self.session.flush()
        try:
            with self.writing():
                return list(self.session.execute(statement, dict(parameters)))
        except DBAPIError as error:
            own = translated(error)
            if own is error:
                raise
            raise own from error.orig

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """What the session executes goes to where it writes."""
        # For a SELECT of instances, the session takes no bind and no clause from
        # its caller: it asks itself.
        session: Any = self.session
        own = session.__dict__.get("get_bind")
        session.get_bind = lambda *args, **kwargs: self.bind
        try:
            yield
        finally:
            if own is None:
                del session.get_bind
            else:
                session.get_bind = own


def quoted(schema: Optional[str], name: str) -> str:
    """A name in SQL."""
    # SQLAlchemy's own quoting doubles percent signs, too.
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name) if part)


def escaped(name: str) -> str:
    """A name in the text of a statement, where a colon begins a parameter."""
    return name.replace("\\", "\\\\").replace(":", "\\:")


def relation_text(relation: Union[str, Table, type[Any]]) -> str:
    """The name of a table, a model's table, or a name as regclass takes it."""
    if isinstance(relation, str):
        return relation
    table: Any = relation if isinstance(relation, Table) else inspect(relation)
    table = getattr(table, "local_table", table)
    return quoted(table.schema, table.name)
