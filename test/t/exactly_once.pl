# Copyright (c) 2026, the racefree developers

# Clients with a list of requests each are killed (kill -9) again and again,
# and now and then a backend, which takes the server down with it, or the
# server is stopped at once.  Whoever comes back does not know what became of
# his last request, and asks again with the same request id.  In the end each
# request is booked once, as it was asked for, and all answers named that
# entry.
#
# First the case that counts, not left to chance: the transfer is committed,
# and the answer is lost.
#
# RACEFREE_ONCE_CLIENTS (6), RACEFREE_ONCE_REQUESTS (1500 calls for each client)
# and RACEFREE_CRASHES (3 of each kind) set the size.  RACEFREE_SEED repeats
# the requests, but not the moments.

use strict;
use warnings;
use IO::Select;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib $FindBin::RealBin;
use Server qw(wait_for_server);

my $number_of_clients = $ENV{RACEFREE_ONCE_CLIENTS} || 6;
my $calls = $ENV{RACEFREE_ONCE_REQUESTS} || 1500;
my $crashes = $ENV{RACEFREE_CRASHES} || 3;
my $seed = defined $ENV{RACEFREE_SEED} ? $ENV{RACEFREE_SEED} : time ^ $$ << 8;

# A client gets no further than this without being killed.
my $calls_in_a_life = 20;

# A client that is gone does not take its orders.
$SIG{PIPE} = 'IGNORE';

srand $seed;
note("RACEFREE_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('once');
$node->init;
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ 5 * $number_of_clients + 20 ]}
restart_after_crash = on
synchronous_commit = on
log_statement = none
deadlock_timeout = 20ms
statement_timeout = 60s
));
$node->start;

# A journal as it comes, and one that no unique index helps.
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;

CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) AS i;
SELECT create_journal('journal', NULL::account);

CREATE TABLE purse (id integer PRIMARY KEY, balance bigint);
INSERT INTO purse SELECT i, 100 FROM generate_series(1, 10) AS i;
CREATE TABLE ledger (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	request_id uuid, from_id integer, to_id integer, amount bigint,
	from_balance bigint, to_balance bigint, reverses bigint);
CREATE INDEX ON ledger (request_id);
));

my %journal_of = (account => 'journal', purse => 'ledger');

# What was asked for, by request id, and the entries that answers named.
my (%asked, %entry_of);
my (@wrong, @errors);
my %count = map { ($_ => 0) } ('client', 'backend', 'server', 'replay');

# ---------------------------------------------------------------------------
# Requests

my $last_request = 0;

# Another transfer between two of the accounts.
sub new_request
{
	my ($table, %request) = @_;
	my $from = 1 + int rand 10;
	my $id = sprintf '%08x-0000-4000-8000-%012d', rand(2**32),
	  ++$last_request;

	return $asked{$id} = {
		id => $id,
		table => $table,
		from => $from,
		to => 1 + ($from + int rand 9) % 10,
		amount => 1 + int rand 20,
		reverses => '',
		%request
	};
}

# Nothing is refused for want of money: that is another test.
sub options
{
	my ($table) = @_;
	return "journal => '$journal_of{$table}', min_balance => '-Infinity'";
}

# A call gives one row: whether it was booked before, and the entry.
my $answer = q(SELECT replayed::text AS replayed, entry->>'id' AS entry FROM);

sub transfer
{
	my ($request) = @_;
	my ($table, $id) = @$request{ 'table', 'id' };

	return {
		requests => [$request],
		sql =>
		  "$answer transfer(NULL::$table, $request->{from}, $request->{to}, "
		  . "$request->{amount}, request_id => '$id', @{[ options($table) ]})"
	};
}

