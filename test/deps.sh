# shellcheck shell=bash
# deps.sh - what the commands need: installed where apt-get is, else named
#
# To be sourced.  "need GROUP..." returns with everything in place and
# PG_CONFIG set, or says in one line each what is missing, and exits.
#
#   server   compiler, PostgreSQL server, its development files, pgbench
#   test     pgTAP, what PostgreSQL's own Perl test modules need, and a
#            PgBouncer, without which a test is skipped
#   demo     a Python that has psycopg2
#   format   clang-format
#   debootstrap   debootstrap, which makes Debian systems
#   build    what builds a PostgreSQL server from its source; valgrind
#   sqlsmith   sqlsmith
#   archive  git and unzip
#   autopkgtest   autopkgtest, which tests Debian's packages
#   pgxn     PGXN's client
#   rpm      rpmbuild, and what unpacks its packages
#   images   buildah
#   plot     gnuplot, and a Perl for the report of the benchmarks
#   node     Node.js with pg, and a TypeScript compiler
#   django   a Python that has Django and psycopg2; mypy; the source of that
#            Django, which has tests of its own; what "web" needs, and a Chromium
#   web      a Python that has Django, psycopg2 and gunicorn
#   languages   the drivers in doc/from-your-language.md, those that there are;
#            for JavaScript npm's, where there is npm and it reaches its registry
#   rails    Ruby with Active Record, pg and minitest
#   sqlalchemy   a Python that has SQLAlchemy with psycopg2 and asyncpg, and mypy
#
# A PG_CONFIG in the environment always wins.  Without one, Debian's packages
# are asked for the newest server that is installed, else for the newest there
# is, and any other system for the pg_config on PATH.

set -euo pipefail

oldest_major=15
clang_format_major=14
unpacked=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)/tmp_deps

say() { printf '%s\n' "$*"; }

