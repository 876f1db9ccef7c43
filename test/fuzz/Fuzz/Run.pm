# Copyright (c) 2026, the racefree developers

# Runs the steps of a case and judges what comes of them.

package Fuzz::Run;

use strict;
use warnings;
use Fuzz::Session;
use Fuzz::World;

# What a call may fail with, always.
my $documented = qr/^(?:
	21000 | 22... | 23... | 27000 | 428C9 | 42701 | 42703 | 42804 | 42809 |
	54000 | RF00[1-9] | RF01[0-2] | FZ00[12]
)$/x;

# Arguments that are right get no other errors than these, of the rows that
# are there.
my $honest = qr/^(?: 21000 | 23... | 27000 | FZ001 )$/x;

# Internal errors that are the server's own.
my $servers = qr/new multixact has more than one updating member/;

# Bytes that a call may leave behind in its transaction: the server keeps a
# little for each savepoint.
my $memory = 400;

# One case on fresh sessions: what went wrong, or undef.  $tally counts what
# the calls came to.
sub run
{
	my ($world, $steps, $tally, $log) = @_;
	my $self = bless {
		world => $world,
		tally => $tally,
		log => $log,
		seen => {},       # requests that were booked once, if rolled back since
	}, __PACKAGE__;
	my $failure;

	$self->{seen}{ $world->{journal}{booked} } = 1
	  if $world->{journal} && defined $world->{journal}{booked};
	$self->{sessions} =
	  [ map { Fuzz::Session->new($_, $log) } 1 .. $world->{sessions} ];
	$_->{marks} = [] for @{ $self->{sessions} };
	$failure = $self->set_up;
	for my $step (@$steps)
	{
		last if $failure;
		my $kind = $step->{kind};
		$self->{step} = $step;
		$self->{session} = $self->{sessions}[ $step->{session} ];
		$failure =
		    $kind eq 'call' ? $self->call($step)
		  : $kind eq 'race' ? $self->race($step)
		  : $kind eq 'memory' ? $self->memory($step)
		  : $self->control($step);
		$failure = "$kind: $failure" if $failure;
	}
	$_->close for @{ $self->{sessions} };
	return $failure && $failure eq 'void' ? undef : $failure;
}

# What the types of columns do not allow is not there: that is no failure.
sub set_up
{
	my ($self) = @_;
	my $session = $self->{sessions}[0];

	$session->send(
		'DROP SCHEMA IF EXISTS f CASCADE', 'CREATE SCHEMA f',
		'GRANT USAGE ON SCHEMA f TO PUBLIC', @{ $self->{world}{setup} },
		Fuzz::World::state_function($self->{world}));
	for my $result ($session->receive)
	{
		my $failure = fatal($result);
		$self->{tally}{messages}{"set-up: $result->{state} $result->{message}"}++;
		return "set-up: $failure" if $failure;
	}
	my $result = $session->run('SELECT * FROM f.state()');
	# Without one of the tables it is no case.
	if ($result->{state} ne '00000')
	{
		$self->{tally}{void}++;
		return 'void';
	}
	# From here on a session that waits for another one gives up.
	$_->run("SET lock_timeout = '15ms'") for @{ $self->{sessions} };
	return undef;
}

# Never right, whatever was called.
sub fatal
{
	my ($result) = @_;
	my ($state, $message) = @{$result}{qw(state message)};

	return 'the connection is lost' if $state eq 'gone';
	return 'no answer' if $state eq 'hangs';
	return "statement timeout: a hang" if $state eq '57014';
	return "internal error: $message"
	  if $state =~ /^XX/ && $message !~ $servers;
	return undef;
}

# ---------------------------------------------------------------------------
# What a session holds and sees

