"""get_or_create, update_or_create and their bulk forms."""

import datetime
import decimal
import unittest
import uuid

import help

help.setup(["django.contrib.contenttypes", "django.contrib.postgres"])

import django  # noqa: E402
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, HStoreField  # noqa: E402
from django.contrib.postgres.signals import get_hstore_oids  # noqa: E402
from django.core.exceptions import FieldError  # noqa: E402
from django.db import IntegrityError, NotSupportedError, connection, connections, models, transaction  # noqa: E402
from django.db.models import F, Value  # noqa: E402
from django.db.models.functions import Upper  # noqa: E402
from django.db.models.signals import post_save, pre_save  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

try:
    from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
except ImportError:
    from psycopg2.extras import DateTimeTZRange

from django_racefree import RacefreeManager, RacefreeQuerySet, SerializationFailure, sqlstate_of  # noqa: E402


class Base(models.Model):
    objects = RacefreeManager()

    class Meta:
        abstract = True
        app_label = "shop"


class Word(Base):
    """The thread's: a string that may be NULL, and not unique."""

    str = models.CharField(max_length=100, blank=True, null=True)


class Kind(models.TextChoices):
    NEW = "n", "new"
    OLD = "o", "old"


class Everything(Base):
    name = models.CharField("with 100% of it", max_length=10, db_column='odd Column')
    number = models.DecimalField(max_digits=30, decimal_places=10, default=0)
    ratio = models.FloatField(default=0.1)
    big = models.BigIntegerField(default=2**62 + 1)
    flag = models.BooleanField(default=True)
    day = models.DateField(null=True)
    at = models.DateTimeField(null=True)
    clock = models.TimeField(null=True)
    span = models.DurationField(null=True)
    code = models.UUIDField(default=uuid.uuid4)
    data = models.JSONField(null=True)
    raw = models.BinaryField(null=True)
    ip = models.GenericIPAddressField(null=True)
    kind = models.CharField(max_length=1, choices=Kind.choices, default=Kind.NEW)
    tags = ArrayField(models.CharField(max_length=5), default=list)
    grid = ArrayField(ArrayField(models.IntegerField()), null=True)
    during = DateTimeRangeField(null=True)
    pairs = HStoreField(null=True)
    slug = models.SlugField(null=True)
    word = models.ForeignKey(Word, models.CASCADE, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta(Base.Meta):
        db_table = 'Every thing'


class Upcased(models.CharField):
    """Is stored in lower case, read in upper case."""

    def get_prep_value(self, value):
        return None if value is None else super().get_prep_value(value).lower()

    def from_db_value(self, value, expression, connection):
        return None if value is None else value.upper()


class Converted(Base):
    code = Upcased(max_length=10)


class Unique(Base):
    name = models.CharField(max_length=10)
    email = models.CharField(max_length=10, unique=True)


class Keyed(Base):
    """Each new instance has a primary key, and the time of its creation."""

    code = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=10)
    number = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)


class KeyedSaving(Keyed):
    class Meta:
        proxy = True
        app_label = "shop"

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)


class Saving(Base):
    name = models.CharField(max_length=10)
    saved = models.IntegerField(default=0)

    def save(self, *args, **kwargs):
        self.saved += 1
        # From Django 4.2 on, update_or_create saves what it was given only.
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "saved"}
        super().save(*args, **kwargs)


class Signaled(Base):
    name = models.CharField(max_length=10)


class Parent(Base):
    name = models.CharField(max_length=10)


class Child(Parent):
    age = models.IntegerField(default=0)
    objects = RacefreeManager()

    class Meta:
        app_label = "shop"


class ProxyWord(Word):
    class Meta:
        proxy = True
        app_label = "shop"


class Wide(Base):
    for n in range(120):
        locals()[f"c{n}"] = models.IntegerField(default=n)
    del n


class OwnQuerySet(RacefreeQuerySet):
    def create(self, **kwargs):
        return super().create(**{**kwargs, "name": kwargs["name"] + "!"})


