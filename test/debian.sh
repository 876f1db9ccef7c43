# shellcheck shell=bash
# debian.sh - what Debian has of each major version of PostgreSQL
#
# To be sourced after sandbox.sh.

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

# ---------------------------------------------------------------------------
# Systems of their own, in a folder; ARCH is their architecture, if another

# Make the system of a suite, once.
make_system()
{
	local suite=$1 root=$2 base=$1 mirror file

	[ ! -e "$root/.complete" ] || return 0
	mirror=$(debian_mirror) || return
	rm -rf --one-file-system "$root"
	# What is in experimental goes on top of sid.
	[ "$suite" != experimental ] || base=sid
	say "making a Debian system ($base): two minutes"
	debootstrap --variant=minbase --include=ca-certificates,make ${ARCH:+--arch="$ARCH"} \
		"$base" "$root" "$mirror" >"$root.log" 2>&1 || return
	if [ "$suite" = experimental ]; then
		printf 'deb %s experimental main\n' "$mirror" >>"$root/etc/apt/sources.list"
		prefer_server >"$root/etc/apt/preferences.d/racefree"
	fi
	# Proxies and the like, but none of the hooks that name programs.  By other
	# names: a package that brings such a file would ask which one to keep.
	for file in /etc/apt/apt.conf.d/*; do
		! grep -q '^Acquire::' "$file" || cp "$file" "$root/etc/apt/apt.conf.d/racefree-${file##*/}"
	done
	# Servers come without a cluster.
	mkdir -p "$root/etc/postgresql-common/createcluster.d"
	echo "create_main_cluster = false" >"$root/etc/postgresql-common/createcluster.d/zz-racefree.conf"
	touch "$root/.complete"
}

# Of experimental, apt takes the server and what is packaged for all servers.
# All else there need not fit together: a new Perl comes long before the modules
# that are built for it.
prefer_server()
{
	local major

	for major in common "${!debian[@]}"; do
		[ "${debian[$major]:-experimental}" != experimental ] ||
			printf 'Package: src:postgresql-%s\nPin: release a=experimental\nPin-Priority: 990\n\n' "$major"
	done
}

install_server()
{
	local major=$1 root=$2

	{
		in_system "$root" apt-get -qq update &&
			in_system "$root" apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends \
				install "postgresql-$major" "postgresql-server-dev-$major"
	} >"$root.log" 2>&1
}

# The checkout's files, as /racefree in the system.
give_checkout()
{
	local root=$1

	rm -rf "$root/racefree"
	mkdir "$root/racefree" &&
		(list_checkout | tar -C "$checkout" --null -T - -cf -) | tar -C "$root/racefree" -xf -
}

# Run a command in the system.
in_system()
{
	local root=$1
	shift

	with_mounts "$root" chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM=dumb \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

# Run a command outside of it while the system has what it needs: mounts and
# processes of their own, which are gone when the command is.
with_mounts()
{
	local root=$1
	shift

	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child bash -c '
		set -e
		root=$1
		shift
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
		exec "$@"
	' bash "$root" "$@"
}
