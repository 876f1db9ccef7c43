# Copyright (c) 2026, the racefree developers

# Random batches through transfer_many(), each next to what a model of a few
# lines says about it: statuses, amounts, balances, entries, errors, and what
# the tables then hold.  Some of a batch are reversals.  Between the batches
# single calls of transfer() and reverse_transfer(), after the same as a batch of
# one that is rolled back: all must come to what the model says.
#
# Some journals refuse an amount that is a multiple of 13, and some ids are none.
#
# A group of cases has its own accounts and journal, which carry over from one
# case to the next.
#
# RACEFREE_CASES (10000) sets the number of batches, RACEFREE_SEED the random
# numbers: give it what a failure says, to see the same again.

use strict;
use warnings;
use IPC::Run;
use List::Util qw(any first max min sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cases = $ENV{RACEFREE_CASES} || 10000;
my $seed = defined $ENV{RACEFREE_SEED} ? $ENV{RACEFREE_SEED} : time ^ $$ << 8;
my $group_size = 100;

srand $seed;
note("RACEFREE_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('model');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
log_statement = none
log_min_messages = fatal
statement_timeout = 60s
));
$node->start;
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RETURN NULL; END';
));

# What is shown of a batch's results.
my $many_columns =
  q(ordinality, status, amount, from_balance, from_available, to_balance, entry_id, left(detail, 5));

# How often each status was expected: a test that never gets there is none.
my %seen;

# ---------------------------------------------------------------------------
# Dice

sub one_of { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }
sub between { return $_[0] + int rand(1 + $_[1] - $_[0]) }

# ---------------------------------------------------------------------------
# Numbers.  The model counts in units of the last digit that the balance
# column holds, so that its numbers are integers, whatever the column's are.

sub text_of
{
	my ($units, $scale) = @_;
	my ($sign, $digits) = $units =~ /^(-?)(\d+)$/
	  or die "not in units: $units";
	return "$sign$digits" unless $scale;
	$digits = '0' x ($scale + 1 - length $digits) . $digits
	  if length $digits <= $scale;
	return
		$sign
	  . substr($digits, 0, -$scale) . '.'
	  . substr($digits, -$scale);
}

# What has more digits than that stays as it is, and will not match.
sub units_of
{
	my ($text, $scale) = @_;
	my ($sign, $whole, $fraction) = $text =~ /^(-?)(\d+)(?:\.(\d*?)0*)?$/
	  or return $text;
	$fraction = '' unless defined $fraction;
	return $text if length $fraction > $scale;
	my $digits = $whole . $fraction . '0' x ($scale - length $fraction);
	$digits =~ s/^0+(?=\d)//;
	return $digits eq '0' ? 0 : "$sign$digits";
}

# ---------------------------------------------------------------------------
# The model

sub failure { return { status => $_[0], code => $_[1] } }

# The balances, what was booked before this batch, and what by it.
sub snapshot
{
	my ($state) = @_;
	return {
		%$state,
		balance => { %{ $state->{balance} } },
		entries => [ @{ $state->{entries} } ],
		booked => { %{ $state->{booked} } }
	};
}