die()
{
	printf 'racefree: %s\n' "$*" >&2
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

need()
{
	if have apt-get; then
		# What the packages install, before what a version manager put on PATH.
		PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
		install_missing "$@"
		[[ " $* " != *" test "* ]] || provide_pgbouncer
		[[ " $* " != *" node "* ]] || provide_node_packages
		[[ " $* " != *" languages "* ]] || provide_npm_packages
		[[ " $* " != *" django "* ]] || provide_django_source
	fi
	: "${PG_CONFIG:=pg_config}"
	export PG_CONFIG

	local group missing=0
	for group in "$@"; do
		"check_$group" || missing=1
	done
	[ "$missing" -eq 0 ] || exit 1
}

# ---------------------------------------------------------------------------
# Any system: is it there?

lack()
{
	printf 'racefree: missing: %s\n' "$*" >&2
	return 1
}

check_server()
{
	local bindir ok=0

	have "${MAKE:-make}" || lack "make" || ok=1
	if ! have "$PG_CONFIG"; then
		lack "pg_config of a PostgreSQL server, version $oldest_major or later (set PG_CONFIG to its path)"
		return
	fi
	if [ "$(pg_major)" -lt "$oldest_major" ]; then
		lack "PostgreSQL $oldest_major or later ($PG_CONFIG is of $("$PG_CONFIG" --version))"
		return
	fi
	bindir=$("$PG_CONFIG" --bindir)
	[ -x "$bindir/postgres" ] && [ -x "$bindir/initdb" ] ||
		lack "the PostgreSQL server programs (no postgres, initdb in $bindir)" || ok=1
	[ -x "$bindir/pgbench" ] || lack "pgbench (not in $bindir)" || ok=1
	[ -e "$("$PG_CONFIG" --pgxs)" ] ||
		lack "PostgreSQL's server development files (PGXS)" || ok=1
	have "$("$PG_CONFIG" --cc | cut -d' ' -f1)" ||
		lack "the C compiler $("$PG_CONFIG" --cc)" || ok=1
	return "$ok"
}

check_test()
{
	local ok=0

	! have "$PG_CONFIG" || ! wants_pgtap ||
		[ -e "$("$PG_CONFIG" --sharedir)/extension/pgtap.control" ] ||
		lack "pgTAP for $("$PG_CONFIG" --version)" || ok=1
	have prove || lack "prove (Perl's test runner)" || ok=1
	perl -MIPC::Run -e 1 2>/dev/null || lack "Perl's module IPC::Run" || ok=1
	[ -n "$(find_pgbouncer)" ] || say "no PgBouncer: test/t/pooler.pl is skipped"
	return "$ok"
}

check_demo()
{
	[ -n "$(python_with psycopg2)" ] || lack "Python 3 with psycopg2"
}

check_format()
{
	[ -n "$(clang_format)" ] ||
		lack "clang-format $clang_format_major (other versions lay out differently; CLANG_FORMAT=... to insist on one)"
}

# Only its own suite needs pgTAP, which comes later than a new server.
wants_pgtap() { [[ " ${SUITE:-pgtap} " == *" pgtap "* ]]; }

check_debootstrap()
{
	have debootstrap || lack "debootstrap" || return
	have unshare || lack "unshare (util-linux)"
}

# The one on PATH, or one that provide_pgbouncer has unpacked; it has to run.
find_pgbouncer()
{
	local program

	for program in pgbouncer "$unpacked/pgbouncer/usr/sbin/pgbouncer"; do
		if "$program" --version >/dev/null 2>&1; then
			command -v "$program"
			return
		fi
	done
}

check_build()
{
	local ok=0 program

	for program in gcc "${MAKE:-make}" bison flex perl pkg-config bzip2 valgrind; do
		have "$program" || lack "$program" || ok=1
	done
	pkg-config --exists icu-i18n 2>/dev/null || lack "ICU's development files" || ok=1
	pkg-config --exists libxml-2.0 2>/dev/null || lack "libxml2's development files" || ok=1
	return "$ok"
}

check_sqlsmith()
{
	have sqlsmith || lack "sqlsmith"
}

check_archive()
{
	have git || lack "git" || return
	have unzip || lack "unzip"
}

check_autopkgtest()
{
	have autopkgtest || lack "autopkgtest"
}

check_pgxn()
{
	have pgxn || lack "pgxn, PGXN's client"
}

check_images()
{
	have buildah || lack "buildah"
}

check_plot()
{
	have gnuplot || lack "gnuplot" || return
	have perl || lack "perl"
}

check_rpm()
{
	have rpmbuild || lack "rpmbuild" || return
	have cpio || lack "cpio"
}

check_node()
{
	local ok=0

	[ "$(node -p 'parseInt(process.versions.node) >= 18' 2>/dev/null)" = true ] ||
		lack "Node.js 18 or later" || ok=1
	node_finds pg || lack "pg for Node.js (NODE_PATH says where it is)" || ok=1
	node_finds typescript || say "no TypeScript for Node.js: a test of its client is skipped"
	return "$ok"
}

# What is missing is an example that is skipped.
check_languages()
{
	have "${PYTHON:-python3}" || lack "Python 3"
}

check_rails()
{
	"${RUBY:-ruby}" -e 'require "active_record"; require "pg"; require "minitest"' 2>/dev/null ||
		lack "Ruby with Active Record, pg and minitest"
}

check_sqlalchemy()
{
	[ -n "$(python_with psycopg2 sqlalchemy)" ] || lack "Python 3 with SQLAlchemy and psycopg2"
}

# Where it looks by itself, or where provide_node_packages has unpacked it.
node_finds()
{
	NODE_PATH=$unpacked/node/usr/share/nodejs:/usr/share/nodejs:${NODE_PATH:-} node -e 'require(process.argv[1])' "$1" 2>/dev/null
}

check_django()
{
	local ok=0

	[ -n "$(python_with django psycopg2)" ] || lack "Python 3 with Django and psycopg2" || ok=1
	[ -n "$(python_with gunicorn)" ] && have chromedriver ||
		say "no gunicorn, or no Chromium with chromedriver: a test of examples/django is skipped"
	have mypy || say "no mypy: a test of the client for Django is skipped"
	[ -e "$unpacked/django" ] || say "no source of Django: its own tests are skipped"
	return "$ok"
}

check_web()
{
	[ -n "$(python_with django psycopg2 gunicorn)" ] || lack "Python 3 with Django, psycopg2 and gunicorn"
}

pg_major() { "$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'; }

# A python3 earlier on PATH may not be the one the packages are for.
python_with()
{
	local python modules

	modules=$(printf ', %s' "$@")
	for python in "${PYTHON:-python3}" /usr/bin/python3; do
		if "$python" -c "import ${modules#, }" 2>/dev/null; then
			command -v "$python"
			return
		fi
	done
}

clang_format()
{
	local program

	if [ -n "${CLANG_FORMAT:-}" ]; then
		command -v "$CLANG_FORMAT" || true
		return
	fi
	for program in "clang-format-$clang_format_major" clang-format; do
		if have "$program" &&
			"$program" --version | grep -q "version $clang_format_major\."; then
			command -v "$program"
			return
		fi
	done
}

# ---------------------------------------------------------------------------
# Debian, Ubuntu: install what is missing, and nothing else

install_missing()
{
	local major missing

	major=$(package_major)
	missing=$(missing_packages "$major" "$@")
	if [ -n "$missing" ]; then
		as_root true ||
			die "missing packages; as root: apt-get install --no-install-recommends $missing"
		say "reading the package lists"
		apt_get update
		[[ $missing != *NN* ]] || major=$(newest_major)
		missing=$(missing_packages "$major" "$@")
	fi
	# Some may turn out not to exist.
	if [ -n "$missing" ]; then
		say "installing $missing(takes a minute or two)"
		# Split into words on purpose: one package each.
		# shellcheck disable=SC2086
		install_packages "$major" $missing
	fi
	if [ -n "$major" ] && [ "$major" != NN ]; then
		: "${PG_CONFIG:=/usr/lib/postgresql/$major/bin/pg_config}"
	fi
}

# The major version whose packages are meant: NN if none is installed, nothing
# if PG_CONFIG is of a server that came from elsewhere.
package_major()
{
	local bindir newest

	if [ -n "${PG_CONFIG:-}" ]; then
		bindir=$("$PG_CONFIG" --bindir 2>/dev/null || dirname "$PG_CONFIG")
		say "$bindir" | sed -n 's,^/usr/lib/postgresql/\([0-9]*\)/bin$,\1,p'
		return
	fi
	newest=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'postgresql-*' 2>/dev/null |
		sed -n 's/^installed postgresql-\([0-9]*\)$/\1/p' | sort -n | tail -n 1) || true
	if [ "${newest:-0}" -ge "$oldest_major" ]; then
		say "$newest"
	else
		say NN
	fi
}

newest_major()
{
	apt-cache search --names-only '^postgresql-server-dev-[0-9]+$' |
		sed -n 's/^postgresql-server-dev-\([0-9]*\) .*/\1/p' | sort -n |
		awk -v oldest="$oldest_major" '$1 >= oldest { newest = $1 } END { print newest }' |
		grep . || die "apt has no PostgreSQL $oldest_major or later: the PostgreSQL project has packages of its own"
}

missing_packages()
{
	local major=$1 group package packages=() optional=()
	shift

	for group in "$@"; do
		case $group in
			server)
				packages+=(gcc libc6-dev make)
				[ -z "$major" ] ||
					packages+=("postgresql-$major" "postgresql-server-dev-$major")
				;;
			test)
				packages+=(perl libipc-run-perl)
				[ -z "$major" ] || ! wants_pgtap || packages+=("postgresql-$major-pgtap")
				;;
			demo)
				packages+=(python3 python3-psycopg2)
				;;
			debootstrap)
				packages+=(debootstrap debian-archive-keyring)
				;;
			build)
				packages+=(gcc libc6-dev make bison flex perl pkg-config bzip2 libicu-dev libxml2-dev valgrind)
				;;
			sqlsmith)
				packages+=(sqlsmith)
				;;
			archive)
				packages+=(git unzip)
				;;
			autopkgtest)
				packages+=(autopkgtest)
				;;
			rpm)
				packages+=(rpm cpio)
				;;
			pgxn)
				packages+=(pgxnclient)
				;;
			images)
				packages+=(buildah)
				;;
			plot)
				packages+=(gnuplot-nox perl)
				;;
			node)
				packages+=(nodejs)
				;;
			django)
				packages+=(python3 python3-django python3-psycopg2 python3-gunicorn mypy)
				# Ubuntu's are no packages, but snaps.
				! is_debian || packages+=(chromium chromium-driver)
				;;
			web)
				packages+=(python3 python3-django python3-psycopg2 python3-gunicorn)
				;;
			languages)
				packages+=(python3 python3-psycopg2 libpq-dev)
				optional+=(python3-psycopg python3-asyncpg python3-sqlalchemy ruby ruby-pg ruby-activerecord
					libdbd-pg-perl php-cli php-pgsql golang-go golang-github-jackc-pgx-v4-dev
					golang-github-lib-pq-dev default-jdk-headless libpostgresql-jdbc-java)
				;;
			rails)
				packages+=(ruby ruby-activerecord ruby-pg ruby-minitest)
				;;
			sqlalchemy)
				packages+=(python3 python3-sqlalchemy python3-psycopg2 python3-asyncpg python3-greenlet mypy)
				;;
			format)
				[ -n "$(clang_format)" ] || packages+=("clang-format-$clang_format_major")
				;;
		esac
	done
	for package in ${packages[@]+"${packages[@]}"}; do
		installed_version "$package" >/dev/null || printf '%s ' "$package"
	done
	for package in ${optional[@]+"${optional[@]}"}; do
		installed_version "$package" >/dev/null || ! may_be_had "$package" || printf '%s ' "$package"
	done
}

