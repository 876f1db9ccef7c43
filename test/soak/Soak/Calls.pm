# Copyright (c) 2026, the racefree developers

# What a client calls: one call, drawn at random.
#
#   function   its name
#   sql        the statement; it gives one line for each thing that was done
#   allowed    SQLSTATEs that it may end with, besides those that any call may
#   role       who calls it, if not the superuser
#   tells      what a line means: "row" (name, id, created) of the table in
#              "target", "request" (request id, entry's id) of that "journal"
#   requests   the ids of what is booked at most once; "shared" with others
#
# A call with requests can be repeated as it is, whatever became of it.

package Soak::Calls;

use strict;
use warnings;
use Time::HiRes qw(time);
use Fuzz::Random qw(chance pick);

# Tables for rows with keys, by name; "also" are those that the same rows are
# reached by.
our @items = (
	{ table => 'indexed' },
	{ table => 'bare', nulls => 1 },
	{ table => 'parted' },
	{ table => 'parent', also => 'child' },
	{ table => 'keyed', guarded => 1 },
	{ table => 'secured', role => 'soak_teller' });

# Accounts and journals.
our @families = (
	{ accounts => 'account', journal => 'account_journal' },
	{ accounts => 'parted_account', journal => 'parted_journal' },
	{ accounts => 'parent_account', journal => 'parent_journal' },
	{ accounts => 'bare_account', journal => 'bare_journal', id_column => 1, own_journal => 1 },
	{ accounts => 'purse', journal => 'purse_journal', holds => 1 },
	{ accounts => 'wallet', journal => 'wallet_journal', holds => 1, guarded => 1 },
	{ accounts => 'secured_account', journal => 'secured_journal', role => 'soak_teller' });

# What can be refused in the normal course of things.
my @refusals = qw(RF001 RF002 RF004);

# Calls, and how often they come.  Those in "rare" make tables, whose
# descriptions the server keeps: they are not for long-lived sessions.
my @common = (
	(\&get_or_create) x 8,
	(\&update_or_create) x 6,
	(\&get_or_create_many) x 3,
	(\&update_or_create_many) x 3,
	(\&plain_insert) x 3,
	(\&lock_keys) x 2,
	(\&lock_rows) x 2,
	(\&transfer) x 12,
	(\&transfer_many) x 6,
	(\&reverse_transfer) x 4,
	(\&hold_transfer) x 6,
	(\&post_transfer) x 4,
	(\&void_transfer) x 3,
	(\&expire_holds) x 1,
	(\&balance_at) x 2,
	(\&by_hand) x 2);
my @rare = (\&scratch_journal, \&verify_journal);

my $last_request = 0;

# "client" has a number, the server's clock, and what it has seen.
sub draw
{
	my ($client) = @_;
	my $call;

	if (!$client->{lives_long} && chance(0.01))
	{
		return pick(@rare)->($client);
	}
	until ($call)
	{
		$call = pick(@common)->($client);
	}
	return $call;
}

# A request id that was never used, in the form of a UUID.
sub new_request
{
	my ($client) = @_;
	return sprintf '%08x-0000-4000-8000-%012d', $client->{number}, ++$last_request;
}

# ---------------------------------------------------------------------------
# Rows with keys

# Clients come to a new key at about the same moment, and to old ones later.
sub some_key
{
	my ($client, $item) = @_;
	my $newest = 10 + int($client->{clock}->() * 10);

	return undef if $item->{nulls} && chance(0.02);
	return 'k' . (chance(0.6) ? $newest - int rand 10 : 1 + int rand $newest);
}

sub json_of
{
	my ($key) = @_;
	return defined $key ? qq("$key") : 'null';
}

sub some_item
{
	my $item = pick(@items);
	my $table = $item->{also} && chance(0.4) ? $item->{also} : $item->{table};
	return ($item, "soak.$table");
}

sub row_call
{
	my ($item, $function, $arguments) = @_;
	return {
		function => $function,
		sql => "SELECT (object).name, (object).id, created FROM $function($arguments)",
		tells => 'row',
		target => $item->{table},
		role => $item->{role},
		# A row that the policies hide from UPDATE, or do not let in.
		allowed => $item->{role} ? ['42501'] : []
	};
}

# A row that is in the parent is no row of the child's, so there it makes one.
# Those keys are apart.
sub item_key
{
	my ($client, $item, $table) = @_;
	my $key = some_key($client, $item);

	$key = "child $key" if $table eq 'soak.child';
	return $key;
}

