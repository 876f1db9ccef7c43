# shellcheck shell=bash
# sandbox.sh - a throw-away PostgreSQL server with racefree installed
#
# To be sourced.  A sandbox is one folder:
#
#   src/    this checkout's files, and what is built from them
#   pg/     a copy of the PostgreSQL tree, which racefree is installed into
#   bin     -> the programs of that copy
#   data/   the server's cluster          run/    its socket
#   home/   HOME, and                     tmp/    TMPDIR of what runs in it
#
# A PostgreSQL tree finds its files relative to its programs, so every cluster
# made with the copy has racefree, and the system's own tree and clusters are
# left alone.  The server refuses to run as root: root hands the sandbox, and
# all that runs in it, to an unprivileged user.  The checkout's files are
# copied because that user may not be able to read them where they are.
#
#   sandbox_open_temporary    make it in a folder that vanishes on exit,
#   sandbox_open FOLDER       or in one that stays,
#   sandbox_reopen FOLDER     or go on in that one later
#   sandbox_build [ARG...]    build and install racefree; ARGs are make's
#   sandbox_start [SETTING=VALUE...]   a new cluster
#   sandbox_restart                    the same again
#   sandbox_stop
#   inside COMMAND...         run it as that user, in a clean environment
#   sandbox_keep              let a temporary one stay after all

set -euo pipefail
# shellcheck source=test/deps.sh
. "${BASH_SOURCE[0]%/*}/deps.sh"

checkout=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
sandbox=
sandbox_temporary=

if [ "$(id -u)" -eq 0 ]; then
	sandbox_user=nobody
	become=(setpriv --reuid="$sandbox_user" --regid="$(id -g "$sandbox_user")" --clear-groups)
else
	sandbox_user=$(id -un)
	become=()
fi

sandbox_open_temporary()
{
	sandbox=$(mktemp -d "${TMPDIR:-/tmp}/racefree.XXXXXX")
	sandbox_temporary=yes
	sandbox_fill
}

sandbox_open()
{
	mkdir -m 700 "$1"
	sandbox=$(cd "$1" && pwd -P)
	sandbox_fill
}

sandbox_fill()
{
	sandbox_watch
	chown "$sandbox_user" "$sandbox"
	cd "$sandbox"
	inside mkdir "$sandbox"/{src,run,home,tmp} 2>/dev/null ||
		die "user $sandbox_user cannot work in $sandbox: set TMPDIR to a folder that is open to all"
	copy_checkout
	copy_postgres
}