sub state
{
	my ($self) = @_;
	my $result = $self->{session}->run('SELECT * FROM f.state()');

	# Another session's change to the table may be in the way.
	return undef if $result->{state} ne '00000';
	my ($locks, $tables, $sequences, $problem) =
	  split /\|/, $result->{lines}[0], 4;
	my %rows = $tables =~ /(\S+)=(\d+):/g;

	return {
		locks => $locks,
		tables => $tables,
		sequences => $sequences,
		problem => $problem,
		rows => \%rows
	};
}

# Are all locks of the first list in the second?
sub keeps
{
	my ($before, $after) = @_;
	my %held = map { $_ => 1 } split / /, $after;

	for my $lock (split / /, $before)
	{
		return 0 unless $held{$lock};
	}
	return 1;
}

# ---------------------------------------------------------------------------
# Transactions, and what is not a call

sub control
{
	my ($self, $step) = @_;
	my $session = $self->{session};
	my $kind = $step->{kind};
	my @sql = ref $step->{sql} ? @{ $step->{sql} } : $step->{sql};

	# Left over when steps before it were left out, or failed.
	return undef
	  if $kind ne 'begin' && $kind ne 'sql' && !$session->{open};
	return undef
	  if $kind =~ /rollback|release/
	  && !grep { $_->[0] eq $step->{mark} } @{ $session->{marks} };
	return undef if $step->{sql} =~ /^DECLARE/ && !$session->{open};

	# A statement that may fail, in a transaction that shall go on.
	my $guard = $kind eq 'sql' && $session->{open};
	$session->run('SAVEPOINT f') if $guard;
	$session->send(@sql);
	my ($result) = my @results = $session->receive;
	for (@results)
	{
		my $failure = fatal($_);
		return $failure if $failure;
	}
	$session->run('ROLLBACK TO f') if $guard && $result->{state} ne '00000';
	$session->run('RELEASE f') if $guard;

	if ($kind eq 'begin')
	{
		$session->{open} = $step;
		$session->{marks} = [];
	}
	elsif ($kind eq 'savepoint')
	{
		my $now = $self->state or return undef;
		push @{ $session->{marks} }, [ $step->{mark}, $now->{locks} ];
	}
	elsif ($kind =~ /rollback|release/)
	{
		return $self->back_to($step);
	}
	elsif ($kind eq 'end')
	{
		return $self->ended;
	}
	return undef;
}

# The locks of the savepoint are there again, or all that came since.
sub back_to
{
	my ($self, $step) = @_;
	my $marks = $self->{session}{marks};
	my ($n) = grep { $marks->[$_][0] eq $step->{mark} } 0 .. $#$marks;
	my $locks = $marks->[$n][1];
	my $now = $self->state or return undef;

	splice @$marks, $step->{kind} eq 'rollback' ? $n + 1 : $n;
	return "a key lock is gone: '$locks', then '$now->{locks}'"
	  unless keeps($locks, $now->{locks});
	return "a key lock outlives its savepoint: '$locks', then '$now->{locks}'"
	  if $step->{kind} eq 'rollback' && !keeps($now->{locks}, $locks);
	return $now->{problem} || undef;
}

sub ended
{
	my ($self) = @_;

	$self->{session}{open} = undef;
	$self->{session}{marks} = [];
	my $now = $self->state or return undef;
	return "a key lock outlives its transaction: '$now->{locks}'"
	  if $now->{locks} ne '';
	return $now->{problem} || undef;
}

# ---------------------------------------------------------------------------
# A call

