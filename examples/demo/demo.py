#!/usr/bin/python3 -B
"""Try every answer of the thread, and racefree, under the same load.

The thread is "Database race conditions when using multiple processes" (Django
developers, 2006).  This program puts its two questions to the PostgreSQL
server that PGHOST, PGPORT, PGUSER and PGDATABASE name: six processes serve
bursts of ten identical get_or_create requests, then transfers between the same
few accounts.  A third part asks for many rows at a time, which overlap.  It
prints what came of it as one table.

It needs the right to create the extension racefree, and replaces the schema
demo.  DEMO_SECONDS says how long to try each answer.  The exit status is 0 if
racefree did nothing wrong, 1 if it did, and 2 if the demo could not run.
"""

import os
import signal
import sys
import textwrap
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Callable, Optional

try:
    import psycopg2
    from psycopg2 import errorcodes
except ImportError:
    print("demo: psycopg2 is missing; on Debian: python3-psycopg2",
          file=sys.stderr)
    sys.exit(2)

import answers
import workload
from workload import ACCOUNTS, BATCH, BURST, PROCESSES, Session, Trouble

SECONDS = 2.5       # for each answer
OPENING_BALANCE = Decimal("1000000.00")


# ---------------------------------------------------------------------------
# The tables, and what is in them afterwards
# ---------------------------------------------------------------------------

def prepare_database(db):
    """Create an empty schema and the extension; return the search_path."""
    db.run("SET client_min_messages = warning")
    db.run("DROP SCHEMA IF EXISTS demo CASCADE")
    db.run("CREATE SCHEMA demo")
    try:
        db.run("CREATE EXTENSION IF NOT EXISTS racefree SCHEMA public")
    except psycopg2.Error as error:
        raise Trouble("cannot create the extension racefree: "
                      + workload.first_line(error)) from error
    schema = db.value("SELECT quote_ident(nspname) FROM pg_extension"
                      " JOIN pg_namespace n ON n.oid = extnamespace"
                      " WHERE extname = 'racefree'")
    return f"demo, {schema}"


def describe_server(db):
    """Say which server this is, and what in its settings matters here."""
    version = db.value("SHOW server_version").split()[0]
    settings = ", ".join(
        f"{name} {db.value('SELECT current_setting(%s)', name)}"
        for name in ("fsync", "synchronous_commit", "deadlock_timeout"))
    return f"PostgreSQL {version}, {os.cpu_count()} CPUs; {settings}."


def create_test(db, answer):
    """Create the table of texts; no unique constraint on str by itself."""
    db.run("DROP TABLE IF EXISTS demo.test")
    db.run("CREATE TABLE demo.test (id serial PRIMARY KEY, str varchar(100))")
    if answer.unique:
        db.run("ALTER TABLE demo.test ADD UNIQUE (str)")
    else:
        db.run("CREATE INDEX ON demo.test (str)")


def create_bank_account(db):
    """Create the table of the second question."""
    db.run("DROP TABLE IF EXISTS demo.bank_account")
    db.run("CREATE TABLE demo.bank_account"
           " (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL)")
    db.run("INSERT INTO demo.bank_account"
           " SELECT id, %s FROM generate_series(1, %s) id",
           OPENING_BALANCE, ACCOUNTS)


@dataclass
class Result:
    """What one answer did under its load."""

    part: "Part"
    answer: answers.Answer
    tally: workload.Tally
    duplicates: Optional[int] = None        # surplus rows
    money: Optional[Decimal] = None         # all balances, after minus before
    wrong_by: Optional[Decimal] = None      # what each has too much or little

    @property
    def errors(self):
        """Count the database errors that the client received."""
        return sum(self.tally.errors.values())

    @property
    def deadlocks(self):
        """Count those of them that were deadlocks."""
        return self.tally.errors[errorcodes.DEADLOCK_DETECTED]

    @property
    def disagreements(self):
        """Count the texts that were answered with more than one id."""
        return sum(len(ids) > 1 for ids in self.tally.ids.values())

    @property
    def right(self):
        """Tell whether the data are as they should be, whatever it took."""
        return not (self.duplicates or self.disagreements or self.wrong_by)


