# shellcheck shell=bash
# server.sh - where the demo's server is, for run and psql

# shellcheck source=test/sandbox.sh
. "${BASH_SOURCE[0]%/*}/../../test/sandbox.sh"

demo=${TMPDIR:-/tmp}/racefree-demo-$(id -u)

# The last demo's folder, and its server if a psql still uses it.
remove_demo()
{
	if sandbox_exists "$demo"; then
		(sandbox_reopen "$demo" && sandbox_close)
	fi
	rm -rf "$demo"
}
