# Copyright (c) 2026, the racefree developers

# Early lock release under fire.  32 clients, most of them with
# racefree.early_lock_release, move money and repeat each other's requests,
# while a backend is killed (kill -9), or the whole server at once.  Then the
# same with a synchronous standby, which is promoted when the primary is
# killed.  What a client was told is true after the crash:
#
#	- a transfer that was made, or replayed, is in the journal, once;
#	- a transfer that was refused, since another one had taken the money, was
#	  refused with reason: the other one is in the journal.
#
# A client with synchronous_commit = off is not promised that its own new
# transfers survive, but what it is told of others must.  On a standby it is
# promised nothing, since it waits for no standby.
#
# A kill loses only WAL that is not written yet.  So that there is some at every
# moment, writes of WAL are made slow, by a library that is preloaded into the
# server (hold_wal.c), as long as there is load.
#
# RACEFREE_CLIENTS (32) and RACEFREE_CRASHES (5) set the size, SOAK=1 makes it
# ten times as long.
# RACEFREE_SEED repeats the requests, but not the moments.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib $FindBin::RealBin;
use HoldWal;
use Server qw(kill_server wait_for_server);

my $number_of_clients = $ENV{RACEFREE_CLIENTS} || 32;
my $crashes = $ENV{RACEFREE_CRASHES} || ($ENV{SOAK} ? 50 : 5);
my $promotions = $ENV{SOAK} ? 20 : 2;
my $seed = defined $ENV{RACEFREE_SEED} ? $ENV{RACEFREE_SEED} : time ^ $$ << 8;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

# More than a client gets done in a round, if it waits for WAL.
my $calls = 400;

# Of each account.
my $opening = 100;

srand $seed;
note("RACEFREE_SEED=$seed");

# What the clients connect with, in turn.  "early" has the setting by ALTER
# ROLE.  Who does not wait for WAL is promised nothing of his own; who keeps
# his locks while he waits for it seldom takes the hot account, so that others
# get on.
my @kinds = (
	{ user => 'early' },
	{ user => 'early', options => '-c synchronous_commit=off', async => 1 },
	{ user => 'plain', options => '-c racefree.early_lock_release=on' },
	{ user => 'early' },
	{ user => 'early', options => '-c synchronous_commit=remote_write' },
	{ user => 'plain', options => '-c synchronous_commit=off', async => 1 },
	{ user => 'plain', keeps_locks => 1 },
	{
		user => 'early',
		options => '-c synchronous_commit=remote_apply',
		keeps_locks => 1
	});

# ---------------------------------------------------------------------------
# Servers

my $missing = HoldWal::missing();
note("WAL is written as fast as it goes: $missing") if $missing;

# In milliseconds: longer than all else that a call does on a busy machine.
my $delay = 12;

sub configure
{
	my ($node) = @_;

	# Without the library, a real flush is what takes time.
	$node->append_conf(
		'postgresql.conf', qq(
fsync = @{[ $missing ? 'on' : 'off' ]}
max_connections = @{[ $number_of_clients + 20 ]}
shared_buffers = 16MB
wal_keep_size = 64MB
restart_after_crash = on
log_line_prefix = '%m [%p] %e '
log_statement = none
log_min_error_statement = panic
deadlock_timeout = 100ms
statement_timeout = 60s
));
	return;
}

sub create_tables
{
	my ($node) = @_;

	$node->safe_psql(
		'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2))
	WITH (fillfactor = 50);
SELECT create_journal('journal', NULL::account, request_id_type => 'text');
CREATE ROLE plain LOGIN;
CREATE ROLE early LOGIN;
ALTER ROLE early SET racefree.early_lock_release = on;
GRANT ALL ON ALL TABLES IN SCHEMA public TO plain, early;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain, early;
));
	add_accounts($node, 1, 100);
	return;
}

sub add_accounts
{
	my ($node, $first, $last) = @_;

	$node->safe_psql('postgres',
		"INSERT INTO account SELECT i, $opening FROM generate_series($first, $last) AS i");
	return;
}

# ---------------------------------------------------------------------------
# Requests of a round.  Client by client, lists of calls; a call asks for one
# request or, by transfer_many, for several.

# What was asked for, by request id.
my %asked;
my $last_account = 100;

