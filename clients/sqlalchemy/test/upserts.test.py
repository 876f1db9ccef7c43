"""get_or_create and its kin."""

import datetime
import enum
import threading
import uuid
from decimal import Decimal

from help import DatabaseCase, main, new_database
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Enum,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Text,
    TypeDecorator,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, ProgrammingError
from sqlalchemy.orm import Session, declarative_base, sessionmaker
from sqlalchemy.sql.dml import UpdateBase

from racefree.sqlalchemy import (
    SeveralRows,
    get_or_create,
    get_or_create_many,
    sqlstate,
    update_or_create,
    update_or_create_many,
)

Base = declarative_base()


class Status(enum.Enum):
    paid = "it is paid"
    open = "it is open"


class Shouted(TypeDecorator):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value and value.upper()

    def process_result_value(self, value, dialect):
        return value and value.lower()


class Thing(Base):
    __tablename__ = "Thing: one"

    id = Column(Integer, primary_key=True)
    name = Column("Name", String)
    status = Column(Enum(Status, name="status"))
    price = Column(Numeric(12, 2))
    at = Column(DateTime(timezone=True))
    lasts = Column(Interval)
    token = Column(UUID(as_uuid=True), default=uuid.uuid4)
    more = Column(JSONB)
    tags = Column(ARRAY(Text))
    states = Column(ARRAY(Enum(Status, name="status")))
    raw = Column(LargeBinary)
    shouted = Column("loud: %s", Shouted)
    active = Column(Boolean, default=True)
    made_by = Column(Text, server_default="the server")