# Known to apt, or there are no lists yet.
may_be_had()
{
	apt-cache show "$1" >/dev/null 2>&1 || [ -z "$(apt-cache search --names-only '^python3-psycopg2$')" ]
}

is_debian() { grep -qx 'ID=debian' /etc/os-release 2>/dev/null; }

installed_version()
{
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
		sed -n 's/^installed //p' | grep -m 1 .
}

# An installed server is not ours to upgrade: its packages stay at their
# version, and its development files are chosen to match.  Nor are clusters
# ours to create: a server package that is new here makes none.
install_packages()
(
	major=$1
	shift
	scratch=$(mktemp -d)
	settings=/etc/postgresql-common/createcluster.d
	no_cluster=$settings/zz-racefree.conf
	made=
	[ -d "$settings" ] || made=$settings
	trap 'rm -rf "$scratch"; as_root rm -f "$no_cluster"; [ -z "$made" ] || as_root rmdir "$made"' EXIT

	keep_versions "$major" >"$scratch/preferences"
	as_root mkdir -p "$settings"
	say "create_main_cluster = false" | as_root tee "$no_cluster" >/dev/null
	if ! apt_get -o Dir::Etc::Preferences="$scratch/preferences" \
		install --no-install-recommends "$@" >"$scratch/log" 2>&1; then
		cat "$scratch/log" >&2
		die "apt-get could not install $*"
	fi
)

