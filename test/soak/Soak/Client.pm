# Copyright (c) 2026, the racefree developers

# A client: a process with a session, which calls one thing after the other
# until time is up, alone, under a timeout, or several in a transaction.
#
# What it does goes to "report", a line each:
#
#   call FUNCTION SQLSTATE    or "gone" for the latter
#   wrong WHAT                something that must not be
#   memory BYTES CALLS PLANS  by how much its session grew in so many calls, and
#                             how many plans it keeps of one statement
#
# and what it was told to "told", for the end:
#
#   row TABLE NAME ID CREATED
#   request JOURNAL ID ENTRY  no ENTRY, if it was not booked and never will be
#
# A request whose answer was lost is repeated until there is one.

package Soak::Client;

use strict;
use warnings;
use Time::HiRes qw(sleep time);
use Fuzz::Random qw(chance pick);
use Fuzz::Session;
use Soak::Calls;

# What may become of any call, since others cancel it, lock what it needs, or
# end its session, and since timeouts are set.
my %may_happen = map { ($_ => 1) } qw(00000 57014 55P03 40P01 57P01 57P03 gone);

# Worth another try with the same request.
my %passes = map { ($_ => 1) } qw(57014 55P03 40001 40P01 57P01 57P03 gone);

# Until the server is back.
my $patience = 60;

# "times" are "start", "storm" (when the storm is over), "half" (of the calm
# that follows), and "end".
sub run
{
	my (%given) = @_;
	my $self = bless {
		%given,
		session => undef,
		sessions => 0,
		calls => 0,
		pending => [],
		lives_long => $given{number} % 2 == 0,
	}, 'Soak::Client';

	$self->{clock} = sub { return time() - $self->{times}{start} };
	$self->{ask} = sub { return $self->ask(@_) };
	srand($self->{seed} * 1000 + $self->{number});
	$ENV{PGAPPNAME} = "soak $self->{number}";
	$self->connect;
	while (time() < $self->{times}{end})
	{
		$self->step;
		$self->watch_memory;
	}
	$self->resolve;
	$self->watch_memory('end');
	$self->{session}->close;
	return;
}

sub report
{
	my ($self, @words) = @_;
	print { $self->{report} } join("\t", map { s/\s+/ /gr } @words), "\n";
	return;
}

sub tell
{
	my ($self, @words) = @_;
	print { $self->{told} } join("\t", @words), "\n";
	return;
}

# ---------------------------------------------------------------------------
# The session

# A session in which nothing of the one before is still going on.
sub connect
{
	my ($self) = @_;
	my $until = time() + $patience;

	for (;;)
	{
		$self->{session}->close if $self->{session};
		$self->{session} = Fuzz::Session->new(0, []);
		$self->{sessions}++;
		last if $self->settle_in;
		die "the server does not come back\n" if time() > $until;
		sleep 0.1;
	}
	return;
}

sub settle_in
{
	my ($self) = @_;
	my $early = $self->{number} % 4 < 2 ? 'on' : 'off';
	my $name = "soak $self->{number}";

	$self->{session}->send(
		"SET racefree.early_lock_release = $early",
		'SET client_min_messages = error');
	return 0 if ($self->{session}->receive)[-1]{state} ne '00000';
	for (1 .. 10 * $patience)
	{
		my $result = $self->{session}->run(
			"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			 WHERE application_name = '$name' AND pid <> pg_backend_pid()");

		return 0 if $result->{state} eq 'gone';
		return $self->finish_prepared if "@{ $result->{lines} }" eq '0';
		sleep 0.1;
	}
	return 0;
}

# What a session has prepared goes on without it.
sub finish_prepared
{
	my ($self) = @_;

	for (1 .. $patience)
	{
		my $result = $self->{session}->run(
			"SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'soak $self->{number} %'");

		return 0 if $result->{state} eq 'gone';
		return 1 if $result->{state} eq '00000' && !@{ $result->{lines} };
		for my $gid (@{ $result->{lines} })
		{
			$result = $self->{session}->run(pick('COMMIT', 'ROLLBACK') . " PREPARED '$gid'");
			return 0 if $result->{state} eq 'gone';
		}
	}
	return 0;
}