class Upserts(DatabaseCase):
    base = Base

    def setUp(self):
        self.session = self.Session()
        self.addCleanup(self.session.close)

    def test_creates_once(self):
        first, created = get_or_create(self.session, Thing, {"price": Decimal("1.50")}, name="a")
        self.assertTrue(created)
        self.assertIsInstance(first, Thing)
        self.assertEqual((first.price, first.made_by), (Decimal("1.50"), "the server"))
        again, created = get_or_create(self.session, Thing, {"price": 2}, name="a")
        self.assertFalse(created)
        self.assertIs(again, first)
        self.assertEqual(again.price, Decimal("1.50"))

    def test_none_is_a_value(self):
        one, _ = get_or_create(self.session, Thing, name=None, price=7)
        other, created = get_or_create(self.session, Thing, name=None, price=7)
        self.assertFalse(created)
        self.assertIs(one, other)

    def test_every_type_comes_back(self):
        values = {
            "status": Status.paid,
            "price": Decimal("12.30"),
            "at": datetime.datetime(2024, 2, 29, 1, 2, 3, 456789, datetime.timezone.utc),
            "lasts": datetime.timedelta(days=-2, seconds=3, microseconds=4),
            "token": uuid.uuid4(),
            "more": {"deep": [1, 2.5, None, "ä\"\\"], "text": "x"},
            "tags": ["a", None, "b,c"],
            "states": [Status.open, Status.paid],
            "raw": b"\x00\xff'",
            "shouted": "quiet",
            "active": False,
        }
        thing, created = get_or_create(self.session, Thing, name="types", **values)
        self.assertTrue(created)
        for name, value in values.items():
            got = getattr(thing, name)
            self.assertEqual(bytes(got) if name == "raw" else got, value, name)
        # As a key they find it; a timestamp has all its digits.
        again, created = get_or_create(self.session, Thing, name="types", **values)
        self.assertFalse(created)
        self.assertIs(again, thing)
        # What SQLAlchemy itself writes is the same.
        self.session.add(Thing(name="written", **values))
        self.session.flush()
        values["name"] = "written"
        self.assertFalse(get_or_create(self.session, Thing, **values)[1])

    def test_python_defaults_of_a_new_row(self):
        new, _ = get_or_create(self.session, Thing, name="defaults")
        self.assertIs(new.active, True)
        self.assertIsInstance(new.token, uuid.UUID)
        token = new.token
        self.session.commit()
        again, created = get_or_create(self.session, Thing, name="defaults")
        self.assertEqual((again.token, created), (token, False))
        kept, _ = get_or_create(self.session, Thing, {"active": None}, name="defaults kept")
        self.assertIsNone(kept.active)
        updated, _ = update_or_create(self.session, Thing, {"price": 3}, name="defaults")
        self.assertEqual((updated.token, updated.price), (token, 3))

    def test_update(self):
        self.assertTrue(update_or_create(self.session, Thing, {"price": 1}, {"price": 5}, name="u")[1])
        thing, created = update_or_create(self.session, Thing, {"price": 1}, {"price": 5}, name="u")
        self.assertEqual((thing.price, created), (1, False))

    def test_loaded_instances_are_refreshed(self):
        thing, _ = get_or_create(self.session, Thing, {"price": 1}, name="stale")
        self.session.commit()
        self.assertEqual(thing.price, 1)
        with self.Session.begin() as other:
            update_or_create(other, Thing, {"price": 2}, name="stale")
        get_or_create(self.session, Thing, name="stale")
        self.assertEqual(thing.price, 2)
        self.assertNotIn(thing, self.session.dirty)

    def test_pending_changes_are_flushed_before(self):
        self.session.add(Thing(name="pending", price=1))
        thing, created = get_or_create(self.session, Thing, name="pending")
        self.assertEqual((created, thing.price), (False, 1))
        thing.price = 4
        self.session.autoflush = False
        self.assertEqual(get_or_create(self.session, Thing, name="pending")[0].price, 4)

    def test_many(self):
        rows = [{"name": "m1", "price": 1}, {"name": "m2"}, {"name": "m1", "price": 9}]
        first, second, third = get_or_create_many(self.session, Thing, rows, ["name"])
        self.assertEqual([first[1], second[1], third[1]], [True, True, False])
        self.assertIs(first[0], third[0])
        self.assertEqual((first[0].price, second[0].name), (1, "m2"))
        self.assertNotEqual(first[0].token, second[0].token)
        again = update_or_create_many(self.session, Thing, rows[1:], ["name"])
        self.assertEqual([(thing.name, created) for thing, created in again], [("m2", False), ("m1", False)])
        self.assertEqual(first[0].price, 9)
        self.assertTrue(second[0].active)
        self.assertEqual(get_or_create_many(self.session, Thing, [], ["name"]), [])

    def test_errors(self):
        self.session.add_all([Thing(name="twice"), Thing(name="twice")])
        with self.assertRaises(SeveralRows) as caught:
            get_or_create(self.session, Thing, name="twice")
        self.assertIsInstance(caught.exception, MultipleResultsFound)
        self.assertEqual(sqlstate(caught.exception), "21000")
        self.session.rollback()
        with self.assertRaises(IntegrityError):
            get_or_create(self.session, Thing, {"id": get_or_create(self.session, Thing, name="x")[0].id}, name="y")
        self.session.rollback()
        with self.assertRaises(ProgrammingError) as caught:
            get_or_create(self.session, Thing, {"name": "b"}, name="a")
        self.assertEqual(sqlstate(caught.exception), "42701")
        with self.assertRaises(TypeError):
            get_or_create(self.session, Thing, naem="a")
        with self.assertRaises(TypeError):
            get_or_create_many(self.session, Thing, [], "name")

    def test_many_at_once_make_one_row(self):
        barrier = threading.Barrier(10, timeout=60)
        made = []

        def work():
            with self.Session() as session:
                session.connection()
                for i in range(10):
                    barrier.wait()
                    thing, created = get_or_create(session, Thing, name=f"burst {i}")
                    session.commit()
                    made.append((i, thing.id, created))

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(made), 100)
        self.assertEqual(len({(i, id_) for i, id_, _ in made}), 10)
        self.assertEqual(sum(created for _, _, created in made), 10)


class Routed(DatabaseCase):
    """A session that reads from one server and writes to another."""

    base = Base

    def test_it_is_a_write(self):
        reader = new_database("racefree_reader")
        self.addCleanup(reader.dispose)
        writer = self.engine

        class RoutingSession(Session):
            # As SQLAlchemy's manual has it.
            def get_bind(self, mapper=None, clause=None, **kw):
                if self._flushing or isinstance(clause, UpdateBase):
                    return writer
                return reader

        with sessionmaker(class_=RoutingSession).begin() as session:
            self.assertTrue(get_or_create(session, Thing, name="routed")[1])
            with self.assertRaises(ProgrammingError):
                session.execute(select(func.count(Thing.id)))
        self.assertEqual(self.value('SELECT count(*) FROM "Thing: one"'), 1)


class Elsewhere(DatabaseCase):
    """The extension in a schema that is not in the search path."""

    base = Base

    def test_schema(self):
        with self.engine.begin() as connection:
            connection.exec_driver_sql('CREATE SCHEMA "Ext 1"')
            connection.exec_driver_sql("DROP EXTENSION racefree")
            connection.exec_driver_sql('CREATE EXTENSION racefree SCHEMA "Ext 1"')
        with sessionmaker(self.engine, info={"racefree_schema": "Ext 1"}).begin() as session:
            self.assertTrue(get_or_create(session, Thing, name="elsewhere")[1])


if __name__ == "__main__":
    main()