# Did this request book that?
sub same_request
{
	my ($call, $entry, $option) = @_;

	if (defined $call->{entry})
	{
		return 0
		  unless defined $entry->{reverses}
		  && $entry->{reverses} == $call->{entry};
		return $call->{amount}{sql} eq 'NULL'
		  || same_amount($call->{amount}, $entry, $option);
	}
	return 0 if ($call->{from} // '') ne $entry->{from};
	return 0 if ($call->{to} // '') ne $entry->{to};
	return 0 if defined $entry->{reverses};
	return same_amount($call->{amount}, $entry, $option);
}

sub same_amount
{
	my ($amount, $entry, $option) = @_;

	return 0 unless defined $amount->{units};
	return $option->{up_to}
	  ? $entry->{amount} <= $amount->{units}
	  : $entry->{amount} == $amount->{units};
}

# What is known before a transfer is tried.
sub known
{
	my ($call) = @_;

	return failure('invalid_id', '22P02') if $call->{bad_id};
	return failure('invalid_request_id', '22P02') if $call->{bad_request};
	return failure('refused', '23514') if $call->{refused};
	return undef;
}

# Does a CHECK of the journal refuse it?
sub refuses
{
	my ($state, $amount) = @_;
	return $state->{refuses} && $amount <= 1_000_000 && $amount % 13 == 0;
}

# The first call of a batch whose entry is refused.
sub first_refused
{
	my ($state, @results) = @_;
	return first
	{
		$results[$_]{status} eq 'ok'
		  && refuses($state, $results[$_]{entry}{amount})
	}
	0 .. $#results;
}

sub transfer
{
	my ($state, $call, $option) = @_;
	my ($from, $to, $amount) = @$call{ 'from', 'to', 'amount' };

	if (my $entry = booked($state, $call->{request}))
	{
		return { status => 'replayed', entry => $entry }
		  if same_request($call, $entry, $option);
		return failure('request_mismatch', 'RF003');
	}
	return failure('account_not_found', '22004')
	  unless defined $from && defined $to;
	return failure('invalid_amount', '22004') if $amount->{sql} eq 'NULL';
	return failure('invalid_amount', '22023') unless $amount->{positive};
	return failure('same_account', '22023') if $from eq $to;
	return failure('invalid_amount', '22023')
	  unless $amount->{exact} || $option->{up_to};
	return failure('account_not_found', 'RF002')
	  if any { !exists $state->{balance}{$_} } $from, $to;
	return failure('account_closed', 'RF008')
	  if closed($state, $from, $to);
	return failure('mismatch', 'RF005')
	  if mismatch($state, $option, $from, $to);
	return move($state, $call, $option, $amount->{units}, $amount->{exact});
}

# By the rules of the journal, if it has any.
sub closed
{
	my ($state, @accounts) = @_;
	return any { $state->{closed}{$_} } @accounts;
}

# Of the call's limit and the account's own, if there are two, the narrower one.
sub floor_of
{
	my ($state, $option, $account) = @_;
	my $floor = $option->{min_balance};

	return $floor unless $state->{floor};
	$floor = undef if $option->{default_floor};
	return max(grep { defined } $floor, $state->{floor}{$account});
}

sub ceiling_of
{
	my ($state, $option, $account) = @_;
	return min(grep { defined } $option->{max_balance},
		$state->{ceiling} ? $state->{ceiling}{$account} : undef);
}

sub mismatch
{
	my ($state, $option, $from, $to) = @_;

	for my $column (@{ $option->{must_match} || [] },
		@{ $state->{must_match} || [] })
	{
		my ($one, $other) = map { $state->{$column}{$_} } $from, $to;
		return 1 if ($one // '') ne ($other // '');
	}
	return 0;
}

sub booked
{
	my ($state, $request) = @_;
	return defined $request ? $state->{booked}{$request} : undef;
}

sub move
{
	my ($state, $call, $option, $amount, $exact) = @_;
	my ($payer, $payee) = @{ $state->{balance} }{ @$call{ 'from', 'to' } };
	my $floor = floor_of($state, $option, $call->{from});
	my $ceiling = ceiling_of($state, $option, $call->{to});
	my $range = $state->{range};

	for my $balance ($payer, $payee)
	{
		return failure('invalid_balance', '22004') unless defined $balance;
		return failure('invalid_balance', '22003') if $balance eq 'NaN';
	}
	if (defined $floor)
	{
		my $spare = $payer - $floor;
		($amount, $exact) = ($spare, 1) if $option->{up_to} && $spare < $amount;
		return failure('insufficient_funds', 'RF001')
		  if $amount <= 0 || $spare < $amount;
	}
	elsif ($range && $option->{up_to})
	{
		# What the column can hold, of the balance and of the amount.
		my $spare = $payer < 0 ? $payer - $state->{least} : $range;
		($amount, $exact) = ($spare, 1) if $spare < $amount;
		return failure('insufficient_funds', 'RF001') if $amount <= 0;
	}
	return failure('invalid_amount', '22023') unless $exact;
	# Not by the sum, which may be more than Perl's integers hold.
	return failure('limit_exceeded', 'RF004')
	  if defined $ceiling && $ceiling - $amount < $payee;
	return failure('limit_exceeded', '22003')
	  if $range
	  && ($range - $amount < $payee || $state->{least} + $amount > $payer);

	my $entry = {
		number => scalar @{ $state->{entries} },
		%$call,
		amount => $amount,
		from_balance => $payer - $amount,
		to_balance => $payee + $amount
	};
	$state->{balance}{ $call->{from} } = $entry->{from_balance};
	$state->{balance}{ $call->{to} } = $entry->{to_balance};
	push @{ $state->{entries} }, $entry;
	$state->{booked}{ $call->{request} } = $entry if defined $call->{request};
	return { status => 'ok', entry => $entry };
}

# In order; whenever a chain fails, all over again without it.
sub transfer_many
{
	my ($state, $calls, $option) = @_;
	my @calls = map { {%$_} } @$calls;

	while (1)
	{
		my ($new, $outcome) = transfer_all($state, \@calls, $option);
		return ($new, $outcome) if $outcome->{error};
		my $i = first_refused($state, @{ $outcome->{results} });
		return ($new, $outcome) unless defined $i;
		return ($state, { error => '23514', number => $i + 1 })
		  if $option->{on_error} eq 'raise';
		$calls[$i]{refused} = 1;
	}
	return;
}

sub transfer_all
{
	my ($state, $calls, $option) = @_;
	my %culprit;

  AGAIN:
	my $new = snapshot($state);
	my @results;
	for my $i (0 .. $#$calls)
	{
		my $call = $calls->[$i];
		my $chain = $call->{chain};
		next if defined $chain && $culprit{$chain};

		my $result = $results[$i] =
		    known($call) ? known($call)
		  : defined $call->{entry}
		  ? reverse_transfer($new, $call, $option)
		  : transfer($new, $call, $option);
		next unless $result->{code};
		return ($state, { error => $result->{code}, number => $i + 1 })
		  if $option->{on_error} eq 'raise';
		if (defined $chain)
		{
			$culprit{$chain} = { number => $i, %$result };
			goto AGAIN;
		}
	}

	for my $i (0 .. $#$calls)
	{
		my $call = $calls->[$i];
		my $culprit = defined $call->{chain} && $culprit{ $call->{chain} }
		  or next;
		my $entry = known($call) ? undef : booked($state, $call->{request});
		$results[$i] =
			$culprit->{number} == $i ? $culprit
		  : $entry && same_request($call, $entry, $option)
		  ? { status => 'replayed', entry => $entry, in_failed_chain => 1 }
		  : { status => 'chain_failed' };
	}
	return ($new, { results => \@results });
}

sub reverse_transfer
{
	my ($state, $call, $option) = @_;
	my ($entry, $amount) = @$call{ 'entry', 'amount' };

	if (my $before = booked($state, $call->{request}))
	{
		return { status => 'replayed', entry => $before }
		  if defined $entry && same_request($call, $before, $option);
		return failure('request_mismatch', 'RF003');
	}
	return failure('entry_missing', '22004') unless defined $entry;
	return failure('entry_not_found', 'RF007') if $entry < 0;
	return failure('invalid_amount', '22023')
	  unless $amount->{sql} eq 'NULL'
	  || $amount->{positive} && ($amount->{exact} || $option->{up_to});

	my $first = $state->{entries}[$entry];
	my $left = $first->{amount} - sum0 map { $_->{amount} }
	  grep { defined $_->{reverses} && $_->{reverses} == $entry }
	  @{ $state->{entries} };
	my $back = $amount->{sql} eq 'NULL' ? $left : $amount->{units};
	return failure('over_reversed', 'RF006') if $left == 0 || $back > $left;
	return failure('account_closed', 'RF008')
	  if closed($state, @$first{ 'to', 'from' });
	return failure('mismatch', 'RF005')
	  if mismatch($state, $option, @$first{ 'to', 'from' });
	return move(
		$state,
		{
			from => $first->{to},
			to => $first->{from},
			request => $call->{request},
			details => $call->{details},
			reverses => $entry
		},
		$option, $back, $amount->{sql} eq 'NULL' || $amount->{exact});
}

# ---------------------------------------------------------------------------
# Groups: tables of all sorts, and what the model has to know of them

my $most = 9223372036854775807;
my @columns = (
	{
		type => 'bigint',
		scale => 0,
		range => $most,
		least => -$most - 1,
		too_large => [ '9223372036854775808', '1e30' ]
	},
	{
		type => 'numeric(12,2)',
		scale => 2,
		range => 999_999_999_999,
		least => -999_999_999_999,
		too_large => [ '10000000000', '1e30' ]
	},
	{
		type => 'smallint',
		scale => 0,
		range => 32767,
		least => -32768,
		too_large => [ '32768', '70000' ]
	},
	{
		type => 'money',
		scale => 2,
		range => $most,
		least => -$most - 1,
		too_large => ['92233720368547758.08']
	},
	# Any digits go: the model's are a choice.
	{ type => 'numeric', scale => 3 });

my %id_types = (
	integer => sub { $_[0] },
	text => sub { "account $_[0]" },
	uuid => sub { sprintf '00000000-0000-4000-8000-%012d', $_[0] });

my %request_types = (
	uuid => sub { sprintf 'abcdefab-0000-4000-8000-%012d', $_[0] },
	text => sub { "request $_[0]" },
	bigint => sub { $_[0] });

sub new_group
{
	my ($number) = @_;
	my $name = "account_$number";
	my $column = $columns[ $number % 8 ] || one_of(@columns[ 0, 1 ]);
	my $id_type = one_of('integer', sort keys %id_types);
	my $request_type = one_of(sort keys %request_types);
	my @accounts = 1 .. between(3, 6);
	my %state = (
		entries => [],
		booked => {},
		range => $column->{range},
		least => $column->{least},
		balance => { map { ($_ => between(0, 2000)) } @accounts },
		currency =>
		  { map { ($_ => one_of('EUR', 'EUR', 'USD', undef)) } @accounts },
		branch =>
		  { map { ($_ => one_of('north', 'north', undef)) } @accounts });

	# One that nobody can pay to, or that cannot be counted on.
	if ($number % 3 == 1)
	{
		my @odd = (undef, undef, undef);
		push @odd, 'NaN' if $column->{type} =~ /numeric/;
		push @odd, map { ($column->{range} - $_, $column->{least} + $_) } 0,
		  300
		  if $column->{range};
		$state{balance}{ one_of(@accounts) } = one_of(@odd);
	}

	my $journal = chance(0.9) ? "journal_$number" : undef;
	$state{refuses} = $journal && $number % 4 == 2;
	random_rules(\%state, @accounts) if $journal && $number % 2;

	my $group = {
		number => $number,
		name => $name,
		journal => $journal,
		column => $column,
		scale => $column->{scale},
		id_type => $id_type,
		id_of => $id_types{$id_type},
		request_type => $request_type,
		request_of => $request_types{$request_type},
		accounts => \@accounts,
		state => \%state,
		# The request ids so far, and what they were first used for.
		requests => [],
		first_use => {},
		# The ids of the model's entries in the table.
		ids => []
	};
	$group->{definition} = definition($group);
	return $group;
}

# Rules of the journal, and what the accounts' rows say for each of them.
sub random_rules
{
	my ($state, @accounts) = @_;

	$state->{floor} =
	  { map { ($_ => one_of(undef, 0, 0, 100, -100, -2000)) } @accounts }
	  if chance(0.7);
	$state->{ceiling} =
	  { map { ($_ => one_of(undef, 1000, 2500, 4000)) } @accounts }
	  if chance(0.7);
	$state->{closed} = { map { ($_ => chance(0.15)) } @accounts }
	  if chance(0.7);
	$state->{must_match} = one_of(['branch'], [ 'currency', 'branch' ])
	  if chance(0.4);
	return;
}

# The values of the columns that rules name.
sub rule_values
{
	my ($group, $account) = @_;
	my $state = $group->{state};
	my $closed = $state->{closed} && $state->{closed}{$account};
	my @bounds =
	  map { $state->{$_} ? $state->{$_}{$account} : undef } 'floor', 'ceiling';

	return (
		map({ defined $_ ? text_of($_, $group->{scale}) : 'NULL' } @bounds),
		$closed
		? ($group->{closes} ? '-infinity' : 't')
		: one_of('NULL', $group->{closes} ? 'infinity' : 'f'));
}

sub rule_arguments
{
	my ($state) = @_;
	my $match = join ',', @{ $state->{must_match} || [] };

	return ($state->{floor} ? ", min_balance_column => 'floor'" : '')
	  . ($state->{ceiling} ? ", max_balance_column => 'The ceiling'" : '')
	  . ($state->{closed} ? ", closed_column => 'closed'" : '')
	  . ($match ? ", must_match => '{$match}'" : '');
}

sub definition
{
	my ($group) = @_;
	my ($name, $state) = @$group{ 'name', 'state' };
	my $partitioned = chance(0.1);
	my $trigger = chance(0.15);
	$group->{closes} = chance(0.5);
	my $bound = one_of('numeric', $group->{column}{type});
	my $sql =
		"CREATE TABLE $name (id $group->{id_type} PRIMARY KEY, currency text,"
	  . " branch text, balance $group->{column}{type}, floor $bound,"
	  . qq( "The ceiling" $bound, closed ) . ($group->{closes} ? 'timestamptz)' : 'boolean)')
	  . ($partitioned ? ' PARTITION BY HASH (id)' : '') . ";\n";

	if ($partitioned)
	{
		$sql .=
		  "CREATE TABLE ${name}_$_ PARTITION OF $name FOR VALUES WITH (MODULUS 2, REMAINDER $_);\n"
		  for 0, 1;
	}
	$sql .=
		"CREATE TRIGGER nothing AFTER UPDATE ON $name"
	  . " FOR EACH ROW EXECUTE FUNCTION nothing();\n"
	  if $trigger;
	$sql .= "INSERT INTO $name VALUES\n" . join(
		",\n",
		map {
			my $balance = $state->{balance}{$_};
			"\t('"
			  . join("', '",
				$group->{id_of}->($_),
				map { $_ // 'NULL' } $state->{currency}{$_},
				$state->{branch}{$_},
				defined $balance && $balance ne 'NaN'
				? text_of($balance, $group->{scale})
				: $balance,
				rule_values($group, $_))
			  . "')"
		} @{ $group->{accounts} }) . ";\n";
	$sql =~ s/'NULL'/NULL/g;
	$sql .=
	  "SELECT create_journal('$group->{journal}', NULL::$name, request_id_type => '$group->{request_type}',"
	  . ' foreign_keys => '
	  . one_of('true', 'false')
	  . rule_arguments($state)
	  . ") IS NULL;\n"
	  if $group->{journal};
	$sql .=
	    "ALTER TABLE $group->{journal} ADD CHECK (amount * 10^$group->{scale}::numeric > 1000000"
	  . " OR amount * 10^$group->{scale}::numeric % 13 <> 0);\n"
	  if $state->{refuses};
	return $sql;
}

# ---------------------------------------------------------------------------
# Calls

sub random_account
{
	my ($group) = @_;
	my @accounts = @{ $group->{accounts} };

	return undef if chance(0.01);
	return @accounts + between(1, 2) if chance(0.02);
	return one_of(@accounts);
}

# As SQL, in units if it is a number, whether it is positive and finite, and
# whether the column holds it.
sub random_amount
{
	my ($group, $odd) = @_;
	my $scale = $group->{scale};

	if (chance($odd))
	{
		my $what =
		  one_of('none', 'zero', 'negative', 'NaN', 'Infinity', 'long',
			'large');
		my $some = between(1, 200);

		return { sql => 'NULL' } if $what eq 'none';
		return { sql => '0', units => 0 } if $what eq 'zero';
		return { sql => "-$some", units => -$some * 10**$scale }
		  if $what eq 'negative';
		# More than any number, for numeric.
		return { sql => one_of('NaN', 'Infinity'), units => 9**9**9 }
		  if $what eq 'NaN' || $what eq 'Infinity';
		return {
			sql => text_of($some, $scale) . ($scale ? '5' : '.5'),
			units => $some + 0.5,
			positive => 1
		  }
		  if $what eq 'long' && $group->{column}{range};
		return {
			sql => one_of(@{ $group->{column}{too_large} }),
			units => 9**20,
			positive => 1
		  }
		  if $what eq 'large' && $group->{column}{range};
	}

	my $units = between(1, one_of(10, 200, 1500));
	$units = $group->{column}{range} - between(0, 1)
	  if $group->{column}{range} && chance(0.01);
	return amount_of($group, $units);
}

# 2.5 is 2.50, and 2.0 an integer.
sub amount_of
{
	my ($group, $units) = @_;
	my $text = text_of($units, $group->{scale});

	$text =~ s/\.?0+$// if $group->{scale} && chance(0.2);
	$text .= $text =~ /\./ ? '000' : '.00' if chance(0.1);
	return { sql => $text, units => $units, positive => 1, exact => 1 };
}

# The number of an entry to reverse, -1 for none that there is; the latest are
# the likeliest.
sub random_entry
{
	my ($group) = @_;
	my $entries = $group->{state}{entries};

	return -1 if !@$entries || chance(0.03);
	return $#$entries - int rand(@$entries < 6 ? @$entries : 6) if chance(0.5);
	return between(0, $#$entries);
}

# How much of an entry to reverse: all that is left, or some.
sub random_back
{
	my ($group, $entry, $odd) = @_;
	my $entries = $group->{state}{entries};

	return { sql => 'NULL' } if chance(0.5);
	return amount_of($group, between(1, $entries->[$entry]{amount}))
	  if chance(0.6)
	  && defined $entry
	  && $entry >= 0
	  && $entries->[$entry]{amount} < 1_000_000;
	return random_amount($group, $odd);
}

sub random_call
{
	my ($group, $odd, $no_reversal) = @_;
	my $call = {};

	if ($group->{journal} && !$no_reversal && chance(0.2))
	{
		$call->{entry} = random_entry($group);
		$call->{amount} = random_back($group, $call->{entry}, $odd);
	}
	else
	{
		$call = {
			from => random_account($group),
			to => random_account($group),
			amount => random_amount($group, $odd)
		};
		# Two random ones are the same too often.
		$call->{to} = random_account($group)
		  if chance(0.95) && ($call->{from} // '') eq ($call->{to} // '');
	}
	return $call unless $group->{journal} && chance(0.5);

	my $requests = $group->{requests};
	if (@$requests && chance(0.35))
	{
		# The latest are the likeliest to be in the same batch.
		my $request =
			chance(0.5)
		  ? one_of(@$requests)
		  : $requests->[ -1 - int rand(@$requests < 4 ? @$requests : 4) ];
		my $use = $group->{first_use}{$request};
		$call = {%$use}
		  if chance(0.75) && !($no_reversal && defined $use->{entry});
		$call->{request} = $request;
		# Sometimes all but the amount.
		$call->{amount} = random_amount($group, $odd) if chance(0.1);
	}
	else
	{
		$call->{request} = new_request($group, $call);
	}
	return $call;
}

sub new_request
{
	my ($group, $call) = @_;
	my $request = 1 + @{ $group->{requests} };

	push @{ $group->{requests} }, $request;
	$group->{first_use}{$request} = {%$call};
	return $request;
}

# How much an account may have at least, or at most.
sub random_bound
{
	my ($group, @bounds) = @_;
	my $bound = one_of(@bounds);

	return (undef, 'NULL') unless defined $bound;
	return ($bound, text_of($bound, $group->{scale}));
}

sub random_options
{
	my ($group) = @_;
	my %option =
	(
		min_balance => 0,
		default_floor => 1,
		on_error => chance(0.8) ? 'report' : 'raise');
	my %sql;

	$option{up_to} = 1, $sql{up_to} = 'true' if chance(0.2);
	if (chance(0.4))
	{
		($option{min_balance}, $sql{min_balance}) =
		  random_bound($group, undef, undef, 0, 50, 300, -100, -1000);
		$option{default_floor} = 0;
	}
	($option{max_balance}, $sql{max_balance}) =
	  random_bound($group, undef, 500, 900, 1500, 1500, 4000)
	  if chance(0.3);
	# No floor has to be asked for: by default it is 0.
	if (exists $sql{min_balance} && !defined $option{min_balance})
	{
		$sql{min_balance} = "'-Infinity'";
		@option{ 'min_balance', 'default_floor' } = (0, 1),
		  $sql{min_balance} = 'NULL'
		  if chance(0.3);
	}
	# A floor between two balances that there can be is the upper one.
	$sql{min_balance} = '49.5' if ($sql{min_balance} // '') eq '50';
	if (chance(0.2))
	{
		$option{must_match} = one_of(['currency'], [ 'branch', 'currency' ]);
		$sql{must_match} = "'{" . join(',', @{ $option{must_match} }) . "}'";
	}
	$sql{journal} = "'$group->{journal}'" if $group->{journal};
	$option{sql} = \%sql;
	return \%option;
}

sub arguments
{
	my (%sql) = @_;
	return join '', map { ", $_ => $sql{$_}" } sort keys %sql;
}

sub array_of
{
	my ($type, @elements) = @_;
	return "'{"
	  . join(',',
		map { /[ "]/ ? qq("$_") : $_ } map { $_ // 'NULL' } @elements)
	  . "}'::${type}[]";
}

# A request id can be spelled in several ways, and so can an account's.
sub request_text
{
	my ($group, $request) = @_;

	return undef unless defined $request;
	my $text = $group->{request_of}->($request);
	return uc $text if $group->{request_type} eq 'uuid' && chance(0.3);
	return "00$text" if $group->{request_type} eq 'bigint' && chance(0.3);
	return $text;
}

sub account_texts
{
	my ($group, @accounts) = @_;
	my $type = $group->{id_type};
	my @texts = map { defined $_ ? $group->{id_of}->($_) : undef } @accounts;

	return ($type, @texts) if $type eq 'text' || chance(0.7);
	return ('text', @texts) if $type ne 'integer';
	return ('text', map { defined $_ && chance(0.3) ? "0$_" : $_ } @texts);
}

sub many_sql
{
	my ($group, $calls, $option) = @_;
	my ($type, @texts) =
	  account_texts($group, map { @$_{ 'from', 'to' } } @$calls);
	my %sql = %{ $option->{sql} };

	for my $i (grep { $calls->[$_]{bad_id} } 0 .. $#$calls)
	{
		$type = 'text';
		$texts[ 2 * $i + between(0, 1) ] = 'none';
	}

	$sql{on_error} = "'$option->{on_error}'"
	  if $option->{on_error} ne 'raise' || chance(0.5);
	$sql{request_ids} = array_of('text',
		map { $_->{bad_request} ? 'none' : request_text($group, $_->{request}) }
		  @$calls)
	  if any { $_->{bad_request} || defined $_->{request} } @$calls;
	$sql{chains} = array_of('integer', map { $_->{chain} } @$calls)
	  if any { defined $_->{chain} } @$calls;
	$sql{entry_ids} =
	  'ARRAY['
	  . join(', ', map { entry_sql($group, $_->{entry}) } @$calls)
	  . ']::bigint[]'
	  if any { defined $_->{entry} } @$calls;
	$sql{details} = $option->{details} if $option->{details};
	return "transfer_many(NULL::$group->{name}, "
	  . join(', ',
		array_of($type, @texts[ map { 2 * $_ } 0 .. $#$calls ]),
		array_of($type, @texts[ map { 2 * $_ + 1 } 0 .. $#$calls ]),
		array_of('numeric', map { $_->{amount}{sql} } @$calls))
	  . arguments(%sql) . ')';
}

# The id of an entry.
sub entry_sql
{
	my ($group, $entry) = @_;

	return 'NULL' unless defined $entry;
	return '0' if $entry < 0;
	return
	  "(SELECT id FROM $group->{journal} ORDER BY id OFFSET $entry LIMIT 1)";
}

sub literal
{
	my ($text) = @_;
	return defined $text && $text ne 'NULL' ? "'$text'" : 'NULL';
}

# An id that is none; an entry's accounts are not named.
sub random_nonsense
{
	my ($group, $call) = @_;

	if ($group->{id_type} ne 'text' && !defined $call->{entry} && chance(0.5))
	{
		$call->{bad_id} = 1;
	}
	elsif ($group->{journal} && $group->{request_type} ne 'text')
	{
		$call->{bad_request} = 1;
	}
	return;
}

sub random_batch
{
	my ($group) = @_;
	my $odd = one_of(0, 0.03, 0.15);
	my $option = random_options($group);
	my @calls = map { random_call($group, $odd) }
	  1 .. between(chance(0.02) ? 0 : 1, 12);
	my $chaining =
	  one_of(('none') x 4, ('contiguous', 'interleaved') x 2, 'one');
	# With chains, which one is the first that is refused is not so simple.
	$chaining = one_of('none', 'none', 'one') if $group->{state}{refuses};

	# What is no failure is rare in an unlucky batch, and raise ends with that.
	@calls = splice @calls, 0, 3
	  if $option->{on_error} eq 'raise' && chance(0.5);

	my $chain = between(-1, 2);
	for my $call (@calls)
	{
		$call = {%$call};
		random_nonsense($group, $call)
		  if $odd && $option->{on_error} eq 'report' && chance(0.05);
		delete $call->{chain};
		$chain = between(-1, 2)
		  if $chaining ne 'one'
		  && chance($chaining eq 'contiguous' ? 0.3 : 1);
		$call->{chain} = $chain
		  if $chaining ne 'none' && !($chaining ne 'one' && $chain == 0);
	}
	if ($group->{journal} && @calls && chance(0.3))
	{
		my @details = map { '{"n": ' . between(1, 99) . '}' } @calls;
		my $all = chance(0.5);
		@details = ($details[0]) x @calls if $all;
		$calls[$_]{details} = $details[$_] for 0 .. $#calls;
		$option->{details} =
		  "'" . ($all ? $details[0] : '[' . join(', ', @details) . ']') . "'";
	}

	my ($new, $outcome) = transfer_many($group->{state}, \@calls, $option);
	$group->{state} = $new;
	return {
		kind => 'batch',
		sql => "SELECT 'r', $many_columns FROM "
		  . many_sql($group, \@calls, $option) . ";\n",
		expected => [ many_lines($group, $outcome) ]
	};
}

my $single_columns =
  q('s', amount, replayed, (from_account).id, (from_account).balance::numeric, (to_account).id, (to_account).balance::numeric, entry->>'id', entry->>'from_balance', entry->>'to_balance');

# What a call on its own comes to.
sub alone
{
	my ($group, $transfer, $call, $option) = @_;
	my $new = snapshot($group->{state});
	my $result = $transfer->($new, $call, $option);

	return failure('refused', '23514')
	  if $result->{status} eq 'ok' && refuses($new, $result->{entry}{amount});
	$group->{state} = $new;
	return $result;
}

# The same call as a batch of one, which is rolled back, and on its own.
sub random_single
{
	my ($group) = @_;
	my $option = random_options($group);
	my $call = { %{ random_call($group, 0.15, 1) } };
	my %sql = %{ $option->{sql} };

	if ($group->{journal} && chance(0.3))
	{
		$call->{details} = '{"n": ' . between(1, 99) . '}';
		$sql{details} = $option->{details} = "'$call->{details}'";
	}
	$option->{on_error} = 'report';
	my ($new, $outcome) = transfer_many($group->{state}, [$call], $option);
	my @many = many_lines($group, $outcome, 1);
	my $result = alone($group, \&transfer, $call, $option);

	$sql{request_id} = literal(request_text($group, $call->{request}))
	  if defined $call->{request};
	my ($type, @texts) = account_texts($group, @$call{ 'from', 'to' });
	my $many = many_sql($group, [$call], $option);
	my $single = "transfer(NULL::$group->{name}, "
	  . join(', ',
		map({ literal($_) . "::$type" } @texts),
		literal($call->{amount}{sql}))
	  . arguments(%sql) . ')';
	return {
		kind => 'single',
		sql =>
		  "BEGIN;\nSELECT 'u', $many_columns FROM $many;\nROLLBACK;\nSELECT $single_columns FROM $single;\n",
		expected => [ @many, single_lines($group, $result) ]
	};
}

sub random_reversal
{
	my ($group) = @_;
	my $option = random_options($group);
	my $entries = $group->{state}{entries};
	my $entry = chance(0.03) ? undef : random_entry($group);
	my $call =
	  { entry => $entry, amount => random_back($group, $entry, 0.15) };
	my %sql = %{ $option->{sql} };

	delete $option->{must_match};
	delete $option->{sql}{must_match};
	delete $sql{must_match};
	delete $sql{journal};
	$sql{amount} = literal($call->{amount}{sql})
	  if $call->{amount}{sql} ne 'NULL' || chance(0.5);
	if (defined $call->{entry} && chance(0.5))
	{
		# Some that were reversals, and some that were not.
		my @again =
		  grep { defined $_->{request} && defined $_->{reverses} } @$entries;
		if (@again && chance(0.4))
		{
			my $again = one_of(@again);
			$call->{request} = $again->{request};
			$call->{entry} = $again->{reverses} if chance(0.7);
		}
		elsif (@{ $group->{requests} } && chance(0.1))
		{
			$call->{request} = one_of(@{ $group->{requests} });
		}
		else
		{
			$call->{request} = new_request($group,
				{ from => 1, to => 2, amount => random_amount($group, 0) });
		}
		$sql{request_id} = literal(request_text($group, $call->{request}));
	}
	if (chance(0.3))
	{
		$call->{details} = '{"back": ' . between(1, 99) . '}';
		$sql{details} = $option->{details} = "'$call->{details}'";
	}

	my ($many, @many) = ('');
	if (defined $call->{entry})
	{
		$option->{on_error} = 'report';
		my ($unused, $outcome) =
		  transfer_many($group->{state}, [$call], $option);
		@many = many_lines($group, $outcome, 1);
		$many =
		  "BEGIN;\nSELECT 'u', $many_columns FROM "
		  . many_sql($group, [$call], $option)
		  . ";\nROLLBACK;\n";
	}
	my $result = alone($group, \&reverse_transfer, $call, $option);

	my $id = entry_sql($group, $call->{entry});
	return {
		kind => 'reversal',
		sql => $many
		  . "SELECT $single_columns FROM reverse_transfer(NULL::$group->{name}, '$group->{journal}', $id"
		  . arguments(%sql) . ");\n",
		expected => [ @many, single_lines($group, $result) ]
	};
}

# ---------------------------------------------------------------------------
# What psql is expected to print, in units and with the model's numbers for
# accounts and entries.

sub line
{
	return join '|', map { $_ // '' } @_;
}

sub many_lines
{
	my ($group, $outcome, $undone) = @_;
	my $kind = $undone ? 'u' : 'r';
	my @lines;

	if ($outcome->{error})
	{
		$seen{"raise: $outcome->{error}"}++;
		return "error $outcome->{error} in $outcome->{number}";
	}
	for my $result (@{ $outcome->{results} })
	{
		my $entry = $result->{entry};
		my $number = $entry && $entry->{number};

		$seen{ $result->{status} }++;
		$seen{'replayed in a failed chain'}++ if $result->{in_failed_chain};
		push @lines,
		  line(
			$kind,
			@lines + 1,
			$result->{status},
			$entry
			? ( @$entry{ 'amount', 'from_balance' },
				# Nothing is held.
				$result->{status} eq 'ok' ? $entry->{from_balance} : '',
				$entry->{to_balance},
				entry_name($group, $number, $result, $undone))
			: ('', '', '', '', ''),
			$result->{status} =~ /^(?:refused|invalid_(?:request_)?id)$/
			? $result->{code}
			: '');
	}
	return @lines;
}

sub entry_name
{
	my ($group, $number, $result, $undone) = @_;
	return '' unless $group->{journal};
	return $undone && $result->{status} eq 'ok' ? 'new' : "entry $number";
}

sub single_lines
{
	my ($group, $result) = @_;
	my $entry = $result->{entry};

	$seen{"single: $result->{status}"}++;
	return "error $result->{code}" if $result->{code};
	return line(
		's',
		$entry->{amount},
		$result->{status} eq 'replayed' ? 't' : 'f',
		map({ ($_, $group->{state}{balance}{$_}) } @$entry{ 'from', 'to' }),
		$group->{journal}
		? ("entry $entry->{number}", @$entry{ 'from_balance', 'to_balance' })
		: ('', '', ''));
}

sub balance_lines
{
	my ($group) = @_;
	return
	  map { line('b', $_, $group->{state}{balance}{$_}) }
	  @{ $group->{accounts} };
}

sub journal_lines
{
	my ($group) = @_;
	return map {
		line(
			'j',
			"entry $_->{number}",
			@$_{
				'request', 'from', 'to', 'amount',
				'from_balance', 'to_balance'
			},
			defined $_->{reverses} ? "entry $_->{reverses}" : '',
			$_->{details})
	} @{ $group->{state}{entries} };
}

# ---------------------------------------------------------------------------
# What psql printed, in the same terms

sub got_lines
{
	my ($group, @output) = @_;
	my $scale = $group->{scale};
	my (@lines, $error);

	for (@output)
	{
		if (/^(?:psql:\S+ )?ERROR:\s+(\w{5}): /)
		{
			push @lines, "error $1";
			$error = $_;
		}
		elsif (/^(?:CONTEXT:\s+)?transfer (\d+)$/)
		{
			$lines[-1] .= " in $1";
		}
		elsif (/^([rsubj])\|/)
		{
			push @lines, got_line($group, split /\|/, $_, -1);
		}
		elsif (!/^(?:DETAIL|HINT|LOCATION|CONTEXT|[A-Z]+ NAME:|\s)/)
		{
			push @lines, "unexpected: $_";
		}
	}
	return @lines;
}

sub got_line
{
	my ($group, $kind, @fields) = @_;
	my $units = sub { $_ = units_of($_, $group->{scale}) for @_ };

	if ($kind eq 'r' || $kind eq 'u')
	{
		$units->(@fields[ 2 .. 5 ]);
		$fields[6] =
		  got_entry($group, $fields[6], $fields[1] eq 'ok', $kind eq 'u');
	}
	elsif ($kind eq 's')
	{
		$units->(@fields[ 0, 3, 5, 7, 8 ]);
		$_ = got_account($group, $_) for @fields[ 2, 4 ];
		$fields[6] = got_entry($group, $fields[6], $fields[1] eq 'f');
	}
	elsif ($kind eq 'b')
	{
		$fields[0] = got_account($group, $fields[0]);
		$units->($fields[1]);
	}
	else
	{
		$_ = got_entry($group, $_) for @fields[ 0, 7 ];
		$fields[1] = got_request($group, $fields[1]);
		$_ = got_account($group, $_) for @fields[ 2, 3 ];
		$units->(@fields[ 4 .. 6 ]);
	}
	return line($kind, @fields);
}

sub got_account
{
	my ($group, $text) = @_;
	my $account =
	  first { $group->{id_of}->($_) eq $text } @{ $group->{accounts} };
	return $account // "unexpected $text";
}

sub got_request
{
	my ($group, $text) = @_;

	return '' if $text eq '';
	my $request = 0 + ($text =~ /(\d+)$/)[0];
	return $group->{request_of}->($request) eq $text
	  ? $request
	  : "unexpected $text";
}

# A new entry comes after all others.
sub got_entry
{
	my ($group, $id, $new, $undone) = @_;
	my $ids = $group->{ids};

	return '' if $id eq '';
	if ($new)
	{
		return "$id, not after $ids->[-1]" if @$ids && $id <= $ids->[-1];
		return 'new' if $undone;
		push @$ids, $id;
		$group->{number_of}{$id} = $#$ids;
	}
	return 'entry ' . ($group->{number_of}{$id} // "unexpected $id");
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
		'<',
		\$script,
		'>&',
		\$output) or die "psql: $output";
	return split /\n/, $output;
}

sub shuffle
{
	my @items = @_;
	for my $i (reverse 1 .. $#items)
	{
		my $j = int rand($i + 1);
		@items[ $i, $j ] = @items[ $j, $i ];
	}
	return @items;
}

sub run_group
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($group, $batches) = @_;
	my ($name, $journal) = @$group{ 'name', 'journal' };
	my $test =
		"$name: "
	  . ($journal ? 'with' : 'without')
	  . " a journal, $group->{column}{type}";
	my $balances =
	  "SELECT 'b', id, balance::numeric FROM $name ORDER BY id;\n";
	my $sum = "SELECT trim_scale(sum(balance::numeric)) FROM $name;\n";
	my @make = shuffle(
		(\&random_batch) x $batches,
		(\&random_single) x int(1 + $batches / 8),
		(\&random_reversal) x ($journal ? int(1 + $batches / 10) : 0));

	my $before = [ balance_lines($group) ];
	my @all;
	my $script = $group->{definition} . "\\echo = sum\n$sum";
	for my $make (@make)
	{
		my $case = $make->($group);
		push @all, $case;
		$case->{before} = $before;
		$before = [ balance_lines($group) ];
		push @{ $case->{expected} }, @$before;
		$case->{sql} .= $balances;
		$script .= "\\echo = $#all\n$case->{sql}";
	}
	$script .= "\\echo = sum\n$sum";
	if ($journal)
	{
		$script .= <<"SQL";
\\echo = journal
SELECT 'j', id, request_id, from_id, to_id, amount, from_balance, to_balance, reverses, details FROM $journal ORDER BY id;
\\echo = verify
SELECT 'verify', * FROM verify_journal('$journal', NULL::$name) WHERE problem <> 'no_entries';
SQL
	}

	# Each case's output, under its number.
	my %output;
	my $section = 'definition';
	for (run_psql($script))
	{
		if (/^= (\w+)$/)
		{
			$section = $1;
		}
		else
		{
			push @{ $output{$section} }, $_;
		}
	}

	my @problems;
	for my $number (0 .. $#all)
	{
		my $case = $all[$number];
		my @got = got_lines($group, @{ $output{$number} || [] });
		next if "@got" eq "@{ $case->{expected} }";

		push @problems, "case $number, a $case->{kind}", $group->{definition},
		  'balances before, in units of the last digit:',
		  @{ $case->{before} },
		  $case->{sql}, 'expected:', @{ $case->{expected} },
		  'got:', @got, 'output:', @{ $output{$number} || [] };
		last;
	}
	# What follows from a wrong case tells nothing new.
	unless (@problems)
	{
		my @sums = @{ $output{sum} };
		push @problems, "the sum was $sums[0], and is $sums[1]"
		  if $sums[0] ne $sums[1];
		push @problems, grep { !/^f$/ } @{ $output{definition} || [] };
		if ($journal)
		{
			my @got = got_lines($group, @{ $output{journal} || [] });
			my @expected = journal_lines($group);
			my $i = first { ($got[$_] // '') ne ($expected[$_] // '') }
			  0 .. max($#got, $#expected);
			push @problems,
			  "in the journal, expected: " . ($expected[$i] // 'no more'),
			  'got: ' . ($got[$i] // 'no more')
			  if defined $i;
			push @problems, @{ $output{verify} || [] };
		}
	}
	ok(!@problems, $test)
	  or
	  diag(join "\n", "RACEFREE_SEED=$seed RACEFREE_CASES=$cases", @problems);
	return scalar @all;
}

# ---------------------------------------------------------------------------

my $done = 0;
for (my $left = $cases; $left > 0; $left -= $group_size)
{
	my $batches = $left < $group_size ? $left : $group_size;
	$done += run_group(new_group(++$seen{groups}), $batches);
}
note("$done cases");
note("$_: $seen{$_}") for sort keys %seen;

# The dice are not so loaded that something never came up.
my @never = grep { !$seen{$_} } (
	map({ ($_, "single: $_") } 'ok',
		'replayed', 'request_mismatch', 'account_not_found',
		'invalid_amount', 'same_account', 'account_closed', 'mismatch',
		'invalid_balance', 'insufficient_funds', 'limit_exceeded'),
	'single: entry_missing',
	map({ ($_, "single: $_") } 'entry_not_found', 'over_reversed'),
	'refused', 'single: refused', 'invalid_id', 'invalid_request_id',
	'raise: 23514',
	'chain_failed',
	'replayed in a failed chain',
	map({ "raise: $_" } 'RF001' .. 'RF008', '22004', '22023'));
is("@never", '', 'every status came up') if $cases >= 10000;

$node->stop;

done_testing();