class OwnCreate(models.Model):
    name = models.CharField(max_length=10)
    objects = OwnQuerySet.as_manager()

    class Meta:
        app_label = "shop"


if django.VERSION >= (5, 0):

    class Computed(Base):
        name = models.CharField(max_length=10)
        given = models.IntegerField(db_default=7)
        twice = models.GeneratedField(expression=F("given") * 2, output_field=models.IntegerField(), db_persist=True)


TABLES = [Word, Keyed, Everything, Converted, Unique, Saving, Signaled, Parent, Child, Wide, OwnCreate]

if django.VERSION >= (5, 0):
    TABLES.append(Computed)


def setUpModule():
    help.execute("CREATE SCHEMA ext; CREATE EXTENSION racefree SCHEMA ext; CREATE EXTENSION hstore")
    get_hstore_oids.cache_clear()
    connection.close()
    help.create_tables(*TABLES)
    help.create_tables(Word, using="other")


class Case(unittest.TestCase):
    def setUp(self):
        tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in TABLES)
        help.execute(f"TRUNCATE {tables} RESTART IDENTITY")

    def one_of(self, results):
        """Check that all threads got one row, which one of them has made."""
        for result in results:
            if isinstance(result, Exception):
                raise result
        self.assertEqual(1, len({obj.pk for obj, _ in results}))
        self.assertEqual(1, sum(created for _, created in results))


