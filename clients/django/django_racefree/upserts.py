"""get_or_create and update_or_create of a QuerySet, without duplicates.

A row that is there is found by Django's own query. Only where there is none,
racefree comes in, in one of two ways:

- "direct": the extension makes the row, in one statement. For models of which
  Django's save() would do no more than an INSERT.
- "locked": the extension locks the key, and then Django does the rest. For
  models with a save() of their own, receivers of signals, or several tables; for
  look-ups such as name__iexact; and for querysets with filters.

Other databases than PostgreSQL are left to Django.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union, cast

from django.core.exceptions import FieldDoesNotExist
from django.db import NotSupportedError, connections, models, transaction
from django.db.models import signals
from django.db.models.query import QuerySet
from django.db.models.utils import resolve_callables

from . import server, values
from .errors import SeveralRows

Result = Tuple[Any, bool]


class RacefreeQuerySet(QuerySet):
    """A QuerySet of which these methods make one row, whoever else calls them."""

    def get_or_create(
        self, defaults: Optional[Mapping[str, Any]] = None, **kwargs: Any
    ) -> Result:
        self._for_write = True
        connection = connections[self.db]
        if not server.supports(connection):
            return cast(Result, super().get_or_create(defaults, **kwargs))
        try:
            return self.get(**kwargs), False
        except self.model.DoesNotExist:
            # As Django has it: nothing is evaluated if the row is there.
            params = self._extract_model_params(defaults, **kwargs)
        direct = _Direct.prepare(self, kwargs, params)
        if direct is not None:
            obj, created = direct.get_or_create()
            # Of update_or_create, which wants the row locked.
            if created or not self.query.select_for_update:
                return obj, created
        with transaction.atomic(using=self.db):
            self._lock_for_django([self._lockable(kwargs)])
            return cast(Result, super().get_or_create(defaults, **kwargs))

    get_or_create.alters_data = True  # type: ignore[attr-defined]

    # update_or_create is Django's own: it locks the row that it finds, and calls
    # the get_or_create above.

    def get_or_create_many(
        self, rows: Iterable[Union[models.Model, Mapping[str, Any]]], key: Sequence[str]
    ) -> List[Result]:
        """Do get_or_create for each of the rows, in one transaction.

        A row is a mapping of names to values, or an instance that was not
        saved. key names the fields by which rows are found; the others are
        defaults. Returns a pair (object, created) for each row, in their order.
        """
        return _Batch(self, rows, key).run(update=False)

    get_or_create_many.alters_data = True  # type: ignore[attr-defined]

    def update_or_create_many(
        self, rows: Iterable[Union[models.Model, Mapping[str, Any]]], key: Sequence[str]
    ) -> List[Result]:
        """Do update_or_create for each of the rows, in one transaction.

        In a row that is there, the fields are set that a mapping names; of an
        instance, all but those with auto_now_add. The primary key stays.
        """
        return _Batch(self, rows, key).run(update=True)

    update_or_create_many.alters_data = True  # type: ignore[attr-defined]

    # ------------------------------------------------------------------------

    def _is_plain(self) -> bool:
        """Return true if a new row takes an INSERT, and is in the queryset."""
        query = self.query
        if type(self).create is not QuerySet.create or not saves_plainly(self.model):
            return False
        return not (
            query.where
            or query.is_sliced
            or query.combinator
            or query.distinct
            or query.annotations
            or query.extra
            or query.select_related
            or query.deferred_loading[0]
            or self._fields is not None
            or self._prefetch_related_lookups
        )

    def _lockable(self, kwargs: Mapping[str, Any]) -> List[Tuple[Any, Any]]:
        """Return the columns and values that identify a look-up.

        Calls that look for the same values in the same columns lock the same
        key. What else they look for, such as name__iexact, only widens what they
        have in common: without any such column, it is the table's empty key.
        """
        pairs: Dict[str, Tuple[Any, Any]] = {}
        for name, value in kwargs.items():
            field = _column(self.model, name[:-7] if name.endswith("__exact") else name)
            if field is None or values.is_expression(value) or callable(value):
                continue
            if isinstance(value, models.Model):
                value = _target(field, value)
            pairs[field.column] = (field, value)
        return [pairs[column] for column in sorted(pairs)]

    def _lock_keys(self, keys: Sequence[List[Tuple[Any, Any]]]) -> str:
        """Lock keys until the transaction ends, and return its level."""
        connection = connections[self.db]
        array, params = values.json_array([values.json_object(key, connection) for key in keys])
        [(_, isolation)] = server.fetch(
            connection,
            f"SELECT {server.function(connection, 'lock_keys')}"
            f"(pg_catalog.jsonb_build_object(%s::pg_catalog.text, {array})),"
            " pg_catalog.current_setting('transaction_isolation')",
            [server.regclass(connection, self.model), *params],
        )
        return str(isolation)

    def _lock_for_django(self, keys: Sequence[List[Tuple[Any, Any]]]) -> None:
        """Lock keys, so that Django can look again, and insert."""
        isolation = self._lock_keys(keys)
        if isolation != "read committed":
            # The snapshot is older than the lock: a row that another
            # transaction made meanwhile would not be seen, and made again.
            raise NotSupportedError(
                f"{self.model._meta.label} has a save() of its own, receivers of signals or several "
                "tables, or the call has look-ups or filters: then get_or_create "
                f"can create a row at READ COMMITTED only, not at {isolation.upper()}."
            )


class RacefreeManager(models.Manager.from_queryset(RacefreeQuerySet)):  # type: ignore[misc]
    """A Manager of such querysets."""


def _column(model: Any, name: str) -> Optional[Any]:
    """Return the field of the model's own table that has the name, if any."""
    meta = model._meta
    if name == "pk":
        return meta.pk if meta.pk in meta.local_concrete_fields else None
    try:
        field = meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if field in meta.concrete_model._meta.local_concrete_fields else None