sub call
{
	my ($self, $step) = @_;
	my $session = $self->{session};
	my $open = $session->{open};
	my $savepoint = $open && !$step->{bare};
	my $failure;

	# A cursor is in a transaction, and of no use after an error.
	return undef
	  if $step->{cursor} && (!$open || $session->{dead}{ $step->{cursor} });
	my $before = $self->state or return undef;
	$session->run("SET ROLE $step->{role}") if $step->{role};
	$session->run('SAVEPOINT f') if $savepoint;

	my $result = $self->outcome($step, $session->run($step->{sql}));
	$session->{dead}{ $step->{cursor} } = 1 if $step->{cursor} && !$result->{ok};
	$failure = $self->judge($step, $result);
	return $failure if $failure;
	# Once more, with nothing between.
	if ($result->{ok} && $step->{repeat})
	{
		my $again = $self->outcome($step, $session->run($step->{sql}));
		$failure = same_again($step, $result, $again);
		return "the same call again: $failure" if $failure;
	}

	if (!$result->{ok} && $open && !$savepoint && !$result->{inside})
	{
		$session->run('ROLLBACK');
		$session->run('RESET ROLE') if $step->{role};
		return $self->ended;
	}
	# An error inside of a block has been rolled back there.
	$session->run('ROLLBACK TO f')
	  if $savepoint && !$result->{ok} && !$result->{inside};
	$session->run('RELEASE f') if $savepoint && !$step->{keep};
	$session->run('RESET ROLE') if $step->{role};
	my $after = $self->state or return undef;
	return $self->compare($step, $result, $before, $after);
}

# The result with what the lines say.
sub outcome
{
	my ($self, $step, $result) = @_;

	$result->{ok} = $result->{state} eq '00000';
	if (@{ $result->{lines} }
		&& $result->{lines}[-1] =~ /^error (\S{5}) (.*)/)
	{
		$result->{ok} = 0;
		$result->{inside} = 1;
		$result->{state} = $1;
		$result->{message} = $2;
		pop @{ $result->{lines} };
	}
	$self->{tally}{messages}
	  {"$step->{fn}: $result->{state} $result->{message}"}++;
	my $class = $result->{ok} ? 'ok' : $result->{state};
	$class = 'created'
	  if $result->{ok} && grep { /^row \d+\|t/ } @{ $result->{lines} };
	$class = 'replayed'
	  if $result->{ok} && grep { /^(?:moved t|replayed)/ } @{ $result->{lines} };
	$self->{tally}{calls}{ $step->{fn} }{$class}++;
	return $result;
}

# What may not be, whatever was there before.
sub judge
{
	my ($self, $step, $result) = @_;
	my $failure = fatal($result);
	my ($state, $message) = @{$result}{qw(state message)};
	my $open = $self->{session}{open};

	# Also those before an error in a block around each row.
	$failure ||= $self->judge_requests($step, @{ $result->{lines} });
	return $failure if $failure;
	return judge_lines($step, $result) if $result->{ok};
	return undef if $state eq '25006' && $open && $open->{readonly};
	# Others' changes, in this snapshot or not yet.
	return undef if $state eq '40001' && $open && $open->{snapshot};
	if ($state eq '55P03')
	{
		return 'a role that may only read waits for a lock'
		  if ($step->{role} || '') eq 'fuzz_reader'
		  && !$self->{world}{table}{recursive}
		  && $step->{fn} =~ /or_create|lock_keys/;
		return undef
		  if @{ $self->{sessions} } > 1 || $step->{sql} =~ /nowait/;
	}
	# Triggers, checks and other indexes can bring in a second key.
	my $t = $self->{world}{table};
	return undef
	  if $state eq '40P01'
	  && $step->{fn} !~ /transfer/
	  && ($t->{entangled} || $t->{hostile} || $t->{recursive} || !$t->{pure});
	return undef if $state eq '42501' && $step->{role};
	return undef if $state eq '42883' && $step->{no_equality};
	# Without an id_column there must be a primary key of one column.
	return undef if $state eq '42704' && $message =~ /no single-column primary key/;
	return undef if $state eq '0A000' && $self->{world}{table}{hostile};
	# The cursor's first error has closed it.
	return undef
	  if $step->{cursor} && ($state eq '55000' || $state eq '34000');
	return undef
	  if $step->{sql} =~ /nowhere/ && $state =~ /^(?:42P01|3F000|42703)$/;
	return undef if $step->{fn} eq 'create_journal' && $state =~ /^(?:42P07|0A000|42...)$/;
	return undef if $step->{fn} =~ /transfer|lock_rows/ && $state eq '0A000';
	return undef if $state eq '55000' && $message =~ /has no rule "held_column"/;
	return undef if $step->{fn} eq 'alter_journal' && $state eq '55000' && $message =~ /has no guard/;
	return "error $state: $result->{message}"
	  if $state !~ $documented || $step->{sure} && $state !~ $honest;
	return undef;
}

