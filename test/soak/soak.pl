#!/usr/bin/env perl
# Copyright (c) 2026, the racefree developers

# soak.pl - everything at once, for a while: "make soak"
#
#   SOAK_SECONDS (600)   how long
#   SOAK_SEED            what is called, but not when; by default the clock
#   SOAK_CLIENTS (8)     how many sessions
#
# Clients call all functions on tables and journals of all kinds, while their
# calls are canceled and time out, clients and sessions are killed, and the
# server crashes: that is the storm, for the first part of the time.  In the
# calm that follows no crash ends all sessions, so that their memory can be
# watched.  In the end there must be no key with two rows, nothing missing that
# a client was told of, no request booked twice or against an answer, no money
# lost or made, journals that add up, no lock left.
#
# Works on the server that psql finds, in the database soak, which it makes:
# one at a time.  PGDATA is the server's folder, SOAK_LOG its log.  The server
# is stopped and started; what it needs is written to its configuration.  The
# exit status is 1 if anything is wrong.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../fuzz";
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Select;
use List::Util qw(sum0);
use POSIX ();
use Time::HiRes qw(sleep time);
use Fuzz::Random qw(pick);
use Fuzz::Session;
use Soak::Calls;
use Soak::Client;
use Soak::Verdict;

my $seconds = $ENV{SOAK_SECONDS} || 600;
my $seed = $ENV{SOAK_SEED} // int(time()) % 1_000_000;
my $clients = $ENV{SOAK_CLIENTS} || 8;
my $data = $ENV{PGDATA} // die "PGDATA must name the server's folder\n";
my $log = $ENV{SOAK_LOG} // die "SOAK_LOG must name the server's log\n";

