# Makefile of racefree
#
# The PostgreSQL goals (all, install, installcheck, clean, ...) are those of
# PGXS and need a server's development files.  The goals in TASKS each stand
# alone on a machine that has nothing but git and make: they install or name
# what they need, and work on a copy of the PostgreSQL tree in a temporary
# folder.  "make help" lists them.

CHECKS = check-assert check-sanitize check-valgrind check-discard check-sqlsmith
PACKAGES = dist deb rpm images
TASKS = help demo demo-web psql test matrix check-upgrade $(CHECKS) fuzz soak bench format format-check layer-check $(PACKAGES)

MODULE_big = racefree
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
PGFILEDESC = "racefree - get_or_create, update_or_create and transfer without races"

EXTENSION = racefree
DATA = $(sort $(wildcard racefree--*.sql))
DOCS = $(wildcard README.md CHANGELOG.md)
# PGXS would install these into one folder, where no link of a page to another
# one leads anywhere.
PAGES = $(wildcard CONTRIBUTING.md LICENSE doc/*.md doc/*/*.md bench/*.md \
	bench/results/*.md bench/results/*.svg clients/*/README.md examples/*.sql)

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=racefree

ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --load-extension=racefree

TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

# Sources include each other's headers by folder: "table/target.h".
PG_CPPFLAGS = -I$(srcdir)/src

# Bitcode is built by clang, which sees PG_CPPFLAGS but not PG_CFLAGS: what
# only gcc knows belongs in the latter.
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare
ifdef WERROR
PG_CFLAGS += -Werror
endif

EXTRA_CLEAN = tmp_check

.DEFAULT_GOAL = all

ifneq ($(filter-out $(TASKS),$(or $(MAKECMDGOALS),all)),)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error PostgreSQL's server development files are missing: install them \
(Debian, Ubuntu: postgresql-server-dev-NN) or name the server's pg_config, as in make PG_CONFIG=/path/to/pg_config)
endif
include $(PGXS)

# Not among the documents of all extensions.
docmoduledir := racefree

# Without DOCS, a package has documents of its own.
ifneq ($(DOCS),)
install: install-pages
uninstall: uninstall-pages
endif

pages_folder = $(DESTDIR)$(docdir)/$(docmoduledir)

install-pages: installdirs
	for page in $(PAGES); do \
		$(MKDIR_P) "$(pages_folder)/$$(dirname $$page)" && \
		$(INSTALL_DATA) "$$page" "$(pages_folder)/$$page" || exit; \
	done

uninstall-pages:
	cd "$(pages_folder)" && rm -f $(PAGES)

.PHONY: install-pages uninstall-pages

# PGXS knows nothing about our headers.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*/*.h)

endif

.PHONY: $(TASKS)

help:
	@echo 'make [PG_CONFIG=...]    build for the server that pg_config belongs to'
	@echo 'make install            install into that server'
	@echo 'make installcheck       run its test suites against that running server'
	@echo
	@echo 'On a server of their own, in a temporary folder:'
	@echo 'make demo               the scenario, with real clients'
	@echo 'make demo-web           two of them as a page of Django, to click in a browser'
	@echo 'make psql               psql on the server of the last demo'
	@echo 'make test               every test suite'
	@echo '     SUITE="regress isolation pgtap tap clients"   only these suites'
	@echo '     TESTS="args crash"                    only the files of these names'
	@echo '     SKIP_TESTS="wide"                     none of these'
	@echo '     CLIENTS="node django"                 install what these need, skip none of their tests'
	@echo '     KEEP=1                                leave the folder behind'
	@echo 'make matrix             every suite on every major version, each in a system of its own'
	@echo 'make check-upgrade      pg_upgrade from an older major version'
	@echo 'make check-assert       suites and fuzzer on a server with assertions, built for this'
	@echo '     check-sanitize     ... with address and undefined-behavior sanitizers'
	@echo '     check-valgrind     ... with assertions, run by valgrind'
	@echo '     check-discard      ... with assertions and caches that forget all the time'
	@echo '     check-sqlsmith     random queries on the server with assertions'
	@echo '     CHECK_DIR=folder                      keep the builds there'
	@echo 'make fuzz               random calls, for a minute'
	@echo '     FUZZ_SECONDS=600                      or longer'
	@echo '     FUZZ_SEED=n                           the same cases as another run'
	@echo 'make soak               everything at once, with kills and crashes, for ten minutes'
	@echo '     SOAK_SECONDS=60                       or shorter'
	@echo '     SOAK_SEED=n                           the same calls as in another run'
	@echo 'make bench              speed, side by side with other ways: tables and plots in bench/results/'
	@echo '     QUICK=1                               only to see that it works; results in tmp_check/bench/'
	@echo '     BENCH="transfer memory"               single benchmarks instead, or all: bench/README.md'
	@echo '     CLIENTS=node                          of this client'
	@echo
	@echo 'make dist               the archive of a release: dist/racefree-X.Y.Z.zip'
	@echo 'make deb                packages for Debian, built and tested in a Debian system each'
	@echo '     DEBIAN_SUITE=trixie                   of this suite'
	@echo 'make rpm                a package for rpm, tested on a server of its own'
	@echo 'make images             container images, built and tested without an engine'
	@echo '     PG_MAJOR=17                           of this major version'
	@echo
	@echo 'make format             lay out the C sources'
	@echo 'make format-check       fail where that would change something'
	@echo 'make layer-check        fail where a source includes from a storey above its own'

demo psql:
	@examples/demo/$(subst demo,run,$@)

demo-web:
	@examples/django/run

test:
	@test/run

matrix:
	@test/matrix

$(CHECKS):
	@test/check $(@:check-%=%)

check-upgrade:
	@test/upgrade

fuzz:
	@test/fuzz/run

soak:
	@test/soak/run

bench:
	@test/bench

$(PACKAGES):
	@test/packages/$@

format:
	@test/format

format-check:
	@test/format --check

layer-check:
	@test/layers
