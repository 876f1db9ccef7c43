"""The examples of doc/from-your-language.md run, and print what their comments say.

Each stands in a block of its own, named by language and driver, and runs in a new
database after the document's SQL.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXT = (HERE.parents[2] / "doc" / "from-your-language.md").read_text()
# The comment after a statement that prints.
EXPECTED = re.compile(r"(?:print|puts|echo|log\(|Println|println).*(?:#|//) ?(.*)$", re.M)
DATABASE = "racefree_example"


class Absent(Exception):
    """What an example needs is not installed."""


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def need(what, *command, **options):
    try:
        found = run(*command, **options).returncode == 0
    except FileNotFoundError:
        found = False
    if not found:
        raise Absent(f"there is no {what}")


def python(module):
    def prepare(folder, code):
        Path(folder, "example.py").write_text(code)
        for program in (os.environ.get("PYTHON", "python3"), "/usr/bin/python3"):
            if shutil.which(program) and run(program, "-c", f"import psycopg2, {module}").returncode == 0:
                return [program, "example.py"]
        raise Absent(f"there is no {module}")

    return prepare


def script(name, program, what, *check):
    def prepare(folder, code):
        Path(folder, name).write_text(code)
        need(what, program, *check)
        return [program, name]

    return prepare


def node(package, name=None):
    return script("example.js", "node", f"{name or package} for Node.js", "-e", f"require.resolve('{package}')")


def prisma(folder, code):
    Path(folder, "example.js").write_text(code)
    where = "require.resolve('prisma/package.json')"
    need("Node.js 20, which Prisma wants", "node", "-e", "parseInt(process.versions.node) >= 20 || process.exit(1)")
    need("Prisma for Node.js", "node", "-e", where)
    # Prisma does not look for packages in NODE_PATH.
    Path(folder, "node_modules").symlink_to(Path(run("node", "-p", where).stdout).parents[1])
    schema = Path(folder, "schema.prisma")
    schema.write_text(re.search(r"^```prisma\n(.*?)^```$", TEXT, re.M | re.S).group(1))
    # The engine makes migrations, of which there are none: any file will do, and none is downloaded.
    environment = {**os.environ, "PRISMA_SCHEMA_ENGINE_BINARY": str(schema), "CHECKPOINT_DISABLE": "1"}
    made = run("node", "node_modules/prisma/build/index.js", "generate", "--schema", schema.name,
               cwd=folder, env=environment)
    assert made.returncode == 0, made.stdout + made.stderr
    return ["node", "example.js"]


def java(folder, code):
    Path(folder, "Example.java").write_text(code)
    jar = "/usr/share/java/postgresql.jar"
    if not os.path.exists(jar):
        raise Absent("there is no JDBC driver of PostgreSQL")
    need("Java compiler", "javac", "-version")
    user = os.environ.get("PGUSER", "postgres")
    os.environ["JDBC_URL"] = f"jdbc:postgresql://127.0.0.1:{port_to_socket()}/{DATABASE}?user={user}&sslmode=disable"
    return ["java", "-cp", jar, "Example.java"]


def port_to_socket():
    """A port of this machine that leads to the server's socket, which JDBC cannot reach."""
    path = Path(os.environ.get("PGHOST", "/var/run/postgresql"), f".s.PGSQL.{os.environ.get('PGPORT', 5432)}")
    if not path.exists():
        raise Absent("there is no socket of the server")
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=relay, args=(listener, str(path)), daemon=True).start()
    return listener.getsockname()[1]


def relay(listener, path):
    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(path)
        for ends in ((client, server), (server, client)):
            threading.Thread(target=pump, args=ends, daemon=True).start()


