# Copyright (c) 2026, the racefree developers

# Clients hold, post, void, let expire, and pay, while backends are killed
# (kill -9) and the server is stopped at once.  Who gets no answer asks again with
# the same request id.  In the end each request is booked once, as the kind that
# was asked for, each hold is settled once, and the journal explains every cent
# that the accounts have, and every cent that is held of it.
#
# RACEFREE_HOLD_CLIENTS (6), RACEFREE_HOLD_CALLS (60 for each) and RACEFREE_CRASHES
# (3 of each kind) set the size.  RACEFREE_SEED repeats the calls, but not the
# moments.

use strict;
use warnings;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib $FindBin::RealBin;
use Server qw(wait_for_server);

my $number_of_clients = $ENV{RACEFREE_HOLD_CLIENTS} || 6;
my $calls = $ENV{RACEFREE_HOLD_CALLS} || 60;
my $crashes = $ENV{RACEFREE_CRASHES} || 3;
my $seed = defined $ENV{RACEFREE_SEED} ? $ENV{RACEFREE_SEED} : time ^ $$ << 8;

note("RACEFREE_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('holds_crash');
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
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	held numeric(12,2) NOT NULL DEFAULT 0);
INSERT INTO account SELECT i, 100 FROM generate_series(1, 5) AS i;
SELECT create_journal('journal', NULL::account, request_id_type => 'text', held_column => 'held', opening => 100, guarded => true);
));

# ---------------------------------------------------------------------------
# Clients.  Each is a process, and writes down what it asked for and was told.

sub one_of { return $_[ rand @_ ] }

my $rules = "journal => 'journal', min_balance => '-Infinity'";
my $answer = q(SELECT coalesce(entry->>'id', '') FROM);

sub accounts
{
	my $from = 1 + int rand 5;
	return ($from, 1 + ($from + int rand 4) % 5);
}

# A hold, and who may settle it: whoever made it.
sub ask_hold
{
	my ($client, $id) = @_;
	my ($from, $to) = accounts();
	my $amount = 2 + int rand 20;
	# Some expire at once, more or less.
	my $expires = rand() < 0.3 ? q(clock_timestamp() + interval '50 ms') : 'NULL';

	# It may be over when it is asked for again; then it is a replay all the same.
	return {
		id => $id,
		kind => 'hold',
		amount => $amount,
		rest => $expires eq 'NULL' ? $amount : undef,
		sql => $expires eq 'NULL'
		? "$answer hold_transfer(NULL::account, $from, $to, $amount, $rules, request_id => '$id')"
		: "$answer hold_transfer(NULL::account, $from, $to, $amount, $rules, request_id => '$id', expires_at => coalesce("
		  . "(SELECT expires_at FROM journal WHERE request_id = '$id'), $expires))"
	};
}

sub ask_post
{
	my ($client, $id) = @_;
	my $hold = one_of(@{ $client->{open} }) or return;
	my $amount = 1 + int rand $hold->{rest};
	my $final = rand() < 0.5;

	$hold->{rest} = $final ? 0 : $hold->{rest} - $amount;
	return {
		id => $id,
		kind => 'post',
		amount => $amount,
		sql => "$answer post_transfer(NULL::account, entry_id => $hold->{entry}, amount => $amount, $rules, request_id => '$id', final => "
		  . ($final ? 'true' : 'false') . ')'
	};
}

sub ask_void
{
	my ($client, $id) = @_;
	my $hold = one_of(@{ $client->{open} }) or return;
	my $amount = $hold->{rest};

	$hold->{rest} = 0;
	return {
		id => $id,
		kind => 'void',
		amount => $amount,
		sql => "$answer void_transfer(NULL::account, 'journal', $hold->{entry}, request_id => '$id')"
	};
}

sub ask_transfer
{
	my ($client, $id) = @_;
	my ($from, $to) = accounts();
	my $amount = 1 + int rand 20;

	return {
		id => $id,
		kind => 'transfer',
		amount => $amount,
		sql => "$answer transfer(NULL::account, $from, $to, $amount, $rules, request_id => '$id')"
	};
}

# A hold is voided, another one made, and something paid: all or nothing.
sub ask_batch
{
	my ($client, $id) = @_;
	my $hold = one_of(@{ $client->{open} }) or return;
	my ($from, $to) = accounts();
	my $rest = $hold->{rest};

	$hold->{rest} = 0;
	return {
		id => $id,
		more => [ [ "$id a", 'void', $rest ], [ "$id b", 'hold', 3 ], [ "$id c", 'transfer', 4 ] ],
		sql => "SELECT max(entry_id) FILTER (WHERE ordinality = 2) FROM transfer_many(NULL::account, ARRAY[NULL, $from, $from],"
		  . " ARRAY[NULL, $to, $to], ARRAY[NULL, 3, 4], request_ids => ARRAY['$id a', '$id b', '$id c'],"
		  . " kinds => ARRAY['void', 'hold', 'transfer'], entry_ids => ARRAY[$hold->{entry}, NULL, NULL],"
		  . " chains => ARRAY[1, 1, 1], $rules)",
		rest => 3
	};
}

