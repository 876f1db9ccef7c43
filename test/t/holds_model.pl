# Copyright (c) 2026, the racefree developers

# Random transfers, reversals, holds, posts, voids and expiries, in batches and
# by single calls, each next to what a model says about it: statuses, errors,
# amounts, balances, funds, and then what accounts, journal and open holds have.
# Each single call is made as a batch of one before, which is rolled back.
#
# The model has a clock of its own: time passes when it says so.  Then the holds
# that have expired by the model's clock get a time in the past, in the journal
# and among the open holds.
#
# RACEFREE_CASES (10000) sets the number of cases, RACEFREE_SEED the random
# numbers: give it what a failure says, to see the same again.

use strict;
use warnings;
use IPC::Run;
use List::Util qw(any max min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cases = $ENV{RACEFREE_CASES} || 10000;
my $seed = defined $ENV{RACEFREE_SEED} ? $ENV{RACEFREE_SEED} : time ^ $$ << 8;
my $group_size = 100;

srand $seed;
note("RACEFREE_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('holds_model');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
log_statement = none
log_min_messages = fatal
statement_timeout = 60s
));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION racefree');

# How often each outcome was expected: a test that never gets there is none.
my %seen;

sub one_of { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }
sub between { return $_[0] + int rand(1 + $_[1] - $_[0]) }

# ---------------------------------------------------------------------------
# The model.  Amounts are integers, as the columns are.

# What a call can fail with, and its SQLSTATE.
my %code_of = (
	request_mismatch => 'RF003',
	entry_not_found => 'RF007',
	hold_not_found => 'RF009',
	hold_settled => 'RF010',
	hold_expired => 'RF011',
	over_posted => 'RF012',
	over_reversed => 'RF006',
	invalid_amount => '22023',
	invalid_expires_at => '22023',
	same_account => '22023',
	account_not_found => 'RF002',
	account_closed => 'RF008',
	insufficient_funds => 'RF001',
	limit_exceeded => 'RF004');

my $past = '2000-01-01 00:00:00+00';

sub failure { return { status => $_[0] } }

sub copy_of
{
	my ($state) = @_;
	return {
		%$state,
		balance => { %{ $state->{balance} } },
		held => { %{ $state->{held} } },
		rest => { %{ $state->{rest} } },
		reversed => { %{ $state->{reversed} } },
		booked => { %{ $state->{booked} } },
		entries => [ @{ $state->{entries} } ]
	};
}

sub funds
{
	my ($state, $account) = @_;
	return $state->{balance}{$account} - $state->{held}{$account};
}