class GetOrCreate(Case):
    def test_race(self):
        for key in ["blah", None, ""]:
            self.one_of(help.at_once(10, lambda n: Word.objects.get_or_create(str=key)))
        self.assertEqual(3, Word.objects.count())

    def test_race_of_djangos_own(self):
        """Shows that the test above can fail: the insert is not at once."""
        help.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END';"
            "CREATE TRIGGER slow BEFORE INSERT ON shop_word FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        try:
            plain = models.QuerySet(Word)
            help.at_once(4, lambda n: plain.all().get_or_create(str="a"))
            self.assertGreater(Word.objects.filter(str="a").count(), 1)
            self.one_of(help.at_once(4, lambda n: Word.objects.get_or_create(str="b")))
            self.assertEqual(Word.objects.filter(str="b").count(), 1)
        finally:
            help.execute("DROP FUNCTION slow CASCADE")

    def test_statements(self):
        """One if the row is there, as Django; two if not."""
        Word.objects.get_or_create(str="warm")
        with CaptureQueriesContext(connection) as queries:
            Word.objects.get_or_create(str="x")
        self.assertEqual(2, len(queries))
        with CaptureQueriesContext(connection) as queries:
            Word.objects.get_or_create(str="x")
        self.assertEqual(1, len(queries))

    def test_every_field(self):
        word = Word.objects.create(str="w")
        given = {
            "name": "100% 'a'",
            "number": decimal.Decimal("12345678901234567890.0123456789"),
            "ratio": 0.1 + 0.2,
            "day": datetime.date(1, 1, 1),
            "at": datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=datetime.timezone.utc),
            "clock": datetime.time(1, 2, 3, 4),
            "span": datetime.timedelta(days=-1, microseconds=7),
            "code": uuid.uuid4(),
            "data": {"a": [1, None, "x"], "b": 1.5},
            "raw": b"\0\1\xff'\\",
            "ip": "::1",
            "kind": Kind.OLD,
            "tags": ["a", 'b"', "{,}"],
            "grid": [[1, 2], [3, 4]],
            "during": DateTimeTZRange(datetime.datetime(2024, 1, 1, 0, 0, 0, 1, datetime.timezone.utc), None),
            "pairs": {"k": None, "l": "m"},
            "word": word,
        }
        obj, created = Everything.objects.get_or_create(**given)
        self.assertTrue(created)
        self.assertIs(obj.word, word)
        fresh = Everything.objects.get(pk=obj.pk)
        plain = Everything.objects.create(**given)
        plain.refresh_from_db()
        for field in Everything._meta.concrete_fields:
            values = [getattr(o, field.attname) for o in (obj, fresh, plain)]
            values = [bytes(value) if isinstance(value, memoryview) else value for value in values]
            if field.name in ("id", "created_at", "changed_at"):
                values.pop()
            self.assertEqual(1, len({repr(value) for value in values}), field.name)
        self.assertEqual(obj.at, given["at"])
        self.assertEqual(obj.created_at, obj.changed_at.replace(microsecond=obj.created_at.microsecond))
        plain.delete()
        for name in ["at", "code", "number", "raw", "tags", "during", "kind", "span", "ip"]:
            again, created = Everything.objects.get_or_create(**{name: given[name]}, defaults={"name": "no"})
            self.assertEqual((again.pk, created), (obj.pk, False), name)
            # Past the look-up of Django's: that racefree finds it, too.
            [(again, created)] = Everything.objects.get_or_create_many(
                [{name: given[name], "name": "no"}], key=[name]
            )
            self.assertEqual((again.pk, created), (obj.pk, False), name)

    def test_nothing_is_cut(self):
        """A longer string, or a number with more digits, is no other key."""
        with self.assertRaises(Exception) as caught:
            Everything.objects.get_or_create(name="01234567890")
        self.assertEqual("22001", sqlstate_of(caught.exception))
        self.assertEqual(0, Everything.objects.count())

    def test_many_columns(self):
        obj, created = Wide.objects.get_or_create(c119=7)
        self.assertTrue(created)
        self.assertEqual((118, 7), (Wide.objects.get().c118, obj.c119))

    def test_converters(self):
        obj, created = Converted.objects.get_or_create(code="aBc")
        self.assertEqual(("ABC", True), (obj.code, created))
        self.assertEqual([("abc",)], help.execute("SELECT code FROM shop_converted"))
        self.assertEqual(((obj, False)), Converted.objects.get_or_create(code="AbC"))

    def test_several(self):
        for _ in range(2):
            Word.objects.create(str="twice")
        with self.assertRaises(Word.MultipleObjectsReturned):
            Word.objects.get_or_create(str="twice")
        with self.assertRaises(Word.MultipleObjectsReturned):
            Word.objects.get_or_create_many([{"str": "twice"}], key=["str"])

    def test_unique(self):
        Unique.objects.create(name="a", email="e")
        with transaction.atomic():
            with self.assertRaises(IntegrityError):
                Unique.objects.get_or_create(name="b", defaults={"email": "e"})
            # The transaction goes on.
            self.assertEqual(1, Unique.objects.count())

    def test_defaults(self):
        calls = []
        obj, created = Unique.objects.get_or_create(name="a", defaults={"email": lambda: calls.append(1) or "e"})
        self.assertEqual(("e", True, [1]), (obj.email, created, calls))
        Unique.objects.get_or_create(name="a", defaults={"email": lambda: calls.append(1)})
        self.assertEqual([1], calls)
        # Looked for with one value, created with another.
        obj, created = Word.objects.get_or_create(str="a", defaults={"str": "b"})
        self.assertEqual(("b", True), (obj.str, created))
        obj, created = Word.objects.get_or_create(str="u", defaults={"str": Upper(Value("b"))})
        obj.refresh_from_db()
        self.assertEqual(("B", True), (obj.str, created))
        with self.assertRaises(FieldError):
            Word.objects.get_or_create(str="a", defaults={"nothing": 1})

    def test_keys(self):
        obj, created = Word.objects.get_or_create(pk=7, defaults={"str": "seven"})
        self.assertEqual((7, "seven", True), (obj.pk, obj.str, created))
        for key in [{"word": obj}, {"word_id": 7}]:
            found, created = Everything.objects.get_or_create(name="k", **key)
            self.assertEqual(7, found.word_id)
        self.assertEqual(1, Everything.objects.count())
        with self.assertRaises(ValueError):
            Everything.objects.get_or_create(name="k", word=Word(str="not saved"))
        found, created = obj.everything_set.get_or_create(name="related")
        self.assertEqual((7, True), (found.word_id, created))

    def test_lookups(self):
        """No such look-up is a key, so all of them share one."""
        with self.sleeping("shop_word"):
            for call in [
                lambda n: Word.objects.get_or_create(str__iexact="x", defaults={"str": "xX"[n % 2]}),
                lambda n: Word.objects.get_or_create(str__exact="y", defaults={"str": "y"}),
                lambda n: Word.objects.filter(pk__gt=0).get_or_create(str="z"),
            ]:
                self.one_of(help.at_once(4, call))
        self.assertEqual(3, Word.objects.count())

    def sleeping(self, table):
        class Sleeping:
            def __enter__(self):
                help.execute(
                    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
                    " 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';"
                    f"CREATE TRIGGER slow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION slow()"
                )

            def __exit__(self, *error):
                help.execute("DROP FUNCTION slow CASCADE")

        return Sleeping()

    def test_own_save(self):
        with self.sleeping("shop_saving"):
            self.one_of(help.at_once(6, lambda n: Saving.objects.get_or_create(name="s")))
        self.assertEqual([1], [obj.saved for obj in Saving.objects.all()])

    def test_own_create(self):
        obj, created = OwnCreate.objects.get_or_create(name="a")
        self.assertEqual("a!", obj.name)

    def test_signals(self):
        heard = []

        def hear(sender, signal, **kwargs):
            heard.append(("pre" if signal is pre_save else "post", kwargs.get("created")))

        pre_save.connect(hear, sender=Signaled)
        post_save.connect(hear, sender=Signaled)
        try:
            with self.sleeping("shop_signaled"):
                self.one_of(help.at_once(6, lambda n: Signaled.objects.get_or_create(name="s")))
        finally:
            pre_save.disconnect(hear, sender=Signaled)
            post_save.disconnect(hear, sender=Signaled)
        self.assertEqual([("pre", None), ("post", True)], heard)
        self.assertEqual(1, Signaled.objects.count())

    def test_several_tables(self):
        with self.sleeping("shop_child"):
            self.one_of(help.at_once(6, lambda n: Child.objects.get_or_create(name="c", age=3)))
        self.assertEqual([("c", 3)], list(Child.objects.values_list("name", "age")))

    def test_proxy(self):
        obj, created = ProxyWord.objects.get_or_create(str="p")
        self.assertEqual((ProxyWord, True), (type(obj), created))
        self.assertEqual(((obj, False)), ProxyWord.objects.get_or_create(str="p"))

    def test_queryset(self):
        """What the queryset asks for is Django's to give."""
        obj, created = Word.objects.only("pk").get_or_create(str="o")
        obj, created = Word.objects.annotate(more=F("pk") + 1).get_or_create(str="o")
        self.assertEqual((obj.pk + 1, False), (obj.more, created))

    def test_levels(self):
        """A row that the transaction cannot see is an error, and no second row."""
        for level in ["REPEATABLE READ", "SERIALIZABLE"]:
            for model, error in [(Word, SerializationFailure), (Saving, NotSupportedError)]:
                with self.subTest(level=level, model=model):
                    name = "str" if model is Word else "name"
                    with self.assertRaises(error):
                        with transaction.atomic():
                            help.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
                            model.objects.count()
                            [(_, created)] = help.at_once(1, lambda n: model.objects.get_or_create(**{name: level[:9]}))
                            self.assertTrue(created)
                            model.objects.get_or_create(**{name: level[:9]})
                    self.assertEqual(1, model.objects.filter(**{name: level[:9]}).count())

    def test_other_database(self):
        obj, created = Word.objects.using("other").get_or_create(str="lite")
        self.assertEqual(("other", True), (obj._state.db, created))
        self.assertEqual((obj, False), Word.objects.using("other").get_or_create(str="lite"))
        results = Word.objects.using("other").update_or_create_many([{"str": "lite"}, {"str": "more"}], key=["str"])
        self.assertEqual([False, True], [created for _, created in results])
        self.assertEqual(0, Word.objects.count())

    def test_without_extension(self):
        from django_racefree import server

        found = server._schemas.copy()
        server._schemas.clear()
        try:
            with transaction.atomic():
                help.execute("DROP EXTENSION racefree")
                with self.assertRaisesRegex(NotSupportedError, "RacefreeExtension"):
                    Word.objects.get_or_create(str="none")
                transaction.set_rollback(True)
        finally:
            server._schemas.update(found)

    def test_moved_extension(self):
        Word.objects.get_or_create(str="before")
        help.execute("ALTER EXTENSION racefree SET SCHEMA public")
        try:
            with self.assertRaises(Exception):
                Word.objects.get_or_create(str="after")
            Word.objects.get_or_create(str="after")
        finally:
            help.execute("ALTER EXTENSION racefree SET SCHEMA ext")
            with self.assertRaises(Exception):
                Word.objects.get_or_create(str="back")
            Word.objects.get_or_create(str="back")