sub get_or_create
{
	my ($client) = @_;
	my ($item, $table) = some_item();
	my $key = json_of(item_key($client, $item, $table));

	return row_call($item, 'get_or_create', qq(NULL::$table, '{"name": $key}', '{"value": 1}'));
}

sub update_or_create
{
	my ($client) = @_;
	my ($item, $table) = some_item();
	my $key = json_of(item_key($client, $item, $table));
	my $value = int rand 1000;

	return row_call($item, 'update_or_create',
		qq(NULL::$table, '{"name": $key}', '{"value": $value}')
		  . (chance(0.3) ? qq(, '{"value": -1}') : ''));
}

sub many
{
	my ($client, $function) = @_;
	my ($item, $table) = some_item();
	my %keys = map { (json_of(item_key($client, $item, $table)) => 1) } 1 .. 1 + rand 20;
	my $rows = join ', ', map { qq({"name": $_, "value": @{[ int rand 1000 ]}}) } sort keys %keys;

	return row_call($item, $function, "NULL::$table, '[$rows]', '{name}'");
}

sub get_or_create_many { return many($_[0], 'get_or_create_many'); }
sub update_or_create_many { return many($_[0], 'update_or_create_many'); }

# What the guard of keys is for.
sub plain_insert
{
	my ($client) = @_;
	my $key = some_key($client, {});

	return {
		function => 'key_guard',
		sql => "INSERT INTO soak.keyed (name) VALUES ('$key') RETURNING name, id, true",
		tells => 'row',
		target => 'keyed',
		allowed => ['23505']
	};
}

sub lock_keys
{
	my ($client) = @_;
	my $keys = join ', ', map {
		my $item = $_;
		my $list = join ', ', map { '{"name": ' . json_of(some_key($client, $item)) . '}' } 1 .. 1 + rand 3;
		qq("soak.$item->{table}": [$list])
	} grep { chance(0.4) && !$_->{role} } @items;

	return unless $keys;
	return { function => 'lock_keys', sql => "SELECT lock_keys('{$keys}')" };
}

sub lock_rows
{
	my ($client) = @_;
	my $family = pick(@families);
	my $ids = join ',', map { 1 + int rand 22 } 1 .. 1 + rand 5;
	my $mode = pick('update', 'no key update', 'share', 'key share');
	my $wait = pick('wait', 'nowait', 'skip locked');

	return {
		function => 'lock_rows',
		sql => "SELECT count(*) FROM lock_rows(NULL::soak.$family->{accounts}, '{$ids}'::bigint[], '$mode', '$wait'"
		  . id_column($family) . ')',
		role => $family->{role},
		allowed => ['55P03']
	};
}

# ---------------------------------------------------------------------------
# Transfers

sub id_column { return $_[0]{id_column} ? ", id_column => 'id'" : ''; }

sub some_account { return chance(0.02) ? 21 : chance(0.3) ? 1 : 1 + int rand 20; }

sub some_accounts
{
	my $from = some_account();
	my $to = 1 + int rand 20;
	$to = $to % 20 + 1 if $to == $from;
	return ($from, $to);
}

sub some_amount { return chance(0.03) ? 5000 : 1 + int rand 200; }

# Which journal, and the limits that go with it: some accounts can be overdrawn.
sub options
{
	my ($family) = @_;
	return "journal => 'soak.$family->{journal}'" . id_column($family)
	  . ($family->{guarded} || chance(0.5) ? '' : ", min_balance => '-Infinity'");
}

sub one_request
{
	my ($client, $family, $function, $arguments, @allowed) = @_;
	my $id = new_request($client);

	return {
		function => $function,
		sql => "SELECT '$id', entry->>'id' FROM $function(NULL::soak.$family->{accounts}, $arguments, request_id => '$id')",
		tells => 'request',
		journal => $family->{journal},
		requests => [$id],
		role => $family->{role},
		allowed => [ @refusals, @allowed ]
	};
}

# What all clients ask for at about the same time, in the same words.
sub shared_transfer
{
	my ($client) = @_;
	my $tick = 1 + int($client->{clock}->() * 5);
	my $family = $families[ $tick % @families ];
	my $id = sprintf 'ffffffff-0000-4000-8000-%012d', $tick;
	my $from = 1 + $tick % 11;
	my $call = one_request($client, $family, 'transfer',
		"$from, @{[ $from + 1 ]}, @{[ 1 + $tick % 50 ]}, " . options($family));

	$call->{sql} =~ s/$call->{requests}[0]/$id/g;
	return { %$call, requests => [$id], shared => 1 };
}