sub ask_expire
{
	my ($client, $id) = @_;
	return { sql => "SELECT expire_holds(NULL::account, 'journal') >= 0" };
}

# Ask until there is an answer; errors other than a lost connection are told.
sub answer_to
{
	my ($sql) = @_;
	my ($out, $err);

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		IPC::Run::run([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', $sql ],
			'<', \undef, '>', \$out, '2>', \$err);
		return $out =~ s/\n\z//r if $? == 0;
		# A hold may have to wait for longer than it was to last: with another time.
		die "$sql: $err" if $err =~ /ERROR: / && $err !~ /57P0|expires_at must be in the future/;
		usleep(50_000 + rand 100_000);
	}
	die "no answer: $err";
}

sub run_call
{
	my ($client, $call, $log) = @_;
	my $entry = answer_to($call->{sql});

	# The same again gives the same.
	if ($call->{id} && rand() < 0.3)
	{
		my $again = answer_to($call->{sql});
		print {$log} "wrong: $call->{id}: $again, not $entry\n" if $again ne $entry;
	}
	print {$log} join("\t", @$_), "\n"
	  for $call->{more} ? @{ $call->{more} } : $call->{id} ? [ @$call{ 'id', 'kind', 'amount' } ] : ();
	push @{ $client->{open} }, { entry => $entry, rest => $call->{rest} } if $call->{rest};
	return;
}

sub run_client
{
	my ($number, $log) = @_;
	my $client = { open => [] };

	srand $seed + $number;
	for my $n (1 .. $calls)
	{
		my $ask = one_of((\&ask_hold) x 4, (\&ask_post) x 3, \&ask_void, \&ask_transfer, \&ask_batch, \&ask_expire);
		my $call = $ask->($client, "$number-$n") || ask_hold($client, "$number-$n");

		@{ $client->{open} } = grep { $_->{rest} > 0 } @{ $client->{open} };
		run_call($client, $call, $log);
	}
	return;
}

sub start_client
{
	my ($number) = @_;
	my $file = $node->basedir . "/client.$number";
	my $pid = fork;

	die "fork: $!" unless defined $pid;
	return { pid => $pid, file => $file } if $pid;
	open(my $log, '>', $file) or POSIX::_exit(1);
	$log->autoflush;
	eval { run_client($number, $log); 1 } or print {$log} "wrong: $@";
	close $log;
	POSIX::_exit(0);
}

# ---------------------------------------------------------------------------

my @clients = map { start_client($_) } 1 .. $number_of_clients;
my %count = (backend => 0, server => 0);

sub is_running
{
	return grep { kill 0, $_->{pid} and waitpid($_->{pid}, POSIX::WNOHANG()) == 0 } @clients;
}

# One that is in the middle of a call, if there is one.
sub kill_backend
{
	my ($status, $pid) = $node->psql('postgres', q(
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND query ~ 'account' AND state = 'active'
ORDER BY random() LIMIT 1));

	return unless defined $pid && $pid =~ /^\d+$/;
	$count{backend}++ if kill 'KILL', $pid;
	wait_for_server($node);
	return;
}

for my $round (1 .. $crashes)
{
	usleep(150_000 + rand 300_000);
	for (1 .. 200)
	{
		my $before = $count{backend};
		kill_backend();
		last if $count{backend} > $before || !is_running();
		usleep(5_000);
	}
	usleep(150_000 + rand 300_000);
	$node->stop('immediate');
	$count{server}++;
	$node->start;
}
waitpid($_->{pid}, 0) for @clients;

my (%asked, @wrong);
for my $client (@clients)
{
	for my $line (split /\n/, slurp_file($client->{file}))
	{
		my ($id, $kind, $amount) = split /\t/, $line;
		if (!defined $amount)
		{
			push @wrong, $line;
			next;
		}
		$asked{$id} = "$kind $amount";
	}
}
is("@wrong", '', 'every call was answered, and again as before');
cmp_ok($count{backend}, '>=', 1, "backends were killed: $count{backend}");
is($count{server}, $crashes, 'the server was stopped');

my %booked;
for (split /\n/, $node->safe_psql('postgres', 'SELECT request_id, kind, amount FROM journal WHERE request_id IS NOT NULL'))
{
	my ($id, $kind, $amount) = split /\|/;
	push @wrong, "$id: booked twice" if $booked{$id};
	$booked{$id} = "$kind $amount";
}
is_deeply(\%booked, \%asked, 'each request is booked once, as it was asked for');
is( $node->safe_psql('postgres', 'SELECT sum(balance) FROM account'),
	'500.00', 'no money is lost or made');
is($node->safe_psql('postgres', "SELECT * FROM verify_journal('journal', NULL::account)"),
	'', 'the journal explains what there is and what is held');
is($node->safe_psql('postgres', q(
SELECT string_agg(DISTINCT kind, ' ' ORDER BY kind) FROM journal)),
	'expiry hold post transfer void', 'there was something of each kind');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')), '0', 'no lock is left');

$node->stop;

done_testing();