# Another transfer, with the first account, the hot one, so often.
sub new_request
{
	my ($name, $hot) = @_;
	my @accounts = (rand() < $hot ? 1 : 2 + int rand 49, 51 + int rand 50);

	@accounts = reverse @accounts if rand() < 0.5;
	return $asked{$name} = {
		id => $name,
		from => $accounts[0],
		to => $accounts[1],
		amount => 1 + int rand 20
	};
}

# Two that want all that an account has, so that one is refused.
sub new_rivals
{
	my ($first, $second) = @_;
	my $account = ++$last_account;

	for ([ $first, $second ], [ $second, $first ])
	{
		$asked{ $_->[0] } = {
			id => $_->[0],
			from => $account,
			to => 1 + int rand 50,
			amount => $opening,
			rival => $_->[1]
		};
	}
	return ($asked{$first}, $asked{$second});
}

# Clients go in pairs, which mostly ask for the same at the same time.
sub new_lists
{
	my ($round) = @_;
	my @lists = map { [] } 1 .. $number_of_clients;

	for my $client (grep { $_ % 2 == 0 } 0 .. $number_of_clients - 1)
	{
		my $pair = $lists[ $client + 1 ] ? [ $client, $client + 1 ] : [$client];

		my $hot = $kinds[ $client % @kinds ]{keeps_locks} ? 0.02 : 0.7;

		for my $n (0 .. $calls - 1)
		{
			my $dice = rand;
			my @names = map { "$round.$_.$n" } @$pair;
			my @requests =
				$dice < 0.5 ? (new_request($names[0], $hot)) x @$pair
			  : $dice < 0.8 && @$pair == 2 ? new_rivals(@names)
			  : map { new_request($_, $hot) } @names;

			$lists[ $pair->[$_] ][$n] = [ $requests[$_] ] for 0 .. $#$pair;
		}
	}
	# What another client asks for about now, instead, or in a batch.
	for my $client (0 .. $#lists)
	{
		for my $n (0 .. $calls - 1)
		{
			my $dice = rand;
			my $other = $lists[ rand @lists ][ $n - rand($n < 5 ? $n : 5) ][0];

			next if $dice > 0.25 || $other->{rival};
			if ($dice < 0.15)
			{
				$lists[$client][$n] = [$other];
			}
			elsif (!grep { $_->{rival} || $_ == $other } @{ $lists[$client][$n] })
			{
				push @{ $lists[$client][$n] }, $other;
			}
		}
	}
	return @lists;
}

# Only rivals are refused: a floor is no matter of others.  psql writes what
# was asked for, the answers and their entries, and the SQLSTATE.
sub call
{
	my (@requests) = @_;
	my ($from, $to, $amounts, $ids) = map {
		my $key = $_;
		join(',', map { $_->{$key} } @requests)
	} 'from', 'to', 'amount', 'id';
	my $options = "journal => 'journal'";

	# Together with others, one that fails is only reported.
	$options .= q{, min_balance => '-Infinity'} unless $requests[0]{rival};
	my $sql =
	  @requests == 1 && rand() < 0.8
	  ? "SELECT CASE WHEN replayed THEN 'replayed' ELSE 'ok' END AS answer, entry->>'id' AS entry"
	  . " FROM transfer(NULL::account, $from, $to, $amounts, request_id => '$ids', $options)"
	  : "SELECT string_agg(status, ',' ORDER BY ordinality) AS answer,"
	  . " string_agg(coalesce(entry_id, 0)::text, ',' ORDER BY ordinality) AS entry"
	  . " FROM transfer_many(NULL::account, '{$from}'::integer[], '{$to}'::integer[],"
	  . " '{$amounts}', '{$ids}', on_error => 'report', $options)";
	return "\\set answer error\n\\set entry 0\n$sql \\gset\n"
	  . "\\echo told $ids :answer :entry :SQLSTATE\n";
}

# ---------------------------------------------------------------------------
# Clients: a psql each, whose log says what it was told.

sub start_clients
{
	my ($node, $round) = @_;
	my $first_account = $last_account + 1;
	my @lists = new_lists($round);
	my @clients;

	add_accounts($node, $first_account, $last_account);
	HoldWal::hold($delay);
	for my $client (0 .. $#lists)
	{
		my $kind = $kinds[ $client % @kinds ];
		my $base = $node->basedir . "/round-$round-client-$client";

		append_to_file("$base.sql", join '', map { call(@$_) } @{ $lists[$client] });
		local $ENV{PGOPTIONS} = $kind->{options} // '';
		push @clients,
		  {
			kind => $kind,
			base => $base,
			run => IPC::Run::start(
				[
					'psql', '-XAtq', '-f', "$base.sql", '-d',
					$node->connstr('postgres') . " user=$kind->{user}"
				],
				'>', "$base.told", '2>', "$base.err",
				IPC::Run::timeout($timeout))
		  };
	}
	# Until it is well under way; and then some.
	$node->poll_query_until('postgres',
		"SELECT count(*) > 5 * $number_of_clients FROM journal WHERE request_id LIKE '$round.%'")
	  or die 'the load does not get going';
	usleep(rand 500_000);
	return @clients;
}

# What they were told: for each request, the answer, entry, and who.
my (@errors, $cut_off);

sub finish_clients
{
	my (@clients) = @_;
	my @told;

	$cut_off = 0;
	for my $client (@clients)
	{
		$client->{run}->finish;
		# 2: the connection was lost
		$cut_off++ if $client->{run}->result(0) == 2;
		push @errors, grep { /PANIC|FATAL/ || (/ERROR/ && !/insufficient funds/) }
		  split /\n/, slurp_file("$client->{base}.err");
		for my $line (split /\n/, slurp_file("$client->{base}.told"))
		{
			my ($ids, $answers, $entries, $state) =
			  $line =~ /\Atold (\S+) (\S+) (\S+) (\w*)\z/;

			if (!defined $state)
			{
				push @errors, $line;
				next;
			}
			# An error of psql's own: the connection is lost.
			next if $answers eq 'error' && $state eq '';
			$answers = 'insufficient_funds'
			  if $answers eq 'error' && $state eq 'RF001';
			my @answers = split /,/, $answers;
			my @entries = split /,/, $entries;
			push @told,
			  {
				kind => $client->{kind},
				request => $asked{$_},
				answer => shift @answers,
				entry => shift @entries
			  } for split /,/, $ids;
		}
		unlink map { "$client->{base}.$_" } 'sql', 'told', 'err';
	}
	return @told;
}

# ---------------------------------------------------------------------------
# What is true

my %count =
  map { ($_ => 0) } qw(ok replayed insufficient_funds unpromised lost);

# All that is promised so far: the row of the journal by its request id.
my %promised;

sub compare
{
	my ($node, $when, $where, $told, $on_standby) = @_;
	my %booked = map { /\A([\d.]+)\|(.*)\z/ ? ($1 => $2) : () } split /\n/,
	  $node->safe_psql('postgres',
		"SELECT request_id, id, from_id, to_id, amount::integer FROM journal WHERE $where");
	my (@lost, @wrong, %new);

	for my $answer (@$told)
	{
		my ($kind, $request, $said) = @$answer{qw(kind request answer)};
		my $rival = $request->{rival};
		my $is_promised = !$kind->{async} || $said ne 'ok' && !$on_standby;
		my $text = "$request->{id} $said";

		if ($said eq 'insufficient_funds' && $rival)
		{
			push @lost, "$text, but not $rival"
			  if $is_promised && !$booked{$rival};
			push @wrong, "$text, and booked" if $booked{ $request->{id} };
		}
		elsif ($said eq 'ok' || $said eq 'replayed')
		{
			my $row = join '|', $answer->{entry}, @$request{qw(from to amount)};
			my $is = $booked{ $request->{id} };

			push @wrong, "$text twice"
			  if $said eq 'ok' && $new{ $request->{id} }++;
			push @wrong, "$text as $row, not $is" if $is && $is ne $row;
			if ($is_promised)
			{
				push @lost, $text unless $is;
				$promised{ $request->{id} } = $row;
			}
			else
			{
				$count{unpromised}++;
				$count{lost}++ unless $is;
			}
		}
		else
		{
			push @wrong, $text;
		}
		$count{$said}++;
	}
	is(join("\n", @lost), '', "$when: what clients were told is true");
	is(join("\n", @wrong), '', "$when: and was told and booked as asked for");
	return;
}

sub holds
{
	my ($node, $when) = @_;
	my %queries = (
		'no money is lost or made' =>
		  "SELECT sum(balance) <> $opening * count(*) FROM account",
		'the journal explains every balance' =>
		  "SELECT count(*) > 0 FROM verify_journal('journal', NULL::account, opening => $opening)",
		'no key lock is left' => 'SELECT count(*) > 0 FROM racefree_locks');

	for my $name (sort keys %queries)
	{
		is($node->safe_psql('postgres', $queries{$name}), 'f', "$when: $name");
	}
	return;
}

sub all_is_well
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $round, $when, $on_standby, @clients) = @_;
	my @told = finish_clients(@clients);

	cmp_ok($cut_off, '>=', $number_of_clients / 2,
		"$when: clients were cut off");
	compare($node, $when, "request_id LIKE '$round.%'", \@told, $on_standby);
	holds($node, $when);
	return;
}

