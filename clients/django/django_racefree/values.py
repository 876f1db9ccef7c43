"""Values on their way to the server and back.

JSON is made by the server, from values that each field has prepared as for an
INSERT and that the driver has adapted: so every field that can be saved can be
sent, with all of its digits. Rows come back through the converters of their
fields, as those of a query do.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Iterable, List, Optional, Sequence, Tuple, Type
from uuid import UUID

from django.db.models import Field, Model
from django.utils.duration import duration_iso_string
from django.utils.functional import Promise

from .server import quote

SQL = Tuple[str, List[Any]]

# Types of which PostgreSQL makes JSON that is their text, or JSON themselves. An
# extension's type may have a cast to json, as hstore, that is something else.
_JSON_IS_TEXT = re.compile(
    r"(bool|boolean|smallint|integer|bigint|int[248]|numeric|real|double precision|text|varchar|uuid|bytea|date"
    r"|(time|timestamp)( with(out)? time zone|tz)?|interval|inet|cidr|bit varying|jsonb?)(\[\d*\])*"
)

# jsonb_build_object() takes 100 arguments, as any function.
_PAIRS = 50


def is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression") or hasattr(value, "as_sql")


def unlimited_type(field: Any, connection: Any) -> str:
    """Return the field's type without its length, scale and the like.

    A cast to varchar(10) would cut what is longer, and one to numeric(12, 2)
    would round. The column itself refuses the one, and racefree the other.
    """
    name = re.sub(r"\s*\([^()]*\)", "", field.cast_db_type(connection) or "text")
    name = re.sub(r"\b(bpchar|char|character)\b(?! varying)", "text", name)
    return re.sub(r"\bbit\b(?! varying)", "bit varying", name)


def prepared(field: Any, value: Any, connection: Any) -> SQL:
    """Return an SQL expression for a value that is to be saved in the field."""
    placeholder = "%s"
    if hasattr(field, "get_placeholder"):
        # It may need a compiler only for expressions, which do not come here.
        placeholder = field.get_placeholder(value, None, connection)
    name = unlimited_type(field, connection)
    sql = f"{placeholder}::{name}"
    if not _JSON_IS_TEXT.fullmatch(name):
        sql += "::text" + "[]" * name.endswith("[]")
    return sql, [field.get_db_prep_save(value, connection)]


def json_object(pairs: Sequence[Tuple[Any, Any]], connection: Any) -> SQL:
    """Return an SQL expression for a JSON object: columns and their values."""
    objects, params = [], []
    for start in range(0, len(pairs), _PAIRS):
        items = []
        for field, value in pairs[start:start + _PAIRS]:
            sql, values = prepared(field, value, connection)
            items.append(f"%s::pg_catalog.text, {sql}")
            params += [field.column, *values]
        objects.append(f"pg_catalog.jsonb_build_object({', '.join(items)})")
    return " OPERATOR(pg_catalog.||) ".join(objects) or "'{}'::pg_catalog.jsonb", params


def json_array(elements: Sequence[SQL]) -> SQL:
    """Return an SQL expression for a JSON array."""
    if not elements:
        return "'[]'::pg_catalog.jsonb", []
    rows = ", ".join(f"({n}, {sql})" for n, (sql, _) in enumerate(elements))
    return (
        f"(SELECT pg_catalog.jsonb_agg(v.element ORDER BY v.n) FROM (VALUES {rows}) AS v (n, element))",
        [param for _, params in elements for param in params],
    )


def columns_of(fields: Iterable[Any], row: str, connection: Any) -> str:
    """Return the columns of a composite value, for a select list."""
    return ", ".join(f"({row}).{quote(connection, field.column)}" for field in fields)


def from_row(
    model: Type[Model], fields: Sequence[Any], row: Sequence[Any], using: str, connection: Any
) -> List[Any]:
    """Return the values of one row, as a query would give them to the model."""
    compiler = model._base_manager.using(using).query.get_compiler(using=using)
    table = model._meta.db_table
    converters = compiler.get_converters([field.get_col(table) for field in fields])
    if not converters:
        return list(row)
    return list(next(iter(compiler.apply_converters([row], converters))))


def fill(instance: Model, fields: Sequence[Any], values: Sequence[Any], using: str) -> None:
    """Give an instance the values of its row. Deferred fields stay deferred."""
    for field, value in zip(fields, values):
        if field.attname in instance.__dict__:
            setattr(instance, field.attname, value)
    instance._state.adding = False
    instance._state.db = using


def _plain(value: Any) -> Any:
    # DjangoJSONEncoder would cut a time to milliseconds.
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_iso_string(value)
    if isinstance(value, (Decimal, UUID, Promise)):
        return str(value)
    raise TypeError(f"An object of the type {type(value).__name__} cannot be written as JSON.")


def to_json(value: Any) -> Optional[str]:
    return None if value is None else json.dumps(value, default=_plain)


def from_json(text: Optional[str]) -> Any:
    """Return what JSON says, numbers with all their digits."""
    return None if text is None else json.loads(text, parse_float=Decimal)