def _target(field: Any, related: models.Model) -> Any:
    """Return what the column of a foreign key holds for an object."""
    while isinstance(related, models.Model):
        target = getattr(field, "target_field", None)
        related = related.pk if target is None else getattr(related, target.attname)
    return related


def saves_plainly(model: Any) -> bool:
    """Return true if saving a new instance is an INSERT into one table."""
    meta = model._meta
    return (
        model.save is models.Model.save
        and model.save_base is models.Model.save_base
        and model._save_table is models.Model._save_table
        and model._do_insert is models.Model._do_insert
        and not meta.concrete_model._meta.parents
        and not any(isinstance(field, models.FileField) for field in meta.concrete_fields)
        and not signals.pre_save.has_listeners(model)
        and not signals.post_save.has_listeners(model)
    )


def is_database_default(value: Any) -> bool:
    """Return true for what stands for a db_default, since Django 5.0."""
    return type(value).__name__ == "DatabaseDefault"


def insertable(obj: Any, using: str) -> Optional[List[Tuple[Any, Any]]]:
    """Return what an INSERT of the instance would write: fields and values.

    None if that takes Django: for expressions, and related objects that are
    not saved.
    """
    meta = obj._meta.concrete_model._meta
    pairs = []
    for field in meta.local_concrete_fields:
        if getattr(field, "generated", False):
            continue
        if field.is_relation and field.is_cached(obj):
            related = getattr(obj, field.name)
            if related is not None and _target(field, related) != getattr(obj, field.attname):
                return None
            if related is not None and (related.pk is None or related._state.adding and related._state.db is None):
                return None
        value = field.pre_save(obj, True)
        if value is None and field is meta.auto_field:
            continue
        if values.is_expression(value):
            if is_database_default(value):
                continue
            return None
        pairs.append((field, value))
    return pairs


