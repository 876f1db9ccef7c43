"""The load: client processes, and the requests that they serve.

`run` starts the processes for one answer and waits for them.  Each of them
opens a connection of its own, and all begin together.  All loads last for a
given time, so every answer is tried equally long; nothing sleeps.
"""

import multiprocessing
import queue
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

PROCESSES = 6
BURST = 10          # identical requests in one burst
ACCOUNTS = 5
BATCH = 100         # texts in one batch
WINDOW = 500        # texts of which a batch has some
NEW = 20            # texts by which the window has moved on for the next batch
PATIENCE = 30       # seconds after the end of a load: then something hangs

RETRYABLE = (errorcodes.SERIALIZATION_FAILURE, errorcodes.DEADLOCK_DETECTED)

# Forked, like the processes of the thread's web server.
processes = multiprocessing.get_context("fork")


class Trouble(Exception):
    """The demo cannot go on; the text says why, in one line."""


def first_line(error):
    """The first line of a database error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Session:
    """A connection in autocommit mode that counts the errors it receives."""

    def __init__(self, search_path=None):
        try:
            self.connection = psycopg2.connect(
                "", fallback_application_name="racefree demo")
        except psycopg2.OperationalError as error:
            raise Trouble("cannot connect to PostgreSQL: "
                          + first_line(error)) from error
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.errors = Counter()
        if search_path:
            self.run("SELECT set_config('search_path', %s, false)",
                     search_path)

    def run(self, statement, *parameters):
        """Run one statement; count the error if there is one."""
        try:
            self.cursor.execute(statement, parameters or None)
        except psycopg2.Error as error:
            if self.connection.closed:
                raise Trouble("lost the connection to PostgreSQL: "
                              + first_line(error)) from error
            self.errors[error.pgcode] += 1
            raise

    def row(self, statement, *parameters):
        """Run one statement and return its first row, None if it has none."""
        self.run(statement, *parameters)
        return self.cursor.fetchone()

    def value(self, statement, *parameters):
        """Run one statement and return the first column of its first row."""
        row = self.row(statement, *parameters)
        return row and row[0]

    def leave_transaction(self):
        """Roll back what an error left open."""
        if self.connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            self.run("ROLLBACK")

    def close(self):
        """Close the connection."""
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass
class Tally:
    """What client processes saw: one process, or all of them added up."""

    answered: int = 0
    started: float = float("inf")
    finished: float = 0.0
    errors: Counter = field(default_factory=Counter)
    ids: dict = field(default_factory=dict)     # text -> ids in the answers
    moved: dict = field(default_factory=dict)   # account -> money in or out
    complaint: str = ""                         # text of the last error
    trouble: str = ""                           # what ended the process early

    def add(self, other):
        """Add what another process saw."""
        self.answered += other.answered
        self.started = min(self.started, other.started)
        self.finished = max(self.finished, other.finished)
        self.errors += other.errors
        for text, ids in other.ids.items():
            self.ids.setdefault(text, set()).update(ids)
        for account, money in other.moved.items():
            self.moved[account] = self.moved.get(account, 0) + money
        self.complaint = self.complaint or other.complaint

    @property
    def rate(self):
        """Answered requests per second."""
        return self.answered / (self.finished - self.started)


def serve(db, answer, tally, *request):
    """Serve one request; return whether it succeeded, and its result."""
    while True:
        try:
            result = answer.request(db, *request)
        except psycopg2.Error as error:
            tally.complaint = first_line(error)
            db.leave_transaction()
            if not (answer.retry and error.pgcode in RETRYABLE):
                return False, None
        else:
            tally.answered += 1
            return True, result


class Bursts:
    """Bursts of identical get_or_create requests, a new text for each.

    All processes meet, then start together; each takes one request after the
    other until the burst's ten are taken.
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.deadline = processes.Value("d", 0.0)
        self.over = processes.Value("b", False)
        self.number = processes.Value("i", 0)
        self.waiting = processes.Value("i", 0)
        self.barrier = processes.Barrier(PROCESSES, action=self.prepare)

    def prepare(self):
        """Lay out the next burst, in one process while the others wait."""
        now = time.perf_counter()
        if not self.deadline.value:
            self.deadline.value = now + self.seconds
        self.over.value = now >= self.deadline.value
        self.number.value += 1
        self.waiting.value = BURST

    def take(self):
        """Take one request of the burst; return whether there was one."""
        with self.waiting.get_lock():
            self.waiting.value -= 1
            return self.waiting.value >= 0

    def work(self, _, db, answer, tally):
        """Serve bursts until the time is over."""
        self.barrier.wait()
        tally.started = time.perf_counter()
        while not self.over.value:
            text = f"blah {self.number.value}"
            while self.take():
                done, row_id = serve(db, answer, tally, text)
                if done:
                    tally.ids.setdefault(text, set()).add(row_id)
            tally.finished = time.perf_counter()
            self.barrier.wait()


