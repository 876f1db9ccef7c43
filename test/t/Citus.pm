# What several tests do with a cluster of Citus: a coordinator and two workers.

package Citus;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT_OK = qw(start_citus on_coordinator gives refused fails start_psql at_once);

my @nodes;

# Start the nodes, with racefree, and return them; the coordinator is the first.
# Skip the test where the server has no Citus among its extensions.  "conf" is
# appended to the configuration of each; "port" is called with a node, and
# returns the port at which others reach it.
sub start_citus
{
	my (%options) = @_;
	my $port = $options{port} || sub { $_[0]->port };

	@nodes = map { PostgreSQL::Test::Cluster->new($_) }
	  ('coordinator', 'worker_1', 'worker_2');
	my ($coordinator, @workers) = @nodes;

	$coordinator->init;
	$coordinator->start;
	my $has_citus = $coordinator->safe_psql('postgres',
		"SELECT count(*) FROM pg_available_extensions WHERE name = 'citus'");
	$coordinator->stop;
	plan skip_all => 'Citus is not among the extensions of this server'
	  unless $has_citus;

	for my $node (@nodes)
	{
		$node->init if $node != $coordinator;
		# Citus connects nodes by TCP, on this machine.
		$node->append_conf(
			'postgresql.conf', q(
listen_addresses = '127.0.0.1'
shared_preload_libraries = 'citus'
citus.node_conninfo = 'sslmode=prefer'
citus.shard_count = 8
max_prepared_transactions = 100
max_connections = 200
) . ($options{conf} // ''));
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION citus');
	}
	$coordinator->safe_psql(
		'postgres', join ';',
		"SELECT citus_set_coordinator_host('127.0.0.1', " . $coordinator->port . ')',
		(map { "SELECT citus_add_node('127.0.0.1', " . $port->($_) . ')' } @workers),
		'CREATE EXTENSION racefree');
	return @nodes;
}

# Each statement by itself, as Citus wants it.
sub on_coordinator
{
	my (@statements) = @_;

	$nodes[0]->safe_psql('postgres', $_) for @statements;
	return;
}

sub gives
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $query, $expected, $name) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $query);

	is($out . ($err // ''), $expected, $node->name . ": $name");
	return;
}

# Refused by us, not by Citus, so the message matters.
sub refused
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $query, $message, $name) = @_;

	return fails($node, $query, "0A000: .*$message", $name);
}

# The error begins with an SQLSTATE.
sub fails
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $query, $error, $name) = @_;
	my ($status, $out, $err) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\n$query");

	like($err, qr/ERROR:  $error/, $node->name . ": $name");
	return;
}

# Start psql on a node.  What it is to do is in its arguments: IPC::Run would not
# write to it before it is waited for.
sub start_psql
{
	my ($node, $result, @arguments) = @_;
	my $in = '';

	return IPC::Run::start(
		[ 'psql', '-XqAt', '-d', $node->connstr('postgres'), @arguments ],
		\$in, \$result->{out}, \$result->{err},
		IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default));
}

# Run scripts at the same time, on one node after the other; return what they
# wrote.
sub at_once
{
	my (@scripts) = @_;
	my (@runs, @results);

	for my $n (0 .. $#scripts)
	{
		my $file = PostgreSQL::Test::Utils::tempdir_short() . "/$n.sql";

		append_to_file($file, $scripts[$n]);
		push @results, { out => '', err => '' };
		push @runs, start_psql($nodes[ $n % @nodes ], $results[-1], '-f', $file);
	}
	$_->finish for @runs;
	return @results;
}

1;