# One result for each statement, or nothing if the session was lost.
sub execute
{
	my ($self, @statements) = @_;

	$self->{session}{log} = [];
	$self->{session}->send(@statements);
	if (chance(0.002) && !$self->protected)
	{
		sleep rand 0.01;
		kill 'KILL', $self->{session}{pid};
	}
	my @results = $self->{session}->receive;
	my $last = $results[-1]{state};

	return @results if $last !~ /^(?:gone|hangs)$/;
	$self->report('wrong', "no answer: @statements") if $last eq 'hangs';
	$self->report('lost');
	$self->connect;
	return;
}

sub protected
{
	my ($self) = @_;
	return $self->{lives_long} && time() >= $self->{times}{storm};
}

# What a query gives, if anything.
sub ask
{
	my ($self, $query) = @_;
	my @results = $self->execute($query);
	return @results && $results[0]{state} eq '00000' ? @{ $results[0]{lines} } : ();
}

# ---------------------------------------------------------------------------
# Calls

sub step
{
	my ($self) = @_;
	my $dice = rand;

	return $self->alone(shift @{ $self->{pending} }) if @{ $self->{pending} };
	return $self->transaction if $dice < 0.15;
	return $self->alone(Soak::Calls::draw($self)) if $dice < 0.9;
	return $self->alone(
		Soak::Calls::draw($self),
		pick('statement_timeout', 'lock_timeout'),
		pick(1, 2, 5, 10, 50));
}