# The package starts a service, now and whenever the machine does: so it is
# unpacked in the checkout instead, and only the libraries that it depends on
# are installed.  Whatever goes wrong, the tests run without it.
provide_pgbouncer()
{
	local scratch

	[ -z "$(find_pgbouncer)" ] || return 0
	say "unpacking PgBouncer"
	scratch=$(mktemp -d)
	unpack_pgbouncer "$scratch" >"$scratch/log" 2>&1 || cat "$scratch/log"
	rm -rf "$scratch"
}

unpack_pgbouncer()
(
	cd "$1" && download pgbouncer || return
	libraries=$(dpkg-deb -f pgbouncer_*.deb Depends | tr ',' '\n' |
		sed -n 's/^ *\(lib[^ |]*\).*/\1/p' |
		while read -r package; do
			installed_version "$package" >/dev/null || say "$package"
		done)
	if [ -n "$libraries" ]; then
		# Split into words on purpose: one package each.
		# shellcheck disable=SC2086
		install_packages "" $libraries || return
	fi
	rm -rf "$unpacked/pgbouncer"
	mkdir -p "$unpacked/pgbouncer" &&
		dpkg-deb -x pgbouncer_*.deb "$unpacked/pgbouncer" &&
		# Under sudo, the checkout is not root's.
		chown -R "$(find "${unpacked%/*}" -maxdepth 0 -printf '%U')" "$unpacked"
)

# Debian's packages of pg want Debian's own Node.js, and a driver in C besides:
# so they are unpacked, beside whatever Node.js there is.
provide_node_packages()
{
	local scratch

	! node_finds pg || ! node_finds typescript || return 0
	say "unpacking pg and TypeScript for Node.js"
	scratch=$(mktemp -d)
	unpack_node_packages "$scratch" >"$scratch/log" 2>&1 || cat "$scratch/log"
	rm -rf "$scratch"
}

unpack_node_packages()
(
	cd "$1" && download node-pg node-typescript || return
	# Split into words on purpose: one package each.
	# shellcheck disable=SC2046
	download $(dpkg-deb -f node-pg_*.deb Depends | tr ',' '\n' |
		sed -n 's/^ *\(node-[^ |]*\).*/\1/p' | grep -vx node-libpq) || return
	rm -rf "$unpacked/node"
	mkdir -p "$unpacked/node"
	for package in *.deb; do
		dpkg-deb -x "$package" "$unpacked/node" || return
	done
	# Under sudo, the checkout is not root's.
	chown -R "$(find "${unpacked%/*}" -maxdepth 0 -printf '%U')" "$unpacked"
)

# Debian has no packages of these.  Whatever goes wrong, the tests run without
# them.
provide_npm_packages()
{
	local wanted=${unpacked%/*}/clients/languages/test/package.json scratch

	! cmp -s "$wanted" "$unpacked/npm/package.json" || return 0
	if ! npm view pg version --fetch-retries=0 --fetch-timeout=10000 >/dev/null 2>&1; then
		say "no npm, or it does not reach its registry: examples in JavaScript are skipped"
		return 0
	fi
	say "installing drivers for Node.js with npm (takes half a minute)"
	scratch=$(mktemp -d)
	install_npm_packages "$wanted" >"$scratch/log" 2>&1 || tail -n 20 "$scratch/log"
	rm -rf "$scratch"
}

# What is there is whole.
install_npm_packages()
(
	rm -rf "$unpacked/npm" "$unpacked/npm.new"
	mkdir -p "$unpacked/npm.new" && cp "$1" "$unpacked/npm.new/" && cd "$unpacked/npm.new" || return
	npm install --ignore-scripts --no-package-lock --no-audit --no-fund --no-update-notifier &&
		mv "$unpacked/npm.new" "$unpacked/npm" &&
		# Under sudo, the checkout is not root's.
		chown -R "$(find "${unpacked%/*}" -maxdepth 0 -printf '%U')" "$unpacked"
)

# Django's tests are in its source package only.  Whatever goes wrong, the
# client's own tests run without them.
provide_django_source()
{
	local scratch

	[ ! -e "$unpacked/django" ] || return 0
	say "unpacking the source of Django"
	scratch=$(mktemp -d)
	unpack_django_source "$scratch" >"$scratch/log" 2>&1 || tail -n 5 "$scratch/log"
	rm -rf "$scratch"
}

# The machine may have no lists of source packages, and gets none: they are read
# from where the binary package comes from.
unpack_django_source()
(
	cd "$1" || return
	mkdir -p lists/partial new
	apt-cache policy python3-django |
		sed -nE 's,^ +[0-9]+ ([a-z]+://[^ ]+) ([^/ ]+)/([^ ]+) [^ ]+ Packages$,deb-src \1 \2 \3,p' |
		sort -u >sources.list
	options=(-o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD" -o APT::Sandbox::User=root)
	apt-get -q "${options[@]}" update &&
		apt-get -q "${options[@]}" source --download-only --tar-only python-django &&
		tar -xf python-django_*.orig.tar.* --strip-components=1 -C new || return
	mkdir -p "$unpacked" && mv new "$unpacked/django" &&
		# Under sudo, the checkout is not root's.
		chown -R "$(find "${unpacked%/*}" -maxdepth 0 -printf '%U')" "$unpacked"
)

# What the package lists say may be old, or there may be none yet.
download()
{
	local get=(apt-get -qq -o APT::Sandbox::User=root download "$@")

	"${get[@]}" || { as_root true && apt_get update && "${get[@]}"; }
}

# The machine's apt preferences, and ours.
keep_versions()
{
	local major=$1 state package version

	cat /etc/apt/preferences 2>/dev/null || true
	dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' 'postgresql-*' 2>/dev/null |
		while read -r state package version; do
			[ "$state" != installed ] || pin "$package" "$version"
		done || true
	if version=$(installed_version "postgresql-$major"); then
		pin "postgresql-server-dev-$major" "$version"
	fi
	if version=$(installed_version libpq5); then
		pin libpq-dev "$version"
	fi
}

pin() { printf '\nPackage: %s\nPin: version %s\nPin-Priority: 1001\n' "$1" "$2"; }

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Waits for another apt to finish, asks nothing, restarts no service.
apt_get()
{
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}