# All rounds together: later crashes have lost nothing of earlier rounds.
sub all_is_still_there
{
	my ($node, $when) = @_;
	my %booked = map { split /\|/, $_, 2 } split /\n/,
	  $node->safe_psql('postgres',
		'SELECT request_id, id, from_id, to_id, amount::integer FROM journal');

	is( join("\n", grep { ($booked{$_} // '') ne $promised{$_} } sort keys %promised),
		'', "$when: all that was promised in all rounds is there");
	note("$when: ", join ', ', map { "$_: $count{$_}" } sort keys %count);
	for my $name (qw(ok replayed insufficient_funds))
	{
		cmp_ok($count{$name}, '>', 0, "$when: clients were told $name");
	}
  SKIP:
	{
		# Those who wait for a standby that is gone can hold up all others.
		skip 'this can happen not to lose anything', 1
		  if $missing || $when ne 'crashes';
		cmp_ok($count{lost}, '>', 0,
			"$when: crashes lose what is not promised");
	}
	is(join("\n", @errors), '',
		"$when: clients lost no more than the connection");
	@errors = ();
	%promised = ();
	%count = map { ($_ => 0) } keys %count;
	return;
}

sub log_is_clean
{
	my ($node) = @_;

	is( join("\n",
			grep { /ERROR:|PANIC:|TRAP:|terminated by signal/ && !/ RF001 ERROR:|signal 9/ }
			  split /\n/,
			slurp_file($node->logfile)),
		'',
		$node->name . ': the server logs no error but the crashes');
	return;
}

# ---------------------------------------------------------------------------
# One server, which comes back

my $node = PostgreSQL::Test::Cluster->new('fire');
$node->init;
configure($node);
HoldWal::start($node);
create_tables($node);

my $first_kind = int rand 2;
my $round = 0;

while (++$round <= $crashes)
{
	my $backend = ($round + $first_kind) % 2;
	my $when = "crash $round, " . ($backend ? 'backend' : 'server');
	my @clients = start_clients($node, $round);

	if ($backend)
	{
		my $victim = $node->safe_psql(
			'postgres', q(
SELECT pid FROM pg_stat_activity WHERE usename IN ('early', 'plain')
ORDER BY random() LIMIT 1;
));

		usleep(rand 20_000);
		is(kill('KILL', $victim), 1, "$when: it was there");
		HoldWal::release();
		wait_for_server($node);
	}
	else
	{
		cmp_ok(kill_server($node), '>', $number_of_clients / 2,
			"$when: it was there");
		HoldWal::start($node);
	}
	all_is_well($node, $round, $when, 0, @clients);
}
all_is_still_there($node, 'crashes');
log_is_clean($node);
$node->stop;

# ---------------------------------------------------------------------------
# A primary that does not come back.  What its standby has is what is left.

my $primary = PostgreSQL::Test::Cluster->new('fire_0');
# A backup writes what is left of a segment, page by page: so small ones.
$primary->init(allows_streaming => 1, extra => ['--wal-segsize=1']);
configure($primary);
HoldWal::start($primary);
$last_account = 100;
%asked = ();
create_tables($primary);

for my $promotion (1 .. $promotions)
{
	my $when = "promotion $promotion";
	my $standby = PostgreSQL::Test::Cluster->new("fire_$promotion");

	$primary->backup('base');
	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	HoldWal::start($standby);
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
	$primary->reload;
	$primary->poll_query_until('postgres',
		q(SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'))
	  or die 'the standby is not synchronous';

	my @clients = start_clients($primary, $round);

	# First the line between them is cut, as it were.
	my $sender =
	  $primary->safe_psql('postgres', 'SELECT pid FROM pg_stat_replication');
	is(kill('STOP', $sender), 1, "$when: the standby was there");
	usleep(30_000 + rand 50_000);
	kill_server($primary);
	HoldWal::release();
	$standby->promote;
	all_is_well($standby, $round++, $when, 1, @clients);
	log_is_clean($primary);
	$primary = $standby;
}
all_is_still_there($primary, 'promotions');
$primary->stop;

done_testing();
