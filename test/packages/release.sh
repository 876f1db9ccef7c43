# shellcheck shell=bash
# release.sh - what the goals for packages share
#
# To be sourced after test/sandbox.sh.  What they make goes to dist/ in the
# checkout.

dist=$checkout/dist

# The version of a release, X.Y.Z.
release_version()
{
	sed -n 's/^  "version": "\([0-9.]*\)",$/\1/p' "$checkout/META.json" | grep .
}

release_archive() { say "$dist/racefree-$(release_version).zip"; }

# Make the archive: of the last commit, without what .gitattributes leaves out.
make_archive()
{
	local git=(git -c safe.directory="$checkout" -C "$checkout") archive version

	version=$(release_version)
	archive=$(release_archive)
	"${git[@]}" rev-parse --verify --quiet HEAD >/dev/null ||
		die "the archive is made of a commit, and this is no checkout of git"
	[ -z "$("${git[@]}" status --porcelain)" ] ||
		say "there are changes that are not committed: the archive is without them"
	check_released "${git[@]}"
	mkdir -p "$dist"
	rm -f "$archive"
	"${git[@]}" archive --format zip --prefix "racefree-$version/" -o "$archive" HEAD
	give_away "$archive"
	say "made: ${archive#"$checkout"/}"
}

# A released script is never edited: who has that version could not be updated.
check_released()
{
	local tag scripts

	for tag in $("$@" tag --list 'v*'); do
		mapfile -t scripts < <("$@" ls-tree --name-only "$tag" | grep '^racefree--')
		"$@" diff --exit-code --stat "$tag" HEAD -- "${scripts[@]}" ||
			die "a script that was released with $tag has changed"
	done
}

# Under sudo, the checkout is not root's.
give_away()
{
	chown "$(find "$checkout" -maxdepth 0 -printf '%U')" "$dist" "$@"
}

# Unpack it in a folder, as racefree-X.Y.Z.
unpack_archive()
{
	unzip -q "$(release_archive)" -d "$1"
}

# ---------------------------------------------------------------------------
# A server of its own, with what was installed there from a package

# Run the suites on it, as the files in a folder of the sandbox have them.
test_installed()
{
	local files=$1 suite status=0
	shift

	sandbox_start max_prepared_transactions=10
	cd "$files" || return
	for suite in "$@"; do
		case $suite in
			regress) installcheck ISOLATION= TAP_TESTS= ;;
			isolation) installcheck REGRESS= TAP_TESTS= ;;
			tap) installcheck REGRESS= ISOLATION= ;;
			*) die "no suite $suite: there are regress isolation tap" ;;
		esac || status=1
	done
	cd "$sandbox" || return
	sandbox_stop
	[ "$status" -eq 0 ] || die "the tests failed"
}

installcheck()
{
	inside "${MAKE:-make}" -s --no-print-directory PG_CONFIG="$sandbox/bin/pg_config" "$@" installcheck
}