sub judge_lines
{
	my ($step, $result) = @_;
	my @lines = @{ $result->{lines} };

	# verify_journal() reports where there is nothing to report.
	return "it reports: $lines[0]" if $step->{verifies} && @lines;
	if ($step->{nulls})
	{
		for my $i (0 .. $#lines)
		{
			my $nulls = (split /\|/, $lines[$i], 4)[3];
			return "NULL asked for in '$step->{nulls}[$i]', found in '$nulls'"
			  if $nulls ne $step->{nulls}[$i];
		}
	}
	return undef;
}

# What is replayed was booked before.
sub judge_requests
{
	my ($self, $step, @lines) = @_;
	my $requests = $step->{request} or return undef;

	for my $i (0 .. $#lines)
	{
		my ($status) = $lines[$i] =~ /^(moved [tf]|\w+)/;
		my $request = $requests->[$i];
		next unless defined $request;
		return "request '$request' is replayed, but it was never booked"
		  if $status =~ /^(?:moved t|replayed)$/ && !$self->{seen}{$request};
		$self->{seen}{$request} = 1 if $status =~ /^(?:moved f|ok)$/;
	}
	return undef;
}

sub same_again
{
	my ($step, $result, $again) = @_;
	my @first = @{ $result->{lines} };
	my @second = @{ $again->{lines} };

	my $failure = fatal($again);
	return $failure if $failure;
	return "error $again->{state}: $again->{message}" unless $again->{ok};
	return scalar(@first) . ' rows, then ' . @second if @first != @second;
	for my $i (0 .. $#first)
	{
		my $expected = $first[$i] =~ s/^(row \d+)\|t/$1|f/r
		  =~ s/^moved f/moved t/r;
		return "'$first[$i]', then '$second[$i]'"
		  if $expected ne $second[$i];
	}
	return undef;
}

# What the call left behind.
sub compare
{
	my ($self, $step, $result, $before, $after) = @_;
	my $open = $self->{session}{open};

	return $after->{problem} if $after->{problem} ne '';
	return "a key lock is gone: '$before->{locks}', then '$after->{locks}'"
	  unless keeps($before->{locks}, $after->{locks});
	return "a key lock outlives its transaction: '$after->{locks}'"
	  if !$open && $after->{locks} ne '';
	return 'a read-only transaction has written'
	  if $open
	  && $open->{readonly}
	  && !$self->{world}{table}{temporary}
	  && $before->{tables} ne $after->{tables};

	if (!$result->{ok} && !@{ $result->{lines} })
	{
		return "a refused call leaves rows: '$before->{tables}', then '$after->{tables}'"
		  if $before->{tables} ne $after->{tables};
		return "a refused call leaves locks: '$before->{locks}', then '$after->{locks}'"
		  if $before->{locks} ne $after->{locks};
		return 'a refused call of a role that may only read uses up a sequence'
		  if ($step->{role} || '') eq 'fuzz_reader'
		  && !$self->{world}{table}{recursive}
		  && $before->{sequences} ne $after->{sequences};
		return undef;
	}

	# Rows that racefree made are locked while they are uncommitted.
	my $table = $self->{world}{table}{name};
	my $locked = $table =~ s/^pg_temp\.//r;
	return "$table has got a row, but no key lock: '$after->{locks}'"
	  if $open
	  && $step->{key}
	  && $after->{rows}{$table} > $before->{rows}{$table}
	  && $after->{locks} !~ /\b\Q$locked\E\//;
	return 'lock_keys() has taken no lock'
	  if $open && $step->{locks} && $after->{locks} eq '';

	# As many entries as transfers, and those of holds that are let go of.
	if ($step->{books})
	{
		my $moved = grep { /^(?:moved f|ok)/ } @{ $result->{lines} };
		my $entries = $after->{rows}{'f.j'} - $before->{rows}{'f.j'};
		return "$moved transfers, $entries entries"
		  if $self->{world}{journal}{holds} ? $moved > $entries : $moved != $entries;
	}
	return undef;
}

# ---------------------------------------------------------------------------
# All sessions at once

sub race
{
	my ($self, $step) = @_;
	my @sessions = @{ $self->{sessions} };
	my @calls = @{ $step->{calls} };

	return undef if grep { $_->{open} } @sessions;
	for my $session (@sessions)
	{
		$session->run('SET lock_timeout = 0');
		$session->run("BEGIN ISOLATION LEVEL $step->{level}")
		  if $step->{level} ne '';
	}
	for my $i (0 .. $#sessions)
	{
		$sessions[$i]->send($calls[$i]{sql},
			$step->{level} ne '' ? 'COMMIT' : ());
	}
	my @results = map { [ $_->receive ] } @sessions;
	$_->run("SET lock_timeout = '15ms'") for @sessions;

	# Whose request was first is not known before all have answered.
	for my $i (0 .. $#sessions)
	{
		$self->{session} = $sessions[$i];
		$self->outcome($calls[$i], $results[$i][0]);
		$self->{seen}{ $_ // '' } = 1 for @{ $calls[$i]{request} || [] };
	}
	for my $i (0 .. $#sessions)
	{
		local $sessions[$i]{open} =
		  $step->{level} eq '' ? undef : { snapshot => 1 };
		$self->{session} = $sessions[$i];
		for my $result (@{ $results[$i] })
		{
			my $failure = fatal($result);
			return $failure if $failure;
		}
		my $failure = $self->judge($calls[$i], $results[$i][0]);
		return $failure if $failure;
	}
	return 'the same call gave two rows'
	  if $step->{same} && differ(map { $_->[0] } @results);
	for my $session (@sessions)
	{
		$self->{session} = $session;
		my $failure = $self->ended;
		return $failure if $failure;
	}
	return undef;
}

# Of those that got a row: did several create it, or is it not the same?
sub differ
{
	my @lines = map { @{ $_->{lines} } } grep { $_->{ok} } @_;
	my %rows = map { s/^row \d+\|[tf]//r => 1 } @lines;

	return keys %rows > 1 || 1 < grep { /^row \d+\|t/ } @lines;
}

# ---------------------------------------------------------------------------
# The same call, over and over

sub memory
{
	my ($self, $step) = @_;
	my $session = $self->{session};
	my $open = $session->{open};

	return undef if $step->{sql} =~ /pg_temp/;
	$self->{seen}{ $_ // '' } = 1 for @{ $step->{request} || [] };
	$session->run('SAVEPOINT f') if $open;
	my $result = $session->run(
		'SELECT f.memory(' . Fuzz::Random::literal($step->{sql}) . ', 30)');
	my $failure = fatal($result);

	return $failure if $failure;
	$session->run('ROLLBACK TO f', 'RELEASE f') if $open;
	$self->{tally}{memory}++;
	# A batch that reports makes savepoints of its own once a transfer is refused.
	my $most = $step->{sql} =~ /on_error => 'report'/ ? 3 * $memory : $memory;
	if ($result->{state} eq '00000' && $result->{lines}[0] > $most)
	{
		return "each call of $step->{fn}() keeps $result->{lines}[0] bytes";
	}
	my $now = $self->state or return undef;
	return $now->{problem} || undef;
}

1;
