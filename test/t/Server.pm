# What several tests do with their server.

package Server;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils ();
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(kill_server wait_for_server);

# Wait until the server accepts connections.  A poll by psql would die of a
# broken pipe where the server refuses psql before it has its query.
sub wait_for_server
{
	my ($node) = @_;
	my $patience = 50 * $PostgreSQL::Test::Utils::timeout_default;

	until (system('pg_isready', '-q', '-d', $node->connstr('postgres')) == 0)
	{
		die 'the server does not come back' unless $patience--;
		usleep(20_000);
	}
	return;
}

# The processes that a process has started.
sub children
{
	my ($pid) = @_;
	my @children;

	if (-e "/proc/$pid/stat")
	{
		for my $file (glob '/proc/[0-9]*/stat')
		{
			open my $stat, '<', $file or next;
			push @children, $1
			  if (<$stat> // '') =~ /\A(\d+) \(.*\) \S $pid /s;
		}
		return @children;
	}
	return map { /^\s*(\d+)\s+$pid\s*$/ ? $1 : () } `ps -A -o pid= -o ppid=`;
}

# Gone, or waiting only to be asked how it ended.
sub is_gone
{
	my ($pid) = @_;

	return 1 if !kill 0, $pid;
	return 0 unless open my $stat, '<', "/proc/$pid/stat";
	return (<$stat> // '') =~ /\) Z /;
}

# Kill all processes of a server at one moment, and return how many there were.
# One that is stopped starts no others.
sub kill_server
{
	my ($node) = @_;
	my ($postmaster) =
	  PostgreSQL::Test::Utils::slurp_file($node->data_dir . "/postmaster.pid") =~ /\A(\d+)/;

	kill 'STOP', $postmaster;
	my @pids = (children($postmaster), $postmaster);
	kill 'KILL', @pids;
	# Now it knows, too.
	$node->kill9;
	for my $pid (@pids)
	{
		my $patience = 50 * $PostgreSQL::Test::Utils::timeout_default;
		until (is_gone($pid))
		{
			die "process $pid does not go away" unless $patience--;
			usleep(20_000);
		}
	}
	# The pid can be in use still, if nobody has asked how it ended.
	unlink $node->data_dir . '/postmaster.pid',
	  $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	return scalar @pids;
}

1;