sub transfer_many
{
	my (@requests) = @_;
	my $table = $requests[0]{table};
	my ($from, $to, $amounts, $ids) = map {
		my $key = $_;
		"'{" . join(',', map { $_->{$key} } @requests) . "}'"
	} 'from', 'to', 'amount', 'id';
	my $more = (
		'',
		", on_error => 'report'",
		", on_error => 'report', chains => '{"
		  . join(',', map { 7 } @requests) . "}'")[ rand 3 ];

	return {
		requests => \@requests,
		sql =>
		  "SELECT string_agg((status = 'replayed')::text, ',' ORDER BY ordinality) AS replayed,"
		  . " string_agg(entry_id::text, ',' ORDER BY ordinality) AS entry"
		  . " FROM transfer_many(NULL::$table, $from\::integer[], $to\::integer[],"
		  . " $amounts, request_ids => $ids, @{[ options($table) ]}$more)"
	};
}

sub reverse_transfer
{
	my ($first) = @_;
	my ($table, $id) = @$first{ 'table', 'id' };
	my $request = new_request(
		$table,
		from => $first->{to},
		to => $first->{from},
		amount => $first->{amount},
		reverses => $id);

	return {
		requests => [$request],
		sql => "$answer reverse_transfer(NULL::$table, entry_id => "
		  . "(SELECT id FROM $journal_of{$table} WHERE request_id = '$id'),"
		  . " request_id => '$request->{id}', @{[ options($table) ]})"
	};
}

# ---------------------------------------------------------------------------
# Clients: a psql each, which is fed through one pipe and answers through
# another.

sub start_psql
{
	my ($name, @options) = @_;

	pipe(my $in, my $feed) && pipe(my $answers, my $out) or die "pipe: $!";
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if (!$pid)
	{
		$ENV{PGAPPNAME} = $name;
			 open(STDIN, '<&', $in)
		  && open(STDOUT, '>&', $out)
		  && open(STDERR, '>&', $out)
		  && exec('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', @options,
			'-d', $node->connstr('postgres'));
		POSIX::_exit(127);
	}
	$feed->autoflush;
	return { pid => $pid, feed => $feed, answers => $answers, unread => '' };
}

# What it has still to say does not matter.
sub kill_psql
{
	my ($client) = @_;

	kill('KILL', $client->{pid}) == 1 or die 'there is nobody to kill';
	forget_psql($client);
	return;
}

sub forget_psql
{
	my ($client) = @_;

	close $client->{feed};
	close $client->{answers};
	waitpid($client->{pid}, 0);
	delete $client->{pid};
	return $?;
}

# psql writes at once what \warn says.
sub script_of
{
	my ($number, $call) = @_;
	return "$call->{sql} \\gset\n\\warn answer $number :replayed :entry\n";
}

# All that it says until it is gone.
sub finish_psql
{
	my ($client) = @_;
	my $answers = $client->{answers};
	my $said = do { local $/; <$answers> };

	forget_psql($client);
	return $said // '';
}