class Transfers:
    """Transfers among a few accounts, half of them between the same two."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.barrier = processes.Barrier(PROCESSES)

    def work(self, number, db, answer, tally):
        """Transfer until the time is over; every answer gets the same ones."""
        choose = random.Random(number)
        tally.moved = dict.fromkeys(range(1, ACCOUNTS + 1), Decimal(0))
        self.barrier.wait()
        tally.started = time.perf_counter()
        while time.perf_counter() < tally.started + self.seconds:
            among = 2 if choose.random() < 0.5 else ACCOUNTS
            from_id, to_id = choose.sample(range(1, among + 1), 2)
            amount = Decimal(choose.randint(1, 10000)) / 100
            done, _ = serve(db, answer, tally, from_id, to_id, amount)
            if done:
                tally.moved[from_id] -= amount
                tally.moved[to_id] += amount
        tally.finished = time.perf_counter()


class Batches:
    """Batches of texts that overlap, each in an order of its own.

    A batch's texts are some of a window that moves on with every batch,
    whoever takes it: so all processes create the same texts.
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.number = processes.Value("i", 0)
        self.barrier = processes.Barrier(PROCESSES)

    def take(self, choose):
        """Choose the texts of the next batch."""
        with self.number.get_lock():
            self.number.value += 1
            first = NEW * self.number.value
        return [f"blah {number}" for number in
                choose.sample(range(first, first + WINDOW), BATCH)]

    def work(self, number, db, answer, tally):
        """Serve batches until the time is over."""
        choose = random.Random(number)
        self.barrier.wait()
        tally.started = time.perf_counter()
        while time.perf_counter() < tally.started + self.seconds:
            _, ids = serve(db, answer, tally, self.take(choose))
            for text, row_id in (ids or {}).items():
                tally.ids.setdefault(text, set()).add(row_id)
        tally.finished = time.perf_counter()


def process(number, load, answer, search_path, results):
    """One client process: connect, work, report."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tally = Tally()
    try:
        with Session(search_path) as db:
            load.work(number, db, answer, tally)
            tally.errors = db.errors
    except Trouble as trouble:
        tally.trouble = str(trouble)
    results.put(tally)


def collect(clients, results, deadline, progress):
    """Wait for the tally of every process and add them up."""
    total = Tally()
    missing = len(clients)
    while missing:
        progress()
        try:
            tally = results.get(timeout=0.2)
        except queue.Empty:
            if any(client.exitcode for client in clients):
                raise Trouble("a client process ended early") from None
            if time.perf_counter() > deadline:
                raise Trouble("a request is never answered") from None
            continue
        if tally.trouble:
            raise Trouble(tally.trouble)
        total.add(tally)
        missing -= 1
    return total


def start(clients):
    """Start the processes; Ctrl-C is for the parent only, which ends them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        for client in clients:
            client.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def run(load, answer, search_path, progress):
    """Try one answer with a load; return what the processes saw together."""
    results = processes.Queue()
    clients = [
        processes.Process(target=process, daemon=True,
                          args=(number, load, answer, search_path, results))
        for number in range(PROCESSES)]
    deadline = time.perf_counter() + load.seconds + PATIENCE
    try:
        start(clients)
        return collect(clients, results, deadline, progress)
    finally:
        for client in clients:
            if client.pid:
                client.terminate()
                client.join()