class Router:
    """Reads from a database that does not have the rows, as a replica may not."""

    def db_for_read(self, model, **hints):
        return "other"

    def db_for_write(self, model, **hints):
        return "default"


class Routed(Case):
    def test_writes_go_to_the_writer(self):
        from django.test import override_settings

        with override_settings(DATABASE_ROUTERS=[Router()]):
            with CaptureQueriesContext(connection) as queries:
                obj, created = Word.objects.get_or_create(str="routed")
            self.assertEqual(("default", True), (obj._state.db, created))
            self.assertIn('"get_or_create"', queries[-1]["sql"])
            self.assertEqual((obj, False), Word.objects.get_or_create(str="routed"))
            with CaptureQueriesContext(connection) as queries:
                found = Word.objects.get_or_create_many([{"str": "routed"}], key=["str"])
            self.assertEqual([(obj, False)], found)
            self.assertTrue(any('"get_or_create_many"' in query["sql"] for query in queries))
            self.assertEqual((obj, False), Word.objects.update_or_create(str="routed"))
        self.assertEqual(1, Word.objects.using("default").filter(str="routed").count())


class UpdateOrCreate(Case):
    def test_race(self):
        results = help.at_once(
            8, lambda n: Unique.objects.update_or_create(name="u", defaults={"email": str(n)})
        )
        self.one_of(results)
        self.assertEqual(1, Unique.objects.count())

    def test_update(self):
        Unique.objects.create(name="a", email="old")
        obj, created = Unique.objects.update_or_create({"email": "new"}, name="a")
        self.assertEqual(("new", False), (obj.email, created))
        self.assertEqual("new", Unique.objects.get().email)

    def test_own_save(self):
        results = help.at_once(6, lambda n: Saving.objects.update_or_create(name="s"))
        self.one_of(results)
        # One save of each.
        self.assertEqual(6, Saving.objects.get().saved)

    def test_several(self):
        for _ in range(2):
            Word.objects.create(str="twice")
        with self.assertRaises(Word.MultipleObjectsReturned):
            Word.objects.update_or_create(str="twice")


