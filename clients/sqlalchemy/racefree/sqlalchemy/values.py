"""Python's values as the text that PostgreSQL reads.

Everything is sent as text and cast in the statement, so that it does not matter
which types a driver knows or infers.  Nothing is cut: a timestamp keeps its
microseconds, a Decimal its digits.
"""

from __future__ import annotations

import datetime
import enum
import json
from decimal import Decimal
from typing import Any, Callable, Iterable, Mapping, Union

from sqlalchemy import ARRAY, JSON, Column, LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

Amount = Union[Decimal, int, str]


def column_json(column: Column[Any], value: Any, dialect: Dialect) -> str:
    """A value of a column as JSON, from which its type can be read back."""
    return _typed_json(column.type, value, dialect)


def _typed_json(type_: TypeEngine[Any], value: Any, dialect: Dialect) -> str:
    if value is None:
        return "null"

    implementation = type_.dialect_impl(dialect)
    plain: Any = implementation
    while isinstance(plain, TypeDecorator):
        plain = plain.impl
    if plain is implementation and isinstance(plain, ARRAY):
        return _array_json(plain.item_type, value, dialect)

    process = implementation.bind_processor(dialect)
    if process is not None:
        value = process(value)
    if isinstance(plain, JSON) and isinstance(value, str) and process is not None:
        # Serialized: the object itself, not a string that holds one.
        return value
    if isinstance(plain, (JSON, LargeBinary)):
        # What psycopg2 and psycopg wrap them in.
        value = getattr(value, "adapted", getattr(value, "obj", value))
    if isinstance(plain, JSON):
        serialize: Callable[[Any], str] = getattr(dialect, "_json_serializer", None) or json.dumps
        return serialize(value)
    return to_json(value)


def _array_json(item_type: TypeEngine[Any], value: Any, dialect: Dialect) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(_array_json(item_type, item, dialect) for item in value) + "]"
    return _typed_json(item_type, value, dialect)


def to_json(value: Any) -> str:
    """Any value as JSON."""
    if isinstance(value, Mapping):
        return object_json((str(name), to_json(item)) for name, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(map(to_json, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, enum.Enum):
        return to_json(value.value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    return json.dumps(to_text(value))


def object_json(members: Iterable[tuple[str, str]]) -> str:
    """A JSON object of names and JSON."""
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in members) + "}"


def to_text(value: Any) -> str:
    """A scalar as its type's input function takes it."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return to_text(value.value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    made = str(value)
    if made == object.__repr__(value):
        raise TypeError(f"cannot send a value of type {type(value).__name__}")
    # A UUID, a range, an address.
    return made


def amount_text(name: str, value: Amount) -> str:
    """Money: never a float, which is not what was written."""
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise TypeError(f"{name} must be a Decimal, an int or a str, not {type(value).__name__}")
    return to_text(value)


def names_text(names: Iterable[str]) -> str:
    """Names as an array."""
    if isinstance(names, str):
        raise TypeError("a list of names, not a single str")
    return "{" + ",".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names) + "}"