sub transfer
{
	my ($client) = @_;
	return shared_transfer($client) if chance(0.2);
	my $family = pick(@families);
	my ($from, $to) = some_accounts();
	my $up_to = chance(0.1) ? ', up_to => true' : '';

	return one_request($client, $family, 'transfer',
		"$from, $to, @{[ some_amount() ]}, " . options($family) . $up_to);
}

sub transfer_many
{
	my ($client) = @_;
	my $family = pick(@families);
	my (@from, @to, @amounts, @chains, @kinds, @entries, @ids);
	my $with_kinds = $family->{holds} && chance(0.6);
	my @holds = $with_kinds ? recent($client, $family, 'open') : ();

	for (1 .. 1 + rand(chance(0.1) ? 200 : 10))
	{
		my $kind = $with_kinds ? pick('transfer', 'hold', @holds ? ('post', 'void') : ()) : 'transfer';
		my ($from, $to) = some_accounts();
		my $settles = $kind =~ /post|void/;

		push @kinds, $kind;
		push @from, $settles ? 'NULL' : $from;
		push @to, $settles ? 'NULL' : $to;
		push @amounts, $settles ? 'NULL' : some_amount();
		push @entries, $settles ? pick(@holds) : 'NULL';
		push @chains, 1 + int rand 4;
		push @ids, new_request($client);
	}
	my $list = sub { return "'{" . join(',', @_) . "}'" };
	my $on_error = chance(0.7) ? 'report' : 'raise';
	my $more = (chance(0.5) ? ', chains => ' . $list->(sort { $a <=> $b } @chains) : '')
	  . ($with_kinds ? ', kinds => ' . $list->(@kinds) . ', entry_ids => ' . $list->(@entries) : '');

	return {
		function => 'transfer_many',
		sql => "SELECT (@{[ $list->(@ids) ]}::text[])[ordinality], entry_id"
		  . " FROM transfer_many(NULL::soak.$family->{accounts}, @{[ $list->(@from) ]}::bigint[],"
		  . " @{[ $list->(@to) ]}::bigint[], @{[ $list->(@amounts) ]}, request_ids => @{[ $list->(@ids) ]},"
		  . " on_error => '$on_error'$more, " . options($family) . ') ORDER BY ordinality',
		tells => 'request',
		journal => $family->{journal},
		requests => \@ids,
		role => $family->{role},
		allowed => [ @refusals, qw(RF009 RF010 RF011 RF012) ]
	};
}

# The last entries of a journal, or its open holds: another client may be
# faster.
sub recent
{
	my ($client, $family, $what) = @_;
	my $journal = "soak.$family->{journal}";

	return $client->{ask}->(
		$what eq 'open'
		? "SELECT entry_id FROM ${journal}_holds ORDER BY entry_id DESC LIMIT 20"
		: "SELECT id FROM $journal WHERE reverses IS NULL ORDER BY id DESC LIMIT 20");
}

sub reverse_transfer
{
	my ($client) = @_;
	my $family = pick(@families);
	my @entries = recent($client, $family, 'entries') or return;
	my $amount = pick('', 'amount => 1, ', 'up_to => true, ');

	return one_request($client, $family, 'reverse_transfer',
		"entry_id => @{[ pick(@entries) ]}, $amount" . options($family), 'RF006', 'RF007');
}

sub in_seconds { return sprintf 'to_timestamp(%.3f)', time() + $_[0]; }

sub hold_transfer
{
	my ($client) = @_;
	my $family = pick(grep { $_->{holds} } @families);
	my ($from, $to) = some_accounts();
	# The same when it is asked for again.
	my $expires = pick('NULL', 'NULL', in_seconds(3600), in_seconds(0.02 + rand 2));

	# Where it has to wait, the moment may have passed.
	return one_request($client, $family, 'hold_transfer',
		"$from, $to, @{[ some_amount() ]}, expires_at => $expires, " . options($family), '22023');
}

sub post_transfer
{
	my ($client) = @_;
	my $family = pick(grep { $_->{holds} } @families);
	my @holds = recent($client, $family, 'open') or return;
	my $amount = pick('', '', 'amount => 1, final => false, ', 'amount => 2, ', 'amount => 300, beyond => true, ');

	return one_request($client, $family, 'post_transfer',
		"entry_id => @{[ pick(@holds) ]}, $amount" . options($family),
		qw(RF009 RF010 RF011 RF012));
}

