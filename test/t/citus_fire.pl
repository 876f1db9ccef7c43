# Copyright (c) 2026, the racefree developers

# Tables that Citus manages, under fire.  Clients on three nodes move money and
# repeat each other's requests until they are answered, while
#
#	- lines between nodes are cut, so that a COMMIT or COMMIT PREPARED, or the
#	  answer to it, gets lost (CitusProxy.pm);
#	- a node is killed at once (kill -9);
#	- shards are moved.
#
# When Citus has recovered what it had prepared, each request is booked once, no
# money is lost or made, and verify_journal finds nothing.  And 16 clients ask
# for the same keys at the same moment: one row each.
#
# Needs Citus among the server's extensions.  RACEFREE_CRASHES (3), RACEFREE_CALLS
# (60, of requests or keys) and RACEFREE_CLIENTS (12) set the size; SOAK=1 makes it
# ten times as long.  RACEFREE_SEED repeats the requests, but not the moments.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib $FindBin::RealBin;
use Citus qw(start_citus start_psql);
use CitusProxy;
use Server qw(kill_server wait_for_server);

my $long = $ENV{SOAK} ? 10 : 1;
my $crashes = $ENV{RACEFREE_CRASHES} || ($ENV{SOAK} ? 50 : 3);
my $calls = $ENV{RACEFREE_CALLS} || 60;
my $number_of_clients = $ENV{RACEFREE_CLIENTS} || 12;
my $seed = defined $ENV{RACEFREE_SEED} ? $ENV{RACEFREE_SEED} : time ^ $$ << 8;

srand $seed;
note("RACEFREE_SEED=$seed");

my @nodes = start_citus(
	port => sub { CitusProxy::start($_[0]->port) },
	conf => q(
fsync = off
citus.recover_2pc_interval = 300ms
deadlock_timeout = 200ms
statement_timeout = 60s
log_min_error_statement = panic
));
my ($coordinator, @workers) = @nodes;

# Accounts, and how their journal is laid out.
my $opening = 100;
my $number_of_accounts = 12;
my %layouts = (
	local => {
		distribute => "'id'",
		journal => 'foreign_keys => false'
	},
	by_request => {
		distribute => "'id'",
		journal => "foreign_keys => false, distribute_by => 'request_id'"
	},
	single => { distribute => 'NULL', journal => 'foreign_keys => true' });
my @layouts = sort keys %layouts;

for my $name (@layouts)
{
	my $layout = $layouts{$name};

	$coordinator->safe_psql('postgres', $_)
	  for "CREATE TABLE $name (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL)",
	  "SELECT create_distributed_table('$name', $layout->{distribute})",
	  "INSERT INTO $name SELECT i, $opening FROM generate_series(1, $number_of_accounts) AS i",
	  "SELECT create_journal('${name}_journal', NULL::$name, request_id_type => 'text', $layout->{journal})";
}
# Keys, by the kinds of table.
my %kinds = (
	page => "create_distributed_table('page', 'k')",
	other => "create_distributed_table('other', 'd')",
	everywhere => "create_reference_table('everywhere')",
	one_node => "create_distributed_table('one_node', NULL)",
	here => "citus_add_local_table_to_metadata('here')");

for my $kind (sort keys %kinds)
{
	$coordinator->safe_psql('postgres', $_)
	  for "CREATE TABLE $kind (k integer, d integer DEFAULT 1, UNIQUE (k, d))",
	  "SELECT $kinds{$kind}";
}

# ---------------------------------------------------------------------------
# Clients: a psql each, on the nodes in turn.

# How many requests there are so far, by layout.
my %asked = map { $_ => 0 } @layouts;

# A transfer, as often as it is asked for.
sub new_transfer
{
	my ($name) = @_;
	my $id = "$name." . ++$asked{$name};
	my $from = 1 + int rand $number_of_accounts;
	my $to = 1 + ($from + int rand($number_of_accounts - 1)) % $number_of_accounts;
	my $amount = 1 + int rand 20;

	return {
		id => $id,
		sql => "SELECT CASE WHEN replayed THEN 'replayed' ELSE 'ok' END AS answer"
		  . " FROM transfer(NULL::$name, $from, $to, $amount, '-Infinity',"
		  . " journal => '${name}_journal', request_id => '$id')"
	};
}