def inspect_test(db):
    """Count the rows that should not be there."""
    return {"duplicates": db.value(
        "SELECT count(*) - count(DISTINCT str) FROM demo.test")}


def inspect_bank_account(db, tally):
    """Compare the balances with the transfers that were reported done."""
    db.run("SELECT id, balance FROM demo.bank_account")
    surplus = [balance - OPENING_BALANCE - tally.moved[account]
               for account, balance in db.cursor.fetchall()]
    return {"money": sum(surplus), "wrong_by": sum(map(abs, surplus))}


@dataclass(frozen=True)
class Part:
    """One question: its answers, its table and its load."""

    name: str
    about: str
    answers: tuple
    create: Callable
    load: Callable
    inspect: Callable
    rival: str      # the other answer that may be right on its own


PARTS = (
    Part("get_or_create", f"bursts of {BURST} identical requests",
         answers.GET_OR_CREATE, create_test, workload.Bursts,
         lambda db, _: inspect_test(db), rival="LOCK TABLE"),
    Part("transfer", f"both ways among {ACCOUNTS} accounts, half between two",
         answers.TRANSFER, lambda db, _: create_bank_account(db),
         workload.Transfers, inspect_bank_account, rival="LOCK TABLE"),
    Part("batches",
         f"overlapping bulk upserts of {BATCH} rows in random order",
         answers.BATCHES, create_test, workload.Batches,
         lambda db, _: inspect_test(db),
         rival="sorted by key in the client"),
)


# ---------------------------------------------------------------------------
# The run
# ---------------------------------------------------------------------------

class Progress:
    """One line that changes on a terminal, one line an answer elsewhere."""

    def __init__(self, steps):
        self.steps = steps
        self.step = 0
        self.line = ""
        self.since = 0.0
        self.live = sys.stdout.isatty()

    def begin(self, part, answer):
        """Say what is tried next."""
        self.step += 1
        self.line = (f"[{self.step:2}/{self.steps}] {part.name}: "
                     f"{answer.name}")
        self.since = time.perf_counter()
        if not self.live:
            print(self.line, flush=True)

    def __call__(self):
        """Say how long it has been going on."""
        if self.live:
            elapsed = time.perf_counter() - self.since
            print(f"\r{self.line} {elapsed:.1f} s\x1b[K", end="", flush=True)

    def clear(self):
        """Leave an empty line for what is printed next."""
        if self.live:
            print("\r\x1b[K", end="", flush=True)


def measure(part, answer, search_path, seconds, progress):
    """Try one answer on a fresh table."""
    with Session() as db:
        part.create(db, answer)
    tally = workload.run(part.load(seconds), answer, search_path, progress)
    with Session() as db:
        return Result(part, answer, tally, **part.inspect(db, tally))


def measure_all(seconds):
    """Say what will be done, and do it."""
    with Session() as db:
        search_path = prepare_database(db)
        print(paragraph(describe_server(db)))
    print(paragraph(describe_load(seconds)), end="\n\n", flush=True)
    progress = Progress(sum(len(part.answers) for part in PARTS))
    results = []
    try:
        for part in PARTS:
            for answer in part.answers:
                progress.begin(part, answer)
                results.append(measure(part, answer, search_path, seconds,
                                       progress))
    finally:
        progress.clear()
    return results


# ---------------------------------------------------------------------------
# What is printed
# ---------------------------------------------------------------------------

def paragraph(text):
    """Break a text into lines that fit a terminal."""
    return textwrap.fill(text, width=79)


def describe_load(seconds):
    """Say what every answer is put through."""
    return (
        f"Each answer gets a fresh table, {PROCESSES} client processes with a"
        f" connection each, and {seconds:g} seconds of requests without"
        " pauses. test.str has a plain index, and a unique constraint only"
        " for the answer that needs one.")