sub void_transfer
{
	my ($client) = @_;
	my $family = pick(grep { $_->{holds} } @families);
	my @holds = recent($client, $family, 'open') or return;

	return one_request($client, $family, 'void_transfer',
		"entry_id => @{[ pick(@holds) ]}, journal => 'soak.$family->{journal}'",
		qw(RF009 RF010 RF011));
}

sub expire_holds
{
	my $family = pick(grep { $_->{holds} } @families);
	return {
		function => 'expire_holds',
		sql => "SELECT expire_holds(NULL::soak.$family->{accounts}, 'soak.$family->{journal}', @{[ 1 + int rand 20 ]})"
	};
}

sub balance_at
{
	my $family = pick(@families);
	return {
		function => 'balance_at',
		sql => "SELECT balance_at('soak.$family->{journal}', @{[ 1 + int rand 20 ]}, clock_timestamp()"
		  . pick('', " - interval '1 second'") . ')',
		role => $family->{role}
	};
}

# What the guards refuse: "refused" says that nothing else may come of it.
sub by_hand
{
	my ($function, $sql) = @{
		pick(
			[ 'journal_guard', 'UPDATE soak.account_journal SET amount = 1 WHERE id = (SELECT max(id) FROM soak.account_journal)' ],
			[ 'balance_guard', 'UPDATE soak.wallet SET balance = balance + 1 WHERE id = 2' ],
			[ 'entry_guard', 'INSERT INTO soak.wallet_journal (from_id, to_id, amount, from_balance, to_balance) VALUES (1, 2, 1, 0, 0)' ],
			[ 'hold_guard', "INSERT INTO soak.wallet_journal_holds (entry_id, from_id, to_id, amount) VALUES (0, 1, 2, 1)" ])
	};
	return {
		function => $function,
		sql => $sql,
		refused => 1,
		allowed => [ '42501', '55000' ]
	};
}

# ---------------------------------------------------------------------------
# Rarely

# A journal of a table of its own, with all that can be done to it.
sub scratch_journal
{
	my ($client) = @_;
	my $name = "soak.scratch_$client->{number}";

	return {
		function => pick('create_journal', 'alter_journal', 'guard_journal'),
		sql => "DO \$\$ BEGIN
	CREATE TABLE $name (id integer PRIMARY KEY, balance integer, floor integer, held integer NOT NULL DEFAULT 0);
	INSERT INTO $name VALUES (1, 10, 0), (2, 0, 0);
	PERFORM create_journal('${name}_journal', NULL::$name, partition_by => 'LIST (from_id)', foreign_keys => false);
	CREATE TABLE ${name}_part PARTITION OF ${name}_journal DEFAULT;
	PERFORM alter_journal('${name}_journal', '{\"min_balance_column\": \"floor\", \"held_column\": \"held\"}');
	PERFORM guard_journal('${name}_journal');
	PERFORM transfer(NULL::$name, 1, 2, 3, journal => '${name}_journal');
	PERFORM alter_journal('${name}_journal', '{\"guarded\": true}');
	PERFORM hold_transfer(NULL::$name, 1, 2, 3, '${name}_journal');
	IF EXISTS (SELECT FROM verify_journal('${name}_journal', NULL::$name)) THEN
		RAISE 'scratch journal is wrong';
	END IF;
	DROP TABLE $name, ${name}_journal, ${name}_journal_holds;
END \$\$"
	};
}

# In the middle of it all each snapshot adds up.
sub verify_journal
{
	my $family = pick(@families);
	return {
		function => 'verify_journal',
		sql => 'SELECT * FROM ' . verification($family),
		empty => 1
	};
}

sub verification
{
	my ($family) = @_;
	return "verify_journal('soak.$family->{journal}', NULL::soak.$family->{accounts}, opening => 1000"
	  . id_column($family) . ')';
}

# All functions that are called, for the summary.
our @functions = qw(
  get_or_create update_or_create get_or_create_many update_or_create_many key_guard lock_keys lock_rows
  transfer transfer_many reverse_transfer hold_transfer post_transfer void_transfer expire_holds
  balance_at verify_journal journal_guard balance_guard entry_guard hold_guard
  create_journal alter_journal guard_journal);

1;