class _Direct:
    """A call for which the extension makes the row."""

    def __init__(
        self, queryset: RacefreeQuerySet, obj: Any, key: List[Tuple[Any, Any]], rest: List[Tuple[Any, Any]]
    ) -> None:
        self.queryset = queryset
        self.model = queryset.model
        self.obj = obj
        self.key = key
        self.rest = rest

    @classmethod
    def prepare(
        cls, queryset: RacefreeQuerySet, kwargs: Mapping[str, Any], params: Mapping[str, Any]
    ) -> Optional[_Direct]:
        """Return the call, or None if the row is Django's to make."""
        model = queryset.model
        if not queryset._is_plain():
            return None
        key_fields = []
        for name in kwargs:
            field = _column(model, name)
            # Looked for with one value, and created with another.
            if field is None or field in key_fields or params[name] is not kwargs[name]:
                return None
            key_fields.append(field)
        obj = model(**dict(resolve_callables(params)))
        pairs = insertable(obj, queryset.db)
        if pairs is None:
            return None
        key = [(field, value) for field, value in pairs if field in key_fields]
        if len(key) < len(key_fields):
            return None
        return cls(queryset, obj, key, [pair for pair in pairs if pair[0] not in key_fields])

    def get_or_create(self) -> Result:
        connection = connections[self.queryset.db]
        fields = self.model._meta.concrete_model._meta.local_concrete_fields
        key, key_params = values.json_object(self.key, connection)
        rest, rest_params = values.json_object(self.rest, connection)
        table = server.quote(connection, self.model._meta.db_table)
        try:
            with server.savepoint(connection):
                [(created, *row)] = server.fetch(
                    connection,
                    f"SELECT r.created, {values.columns_of(fields, 'r.object', connection)}"
                    f" FROM {server.function(connection, 'get_or_create')}"
                    f"(NULL::{table}, {key}, {rest}) AS r",
                    key_params + rest_params,
                )
        except SeveralRows as error:
            raise self.model.MultipleObjectsReturned(
                f"get_or_create() found several rows of {self.model._meta.object_name}."
            ) from error
        using = self.queryset.db
        row = values.from_row(self.model, fields, row, using, connection)
        if not created:
            # Somebody else has, meanwhile.
            return self.model.from_db(using, [field.attname for field in fields], row), False
        values.fill(self.obj, fields, row, using)
        return self.obj, True