sub alone
{
	my ($self, $call, $timeout, $milliseconds) = @_;
	my @before = ($call->{role} ? "SET ROLE $call->{role}" : (),
		$timeout ? "SET $timeout = $milliseconds" : ());
	my @after = ($timeout ? "RESET $timeout" : (), $call->{role} ? 'RESET ROLE' : ());
	my @results = $self->execute(@before, $call->{sql}, @after);
	my $result = @results ? $results[@before] : { state => 'gone', lines => [] };

	# What was to follow can be canceled, too.
	if (grep { $_->{state} ne '00000' } @results[ @before + 1 .. $#results ])
	{
		$self->until_done($_) for @after;
	}
	$self->judge($call, $result, 'READ COMMITTED');
	if ($result->{state} eq '00000')
	{
		$self->believe($call, $result);
	}
	elsif ($result->{state} eq 'gone')
	{
		$self->ask_again($call);
	}
	elsif ($passes{ $result->{state} } && ($call->{may_be_booked} || chance(0.5)))
	{
		push @{ $self->{pending} }, $call if $call->{requests};
	}
	else
	{
		$self->give_up($call);
	}
	return;
}

sub until_done
{
	my ($self, $statement) = @_;

	for (1 .. 100)
	{
		my @results = $self->execute($statement);
		return if !@results || $results[0]{state} eq '00000';
	}
	$self->report('wrong', "$statement is refused");
	return;
}

# Several calls, of which all count, or none.
sub transaction
{
	my ($self) = @_;
	my (@kept, @undone, @statements, @calls);
	my $level = pick('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
	my $end = pick(('COMMIT') x 7, ('ROLLBACK') x 2, 'PREPARE');

	push @statements, "BEGIN ISOLATION LEVEL $level";
	push @calls, undef;
	for (1 .. 1 + rand 3)
	{
		my $call = Soak::Calls::draw($self);

		# A role would have to be reset, which an error would not let us.
		next if $call->{role};
		my $undo = chance(0.2);

		# Of its own name: if it cannot be set, nothing else is gone back to.
		my $mark = 's' . @statements;

		push @statements, $undo ? ("SAVEPOINT $mark", $call->{sql}, "ROLLBACK TO $mark") : $call->{sql};
		push @calls, $undo ? (undef, $call, undef) : $call;
		push @{ $undo ? \@undone : \@kept }, $#calls - ($undo ? 1 : 0);
	}
	push @statements, $end eq 'PREPARE' ? $self->prepare : $end;
	my @results = $self->execute(@statements);

	$self->judge_all(\@calls, \@results, $level) if @results;
	# Without its BEGIN, if that was canceled, each call was committed.
	if (!@results || $results[0]{state} ne '00000')
	{
		$self->ask_again(grep { $_ } @calls);
		return;
	}
	my %undone = map { ($_ => 1) } @undone;
	my $failed = grep { $results[$_]{state} ne '00000' && !$undone{$_} } 0 .. $#results;

	if ($end eq 'PREPARE' && $results[ @calls ]{state} eq '00000')
	{
		# Finished now, if it was not; how is seen when it is asked for again.
		$self->connect if $failed && !$self->finish_prepared;
		$self->ask_again(grep { $_ } @calls);
	}
	elsif ($failed || $end ne 'COMMIT')
	{
		$self->give_up($_) for grep { $_ } @calls;
		$self->until_done('ROLLBACK') if $results[-1]{state} ne '00000';
	}
	else
	{
		$self->believe($calls[$_], $results[$_]) for @kept;
		$self->give_up($calls[$_]) for @undone;
	}
	return;
}

sub prepare
{
	my ($self) = @_;
	my $gid = "soak $self->{number} @{[ ++$self->{prepared} ]}";
	return ("PREPARE TRANSACTION '$gid'", pick('COMMIT', 'ROLLBACK') . " PREPARED '$gid'");
}

# The first that fails counts, what follows it was not called.
sub judge_all
{
	my ($self, $calls, $results, $level) = @_;

	for my $i (grep { $calls->[$_] } 0 .. $#$calls)
	{
		$self->judge($calls->[$i], $results->[$i], $level) if $results->[$i]{state} ne '25P02';
	}
	return;
}

sub judge
{
	my ($self, $call, $result, $level) = @_;
	my ($state, @lines) = ($result->{state}, @{ $result->{lines} });
	my $allowed = $may_happen{$state} || $state eq '40001' && $level ne 'READ COMMITTED' || grep { $_ eq $state } @{ $call->{allowed} // [] };

	$self->{calls}++;
	$self->report('call', $call->{function}, $state);
	if (!$allowed)
	{
		$self->report('wrong', "$state $result->{message}: $call->{sql}");
	}
	elsif ($state eq '00000' && ($call->{refused} || $call->{empty} && @lines))
	{
		$self->report('wrong', "$call->{sql}: @lines");
	}
	return;
}

# What was committed.
sub believe
{
	my ($self, $call, $result) = @_;

	for my $line (@{ $result->{lines} })
	{
		my @fields = split /\|/, $line, -1;

		if (($call->{tells} // '') eq 'row')
		{
			$self->tell('row', $call->{target}, @fields);
		}
		elsif (($call->{tells} // '') eq 'request')
		{
			$self->tell('request', $call->{journal}, @fields);
		}
	}
	return;
}

# What may have been committed: only a result, or a refusal, tells.
sub ask_again
{
	my ($self, @calls) = @_;

	for my $call (grep { $_->{requests} } @calls)
	{
		$call->{may_be_booked} = 1;
		push @{ $self->{pending} }, $call;
	}
	return;
}

# What was not committed, and is not asked for again: not by this client.
sub give_up
{
	my ($self, $call) = @_;

	return if $call->{shared};
	$self->tell('request', $call->{journal}, $_, '') for @{ $call->{requests} // [] };
	return;
}

# Ask for what is not known yet, until it is.
sub resolve
{
	my ($self) = @_;

	for (1 .. 1000)
	{
		return unless @{ $self->{pending} };
		$self->alone(shift @{ $self->{pending} });
	}
	$self->report('wrong', 'a request gets no answer');
	return;
}

# ---------------------------------------------------------------------------
# Memory of a session that lives through the calm

# Plans are kept for each table, set of columns and size of a batch: it takes
# long until a session has met all.  That they are not made again for the same
# is seen by how many there are of one text.
my $memory = q(
	SELECT sum(used_bytes) FILTER (WHERE name NOT IN ('CachedPlan', 'CachedPlanSource', 'CachedPlanQuery', 'SPI Plan')),
		(SELECT max(n) FROM
			(SELECT count(*) AS n FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' GROUP BY ident) AS p)
	FROM pg_backend_memory_contexts);

sub watch_memory
{
	my ($self, $end) = @_;

	return if !$self->{lives_long} || !$end && ($self->{half} || time() < $self->{times}{half});
	my ($line) = $self->ask($memory);
	my ($bytes, $plans) = split /\|/, $line // '';
	if (!$end)
	{
		$self->{half} = { bytes => $bytes, session => $self->{sessions}, calls => $self->{calls} };
	}
	elsif ($bytes && $self->{half}{bytes} && $self->{half}{session} == $self->{sessions})
	{
		$self->report('memory', $bytes - $self->{half}{bytes}, $self->{calls} - $self->{half}{calls}, $plans);
	}
	return;
}

1;