# Each answer names the entry of its request; only one says that it is new.
sub take_answer
{
	my ($call, $replayed, $entries) = @_;
	my @replayed = split /,/, $replayed;
	my @entries = split /,/, $entries;

	for my $request (@{ $call->{requests} })
	{
		my ($was, $entry) = (shift @replayed, shift(@entries) // 'none');

		push @wrong, "$request->{id}: $entry, not $entry_of{ $request->{id} }"
		  if ($entry_of{ $request->{id} } //= $entry) ne $entry;
		push @wrong, "$request->{id}: new again"
		  if $was eq 'false' && $request->{new}++;
		$count{replay}++ if $was eq 'true';
	}
	return;
}

# The whole of a call, undisturbed.
sub start_asking
{
	my ($call) = @_;
	my $client = start_psql('asks again');

	print { $client->{feed} } script_of(0, $call);
	return $client;
}

sub finish_asking
{
	my ($client, $call) = @_;

	close $client->{feed};
	my $said = finish_psql($client);
	my ($replayed, $entries) = $said =~ /\Aanswer 0 (\S+) (\S+)\n\z/
	  or return "unexpected: $said";
	take_answer($call, $replayed, $entries);
	return $replayed;
}

sub ask
{
	my ($call) = @_;
	return finish_asking(start_asking($call), $call);
}

sub wait_for
{
	my ($query) = @_;
	$node->poll_query_until('postgres', $query)
	  or die "this does not come: $query";
	return;
}

sub backend_of
{
	my ($name) = @_;
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");
}

sub crash
{
	my ($pid) = @_;

	return 0 if kill('KILL', $pid) == 0;
	$count{backend}++;
	# Not what the postmaster was before it heard of it.
	my $deaths = qr/\(PID $pid\) was terminated by signal 9/;
	my $patience = 50 * $PostgreSQL::Test::Utils::timeout_default;
	until (slurp_file($node->logfile) =~ $deaths)
	{
		die 'the server does not notice' unless $patience--;
		usleep(20_000);
	}
	wait_for_server($node);
	return 1;
}

sub stop_at_once
{
	$node->stop('immediate');
	$count{server}++;
	$node->start;
	return;
}

# ---------------------------------------------------------------------------
# The answer is lost: it was committed, and the client does not know it.

sub entries_of
{
	my ($call) = @_;
	my $journal = $journal_of{ $call->{requests}[0]{table} };
	my $ids = join ',', map { "'$_->{id}'" } @{ $call->{requests} };

	return "FROM $journal WHERE request_id IN ($ids)";
}

sub booked
{
	my ($call) = @_;
	return $node->safe_psql('postgres',
		'SELECT id ' . entries_of($call) . ' ORDER BY id');
}

# A client that waits for a row of the holder's.
sub start_waiting
{
	my ($call) = @_;
	my $request = $call->{requests}[0];
	my $holder = $node->background_psql('postgres');
	$holder->query_safe("BEGIN; SELECT id FROM $request->{table}"
		  . " WHERE id = $request->{from} FOR UPDATE;");

	my $client = start_psql('victim');
	print { $client->{feed} } script_of(0, $call);
	wait_for_lock('victim');
	return ($holder, $client);
}

sub wait_for_lock
{
	my ($name) = @_;
	return wait_for(
		qq(SELECT wait_event_type = 'Lock' FROM pg_stat_activity
		   WHERE application_name = '$name'));
}

# It does not run when the answer comes.
sub client_dies
{
	my ($call) = @_;
	my ($holder, $client) = start_waiting($call);

	kill('STOP', $client->{pid});
	$holder->query_safe('COMMIT');
	$holder->quit;
	wait_for('SELECT count(*) > 0 ' . entries_of($call));
	kill_psql($client);
	$count{client}++;
	return '';
}

# A server sends what it has to say when all of a message is done.
sub in_one_message
{
	my (@statements) = @_;
	my $client = start_psql('victim');

	print { $client->{feed} }
	  join(' \; ', @statements, 'SELECT pg_sleep(50)'),
	  ";\n";
	wait_for(
		q(SELECT wait_event = 'PgSleep' FROM pg_stat_activity
			   WHERE application_name = 'victim'));
	return $client;
}

sub backend_dies
{
	my ($call) = @_;
	my $client = in_one_message('BEGIN', $call->{sql}, 'COMMIT');

	wait_for('SELECT count(*) > 0 ' . entries_of($call));
	crash(backend_of('victim')) or die 'there is no backend to kill';
	return finish_psql($client);
}

# The server's last words would bring the answer along: nobody hears them.
sub server_dies
{
	my ($call) = @_;
	my $client = in_one_message('BEGIN', $call->{sql}, 'COMMIT');

	wait_for('SELECT count(*) > 0 ' . entries_of($call));
	kill('STOP', $client->{pid});
	stop_at_once();
	kill_psql($client);
	$count{client}++;
	return '';
}

my @deaths = (
	[ 'client killed', \&client_dies ],
	[ 'backend killed', \&backend_dies ],
	[ 'server stopped at once', \&server_dies ]);
my $death_number = 0;

sub calls_of_each_kind
{
	my ($table) = @_;
	my $first = new_request($table);

	# The first of them comes first.
	return (
		[ 'transfer', transfer($first) ],
		[
			'transfer_many', transfer_many(map { new_request($table) } 1 .. 3)
		],
		[ 'reverse_transfer', reverse_transfer($first) ]);
}

# All answers were replays of what is booked, once.
sub replays
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($test, $call, $replayed, $entries) = @_;
	my @requests = @{ $call->{requests} };

	is( $replayed,
		join(',', map { 'true' } @requests),
		"$test: asked again, it is a replay");
	is(join("\n", map { $entry_of{ $_->{id} } // 'none' } @requests),
		$entries, "$test: of the entry that was committed");
	is(booked($call), $entries, "$test: which is the only one");
	return;
}

for my $death (@deaths)
{
	my ($how, $die) = @$death;
	my $table = (sort keys %journal_of)[ $death_number++ % 2 ];

	for (calls_of_each_kind($table))
	{
		my ($name, $call) = @$_;
		my $test = "$how, $name in $table";
		my $said = $die->($call);
		my $entries = booked($call);

		unlike($said, qr/true|false/, "$test: the answer is lost");
		replays($test, $call, ask($call), $entries);
	}
}

# The client comes back before its backend has done what it asked for first,
# and knows that it went away.
for my $table (sort keys %journal_of)
{
	for (calls_of_each_kind($table))
	{
		my ($name, $call) = @$_;
		my ($holder, $client) = start_waiting($call);

		kill_psql($client);
		$count{client}++;
		$client = start_asking($call);
		wait_for_lock('asks again');
		$holder->query_safe('COMMIT');
		$holder->quit;
		my $replayed = finish_asking($client, $call);
		replays("back too early, $name in $table",
			$call, $replayed, booked($call));
	}
}

# And the answer that is lost because there is none.
for my $table (sort keys %journal_of)
{
	my $call = transfer(new_request($table));
	my $client = in_one_message('BEGIN', $call->{sql});

	crash(backend_of('victim')) or die 'there is no backend to kill';
	finish_psql($client);
	is(booked($call), '', "killed before the commit, in $table: not booked");
	is(ask($call), 'false',
		"killed before the commit, in $table: booked now");
	is(ask($call), 'true',
		"killed before the commit, in $table: and not again");
}
cmp_ok(
	$count{replay}, '==',
	(3 + 2) * 5 + 2,
	'what was committed was replayed, and nothing else');
$count{replay} = 0;

# ---------------------------------------------------------------------------
# The load.  Two of three clients work with the same tables; they have some
# requests in common.

my @clients;
for my $n (0 .. $number_of_clients - 1)
{
	my $table = $n % 3 == 2 ? 'purse' : 'account';
	my $twin = (grep { $_->{table} eq $table } @clients)[0];
	my @list;

	for my $i (0 .. $calls - 1)
	{
		my $kind = $i % 8;

		if ($kind == 1 && $twin)
		{
			push @list, $twin->{list}[$i];
		}
		elsif ($kind == 3)
		{
			push @list,
			  transfer_many(map { new_request($table) } 0 .. 1 + int rand 5);
		}
		elsif ($kind == 6)
		{
			push @list, reverse_transfer($list[-1]{requests}[0]);
		}
		else
		{
			push @list, transfer(new_request($table));
		}
	}
	push @clients,
	  { name => "client $n", table => $table, list => \@list, next => 0 };
}

# From the first call that is not known to have been answered.
sub start_life
{
	my ($client) = @_;
	my $last = $client->{next} + $calls_in_a_life - 1;

	$last = $calls - 1 if $last > $calls - 1;
	%$client = (%$client, %{ start_psql($client->{name}) });
	print { $client->{feed} } map { script_of($_, $client->{list}[$_]) }
	  $client->{next} .. $last;
	# It dies when it has so many answers, and a little later.
	$client->{death} = $client->{next} + int rand 1 + $calls_in_a_life / 2;
	return;
}

# 1 if the client is gone.
sub listen_to
{
	my ($client) = @_;
	my $more = sysread $client->{answers}, $client->{unread}, 65536,
	  length $client->{unread};

	while ($client->{unread} =~ s/\A(.*)\n//)
	{
		my $line = $1;
		if ($line =~ /^answer (\d+) (\S+) (\S+)$/ && $1 == $client->{next})
		{
			take_answer($client->{list}[$1], $2, $3);
			$client->{next}++;
		}
		# The server may go, and be away, but that is all.
		elsif ($line =~ /ERROR|PANIC|answer/)
		{
			push @errors, $line;
		}
	}
	return !$more;
}

sub answered
{
	my $sum = 0;
	$sum += $_->{next} for @clients;
	return $sum;
}

my @crashes = (('backend', 'server') x $crashes);
my $between_crashes = $calls * @clients / (@crashes + 1);
my $next_crash = $between_crashes;

while (my @working = grep { $_->{next} < $calls && !@errors } @clients)
{
	$_->{pid} or start_life($_) for @working;

	my %by_handle = map { ($_->{answers} => $_) } @working;
	for my $handle (
		IO::Select->new(map { $_->{answers} } @working)->can_read(1))
	{
		my $client = $by_handle{$handle};

		forget_psql($client) if listen_to($client);
	}
	for my $client (grep { $_->{pid} && $_->{next} > $_->{death} } @working)
	{
		usleep(rand 1000);
		kill_psql($client);
		$count{client}++;
	}

	if (@crashes && answered() >= $next_crash)
	{
		if ($crashes[0] eq 'server')
		{
			stop_at_once();
			shift @crashes;
		}
		else
		{
			my $victim = $node->safe_psql(
				'postgres', q(
SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'client %'
ORDER BY state = 'active' DESC, random() LIMIT 1;
));
			# It may be gone meanwhile, with its client.
			shift @crashes if $victim && crash($victim);
		}
		$next_crash = $between_crashes + answered() if @crashes;
	}
}
for my $client (grep { $_->{pid} } @clients)
{
	kill_psql($client);
}

is(join("\n", @errors), '', 'clients lost no more than the connection');
is(join("\n", @wrong), '', 'all answers to a request are about one entry');
is("@crashes", '', 'backends were killed, and the server was stopped');
# Each life but the last ended so, or with a crash.
cmp_ok(
	$count{client}, '>=',
	$number_of_clients * ($calls / $calls_in_a_life - 2 * $crashes - 1),
	'many clients were killed');
note(
	join ', ',
	scalar(keys %asked) . ' requests',
	map { "$_: $count{$_}" } sort keys %count);

# ---------------------------------------------------------------------------

for my $table (sort keys %journal_of)
{
	my $journal = $journal_of{$table};
	my @requests =
	  sort { $a->{id} cmp $b->{id} }
	  grep { $_->{table} eq $table } values %asked;
	my $sum = $table eq 'account' ? '1000.00' : '1000';

	is( $node->safe_psql(
			'postgres',
			"SELECT count(*), count(DISTINCT request_id) FROM $journal"),
		join('|', scalar @requests, scalar @requests),
		"$journal: every request is booked, and none twice");
	my @booked = split /\n/, $node->safe_psql(
		'postgres', qq(
SELECT j.request_id, j.from_id, j.to_id, j.amount, r.request_id, j.id
FROM $journal AS j LEFT JOIN $journal AS r ON r.id = j.reverses
ORDER BY j.request_id
));
	my @expected = map {
		join '|', @$_{ 'id', 'from', 'to', 'amount', 'reverses' },
		  $entry_of{ $_->{id} } // 'no answer'
	} @requests;
	my @differ =
	  grep { $booked[$_] ne $expected[$_] }
	  0 .. ($#booked < $#expected ? $#booked : $#expected);
	is(join("\n", map { "$booked[$_], not $expected[$_]" } @differ),
		'', "$journal: as it was asked for, and as the answers said");
	is($node->safe_psql('postgres', "SELECT sum(balance) FROM $table"),
		$sum, "$table: no money lost or made");
	is( $node->safe_psql(
			'postgres',
			"SELECT * FROM verify_journal('$journal', NULL::$table)"),
		'',
		"$journal: all adds up");
}
is( $node->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
	0,
	'no lock is left');
is( join("\n",
		grep { /ERROR:|PANIC:|deadlock/ } split /\n/,
		slurp_file($node->logfile)),
	'',
	'the server logs no error but the crashes');

$node->stop;

done_testing();