# Whatever ends this script ends the sandbox, unless the caller has an EXIT
# trap that does.
sandbox_watch()
{
	[ -n "$(trap -p EXIT)" ] || trap sandbox_close EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# For a sandbox that an earlier command left behind.
sandbox_reopen()
{
	sandbox=$1
	sandbox_exists "$sandbox" || die "$sandbox does not hold a server"
	cd "$sandbox"
	sandbox_watch
}

# Not another user's folder of that name.
sandbox_exists()
{
	[ -n "$(find "$1" -maxdepth 0 -type d -user "$sandbox_user" 2>/dev/null)" ] &&
		[ -d "$1/data" ]
}

sandbox_keep() { sandbox_temporary=; }

sandbox_close()
{
	local pid_file mode=fast

	# What is about to be deleted need not be shut down cleanly.
	[ -z "$sandbox_temporary" ] || mode=immediate
	# All there are: a test that was interrupted may have left its own.
	find "$sandbox" -name postmaster.pid 2>/dev/null |
		while read -r pid_file; do
			inside "$sandbox/bin/pg_ctl" -D "${pid_file%/*}" -m "$mode" stop >/dev/null 2>&1 || true
		done
	cd /
	[ -z "$sandbox_temporary" ] || rm -rf "$sandbox"
}

# Committed or not, but nothing that git ignores: no stale objects.
copy_checkout()
{
	list_checkout | tar -C "$checkout" --null -T - -cf - | inside tar -C src -xf -
}

list_checkout()
{
	local path

	cd "$checkout"
	# Root may build what belongs to someone else.
	if git -c safe.directory="$checkout" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git -c safe.directory="$checkout" ls-files -z --cached --others --exclude-standard
	else
		find . -type f -not -path './tmp_check/*' -not -path './tmp_deps/*' -not -name '*.o' -not -name '*.bc' -not -name '*.so' -print0
	fi |
		# Deleted, but not yet for git.
		while IFS= read -r -d '' path; do
			[ ! -e "$path" ] || printf '%s\0' "$path"
		done
}

# Under pg/ every folder has the path it has in the system: so all of them
# keep their places relative to each other.
copy_postgres()
{
	local bindir dir program

	bindir=$("$PG_CONFIG" --bindir)
	mkdir -p "pg$bindir"
	# Only PostgreSQL's programs: on some systems this is /usr/bin.
	(cd "$bindir" && ls) |
		grep -Ex 'postgres|postmaster|psql|initdb|pgbench|pg_[a-z_]+|(create|drop)(db|user)|(cluster|reindex|vacuum)db' |
		while read -r program; do
			cp -a "$bindir/$program" "pg$bindir/"
		done
	for dir in "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)"; do
		mkdir -p "pg$dir"
		cp -a "$dir/." "pg$dir"
	done
	# The headers are only read.
	for dir in "$("$PG_CONFIG" --includedir)" "$("$PG_CONFIG" --pkgincludedir)" "$("$PG_CONFIG" --includedir-server)"; do
		[ -e "pg$dir" ] && continue
		mkdir -p "pg${dir%/*}"
		ln -s "$dir" "pg$dir"
	done
	ln -s "pg$bindir" bin
	chown -R "$sandbox_user" pg
}

# What was unpacked in the checkout, where the sandbox's user can read it.
sandbox_offer_node_packages()
{
	[ -e "$unpacked/node" ] || return 0
	cp -R "$unpacked/node/usr/share/nodejs" nodejs
	export NODE_PATH=$sandbox/nodejs${NODE_PATH:+:$NODE_PATH}
}

# Behind those of Debian, which the client is tested with.
sandbox_offer_npm_packages()
{
	[ -e "$unpacked/npm" ] || return 0
	cp -R "$unpacked/npm" npm
	export NODE_PATH=${NODE_PATH:+$NODE_PATH:}$sandbox/npm/node_modules
}

sandbox_offer_django_source()
{
	[ -e "$unpacked/django" ] || return 0
	mkdir -p django/django
	cp -R "$unpacked/django/tests" django/
	cp "$unpacked/django/django/__init__.py" django/django/
	export RACEFREE_DJANGO_SOURCE=$sandbox/django
}

sandbox_build()
{
	(cd src && inside "${MAKE:-make}" -s -j "$(getconf _NPROCESSORS_ONLN)" PG_CONFIG="$sandbox/bin/pg_config" "$@" all) &&
		(cd src && inside "${MAKE:-make}" -s PG_CONFIG="$sandbox/bin/pg_config" "$@" install)
}

# The server listens on its socket only, which nobody else can reach.
sandbox_start()
{
	local setting

	inside bin/initdb -D data -U postgres -A trust -E UTF8 >initdb.log 2>&1 ||
		{ cat initdb.log >&2; die "initdb failed"; }
	for setting in "listen_addresses=''" "unix_socket_directories='$sandbox/run'" "$@" ${SERVER_SETTINGS:-}; do
		say "$setting"
	done | inside tee -a data/postgresql.conf >/dev/null
	sandbox_restart
}

sandbox_restart()
{
	inside bin/pg_ctl ${SERVER_PROGRAM:+-p "$SERVER_PROGRAM"} -D data -l server.log -s -w start ||
		{ tail -n 20 server.log >&2; die "the server did not start"; }
}

sandbox_running() { inside bin/pg_ctl -D data status >/dev/null 2>&1; }

sandbox_stop() { inside bin/pg_ctl -D data -m fast -s -w stop; }

# Nothing of the caller's environment but what is listed here: no PG*, no
# locale, no make flags.
inside()
{
	local clean=(
		HOME="$sandbox/home" TMPDIR="$sandbox/tmp" USER="$sandbox_user" LOGNAME="$sandbox_user"
		PATH="$sandbox/bin:$PATH" TERM="${TERM:-dumb}"
		LANG=C.UTF-8 LC_ALL=C.UTF-8 TZ=UTC
		PGHOST="$sandbox/run" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	)
	local name

	for name in LD_LIBRARY_PATH NODE_PATH PYTHON CI SOAK PAGER PROVE_FLAGS PG_TEST_EXTRA PGCTLTIMEOUT ASAN_OPTIONS UBSAN_OPTIONS \
		"${!RACEFREE_@}" BENCH "${!BENCH_@}" "${!DEMO_@}" "${!FUZZ_@}" "${!SOAK_@}"; do
		[ -z "${!name:-}" ] || clean+=("$name=${!name}")
	done
	${become[@]+"${become[@]}"} env -i "${clean[@]}" "$@"
}