sub book
{
	my ($state, %entry) = @_;
	my $moves = $entry{kind} =~ /^(?:transfer|reversal|post)$/;

	$entry{number} = @{ $state->{entries} };
	$entry{from_balance} = $state->{balance}{ $entry{from} };
	$entry{to_balance} = $moves ? $state->{balance}{ $entry{to} } : undef;
	# As if all that the call lets go of were free from its beginning on, since
	# that is booked first.
	$entry{available} = funds($state, $entry{from}) + ($state->{pending}{ $entry{from} } // 0);
	push @{ $state->{entries} }, \%entry;
	$state->{booked}{ $entry{request} } = \%entry if defined $entry{request};
	return { status => 'ok', entry => \%entry };
}

sub is_replay
{
	my ($call, $entry) = @_;
	my $named = defined $call->{amount};

	return 0 if $entry->{kind} ne $call->{kind};
	return 0 if $named && $entry->{amount} != $call->{amount};
	return $entry->{reverses} == $call->{entry} if $call->{kind} eq 'reversal';
	return $entry->{settles} == $call->{entry}
	  if $call->{kind} =~ /^(?:post|void)$/;
	return 0 if !$named;
	# When it expires does not matter: now() + interval is always another time.
	return $entry->{from} == $call->{from} && $entry->{to} == $call->{to};
}

sub is_expired { return ($_[0]{expires} // '') eq $past }

# The open holds of an account that have expired.
sub expired_holds
{
	my ($state, $account) = @_;
	return grep {
		my $hold = $state->{entries}[$_];
		$hold->{from} == $account && is_expired($hold)
	} sort { $a <=> $b } keys %{ $state->{rest} };
}

# Return true if the account has that much.  If not, and if it has holds that
# have expired, the call begins again, and lets go of them before this transfer.
sub has_funds
{
	my ($state, $account, $amount, $floor) = @_;

	return 1 if !defined $floor || funds($state, $account) - $amount >= $floor;
	die { release => $account } if expired_holds($state, $account);
	return 0;
}

sub floor_of
{
	my ($state, $call, $account) = @_;
	my @floors = grep { defined } $state->{floor}{$account};

	push @floors, $call->{min_balance}
	  if defined $call->{min_balance} && $call->{min_balance} ne '-Infinity';
	return max(@floors);
}

sub check_accounts
{
	my ($state, $from, $to) = @_;

	return failure('account_not_found')
	  if any { !exists $state->{balance}{$_} } $from, $to;
	return failure('account_closed')
	  if any { $state->{closed}{$_} } $from, $to;
	return;
}

sub check_amount
{
	my ($call) = @_;
	return failure('invalid_amount')
	  if defined $call->{amount} && $call->{amount} <= 0;
	return;
}

sub exceeds
{
	my ($state, $to, $amount) = @_;
	my $ceiling = $state->{ceiling}{$to};

	return defined $ceiling && $state->{balance}{$to} + $amount > $ceiling;
}

sub pay
{
	my ($state, $from, $to, $amount) = @_;
	$state->{balance}{$from} -= $amount;
	$state->{balance}{$to} += $amount;
	return;
}

# A transfer, a reversal, or a hold.
sub do_transfer
{
	my ($state, $call, $from, $to, $amount, %more) = @_;
	my $bad = check_accounts($state, $from, $to);

	return $bad if $bad;
	return failure('insufficient_funds')
	  unless has_funds($state, $from, $amount, floor_of($state, $call, $from));
	if ($call->{kind} eq 'hold')
	{
		$state->{held}{$from} += $amount;
		$state->{rest}{ scalar @{ $state->{entries} } } = $amount;
	}
	else
	{
		return failure('limit_exceeded')
		  if exceeds($state, $to, $amount);
		pay($state, $from, $to, $amount);
	}
	return book(
		$state,
		kind => $call->{kind},
		from => $from,
		to => $to,
		amount => $amount,
		request => $call->{request},
		chain => $call->{chain},
		expires => $call->{expires},
		%more);
}

sub do_reversal
{
	my ($state, $call) = @_;
	my $entry = $state->{entries}[ $call->{entry} ];
	my $bad;

	return failure('entry_not_found')
	  if !$entry || $entry->{kind} !~ /^(?:transfer|reversal|post)$/;
	return $bad if $bad = check_amount($call);

	my $left = $entry->{amount} - ($state->{reversed}{ $call->{entry} } // 0);
	my $amount = $call->{amount} // $left;
	return failure('over_reversed') if $left == 0 || $amount > $left;

	my $result = do_transfer($state, $call, @$entry{ 'to', 'from' },
		$amount, reverses => $call->{entry});
	$state->{reversed}{ $call->{entry} } += $amount
	  if $result->{status} eq 'ok';
	return $result;
}

# The hold that is posted or voided, or why it cannot be.
sub find_hold
{
	my ($state, $call) = @_;
	my $hold = $state->{entries}[ $call->{entry} ];

	return failure('hold_not_found') if !$hold || $hold->{kind} ne 'hold';
	return failure('hold_settled') if was_settled($state, $call->{entry});
	return failure('hold_expired') if is_expired($hold);
	return;
}

# A hold that was settled before it expired stays settled.
sub was_settled
{
	my ($state, $number) = @_;

	return !exists $state->{rest}{$number}
	  && !any { $_->{kind} eq 'expiry' && $_->{settles} == $number }
	@{ $state->{entries} };
}

sub do_post
{
	my ($state, $call) = @_;
	my $bad = find_hold($state, $call) || check_amount($call);
	return $bad if $bad;

	my $number = $call->{entry};
	my $hold = $state->{entries}[$number];
	my ($from, $to) = @$hold{ 'from', 'to' };
	my $rest = $state->{rest}{$number};
	my $amount = $call->{amount} // $rest;
	my $beyond = max(0, $amount - $rest);

	return failure('over_posted') if $beyond && !$call->{beyond};
	return $bad if $bad = check_accounts($state, $from, $to);
	return failure('insufficient_funds')
	  if $beyond
	  && !has_funds($state, $from, $beyond, floor_of($state, $call, $from));
	return failure('limit_exceeded') if exceeds($state, $to, $amount);

	my $left = max(0, $rest - $amount);
	my $void = $call->{final} ? $left : 0;
	pay($state, $from, $to, $amount);
	$state->{held}{$from} -= $rest - $left + $void;
	$state->{rest}{$number} = $left - $void;
	delete $state->{rest}{$number} if $left == $void;

	my %entry = (from => $from, to => $to, settles => $number, chain => $call->{chain});
	my $result = book(
		$state, %entry,
		kind => 'post',
		amount => $amount,
		request => $call->{request});
	book($state, %entry, kind => 'void', amount => $void) if $void;
	return $result;
}

sub do_void
{
	my ($state, $call) = @_;
	my $bad = find_hold($state, $call);
	return $bad if $bad;

	my $number = $call->{entry};
	my $hold = $state->{entries}[$number];
	my $rest = delete $state->{rest}{$number};

	$state->{held}{ $hold->{from} } -= $rest;
	return book(
		$state,
		kind => 'void',
		from => $hold->{from},
		to => $hold->{to},
		amount => $rest,
		settles => $number,
		request => $call->{request},
		chain => $call->{chain});
}

sub do_call
{
	my ($state, $call) = @_;
	my $booked =
	  defined $call->{request} ? $state->{booked}{ $call->{request} } : undef;
	my $bad;

	if ($booked)
	{
		return { status => 'replayed', entry => $booked }
		  if is_replay($call, $booked);
		return failure('request_mismatch');
	}
	return do_reversal($state, $call) if $call->{kind} eq 'reversal';
	return do_post($state, $call) if $call->{kind} eq 'post';
	return do_void($state, $call) if $call->{kind} eq 'void';
	return $bad if $bad = check_amount($call);
	return failure('same_account') if $call->{from} == $call->{to};
	return failure('invalid_expires_at') if is_expired($call);
	return do_transfer($state, $call, @$call{ 'from', 'to', 'amount' });
}

# The entries of holds that a call lets go of come first, with the balances that
# it found; the money is there from the transfer on that needed it.
sub book_expiries
{
	my ($state, @numbers) = @_;
	my %later;

	$state->{pending} = {};
	for my $number (@numbers)
	{
		my ($from, $to) = @{ $state->{entries}[$number] }{ 'from', 'to' };
		my $amount = $later{$from}{$number} = $state->{rest}{$number};

		$state->{pending}{$from} += $amount;
		book(
			$state,
			kind => 'expiry',
			from => $from,
			to => $to,
			amount => $amount,
			settles => $number);
	}
	return %later;
}

sub let_go
{
	my ($state, $account, $holds) = @_;

	$state->{held}{$account} -= delete $state->{rest}{$_} for sort keys %$holds;
	delete $state->{pending}{$account};
	return;
}

# In order; whenever a chain fails, all over again without it.  What a chain
# that failed has let go of is free from its first transfer on.
sub do_batch
{
	my ($before, $calls) = @_;
	my (%culprit, @released, %released_at);

  AGAIN:
	my $state = copy_of($before);
	my %later = book_expiries($state, map { expired_holds($state, $_) } @released);
	my @results;
	for my $i (0 .. $#$calls)
	{
		my $call = $calls->[$i];
		my $chain = $call->{chain};

		for my $account (grep { exists $later{$_} && $released_at{$_} <= $i } @released)
		{
			let_go($state, $account, delete $later{$account});
		}
		next if defined $chain && $culprit{$chain};
		my $result = $results[$i] = eval { do_call($state, $call) };
		if (!$result)
		{
			die $@ unless ref $@;
			push @released, $@->{release};
			$released_at{ $@->{release} } = $i;
			goto AGAIN;
		}
		next if $result->{entry} || !defined $chain;
		$culprit{$chain} = { number => $i, %$result };
		my ($first) = grep { ($calls->[$_]{chain} // '') eq $chain } 0 .. $i;
		$_ = min($_, $first) for values %released_at;
		goto AGAIN;
	}
	for my $i (0 .. $#$calls)
	{
		my $call = $calls->[$i];
		my $culprit = defined $call->{chain} ? $culprit{ $call->{chain} } : undef;
		my $booked =
		  defined $call->{request} ? $before->{booked}{ $call->{request} } : undef;

		next unless $culprit;
		$results[$i] =
			$culprit->{number} == $i ? $culprit
		  : $booked && is_replay($call, $booked)
		  ? { status => 'replayed', entry => $booked }
		  : { status => 'chain_failed' };
	}
	number_chains($state, scalar @{ $before->{entries} });
	return ($state, @results);
}

# Entries of a chain name the first one of it.
sub number_chains
{
	my ($state, $first) = @_;
	my %first_of;

	for my $entry (@{ $state->{entries} }[ $first .. $#{ $state->{entries} } ])
	{
		$entry->{chain_id} = $first_of{ $entry->{chain} } //= $entry->{number}
		  if defined $entry->{chain};
	}
	return;
}

# ---------------------------------------------------------------------------
# Groups: accounts and a journal with rules

sub new_group
{
	my ($number) = @_;
	my @accounts = 1 .. between(3, 5);
	my %state = (
		balance => { map { ($_ => between(0, 300)) } @accounts },
		held => { map { ($_ => 0) } @accounts },
		floor => { map { ($_ => one_of(0, 0, 0, 50, -100, undef)) } @accounts },
		closed => { map { ($_ => chance(0.1)) } @accounts },
		ceiling => { map { ($_ => one_of(undef, undef, undef, 300)) } @accounts },
		rest => {},
		reversed => {},
		booked => {},
		entries => []);
	my @rows = map {
		my $floor = $state{floor}{$_} // 'NULL';
		my $closed = $state{closed}{$_} ? 'true' : 'false';
		my $ceiling = $state{ceiling}{$_} // 'NULL';
		"($_, $state{balance}{$_}, $floor, $ceiling, $closed)"
	} @accounts;
	my $guarded = one_of('true', 'false');
	my $type = one_of('bigint', 'integer', 'numeric', 'numeric(12,2)', 'smallint');

	return {
		number => $number,
		accounts => \@accounts,
		state => \%state,
		requests => 0,
		definition => <<"SQL"
CREATE TABLE account_$number (id integer PRIMARY KEY, balance $type NOT NULL,
	floor bigint, ceiling bigint, closed boolean, held $type NOT NULL DEFAULT 0, CHECK (held >= 0));
INSERT INTO account_$number VALUES @{[ join ', ', @rows ]};
SELECT create_journal('public.journal_$number', NULL::account_$number, request_id_type => 'text',
	min_balance_column => 'floor', max_balance_column => 'ceiling', closed_column => 'closed', held_column => 'held',
	guarded => $guarded) IS NULL;
SQL
	};
}

# An entry of that kind, mostly, or another one, or none.
sub random_entry
{
	my ($group, $kind) = @_;
	my $entries = $group->{state}{entries};
	my @open = keys %{ $group->{state}{rest} };
	my @kind = grep { $entries->[$_]{kind} =~ $kind } 0 .. $#$entries;

	return scalar @$entries + 1000 if chance(0.03) || !@$entries;
	return int rand @$entries if chance(0.07);
	return one_of(@open) if @open && 'hold' =~ $kind && chance(0.7);
	return @kind ? one_of(@kind) : int rand @$entries;
}

sub random_amount
{
	return one_of(0, -5) if chance(0.03);
	return between(1, chance(0.7) ? 60 : 400);
}

sub random_expiry
{
	return undef if chance(0.4);
	return $past if chance(0.03);
	return '2999-01-01 00:00:00+00';
}

# Some amounts are all that is left, some a little beyond.
sub random_settlement
{
	my ($group, $call) = @_;
	my $rest = $group->{state}{rest}{ $call->{entry} } // between(1, 60);

	$call->{amount} = one_of(undef, $rest, between(1, $rest), $rest + between(1, 30), random_amount());
	$call->{final} = chance(0.6);
	$call->{beyond} = chance(0.3);
	return;
}

sub random_call
{
	my ($group) = @_;
	my $kind = one_of('transfer', 'reversal', ('hold', 'post') x 2, 'void');
	my $call = { kind => $kind };

	if ($kind eq 'transfer' || $kind eq 'hold')
	{
		@$call{ 'from', 'to' } = map { chance(0.02) ? 99 : one_of(@{ $group->{accounts} }) } 1, 2;
		$call->{amount} = random_amount();
		$call->{expires} = random_expiry() if $kind eq 'hold';
	}
	else
	{
		$call->{entry} = random_entry($group, $kind eq 'reversal' ? qr/transfer|post|reversal/ : qr/hold/);
		$call->{amount} = chance(0.5) ? undef : random_amount() if $kind eq 'reversal';
		random_settlement($group, $call) if $kind eq 'post';
	}
	return $call if chance(0.4);
	if ($group->{requests} && chance(0.25))
	{
		# The same again, or its id for something else.
		my $request = between(1, $group->{requests});
		my $first = $group->{first}{$request};
		return {%$first} if $first && chance(0.8);
		$call->{request} = $request;
	}
	else
	{
		$call->{request} = ++$group->{requests};
		$group->{first}{ $call->{request} } = $call;
	}
	return $call;
}

# ---------------------------------------------------------------------------
# Calls in SQL

sub literal { return defined $_[0] ? "'$_[0]'" : 'NULL' }

sub array_of
{
	my ($type, @values) = @_;
	return 'ARRAY[' . join(', ', map { literal($_) } @values) . "]::$type\[]";
}

sub entry_sql
{
	my ($group, $entry) = @_;

	return 'NULL' unless defined $entry;
	return
	  "coalesce((SELECT id FROM journal_$group->{number} ORDER BY id OFFSET $entry LIMIT 1), 0)";
}

sub boolean { return defined $_[0] ? $_[0] ? 'true' : 'false' : undef }

sub min_balance_sql
{
	my ($call) = @_;
	return defined $call->{min_balance} ? ", min_balance => '$call->{min_balance}'" : '';
}

sub batch_sql
{
	my ($group, @calls) = @_;
	my $n = $group->{number};
	my $entries = join ', ', map { entry_sql($group, $_->{entry}) } @calls;

	return "SELECT 'r', status, amount, from_balance, from_available, to_balance, entry_id FROM transfer_many(NULL::account_$n, "
	  . join(', ',
		array_of('integer', map { $_->{from} } @calls),
		array_of('integer', map { $_->{to} } @calls),
		array_of('numeric', map { $_->{amount} } @calls),
		'request_ids => ' . array_of('text', map { $_->{request} } @calls),
		'chains => ' . array_of('integer', map { $_->{chain} } @calls),
		'kinds => ' . array_of('text', map { $_->{kind} } @calls),
		"entry_ids => ARRAY[$entries]::bigint[]",
		'expires_at => ' . array_of('timestamptz', map { $_->{expires} } @calls),
		'final => ' . array_of('boolean', map { boolean($_->{final}) } @calls),
		'beyond => ' . array_of('boolean', map { boolean($_->{beyond}) } @calls),
		"on_error => 'report'",
		"journal => 'public.journal_$n'")
	  . min_balance_sql($calls[0])
	  . ") ORDER BY ordinality;\n";
}

sub single_sql
{
	my ($group, $call) = @_;
	my $table = "account_$group->{number}";
	my $journal = "journal => 'public.journal_$group->{number}'";
	my $entry = 'entry_id => ' . entry_sql($group, $call->{entry});
	my $amount = 'amount => ' . literal($call->{amount});
	my $request = 'request_id => ' . literal($call->{request});
	my %arguments = (
		transfer => [ literal($call->{from}), literal($call->{to}), $amount, $journal, $request ],
		hold => [
			literal($call->{from}), literal($call->{to}),
			$amount, $journal, $request, 'expires_at => ' . literal($call->{expires})
		],
		reversal => [ $journal, $entry, $amount, $request ],
		post => [
			$journal, $entry, $amount, $request,
			'final => ' . boolean($call->{final}), 'beyond => ' . boolean($call->{beyond})
		],
		void => [ $journal, $entry, $request ]);
	my %function = (reversal => 'reverse_transfer', transfer => 'transfer');
	my $function = $function{ $call->{kind} } // "$call->{kind}_transfer";

	return
		"SELECT 's', CASE WHEN replayed THEN 'replayed' ELSE 'ok' END, amount, entry->>'from_balance', entry->>'to_balance', entry->>'id',"
	  . " (from_account).balance, (from_account).held, (to_account).balance FROM $function(NULL::$table, "
	  . join(', ', @{ $arguments{ $call->{kind} } })
	  . ($call->{kind} eq 'void' ? '' : min_balance_sql($call))
	  . ");\n";
}

# ---------------------------------------------------------------------------
# What is expected, line by line

sub line { return join '|', map { $_ // '' } @_ }

sub batch_lines
{
	my ($undone, @results) = @_;
	return map {
		my $entry = $_->{entry};
		my $is_new = $_->{status} eq 'ok';

		$seen{ $entry ? "$_->{status} $entry->{kind}" : $_->{status} }++;
		line('r', $_->{status},
			$entry
			? ( @$entry{ 'amount', 'from_balance' },
				$is_new ? $entry->{available} : '',
				$entry->{to_balance},
				$is_new && $undone ? 'new' : "entry $entry->{number}")
			: ('') x 5)
	} @results;
}

sub single_lines
{
	my ($state, $result) = @_;
	my $entry = $result->{entry};

	if (!$entry)
	{
		my $code = $code_of{ $result->{status} } or die $result->{status};
		$seen{"single: $result->{status}"}++;
		return "error $code";
	}
	$seen{"single: $result->{status} $entry->{kind}"}++;
	return line(
		's', $result->{status},
		@$entry{ 'amount', 'from_balance', 'to_balance' },
		"entry $entry->{number}",
		$state->{balance}{ $entry->{from} },
		$state->{held}{ $entry->{from} },
		$state->{balance}{ $entry->{to} });
}

sub state_lines
{
	my ($state) = @_;

	return (
		map({ line('a', $_, $state->{balance}{$_}, $state->{held}{$_}) }
			sort { $a <=> $b } keys %{ $state->{balance} }),
		map({
				my $hold = $state->{entries}[$_];
				line('h', "entry $_", @$hold{ 'from', 'to' }, $state->{rest}{$_}, $hold->{expires})
		} sort { $a <=> $b } keys %{ $state->{rest} }));
}

sub journal_lines
{
	my ($state) = @_;

	return map {
		my $entry = $_;
		line(
			'j',
			"entry $entry->{number}",
			@$entry{
				'kind', 'request', 'from', 'to', 'amount', 'from_balance', 'to_balance', 'expires'
			},
			map { defined $entry->{$_} ? "entry $entry->{$_}" : '' } 'reverses', 'settles', 'chain_id')
	} @{ $state->{entries} };
}

my %state_sql;

sub state_sql
{
	my ($group) = @_;
	my $n = $group->{number};

	return "SELECT 'a', id, balance, held FROM account_$n ORDER BY id;\n"
	  . "SELECT 'h', entry_id, from_id, to_id, amount, expires_at FROM journal_${n}_holds ORDER BY entry_id;\n";
}

# ---------------------------------------------------------------------------
# Cases

sub random_batch
{
	my ($group) = @_;
	my @calls = map { { %{ random_call($group) } } } 1 .. between(1, 8);
	my $min_balance = chance(0.8) ? undef : one_of('-Infinity', 0, 20);

	if (chance(0.6))
	{
		for my $call (@calls)
		{
			$call->{chain} = between(1, 2) if chance(0.7);
		}
	}
	$_->{min_balance} = $min_balance for @calls;
	my ($state, @results) = do_batch($group->{state}, \@calls);
	$group->{state} = $state;
	return { sql => batch_sql($group, @calls), expected => [ batch_lines(0, @results) ] };
}

sub random_single
{
	my ($group) = @_;
	my $call = { %{ random_call($group) } };

	$call->{min_balance} = chance(0.8) ? undef : one_of('-Infinity', 0, 20);
	my ($state, $result) = do_batch($group->{state}, [$call]);
	my @expected = batch_lines(1, $result);

	$group->{state} = $state if $result->{entry};
	return {
		sql => "BEGIN;\n" . batch_sql($group, $call) . "ROLLBACK;\n" . single_sql($group, $call),
		expected => [ @expected, single_lines($group->{state}, $result) ]
	};
}

# All holds that can expire do.
sub tick
{
	my ($group) = @_;
	my $n = $group->{number};

	$_->{expires} = $past for grep { $_->{expires} } @{ $group->{state}{entries} };
	return {
		sql => <<"SQL",
SET session_replication_role = replica;
UPDATE journal_$n SET expires_at = '$past' WHERE expires_at IS NOT NULL;
UPDATE journal_${n}_holds SET expires_at = '$past' WHERE expires_at IS NOT NULL;
RESET session_replication_role;
SQL
		expected => []
	};
}

# The holds that expired first, of whatever account.
sub random_expire
{
	my ($group) = @_;
	my $n = $group->{number};
	my $state = copy_of($group->{state});
	my @due = sort { $a <=> $b } map { expired_holds($state, $_) } @{ $group->{accounts} };
	my $count = 0;

	# Only all of them: which ones a smaller number means is not said.
	if (@due)
	{
		my %later = book_expiries($state, @due);
		let_go($state, $_, $later{$_}) for keys %later;
		$count = @due;
		$group->{state} = $state;
		$seen{expire_holds}++;
	}
	return {
		sql => "SELECT 'e', expire_holds(NULL::account_$n, 'public.journal_$n');\n",
		expected => [ line('e', $count) ]
	};
}

# ---------------------------------------------------------------------------
# What psql printed, in the same terms

sub number_of
{
	my ($text) = @_;
	return $text =~ s/\.0+$//r;
}

sub got_entry
{
	my ($group, $id, $may_be_new) = @_;
	my $ids = $group->{ids};

	return '' if $id eq '';
	return "entry $ids->{$id}" if exists $ids->{$id};
	return $may_be_new ? 'new' : "unknown $id";
}

sub got_line
{
	my ($group, $undone, $kind, @fields) = @_;

	$_ = number_of($_) for @fields;
	if ($kind eq 'r')
	{
		$fields[5] = got_entry($group, $fields[5], $undone);
	}
	elsif ($kind eq 's')
	{
		$fields[4] = got_entry($group, $fields[4]);
	}
	elsif ($kind eq 'h')
	{
		$fields[0] = got_entry($group, $fields[0]);
	}
	elsif ($kind eq 'j')
	{
		$_ = got_entry($group, $_) for @fields[ 0, 9 .. 11 ];
	}
	return line($kind, @fields);
}

sub got_lines
{
	my ($group, @output) = @_;
	my $n_r = grep { /^r\|/ } @output;
	my $single = any { /^s\||^(?:psql:\S+ )?ERROR/ } @output;
	my @lines;

	for (@output)
	{
		if (/^(?:psql:\S+ )?ERROR:\s+(\w{5}): /)
		{
			push @lines, "error $1";
		}
		elsif (/^[rsahje]\|/)
		{
			push @lines, got_line($group, $single, split /\|/, $_, -1);
		}
		elsif (!/^(?:DETAIL|HINT|LOCATION|CONTEXT|\s)/)
		{
			push @lines, "unexpected: $_";
		}
	}
	return @lines;
}

# ---------------------------------------------------------------------------

sub run_psql
{
	my ($script) = @_;
	my $output;

	# An error message is among the answers, where it belongs.
	IPC::Run::run(
		[
			'psql', '-XAtq', '-F', '|', '-v', 'VERBOSITY=verbose', '-d',
			$node->connstr('postgres'),
			'-f', '-'
		],
		'<', \$script, '>&', \$output) or die "psql: $output";
	return split /\n/, $output;
}

sub run_group
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($group, $number_of_cases) = @_;
	my $n = $group->{number};
	my $script = "SET timezone = 'UTC';\nSET client_min_messages = warning;\n$group->{definition}";
	my @all;

	for my $i (0 .. $number_of_cases - 1)
	{
		my $make = one_of((\&random_batch) x 6, (\&random_single) x 6, \&tick, \&random_expire);
		my $case = $make->($group);

		push @{ $case->{expected} }, state_lines($group->{state});
		push @all, $case;
		$script .= "\\echo = $i\n$case->{sql}" . state_sql($group);
	}
	$script .= <<"SQL";
\\echo = journal
SELECT 'j', id, kind, request_id, from_id, to_id, amount, from_balance, to_balance, expires_at, reverses, settles, chain_id
FROM journal_$n ORDER BY id;
\\echo = verify
SELECT 'verify', * FROM verify_journal('journal_$n', NULL::account_$n) WHERE problem <> 'no_entries';
SQL

	my (%output, @problems);
	my $section = 'definition';
	for (run_psql($script))
	{
		/^= (\w+)$/ ? ($section = $1) : push @{ $output{$section} }, $_;
	}
	# The ids of entries in order are the model's numbers.
	my @ids = map { /^j\|(\d+)/ } @{ $output{journal} || [] };
	$group->{ids} = { map { ($ids[$_] => $_) } 0 .. $#ids };

	push @problems, grep { !/^f$/ } @{ $output{definition} || [] };
	for my $number (0 .. $#all)
	{
		my $case = $all[$number];
		my @got = got_lines($group, @{ $output{$number} || [] });

		next if "@got" eq "@{ $case->{expected} }";
		push @problems, "case $number", $group->{definition},
		  'before:', $number ? @{ $all[ $number - 1 ]{expected} } : (),
		  $case->{sql}, 'expected:', @{ $case->{expected} },
		  'got:', @got, 'output:', @{ $output{$number} || [] };
		last;
	}
	if (!@problems)
	{
		my @got = got_lines($group, @{ $output{journal} || [] });
		my @expected = journal_lines($group->{state});
		my ($i) = grep { ($got[$_] // '') ne ($expected[$_] // '') } 0 .. max($#got, $#expected);

		push @problems, 'in the journal, expected: ' . ($expected[$i] // 'no more'),
		  'got: ' . ($got[$i] // 'no more')
		  if defined $i;
		push @problems, @{ $output{verify} || [] };
	}
	ok(!@problems, "group $n")
	  or diag(join "\n", "RACEFREE_SEED=$seed RACEFREE_CASES=$cases", @problems);
	return;
}

for (my $left = $cases; $left > 0; $left -= $group_size)
{
	run_group(new_group(++$seen{groups}), min($left, $group_size));
}
note("$_: $seen{$_}") for sort keys %seen;

# The dice are not so loaded that something never came up.
my @kinds = ('transfer', 'reversal', 'hold', 'post', 'void');
my @never = grep { !$seen{$_} } (
	map({ ("ok $_", "replayed $_", "single: ok $_", "single: replayed $_") } @kinds),
	map({ ($_, "single: $_") } keys %code_of),
	'chain_failed', 'expire_holds');
is("@never", '', 'every status came up') if $cases >= 10000;

$node->stop;

done_testing();