class _Batch:
    """Rows that are found or created together."""

    def __init__(
        self,
        queryset: RacefreeQuerySet,
        rows: Iterable[Union[models.Model, Mapping[str, Any]]],
        key: Sequence[str],
    ) -> None:
        if isinstance(key, str) or not key:
            raise TypeError("key must be a list of names of fields")
        queryset._for_write = True
        self.queryset = queryset
        self.model = queryset.model
        self.using = queryset.db
        self.connection = connections[self.using]
        self.key = list(key)
        self.key_fields = []
        for name in self.key:
            field = _column(self.model, name)
            if field is None:
                raise FieldDoesNotExist(f"{self.model._meta.label} has no column for {name!r}.")
            self.key_fields.append(field)
        given = list(rows)
        self.instances = [isinstance(row, models.Model) for row in given]
        self.rows = [self._mapping(row) for row in given]

    def _mapping(self, row: Any) -> Dict[str, Any]:
        if isinstance(row, models.Model):
            given = {
                field.attname: getattr(row, field.attname)
                for field in self.model._meta.concrete_fields
                if not getattr(field, "generated", False)
                and not (field.primary_key and field not in self.key_fields)
                and not is_database_default(getattr(row, field.attname))
            }
            if row.pk is not None:
                given[self.model._meta.pk.attname] = row.pk
            # By the names that the key has.
            for name, field in zip(self.key, self.key_fields):
                given[name] = given.pop(field.attname)
            return given
        given = {name: value() if callable(value) else value for name, value in row.items()}
        for name in self.key:
            if name not in given:
                raise ValueError(f"each row must give {name!r}, which is in the key")
        return given

    def run(self, update: bool) -> List[Result]:
        if not self.rows:
            return []
        prepared = self._prepared() if server.supports(self.connection) else None
        if prepared is None:
            return self._one_by_one(update)
        with transaction.atomic(using=self.using):
            if not update:
                return self._call("get_or_create_many", prepared)
            # Of new rows, Django has defaults, which those that are there must
            # not get: so these are updated after the others were created.
            self.queryset._lock_keys([self._key_of(pairs) for pairs in prepared])
            results = self._call("get_or_create_many", prepared)
            found = [n for n, (_, created) in enumerate(results) if not created]
            given = [self._given(n, prepared[n]) for n in found]
            if given:
                for n, result in zip(found, self._call("update_or_create_many", given)):
                    results[n] = result
            return results

    def _prepared(self) -> Optional[List[List[Tuple[Any, Any]]]]:
        """Return what each row would insert, or None if that takes Django."""
        if not self.queryset._is_plain():
            return None
        prepared = []
        for row in self.rows:
            pairs = insertable(self.model(**row), self.using)
            if pairs is None or not set(self.key_fields) <= {field for field, _ in pairs}:
                return None
            prepared.append(pairs)
        return prepared

    def _key_of(self, pairs: List[Tuple[Any, Any]]) -> List[Tuple[Any, Any]]:
        return [pair for pair in pairs if pair[0] in self.key_fields]

    def _given(self, n: int, pairs: List[Tuple[Any, Any]]) -> List[Tuple[Any, Any]]:
        """Return what the row sets where it is there."""
        named = self._settable(n)
        given = []
        for field, value in pairs:
            if field in self.key_fields or getattr(field, "auto_now", False):
                given.append((field, value))
            elif field in named:
                # Not what pre_save() of auto_now_add has made of it.
                added = getattr(field, "auto_now_add", False)
                given.append((field, self.rows[n][named[field]] if added else value))
        return given

    def _settable(self, n: int) -> Dict[Any, str]:
        """Return what a row that is there may get, besides its key: fields and their names."""
        fields = {_column(self.model, name) or name: name for name in self.rows[n] if name not in self.key}
        return {
            field: name
            for field, name in fields.items()
            if not getattr(field, "primary_key", False)
            and not (self.instances[n] and getattr(field, "auto_now_add", False))
        }

    def _call(self, name: str, rows: List[List[Tuple[Any, Any]]]) -> List[Result]:
        fields = self.model._meta.concrete_model._meta.local_concrete_fields
        array, params = values.json_array([values.json_object(pairs, self.connection) for pairs in rows])
        table = server.quote(self.connection, self.model._meta.db_table)
        try:
            found = server.fetch(
                self.connection,
                f"SELECT r.created, {values.columns_of(fields, 'r.object', self.connection)}"
                f" FROM {server.function(self.connection, name)}"
                f"(NULL::{table}, {array}, %s::pg_catalog.name[]) AS r ORDER BY r.ordinality",
                [*params, [field.column for field in self.key_fields]],
            )
        except SeveralRows as error:
            raise self.model.MultipleObjectsReturned(
                f"{name}() found several rows of {self.model._meta.object_name}."
            ) from error
        names = [field.attname for field in fields]
        return [
            (
                self.model.from_db(
                    self.using, names, values.from_row(self.model, fields, row, self.using, self.connection)
                ),
                created,
            )
            for created, *row in found
        ]

    def _one_by_one(self, update: bool) -> List[Result]:
        results = []
        with transaction.atomic(using=self.using):
            keys = [{name: row[name] for name in self.key} for row in self.rows]
            if server.supports(self.connection):
                self.queryset._lock_for_django([self.queryset._lockable(key) for key in keys])
            for n, (row, key) in enumerate(zip(self.rows, keys)):
                defaults = {name: value for name, value in row.items() if name not in key}
                obj, created = self.queryset.get_or_create(defaults, **key)
                if update and not created:
                    defaults = {name: row[name] for name in self._settable(n).values()}
                    obj, _ = self.queryset.update_or_create(defaults, **key)
                results.append((obj, created))
        return results
