"""The answers to the questions, as a client writes them.

Two questions are the thread's; the third is what becomes of the first one
where rows come by the hundred.

Every function here serves one request.  It gets a database session in
autocommit mode, in which each `db.run`, `db.value` or `db.row` is one SQL
statement and one round trip, as with a web framework.  What a function does
not catch, the caller rolls back, and repeats if the answer says so.
"""

import json
from dataclasses import dataclass
from typing import Callable

from psycopg2 import errors


@dataclass(frozen=True)
class Answer:
    """One way to serve a request, and what has to be known to try it."""

    name: str
    request: Callable
    retry: bool = False     # repeat after a serialization failure or deadlock
    unique: bool = False    # needs the unique constraint on test.str
    racefree: bool = False


# ---------------------------------------------------------------------------
# First question: get_or_create(str=text) is to give one row for one text
# ---------------------------------------------------------------------------

def look(db, text):
    """Return the id of the row with this text, None if there is none."""
    return db.value("SELECT id FROM test WHERE str = %s", text)


def create(db, text):
    """Insert a row with this text and return its id."""
    return db.value("INSERT INTO test (str) VALUES (%s) RETURNING id", text)


def create_plainly(db, text):
    """Look; if there is nothing, create."""
    return look(db, text) or create(db, text)


def create_in_transaction(db, text):
    """The same between BEGIN and COMMIT."""
    db.run("BEGIN")
    row_id = look(db, text) or create(db, text)
    db.run("COMMIT")
    return row_id


def create_serializable(db, text):
    """The same, and the database may refuse: then all of it is repeated."""
    db.run("BEGIN ISOLATION LEVEL SERIALIZABLE")
    row_id = look(db, text) or create(db, text)
    db.run("COMMIT")
    return row_id


def create_under_table_lock(db, text):
    """The same, while nobody else may touch the table."""
    db.run("BEGIN")
    db.run("LOCK TABLE test IN ACCESS EXCLUSIVE MODE")
    row_id = look(db, text) or create(db, text)
    db.run("COMMIT")
    return row_id


def create_for_update(db, text):
    """Lock the row that is looked at, if it is there to be locked."""
    db.run("BEGIN")
    row_id = (db.value("SELECT id FROM test WHERE str = %s FOR UPDATE", text)
              or create(db, text))
    db.run("COMMIT")
    return row_id


def create_or_catch(db, text):
    """Let the unique constraint refuse, then look at what the other made."""
    row_id = look(db, text)
    if row_id is None:
        try:
            row_id = create(db, text)
        except errors.UniqueViolation:
            row_id = look(db, text)
    return row_id


def create_racefree(db, text):
    """One call."""
    return db.value("SELECT (object).id FROM get_or_create(NULL::test, %s)",
                    json.dumps({"str": text}))


GET_OR_CREATE = (
    Answer("plain read-then-write", create_plainly),
    Answer("in one transaction", create_in_transaction),
    Answer("SERIALIZABLE with retry", create_serializable, retry=True),
    Answer("LOCK TABLE", create_under_table_lock),
    Answer("SELECT FOR UPDATE", create_for_update),
    Answer("unique constraint and catch", create_or_catch, unique=True),
    Answer("racefree", create_racefree, racefree=True),
)


# ---------------------------------------------------------------------------
# Second question: transfer_money(from_id, to_id, amount) is to lose nothing
# ---------------------------------------------------------------------------

def balance(db, account):
    """Read one balance."""
    return db.value("SELECT balance FROM bank_account WHERE id = %s", account)


def save(db, account, new_balance):
    """Write one balance."""
    db.run("UPDATE bank_account SET balance = %s WHERE id = %s",
           new_balance, account)


def transfer_plainly(db, from_id, to_id, amount):
    """Read both balances, compute, save both."""
    from_balance = balance(db, from_id)
    to_balance = balance(db, to_id)
    save(db, from_id, from_balance - amount)
    save(db, to_id, to_balance + amount)


def transfer_in_transaction(db, from_id, to_id, amount):
    """The same between BEGIN and COMMIT."""
    db.run("BEGIN")
    transfer_plainly(db, from_id, to_id, amount)
    db.run("COMMIT")


def transfer_serializable(db, from_id, to_id, amount):
    """The same, and the database may refuse: then all of it is repeated."""
    db.run("BEGIN ISOLATION LEVEL SERIALIZABLE")
    transfer_plainly(db, from_id, to_id, amount)
    db.run("COMMIT")


def transfer_under_table_lock(db, from_id, to_id, amount):
    """The same, while nobody else may touch the table."""
    db.run("BEGIN")
    db.run("LOCK TABLE bank_account IN ACCESS EXCLUSIVE MODE")
    transfer_plainly(db, from_id, to_id, amount)
    db.run("COMMIT")


def balance_for_update(db, account):
    """Read one balance and lock its row until the transaction ends."""
    return db.value("SELECT balance FROM bank_account WHERE id = %s"
                    " FOR UPDATE", account)


def transfer_for_update(db, from_id, to_id, amount):
    """Lock the payer's row, then the payee's: the order of the arguments."""
    db.run("BEGIN")
    from_balance = balance_for_update(db, from_id)
    to_balance = balance_for_update(db, to_id)
    save(db, from_id, from_balance - amount)
    save(db, to_id, to_balance + amount)
    db.run("COMMIT")


def transfer_racefree(db, from_id, to_id, amount):
    """One call."""
    db.row("SELECT (from_account).balance, (to_account).balance"
           " FROM transfer(NULL::bank_account, %s, %s, %s)",
           from_id, to_id, amount)


TRANSFER = (
    Answer("plain read-then-write", transfer_plainly),
    Answer("in one transaction", transfer_in_transaction),
    Answer("SERIALIZABLE with retry", transfer_serializable, retry=True),
    Answer("LOCK TABLE", transfer_under_table_lock),
    Answer("FOR UPDATE in argument order", transfer_for_update),
    Answer("racefree", transfer_racefree, racefree=True),
)


# ---------------------------------------------------------------------------
# Third question: the ids of the rows with these texts, each created if need
# be, while others ask the same for some of the texts in another order
# ---------------------------------------------------------------------------

def insert_and_look(db, texts):
    """Insert what is missing, in the order given, and look at all of it."""
    db.run("BEGIN")
    db.run("INSERT INTO test (str) SELECT * FROM unnest(%s) ON CONFLICT"
           " DO NOTHING", texts)
    db.run("SELECT str, id FROM test WHERE str = ANY (%s)", texts)
    ids = dict(db.cursor.fetchall())
    db.run("COMMIT")
    return ids


def batch_plainly(db, texts):
    """In whatever order the texts have come."""
    return insert_and_look(db, texts)


def batch_sorted(db, texts):
    """In an order on which all clients agree."""
    return insert_and_look(db, sorted(texts))


def batch_racefree(db, texts):
    """One call."""
    db.run("SELECT (object).str, (object).id"
           " FROM get_or_create_many(NULL::test, %s, '{str}')",
           json.dumps([{"str": text} for text in texts]))
    return dict(db.cursor.fetchall())


BATCHES = (
    Answer("ON CONFLICT DO NOTHING", batch_plainly, unique=True),
    Answer("sorted by key in the client", batch_sorted, unique=True),
    Answer("racefree", batch_racefree, racefree=True),
)
