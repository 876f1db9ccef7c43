# shellcheck shell=bash
# debian.sh - what Debian has of each major version of PostgreSQL
#
# To be sourced after deps.sh.

# The suite that has it.  There is no 16 in any.
declare -A debian=([15]=bookworm [17]=trixie [18]=sid [19]=experimental)

# Where apt on this machine gets Debian's own packages from.
debian_mirror()
{
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 'Component: main' |
		awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }' |
		grep . || die "apt does not know a source of Debian's packages"
}

# Download the source package of a major version into the folder that we are
# in.  What apt on this machine is set up for comes first; else the suite that
# has it, by lists of its own, which leave the machine's as they are.
debian_source()
{
	local major=$1 lists
	local options=()

	if [ -z "$(apt-cache showsrc "postgresql-$major" 2>/dev/null)" ]; then
		[ -n "${debian[$major]:-}" ] || die "apt has no source of PostgreSQL $major"
		lists=$PWD/apt
		mkdir -p "$lists"/{lists,cache}/partial
		printf 'deb-src [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg \
			"$(debian_mirror)" "${debian[$major]}" >"$lists/sources.list"
		options=(-o Dir::Etc::SourceList="$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null
			-o Dir::State::Lists="$lists/lists" -o Dir::Cache="$lists/cache" -o Acquire::Languages=none)
		# Its folders are not open to apt's own user.
		options+=(-o APT::Sandbox::User="$(id -un)")
		apt-get -qq "${options[@]}" update
	fi
	apt-get -qq ${options[@]+"${options[@]}"} source --download-only "postgresql-$major"
}