# A row that matches a key.
sub new_key
{
	my ($kind, $key) = @_;

	return {
		id => "$kind.$key",
		sql => "SELECT CASE WHEN created THEN 'ok' ELSE 'replayed' END AS answer"
		  . qq[ FROM get_or_create(NULL::$kind, '{"k": $key, "d": 1}')]
	};
}

sub start_client
{
	my ($n, @requests) = @_;
	my $client = { out => '', err => '' };
	my $file = PostgreSQL::Test::Utils::tempdir_short() . '/client.sql';

	append_to_file($file, join '',
		map { "\\set answer error\n$_->{sql} \\gset\n\\echo told $_->{id} :answer :SQLSTATE :LAST_ERROR_MESSAGE\n" } @requests);
	$client->{run} = start_psql($nodes[ $n % @nodes ], $client, '-f', $file);
	return $client;
}

# What else may happen to a call: a line that is lost, and a node that is not there
# or stops.  A request that another node makes, too, is waited for; a unique index
# never has to refuse it.  Citus has no SQLSTATE for a line that it loses in the
# middle of an answer.
my $expected_errors = qr/\A(?:08...|57P0.|XX000 (?:server closed the connection|could not commit transaction))/;
my %errors;

# Take what a client has written so far; false if it has ended.
sub is_running
{
	my ($client) = @_;
	my $run = $client->{run};

	return eval { $run->pump_nb; 1 } && $run->pumpable;
}

# Each request from several clients, and again until it is answered.  While they
# ask for the first time, call the function.
sub ask
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($when, $fire, $copies, @requests) = @_;
	my (%ok, %left, @odd);
	my $attempts = 0;

	$left{ $_->{id} } = $_ for @requests;
	while (%left && $attempts++ < 50)
	{
		my @lists = map { [] } 1 .. $number_of_clients;
		my $n = 0;

		for my $request (grep { $left{ $_->{id} } } @requests)
		{
			push @{ $lists[ ($n + $_) % @lists ] }, $request for 0 .. $copies - 1;
			$n++;
		}
		my @clients = map { start_client($_, @{ $lists[$_] }) } 0 .. $#lists;

		$fire->(\@clients) if $attempts == 1;
		$_->{run}->finish for @clients;
		# A message can have several lines.
		for my $line (map { split /^(?=told )/m, $_->{out} } @clients)
		{
			my ($id, $answer, $state, $message) = $line =~ /\Atold (\S+) (\S+) (\w*)(.*)/;

			if (!defined $state)
			{
				push @odd, $line;
			}
			elsif ($answer eq 'error')
			{
				# Without an SQLSTATE, it is psql that has lost its line.
				$errors{$state}++ if $state ne '';
				push @odd, $line if $state ne '' && "$state$message" !~ $expected_errors;
			}
			else
			{
				$ok{$id}++ if $answer eq 'ok';
				delete $left{$id};
			}
		}
		push @odd, map { grep { /PANIC|TRAP/ } split /\n/, $_->{err} } @clients;
		usleep(200_000) if %left;
	}
	is(join(' ', sort keys %left), '', "$when: all that was asked for was answered");
	is(join("\n", @odd), '', "$when: and no error but what may happen");
	is(join(' ', grep { $ok{$_} > 1 } sort keys %ok), '', "$when: and no two were told to be the first");
	return;
}

# ---------------------------------------------------------------------------
# What is true when nothing runs.

# Let Citus end what it has prepared.
sub recover
{
	my ($when) = @_;
	my $patience = 10 * $PostgreSQL::Test::Utils::timeout_default;
	my $left;

	do
	{
		# A node must forget a line that is lost before it can recover.
		$_->psql('postgres', 'SELECT recover_prepared_transactions()') for @nodes;
		$left = 0;
		$left += $_->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts') for @nodes;
		usleep(100_000) if $left;
	} while ($left && $patience--);
	is($left, 0, "$when: nothing that was prepared is left");
	return;
}

