"""Rows that are there once, however many ask for them."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional, Sequence, TypeVar

from sqlalchemy import Boolean, column
from sqlalchemy.orm import Session

from .models import Target
from .values import names_text, object_json

M = TypeVar("M")

_CREATED = column("created", Boolean)


def get_or_create(
    session: Session, model: type[M], /, defaults: Optional[Mapping[str, Any]] = None, **key: Any
) -> tuple[M, bool]:
    """The one instance that has these values, and whether this call created it.

    A new row gets the defaults, too.  NULL (None) equals NULL.
    """
    target = Target(session, model)
    found = target.members(key)
    new = _new(target, found, defaults or {})
    parameters = {"key": object_json(found.items()), "defaults": object_json(new.items())}
    return _one(target, "get_or_create", parameters)


def update_or_create(
    session: Session,
    model: type[M],
    /,
    defaults: Optional[Mapping[str, Any]] = None,
    create_defaults: Optional[Mapping[str, Any]] = None,
    **key: Any,
) -> tuple[M, bool]:
    """The same, after the defaults are set in it.

    A new row gets create_defaults, or the defaults where these are not given.
    """
    target = Target(session, model)
    found = target.members(key)
    new = _new(target, found, (defaults or {}) if create_defaults is None else create_defaults)
    parameters = {
        "key": object_json(found.items()),
        "defaults": object_json(target.members(defaults or {}).items()),
        "create_defaults": object_json(new.items()),
    }
    return _one(target, "update_or_create", parameters)


def _new(target: Target[M], key: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """What a new row gets besides the key."""
    defaults = {name: value for name, value in target.python_defaults().items() if name not in key}
    return {**defaults, **target.members(values)}


def _one(target: Target[M], function: str, parameters: Mapping[str, str]) -> tuple[M, bool]:
    call = target.call(function, [(name, "jsonb") for name in parameters])
    sql = f"SELECT {target.fields('r.object')}, r.created FROM {call} AS r"
    ((instance, created),) = target.load(sql, parameters, [_CREATED])
    return instance, created


def get_or_create_many(
    session: Session, model: type[M], rows: Iterable[Mapping[str, Any]], key: Sequence[str]
) -> list[tuple[M, bool]]:
    """get_or_create for a batch, in one statement that never deadlocks with others.

    Each row has the attributes of the key, and others for a new row.
    """
    return _many(session, model, rows, key, "get_or_create_many", python_defaults=True)


def update_or_create_many(
    session: Session, model: type[M], rows: Iterable[Mapping[str, Any]], key: Sequence[str]
) -> list[tuple[M, bool]]:
    """update_or_create for a batch, in one statement that never deadlocks with others.

    Defaults that SQLAlchemy would give are not given here: they would be set in
    the rows that are there, too.
    """
    return _many(session, model, rows, key, "update_or_create_many", python_defaults=False)


def _many(
    session: Session,
    model: type[M],
    rows: Iterable[Mapping[str, Any]],
    key: Sequence[str],
    function: str,
    python_defaults: bool,
) -> list[tuple[M, bool]]:
    target = Target(session, model)
    objects = []
    for row in rows:
        # Anew for each row: a default may be another one each time.
        defaults = target.python_defaults() if python_defaults else {}
        objects.append(object_json({**defaults, **target.members(row)}.items()))
    parameters = {
        "rows": "[" + ", ".join(objects) + "]",
        "key": names_text([target.column(name).name for name in key]),
    }
    call = target.call(function, [("rows", "jsonb"), ("key", "name[]")])
    sql = f"SELECT {target.fields('r.object')}, r.created FROM {call} AS r ORDER BY r.ordinality"
    return [(instance, created) for instance, created in target.load(sql, parameters, [_CREATED])]
