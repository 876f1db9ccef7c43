# Copyright (c) 2026, the racefree developers

# A primary dies under load, its standby is promoted, and the clients ask
# there again for what was not answered.  With synchronous replication, each
# transfer that was answered is there, once.  Without, what the standby had not
# received is lost together with its request id: whoever asks again for all of
# his requests has each of them booked once, too.
#
# RACEFREE_CLIENTS (8) sets the size.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = $ENV{RACEFREE_CLIENTS} || 8;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

# More than a client gets done before the primary dies.
my $calls = 20_000;

# So many calls more, when the standby is promoted.
my $calls_after = 20;

sub start_pair
{
	my ($name) = @_;
	my $primary = PostgreSQL::Test::Cluster->new("${name}_primary");
	my $standby = PostgreSQL::Test::Cluster->new("${name}_standby");

	$primary->init(allows_streaming => 1);
	$primary->append_conf(
		'postgresql.conf', qq(
max_connections = @{[ 2 * $clients + 20 ]}
log_statement = none
deadlock_timeout = 20ms
));
	$primary->start;
	$primary->safe_psql(
		'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE test (id serial, str varchar(100));
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) AS i;
SELECT create_journal('journal', NULL::account, request_id_type => 'text');
));
	$primary->backup('base');
	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->start;
	return ($primary, $standby);
}

# ---------------------------------------------------------------------------
# Clients: a psql each, with a file of calls, which says what the answers were.

# The same call each time that it is asked for.  The first client and the last
# ask for the same.
sub call
{
	my ($client, $n) = @_;
	my $name = $client % ($clients - 1) . " $n";
	my ($from, $to) = (1 + $n % 10, 1 + ($n + 1) % 10);
	my $options = "journal => 'journal', min_balance => '-Infinity'";

	return qq(SELECT created AS replayed, (object).id AS entry FROM get_or_create(NULL::test, '{"str": "key $n"}'))
	  if $n % 4 == 1;
	return "SELECT string_agg(DISTINCT status, ' ') <> 'ok' AS replayed, string_agg(entry_id::text, ',' ORDER BY ordinality) AS entry"
	  . " FROM transfer_many(NULL::account, '{1,$from}'::int[], '{2,1}'::int[], '{1,1}', '{$name a,$name b}', $options)"
	  if $n % 4 == 2 && $from != 1;
	return "SELECT replayed, entry->>'id' AS entry FROM transfer(NULL::account, $from, $to, 0.25, request_id => '$name', $options)";
}

sub start_client
{
	my ($node, $client, $first, $last) = @_;
	my $file = $node->basedir . "/client-$client-$first.sql";
	my $answers = '';

	append_to_file($file,
		join('', map { call($client, $_) . " \\gset\n\\echo answer $_ :replayed :entry\n" } $first .. $last));
	return {
		answers => \$answers,
		run => IPC::Run::start(
			[
				'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d',
				$node->connstr('postgres')
			],
			'>', \$answers, '2>', \my $err, IPC::Run::timeout($timeout))
	};
}

# What each call was answered, in order.
sub finish_client
{
	my ($client) = @_;

	$client->{run}->finish;
	return map { /^answer \d+ (\w+ \S+)$/ ? $1 : "no answer: $_" }
	  split /\n/, ${ $client->{answers} };
}

# ---------------------------------------------------------------------------
# Until the primary dies

sub load_until
{
	my ($primary, $well_under_way) = @_;
	my @running = map { start_client($primary, $_, 1, $calls) } 0 .. $clients - 1;

	$well_under_way->();
	$primary->stop('immediate');
	return map { [ finish_client($_) ] } @running;
}

# Then each client asks again from the first of $firsts on.
sub go_on
{
	my ($standby, $firsts, $lasts) = @_;
	my @running =
	  map { start_client($standby, $_, $firsts->[$_], $lasts->[$_]) } 0 .. $clients - 1;

	return map { [ finish_client($_) ] } @running;
}

sub entries
{
	my ($node) = @_;
	return map { $_ => 1 } split /\n/,
	  $node->safe_psql('postgres', 'SELECT id FROM journal');
}

sub is_transfer { return $_[0] % 4 != 1 }

sub adds_up
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $when, $lasts) = @_;
	my (%requests, %keys);

	for my $client (0 .. $clients - 1)
	{
		for my $n (1 .. $lasts->[$client])
		{
			my $call = call($client, $n);

			$requests{$_}++ for $call =~ /request_id => '(\d+ \d+)'/, $call =~ /\{(\d+ \d+ a),(\d+ \d+ b)\}/;
			$keys{$1}++ if $call =~ /"(key \d+)"/;
		}
	}
	is( $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT request_id) FROM journal"),
		join('|', scalar(keys %requests), scalar(keys %requests)),
		"$when: every request is booked, and none twice");
	is( $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT str) FROM test"),
		join('|', scalar(keys %keys), scalar(keys %keys)),
		"$when: every row is there, and none twice");
	is($node->safe_psql('postgres', 'SELECT sum(balance) FROM account'),
		'1000.00', "$when: no money is lost or made");
	is( $node->safe_psql(
			'postgres',
			"SELECT * FROM verify_journal('journal', NULL::account, opening => 100)"),
		'',
		"$when: the journal explains every balance");
	is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
		0, "$when: no key lock is left");
	return;
}

# ---------------------------------------------------------------------------
# Synchronous: a call returns when the standby has it, and not before.

my ($primary, $standby) = start_pair('synchronous');
$primary->append_conf(
	'postgresql.conf', qq(
synchronous_standby_names = '@{[ $standby->name ]}'
synchronous_commit = remote_apply
));
$primary->reload;
$primary->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication")
  or die 'the standby is not synchronous';