sub all_is_well
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($when) = @_;

	recover($when);
	for my $name (@layouts)
	{
		is( $coordinator->safe_psql('postgres', "SELECT sum(balance) FROM $name"),
			sprintf('%.2f', $opening * $number_of_accounts), "$when: $name: no money is lost or made");
		is( $coordinator->safe_psql(
				'postgres', "SELECT count(*), count(DISTINCT request_id) FROM ${name}_journal"),
			"$asked{$name}|$asked{$name}", "$when: $name: each request is booked once");
		is( $_->safe_psql('postgres', "SELECT * FROM verify_journal('${name}_journal', NULL::$name, opening => $opening)"),
			'', "$when: $name: the journal explains every balance, asked on " . $_->name) for $coordinator, $workers[0];
	}
	is(join(' ', map { $_->safe_psql('postgres', 'SELECT count(*) FROM racefree_locks') } @nodes),
		'0 0 0', "$when: no key lock is left");
	return;
}

# ---------------------------------------------------------------------------
# Lines between nodes are cut.

my @requests = map { new_transfer($_) } (@layouts) x ($calls * $long);

CitusProxy::cut(0.2);
ask('lines cut', sub { }, 2, @requests);
CitusProxy::cut(0);
my %cuts = CitusProxy::cuts();
note(join ', ', map { "$_: $cuts{$_}" } sort keys %cuts);
for my $when ('before', 'after')
{
	cmp_ok($cuts{"$when $_"} // 0, '>', 0, "lines cut: $when $_") for 'COMMIT', 'COMMIT PREPARED';
}
all_is_well('lines cut');

# ---------------------------------------------------------------------------
# Nodes are killed.

for my $crash (1 .. $crashes)
{
	my $victim = $nodes[ $crash % @nodes ];
	my $when = "crash $crash, " . $victim->name;
	my $before = join '+', map { "(SELECT count(*) FROM ${_}_journal)" } @layouts;
	my $number = $coordinator->safe_psql('postgres', "SELECT $before");

	ask( $when,
		sub {
			my ($clients) = @_;

			$coordinator->poll_query_until('postgres', "SELECT $before > $number + 5")
			  or die 'the load does not get going';
			usleep(rand 200_000);
			cmp_ok(kill_server($victim), '>', 5, "$when: it was there");
			usleep(rand 200_000);
			$victim->start;
		},
		2,
		map { new_transfer($_) } (@layouts) x $calls);
	wait_for_server($victim);
	all_is_well($when);
}

# ---------------------------------------------------------------------------
# Shards are moved.

# Move a shard of the accounts, and with it those beside it, to the other worker.
sub move_shard
{
	$coordinator->safe_psql('postgres', q(
SELECT citus_move_shard_placement(shardid, s.nodename, s.nodeport, n.nodename, n.nodeport,
	shard_transfer_mode => 'block_writes')
FROM (SELECT * FROM citus_shards WHERE table_name = 'local'::regclass ORDER BY random() LIMIT 1) AS s
JOIN pg_dist_node AS n ON n.groupid > 0 AND n.nodeport <> s.nodeport));
	return;
}

my $moves = 0;
%errors = ();
ask( 'shards moved',
	sub {
		my ($clients) = @_;

		while (grep { is_running($_) } @$clients)
		{
			move_shard();
			$moves++;
		}
	},
	3,
	map { (new_transfer('local'), new_transfer('by_request'), new_key('page', $_)) } 1 .. 3 * $calls * $long);
note("moves: $moves, errors: ", join ', ', map { "$_: $errors{$_}" } sort keys %errors);
cmp_ok($moves, '>', 0, 'shards moved: some');
all_is_well('shards moved');
is( $coordinator->safe_psql('postgres', 'SELECT count(*), count(DISTINCT k) FROM page'),
	join('|', (3 * $calls * $long) x 2), 'shards moved: one row for each key');

# ---------------------------------------------------------------------------
# 16 clients ask for the same keys at the same moment.

$number_of_clients = 16;
for my $kind (sort keys %kinds)
{
	my @keys = map { $_ + 1_000_000 } 1 .. $calls * $long;

	ask("16 clients, $kind", sub { }, 16, map { new_key($kind, $_) } @keys);
	is( $coordinator->safe_psql('postgres', "SELECT count(*), count(DISTINCT k) FROM $kind WHERE k > 1000000"),
		join('|', (scalar @keys) x 2), "16 clients, $kind: one row for each key");
}
is(join("\n", map { grep { /PANIC:|TRAP:/ } split /\n/, slurp_file($_->logfile) } @nodes),
	'', 'the servers log nothing worse than what was done to them');

done_testing();