@unittest.skipIf(django.VERSION < (5, 0), "Django 5.0 brought these")
class SinceDjango5(Case):
    def test_computed_by_the_server(self):
        obj, created = Computed.objects.get_or_create(name="a")
        self.assertEqual((7, 14, True), (obj.given, obj.twice, created))
        rows = [{"name": "a", "given": 1}, Computed(name="b")]
        [(obj, created), _] = Computed.objects.update_or_create_many(rows, key=["name"])
        self.assertEqual((1, 2, False), (obj.given, obj.twice, created))

    def test_create_defaults(self):
        for given, created in [(2, True), (1, False)]:
            result = Computed.objects.update_or_create(name="a", defaults={"given": 1}, create_defaults={"given": 2})
            self.assertEqual((given, created), (result[0].given, result[1]))


class Many(Case):
    def test_get(self):
        Word.objects.create(str="b")
        with CaptureQueriesContext(connection) as queries:
            results = Word.objects.get_or_create_many(
                [{"str": "a"}, Word(str="b"), {"str": None}, {"str": "a"}], key=["str"]
            )
        self.assertEqual(["a", "b", None, "a"], [obj.str for obj, _ in results])
        self.assertEqual([True, False, True, False], [created for _, created in results])
        self.assertEqual(results[0][0], results[3][0])
        self.assertLessEqual(len(queries), 3)
        self.assertEqual([], Word.objects.get_or_create_many([], key=["str"]))

    def test_update(self):
        old = Everything.objects.create(name="old", ratio=7, big=1, slug="kept")
        results = Everything.objects.update_or_create_many(
            [{"name": "old", "big": 2}, {"name": "new", "big": lambda: 3}], key=["name"]
        )
        self.assertEqual([False, True], [created for _, created in results])
        # What is not named stays, and the new row has Django's defaults.
        self.assertEqual((7, 2, "kept"), (results[0][0].ratio, results[0][0].big, results[0][0].slug))
        self.assertEqual((0.1, 3, None), (results[1][0].ratio, results[1][0].big, results[1][0].slug))
        self.assertEqual(results[0][0].pk, old.pk)
        self.assertGreater(results[0][0].changed_at, old.changed_at)
        self.assertEqual(results[0][0].created_at, old.created_at)
        old.refresh_from_db()
        self.assertEqual(2, old.big)

    def test_instances(self):
        Unique.objects.create(name="a", email="e")
        results = Unique.objects.update_or_create_many(
            [Unique(name="n", email="e"), Unique(name="m", email="f")], key=["email"]
        )
        self.assertEqual([("n", False), ("m", True)], [(obj.name, created) for obj, created in results])
        self.assertEqual(["n", "m"], list(Unique.objects.order_by("pk").values_list("name", flat=True)))

    def test_instances_stay_what_they_are(self):
        for model in [Keyed, KeyedSaving]:
            old = model.objects.create(name=model.__name__[:10])
            new = model(name="n", number=5)
            results = model.objects.update_or_create_many([model(name=old.name, number=7), new], key=["name"])
            self.assertEqual([(7, False), (5, True)], [(obj.number, created) for obj, created in results])
            self.assertEqual([old.pk, new.pk], [obj.pk for obj, _ in results])
            self.assertEqual(old.created_at, results[0][0].created_at)
            self.assertEqual(2, model.objects.count())
            past = old.created_at - datetime.timedelta(days=1)
            model.objects.update_or_create_many([{"name": old.name, "created_at": past}], key=["name"])
            old.refresh_from_db()
            self.assertEqual((past, 7), (old.created_at, old.number))
            Keyed.objects.all().delete()

    def test_race(self):
        rows = [{"name": f"{n}", "email": f"{n}"} for n in range(30)]
        for method in ["get_or_create_many", "update_or_create_many"]:
            results = help.at_once(
                6, lambda n: getattr(Unique.objects, method)(rows if n % 2 else rows[::-1], key=["name"])
            )
            for result in results:
                self.assertIsInstance(result, list, result)
        self.assertEqual(30, Unique.objects.count())

    def test_own_save(self):
        rows = [{"name": f"{n}"} for n in range(10)]
        results = help.at_once(
            4, lambda n: Saving.objects.update_or_create_many(rows if n % 2 else rows[::-1], key=["name"])
        )
        for result in results:
            self.assertIsInstance(result, list, result)
        self.assertEqual({4}, set(Saving.objects.values_list("saved", flat=True)))
        self.assertEqual(10, Saving.objects.count())

    def test_key(self):
        with self.assertRaises(TypeError):
            Word.objects.get_or_create_many([{"str": "a"}], key="str")
        with self.assertRaises(ValueError):
            Word.objects.get_or_create_many([{"str": "a"}], key=["pk"])
        with self.assertRaises(Exception):
            Word.objects.get_or_create_many([{"str": "a"}], key=["str__iexact"])


if __name__ == "__main__":
    help.main()