my $late = 0;
for my $n (1 .. 20)
{
	my $id = $primary->safe_psql('postgres',
		qq(SELECT (object).id FROM get_or_create(NULL::test, '{"str": "applied $n"}')));
	my $there = $standby->safe_psql('postgres',
		qq(SELECT (object).id FROM get_or_create(NULL::test, '{"str": "applied $n"}')));
	$late++ if $id ne $there;
}
is($late, 0, 'a row that was created is found on the standby at once');
$primary->safe_psql('postgres', "DELETE FROM test WHERE str LIKE 'applied%'");

my $ask = qq(SELECT replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => 'waits'));
$standby->stop;
my (@waiting, @said);
for my $event ('SyncRep', 'advisory')
{
	push @waiting, IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', $ask ],
		'>', \my $answer, '2>', \my $err, IPC::Run::timeout($timeout));
	push @said, \$answer;
	$primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = '$event'")
	  or die "the call does not wait for $event";
}
is($primary->safe_psql('postgres', "SELECT count(*) FROM journal WHERE request_id = 'waits'"),
	0, 'nobody sees an entry that the standby does not have');
$standby->start;
$_->finish for @waiting;
is(join('', map { $$_ } @said), "f\nt\n",
	'nor does another call of the request: it waits and is a replay');
is( $standby->safe_psql('postgres',
		"SELECT amount FROM balance_at('journal', 1, 'infinity') AS amount;
		 SELECT count(*) FROM verify_journal('journal', NULL::account, opening => 100); $ask"),
	"99.00\n0\nt", 'the standby has the entry');
# As it was.
$primary->safe_psql('postgres', 'ALTER TABLE journal DISABLE TRIGGER USER; DELETE FROM journal;
	ALTER TABLE journal ENABLE TRIGGER USER; UPDATE account SET balance = 100');

my $many = 30 * $clients;
my @answers = load_until($primary, sub {
	$primary->poll_query_until('postgres', "SELECT count(*) > $many FROM journal")
	  or die 'the load does not get going';
});
$standby->promote;

my %there = entries($standby);
my (@lost, @wrong);
my $answered = 0;
for my $client (0 .. $clients - 1)
{
	my $n = 0;
	for my $answer (@{ $answers[$client] })
	{
		my ($replayed, $ids) = split / /, $answer;

		$n++;
		$answered++;
		push @lost, "$client $n: $answer"
		  if is_transfer($n) && grep { !$there{$_} } split /,/, $ids;
	}
}
cmp_ok($answered, '>', $many / 2, 'synchronous: many calls were answered');
is(join("\n", @lost), '', 'synchronous: what was answered is on the standby');

# From the first that was not answered on; and then all of it.
my @last = map { @{ $answers[$_] } + $calls_after } 0 .. $clients - 1;
my @more = go_on($standby, [ map { 1 + @{ $answers[$_] } } 0 .. $clients - 1 ], \@last);
adds_up($standby, 'synchronous', \@last);
my @again = go_on($standby, [ (1) x $clients ], \@last);
for my $client (0 .. $clients - 1)
{
	my @first = (@{ $answers[$client] }, @{ $more[$client] });

	for my $n (1 .. $last[$client])
	{
		my ($then, $now) = ($first[ $n - 1 ] // 'nothing', $again[$client][ $n - 1 ] // 'nothing');

		$then =~ s/^\w+/is_transfer($n) ? 't' : 'f'/e;
		push @wrong, "$client $n: $now, not $then" if $then ne $now;
	}
}
is(join("\n", @wrong), '',
	'synchronous: every call, asked for again, has the answer that it had');
adds_up($standby, 'synchronous, all asked for again', \@last);
$standby->stop;

# ---------------------------------------------------------------------------
# Asynchronous: what the standby has not received is lost.

($primary, $standby) = start_pair('asynchronous');
@answers = load_until($primary, sub {
	$primary->poll_query_until('postgres', "SELECT count(*) > $many FROM journal")
	  or die 'the load does not get going';
	# The standby hears no more.
	$standby->append_conf('postgresql.conf', "primary_conninfo = ''");
	$standby->reload;
	$primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_replication')
	  or die 'the standby goes on';
	my $now = $primary->safe_psql('postgres', 'SELECT count(*) FROM journal');
	$primary->poll_query_until('postgres', "SELECT count(*) > $now + $many FROM journal")
	  or die 'the load does not go on';
});
$standby->promote;

%there = entries($standby);
@lost = @wrong = ();
is( $standby->safe_psql('postgres',
		"SELECT count(*) FROM verify_journal('journal', NULL::account, opening => 100)"),
	0, 'asynchronous: what the standby has adds up');
@last = map { @{ $answers[$_] } + $calls_after } 0 .. $clients - 1;
@again = go_on($standby, [ (1) x $clients ], \@last);
for my $client (0 .. $clients - 1)
{
	for my $n (grep { is_transfer($_) } 1 .. @{ $answers[$client] })
	{
		my (undef, $then) = split / /, $answers[$client][ $n - 1 ];
		my ($replayed, $now) = split / /, $again[$client][ $n - 1 ] // 'nothing';
		my $has = !grep { !$there{$_} } split /,/, $then;

		push @lost, $n if !$has;
		push @wrong, "$client $n: $replayed $now, not $then"
		  if $has && ($replayed ne 't' || $now ne $then);
	}
}
cmp_ok(scalar @lost, '>', 0, 'asynchronous: calls that were answered are lost');
is(join("\n", @wrong), '',
	'asynchronous: what the standby has is replayed as it was answered');
adds_up($standby, 'asynchronous, all asked for again', \@last);
$standby->stop;

done_testing();