def pump(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def go(package):
    def prepare(folder, code):
        Path(folder, "example.go").write_text(code)
        # Where Debian has its packages.
        if not os.path.isdir(f"/usr/share/gocode/src/{package}"):
            raise Absent(f"there is no {package}")
        need("Go", "go", "version")
        os.environ.update(GOPATH="/usr/share/gocode", GO111MODULE="off")
        made = run("go", "build", "-o", "example", "example.go", cwd=folder)
        assert made.returncode == 0, made.stderr
        return ["./example"]

    return prepare


def libpq(folder, code):
    Path(folder, "example.c").write_text(code)
    need("C compiler", "cc", "--version")
    need("pg_config", "pg_config", "--version")
    include = run("pg_config", "--includedir").stdout.strip()
    if not os.path.exists(f"{include}/libpq-fe.h"):
        raise Absent("there is no libpq-fe.h")
    made = run("cc", "-Wall", "-Werror", f"-I{include}", "-o", "example", "example.c", "-lpq", cwd=folder)
    assert made.returncode == 0, made.stderr
    return ["./example"]


RUBY = os.environ.get("RUBY", "ruby")
DRIVERS = {
    "psycopg2": python("psycopg2"),
    "psycopg": python("psycopg"),
    "asyncpg": python("asyncpg"),
    "sqlalchemy": python("sqlalchemy"),
    "pg": node("pg"),
    "postgres": node("postgres", "postgres.js"),
    "pg-promise": node("pg-promise"),
    "knex": node("knex"),
    "sequelize": node("sequelize", "Sequelize"),
    "typeorm": node("typeorm", "TypeORM"),
    "drizzle": node("drizzle-orm", "Drizzle"),
    "kysely": node("kysely", "Kysely"),
    "mikro-orm": node("@mikro-orm/postgresql", "MikroORM"),
    "prisma": prisma,
    "ruby-pg": script("example.rb", RUBY, "pg for Ruby", "-e", "require 'pg'"),
    "activerecord": script("example.rb", RUBY, "Active Record", "-e", "require 'active_record'; require 'pg'"),
    "jdbc": java,
    "pgx": go("github.com/jackc/pgx/v4"),
    "libpq-for-go": go("github.com/lib/pq"),
    "libpq": libpq,
    "dbd-pg": script("example.pl", "perl", "DBD::Pg", "-MDBD::Pg", "-MJSON::PP", "-e1"),
    "pdo": script("example.php", "php", "PDO for PostgreSQL", "-r", "exit((int) !extension_loaded('pdo_pgsql'));"),
}


def psql(database, sql):
    run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, input=sql).check_returncode()


def check(driver, code):
    """Raise what is wrong with an example."""
    assert driver in DRIVERS, "no such driver"
    with tempfile.TemporaryDirectory() as folder:
        command = DRIVERS[driver](folder, code)
        psql("postgres", f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        psql("postgres", f"CREATE DATABASE {DATABASE}")
        psql(DATABASE, re.search(r"^```sql\n(.*?)^```$", TEXT, re.M | re.S).group(1))
        environment = {**os.environ, "PGDATABASE": DATABASE}
        done = run(*command, cwd=folder, env=environment)
        expected = EXPECTED.findall(code)
        assert len(expected) >= 2, "it prints nothing"
        assert done.stdout.splitlines() == expected and done.returncode == 0, "\n".join(
            [f"exit status {done.returncode}", "expected:", *expected, "printed:", done.stdout + done.stderr]
        )
        left = run("psql", "-XAt", "-d", DATABASE, "-c",
                   "SELECT sum(balance) FROM account HAVING NOT EXISTS"
                   " (SELECT FROM verify_journal('public.payment', NULL::account))")
        assert left.stdout == "200.00\n", left.stdout + left.stderr


def main():
    examples = re.findall(r"^```\w+ ([\w-]+)\n(.*?)^```$", TEXT, re.M | re.S)
    lines = []
    for driver, code in examples:
        said = f"{len(lines) + 1} - {driver}"
        try:
            check(driver, code)
            lines.append(f"ok {said}")
        except Absent as absent:
            lines.append(f"ok {said} # SKIP {absent}")
        except (AssertionError, subprocess.SubprocessError, OSError) as error:
            print(error)
            lines.append(f"not ok {said}")
        print(lines[-1], flush=True)
    same = sorted(driver for driver, _ in examples) == sorted(DRIVERS)
    lines.append(f"{'' if same else 'not '}ok {len(lines) + 1} - an example for each driver")
    print(lines[-1])
    if os.environ.get("RACEFREE_TAP"):
        Path(os.environ["RACEFREE_TAP"], Path(__file__).name + ".tap").write_text("\n".join([*lines, f"1..{len(lines)}", ""]))
    sys.exit(any(line.startswith("not ") for line in lines))


main()