my $workspace = tempdir('soak.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my (%tally, %chaos, @wrong, @memory, %running);
my %times;
my $admin;

$| = 1;
exit main();

sub main
{
	print "seed $seed (SOAK_SEED=$seed), $seconds seconds, $clients clients\n";
	prepare_server();
	srand $seed;
	$times{start} = time();
	$times{end} = $times{start} + $seconds;
	$times{storm} = $times{start} + 0.6 * $seconds;
	$times{half} = ($times{storm} + $times{end}) / 2;
	start_client($_) for 1 .. $clients;
	watch();
	$admin->close;
	push @wrong, Soak::Verdict::find($workspace, $log, \@memory);
	summary();
	return @wrong ? 1 : 0;
}

# ---------------------------------------------------------------------------
# The server

sub prepare_server
{
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
	my %settings = (
		max_connections => 3 * $clients + 20,
		max_prepared_transactions => $clients + 2,
		restart_after_crash => 'on',
		deadlock_timeout => '50ms',
		log_line_prefix => '%m [%p] %e ',
		log_min_messages => 'error',
		log_min_error_statement => 'panic',
		log_error_verbosity => 'terse',
		log_statement => 'none',
		# A crash of the server is none of the machine.
		fsync => 'off',
		synchronous_commit => 'on');

	run('psql', '-XqAt', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1',
		map { ('-c', "ALTER SYSTEM SET $_ = '$settings{$_}'") } sort keys %settings);
	restart('fast');
	run('psql', '-XqAt', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1', map { ('-c', $_) }
		  'DROP DATABASE IF EXISTS soak', 'DROP ROLE IF EXISTS soak_teller', 'CREATE DATABASE soak');
	$ENV{PGDATABASE} = 'soak';
	run('psql', '-XqAt', '-o', '/dev/null', '-f', "$FindBin::RealBin/setup.sql");
	$admin = Fuzz::Session->new(0, []);
	return;
}

sub run
{
	my (@command) = @_;
	system(@command) == 0 or die "$command[0] failed\n";
	return;
}

sub restart
{
	my ($mode) = @_;

	run('pg_ctl', '-D', $data, '-m', $mode, '-s', '-w', 'stop');
	run('pg_ctl', '-D', $data, '-l', $log, '-s', '-w', 'start');
	return;
}

# ---------------------------------------------------------------------------
# Clients

sub start_client
{
	my ($number) = @_;

	pipe(my $reports, my $report) or die "pipe: $!\n";
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	if ($pid)
	{
		$running{$reports} = { number => $number, pid => $pid, reports => $reports, unread => '' };
		return;
	}
	open(my $told, '>', "$workspace/told.$number") or POSIX::_exit(1);
	$report->autoflush;
	eval {
		Soak::Client::run(
			number => $number,
			seed => $seed,
			times => \%times,
			report => $report,
			told => $told);
		1;
	} or print {$report} "wrong\tclient $number: $@";
	close $told or print {$report} "wrong\ttold.$number: $!\n";
	POSIX::_exit(0);
}

# Until all clients are done: what they report, progress, and trouble for them.
sub watch
{
	my $interval = $seconds < 120 ? 5 : 15;
	my $progress = $times{start} + $interval;
	my %due = map { ($_ => time() + wait_for($_)) } qw(cancel terminate kill crash);
	my $patience = 120;

	while (%running)
	{
		my $now = time();

		hear($_) for IO::Select->new(map { $_->{reports} } values %running)->can_read(0.02);
		if ($now >= $progress)
		{
			progress($now);
			$progress += $interval;
		}
		if ($now > $times{end} + $patience)
		{
			push @wrong, "client $_->{number} does not end" for values %running;
			kill 'KILL', $_->{pid} for values %running;
			last;
		}
		next if $now >= $times{end};
		for my $trouble (grep { $now >= $due{$_} } sort keys %due)
		{
			make($trouble, $now);
			$due{$trouble} = time() + wait_for($trouble);
		}
	}
	return;
}

sub hear
{
	my ($reports) = @_;
	my $client = $running{$reports};

	if (!sysread $reports, $client->{unread}, 65536, length $client->{unread})
	{
		waitpid $client->{pid}, 0;
		delete $running{$reports};
		return;
	}
	while ($client->{unread} =~ s/\A(.*)\n//)
	{
		my ($what, @words) = split /\t/, $1;

		if ($what eq 'call') { $tally{ $words[0] }{ $words[1] }++; }
		elsif ($what eq 'lost') { $chaos{lost}++; }
		elsif ($what eq 'memory') { push @memory, [ $client->{number}, @words ]; }
		else
		{
			push @wrong, $words[0];
			print "WRONG: $words[0]\n" if @wrong <= 20;
		}
	}
	return;
}

# ---------------------------------------------------------------------------
# Trouble

# Seconds to the next; in a short run there is some of each, too.
sub wait_for
{
	my ($trouble) = @_;
	my %mean = (
		cancel => 0.1,
		terminate => 1,
		kill => $seconds < 120 ? $seconds / 10 : 12,
		crash => $seconds < 120 ? $seconds / 8 : 15);
	return $mean{$trouble} * (0.5 + rand);
}

sub make
{
	my ($trouble, $now) = @_;
	my $calm = $now >= $times{storm};

	return if $calm && $trouble =~ /kill|crash/;
	if ($trouble eq 'crash')
	{
		restart('immediate');
		$chaos{crash}++;
		return;
	}
	my $pid = victim($calm && $trouble eq 'terminate');
	return unless $pid;
	if ($trouble eq 'kill')
	{
		$chaos{kill}++ if kill 'KILL', $pid;
		return;
	}
	my $result = $admin->run("SELECT pg_${trouble}_backend($pid)");
	$chaos{$trouble}++ if "@{ $result->{lines} }" eq 't';
	return;
}

# A session of a client, better one that is at work; of a client that has an
# odd number, if those with even numbers are to live on.
sub victim
{
	my ($odd) = @_;
	my $result = $admin->run(
		q(SELECT pid FROM pg_stat_activity
		  WHERE application_name ~ '^soak \d*)
		  . ($odd ? '[13579]' : '') . q($'
		  ORDER BY state = 'active' DESC, random() LIMIT 1));

	return $result->{lines}[0] if $result->{state} eq '00000';
	if ($result->{state} eq 'gone')
	{
		$admin->close;
		$admin = Fuzz::Session->new(0, []);
	}
	return;
}

# ---------------------------------------------------------------------------
# What is shown

sub calls { return sum0(map { values %$_ } values %tally); }

sub with_state
{
	my ($states) = @_;
	return sum0(map { my $of = $_; map { $of->{$_} } grep { /^(?:$states)$/ } keys %$of } values %tally);
}

sub progress
{
	my ($now) = @_;
	my $elapsed = $now - $times{start};

	printf "%5d s  %-5s  %8d calls, %6.0f/s  %s%s\n", $elapsed,
	  $now >= $times{end} ? 'end' : $now >= $times{storm} ? 'calm' : 'storm',
	  calls(), calls() / $elapsed, trouble(), @wrong ? '  WRONG: ' . @wrong : '';
	return;
}

sub trouble
{
	my %names = (
		cancel => 'cancels',
		terminate => 'terminations',
		kill => 'kills',
		crash => 'crashes',
		lost => 'lost connections');
	return join ', ', map { ($chaos{$_} // 0) . " $names{$_}" } qw(cancel terminate kill crash lost);
}

sub summary
{
	print "\n";
	for my $function (@Soak::Calls::functions)
	{
		my %state = %{ $tally{$function} || {} };

		printf "%-22s %7d: %s\n", $function, sum0(values %state),
		  join ', ', map { ($_ eq '00000' ? 'ok' : $_) . " $state{$_}" }
		  sort { $state{$b} <=> $state{$a} || $a cmp $b } keys %state;
		push @wrong, "$function was never called" if !%state && calls() > 20_000;
	}
	printf "\nmemory of sessions, growth in the second half of the calm: %s\n",
	  join(', ', map { "$_->[1] bytes in $_->[2] calls ($_->[3] plans alike)" } sort { $a->[0] <=> $b->[0] } @memory) || 'not measured';
	print calls() . " calls, " . trouble() . ", seed $seed\n";
	if (@wrong)
	{
		print "\nWRONG:\n";
		print "  $_\n" for @wrong[ 0 .. ($#wrong < 99 ? $#wrong : 99) ];
	}
	print @wrong ? "soak: FAILED, " . @wrong . " wrong\n" : "soak: nothing wrong\n";
	return;
}