COLUMNS = (
    # heading, width, value
    (" dupli-\n cates", 7, lambda result: result.duplicates),
    ("money lost\nor made", 11, lambda result: result.money),
    ("balances\nwrong by", 10, lambda result: result.wrong_by),
    ("dead-\nlocks", 6, lambda result: result.deadlocks),
    ("client\nerrors", 7, lambda result: result.errors),
    ("requests\na second", 9, lambda result: round(result.tally.rate)),
)
NAME_WIDTH = 30


def cell(value):
    """Format one value; a dash where the column does not apply."""
    return "-" if value is None else str(value)


def table(results):
    """Format the results, one row an answer."""
    lines = []
    for number, name in enumerate(("", "answer")):
        lines.append(f"{name:{NAME_WIDTH}}" + "".join(
            f"{heading.splitlines()[number]:>{width}}"
            for heading, width, _ in COLUMNS))
    lines.append("-" * len(lines[0]))
    part = None
    for result in results:
        if result.part is not part:
            part = result.part
            lines.append(f"{part.name}: {part.about}")
        lines.append(f"  {result.answer.name:{NAME_WIDTH - 2}}" + "".join(
            f"{cell(value(result)):>{width}}" for _, width, value in COLUMNS))
    return "\n".join(lines)


LEGEND = (
    "Client errors: every error that the server sent to a client, deadlocks"
    " included; a deadlock lasts deadlock_timeout before the server ends it."
    " Only the answers that say so repeat a failed request. Requests a second"
    " are those that succeeded, and so are the transfers that the balances are"
    " compared with.")


def names(results):
    """List answers, by question."""
    lists = []
    for part in PARTS:
        chosen = [result.answer.name for result in results
                  if result.part is part]
        if chosen:
            lists.append(f"{part.name}: {', '.join(chosen)}")
    return "; ".join(lists) or "none"


def compare_rates(results):
    """Compare racefree with the other answer that may be right on its own."""
    ratios = []
    for part in PARTS:
        rates = {result.answer.name: result.tally.rate for result in results
                 if result.part is part}
        ratio = rates["racefree"] / (rates[part.rival] or float("nan"))
        ratios.append(f"{part.name} {ratio:.1f} times those of"
                      f" \"{part.rival}\"")
    return ", ".join(ratios)


def explain(results):
    """Say in a few sentences what the table shows."""
    wrong = [result for result in results if not result.right]
    right = [result for result in results if result.right]
    return "\n".join(map(paragraph, (
        f"Wrong data: {names(wrong)}.",
        "Right data, but errors that the client has to handle:"
        f" {names([result for result in right if result.errors])}.",
        "Right data and no error:"
        f" {names([result for result in right if not result.errors])}.",
        "LOCK TABLE lets one request at a time into the table. With racefree"
        " only requests for the same missing row or the same accounts wait for"
        " each other, and a call is one round trip. Sorted batches never"
        " deadlock, as long as all clients sort alike and a unique constraint"
        " is there to conflict with; racefree needs neither. Its requests a"
        f" second: {compare_rates(results)}.")))


def faults(results):
    """List what racefree did wrong."""
    found = []
    for result in results:
        if not result.answer.racefree:
            continue
        counts = (
            (result.duplicates, "surplus rows"),
            (result.disagreements, "texts answered with several ids"),
            (result.wrong_by, "of money in or out of the wrong accounts"),
            (result.deadlocks, "deadlocks"),
            (result.errors, f"errors, such as: {result.tally.complaint}"),
        )
        found += [f"racefree {result.part.name}: {count} {what}"
                  for count, what in counts if count]
    return found


def report(results):
    """Print the table and what it shows; return the exit status."""
    print(table(results), paragraph(LEGEND), explain(results), sep="\n\n")
    found = faults(results)
    for fault in found:
        print(f"FAILED: {fault}")
    return 1 if found else 0


def seconds_from_environment():
    """Return how long to try each answer."""
    text = os.environ.get("DEMO_SECONDS") or SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise Trouble("DEMO_SECONDS must be a number of seconds,"
                      f" not \"{text}\"")
    return seconds


def main():
    """Run the demo; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return report(measure_all(seconds_from_environment()))
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    except (Trouble, psycopg2.Error) as trouble:
        print(f"demo: {workload.first_line(trouble)}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
