#!/usr/bin/env perl
# Copyright (c) 2026, the racefree developers

# fuzz.pl - random calls of racefree's functions, on the server that psql finds
#
#   FUZZ_SECONDS (60)   how long
#   FUZZ_SEED           the same seed makes the same cases; by default the clock
#   FUZZ_CASE           only this case of that seed
#   FUZZ_CLIENTS (3)    sessions of a case, at most
#   FUZZ_STEPS (60)     steps of a case
#   FUZZ_SHRINK (60)    seconds to look for a shorter form of what failed
#   FUZZ_MESSAGES       count the messages of errors, too
#   FUZZ_ALL            do not stop at a failure, but show each kind once
#
# A case is a schema f with random tables in it, and some sessions that call
# racefree's functions there.  What was called is drawn first, and then run:
# so a case that fails is run again with some of its steps left out, until
# nothing more can be left out.  The statements of that are printed.
#
# Works in the database fuzz, which it makes: one at a time.  The exit status is 0 if nothing
# was found and, in a run of 2000 calls or more, each function has been called,
# and has succeeded at least once in 30 calls.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use List::Util qw(sum0);
use Time::HiRes qw(time sleep);
use Fuzz::Random;
use Fuzz::Run;
use Fuzz::Session;
use Fuzz::Steps;
use Fuzz::World;

my @functions = qw(
  get_or_create update_or_create get_or_create_many update_or_create_many
  lock_keys lock_rows key_guard transfer reverse_transfer transfer_many
  hold_transfer post_transfer void_transfer expire_holds
  create_journal alter_journal guard_journal balance_at verify_journal);

my $seconds = $ENV{FUZZ_SECONDS} || 60;
my $seed = $ENV{FUZZ_SEED} // int(time()) % 1_000_000;
my $clients = $ENV{FUZZ_CLIENTS} || 3;
my $length = $ENV{FUZZ_STEPS} || 60;
my $shrink = $ENV{FUZZ_SHRINK} // 60;
my $only = $ENV{FUZZ_CASE};

$| = 1;
exit main();

sub main
{
	my $until = time() + $seconds;
	my (%tally, %failed);
	my $start = time();
	my $case = $only // 1;

	print "seed $seed (FUZZ_SEED=$seed), $seconds seconds\n";
	prepare_server();
	for (;; $case++)
	{
		my ($world, $steps) = draw($case);
		my ($now, @log);
		my $failure = Fuzz::Run::run($world, $steps, \%tally, \@log);
		$now = time();
		if ($failure && !$failed{ kind($failure) }++)
		{
			printf "\nFAILED after %.1f seconds: %s\n", time() - $start, $failure;
			report($case, $failure, $world, $steps, \@log);
			$until += time() - $now;
			last unless $ENV{FUZZ_ALL};
		}
		last if $failure && !await_server();
		last if defined $only || time() >= $until;
	}
	summary(defined $only ? 1 : $case, \%tally);
	print "failures: $failed{$_} times $_\n" for sort keys %failed;
	return 1 if %failed;
	return successes(\%tally) ? 0 : 1;
}

sub draw
{
	my ($case) = @_;

	seed($seed, $case);
	my $world = Fuzz::World::generate(clients => $clients);
	return ($world, Fuzz::Steps::generate($world, $length));
}

# ---------------------------------------------------------------------------
# The server

sub prepare_server
{
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
	system('psql', '-XqAt', '-d', 'postgres',
		'-c', 'DROP DATABASE IF EXISTS fuzz',
		'-c', 'CREATE DATABASE fuzz') == 0
	  or die "psql does not reach a server\n";
	$ENV{PGDATABASE} = 'fuzz';
	my $session = Fuzz::Session->new(0, []);

	$session->send(@Fuzz::World::server);
	my @results = $session->receive;
	die "racefree is not installed\n" if $results[0]{state} ne '00000';
	$Fuzz::World::has_citext = $results[1]{state} eq '00000';
	$Fuzz::World::has_icu = $results[2]{state} eq '00000';
	$session->close;
	return;
}

# After a crash the server takes a moment.
sub await_server
{
	for (1 .. 300)
	{
		return 1
		  if system('psql -XqAt -c "SELECT 1" >/dev/null 2>&1') == 0;
		sleep 0.1;
	}
	return 0;
}

# ---------------------------------------------------------------------------
# A failure

sub report
{
	my ($case, $failure, $world, $steps, $log) = @_;

	print "to repeat it: FUZZ_SEED=$seed FUZZ_CASE=$case"
	  . ($length != 60 ? " FUZZ_STEPS=$length" : '')
	  . ($clients != 3 ? " FUZZ_CLIENTS=$clients" : '') . "\n";
	($failure, $log) = shrink($failure, $world, $steps, $log);
	print "\n-- case $case of seed $seed: $failure\n";
	my $session = 0;
	for (@$log)
	{
		print "\n-- session $_->[0]\n"
		  if $world->{sessions} > 1 && $_->[0] != $session;
		$session = $_->[0];
		print "$_->[1];\n";
	}
	return;
}

# Leave out as much as can be: first statements of the set-up
# and steps from the end, half of what is left at once, then one by one.
sub shrink
{
	my ($failure, $world, $steps, $log) = @_;
	my $kind = kind($failure);
	my $until = time() + $shrink;

	for my $part (
		[ $steps, sub { (world => $world, steps => $_[0]) } ],
		[ $world->{problems}, sub { (world => { %$world, problems => $_[0] }) } ],
		[ $world->{tables}, sub { (world => { %$world, tables => $_[0] }) } ],
		[ $world->{setup}, sub { (world => { %$world, setup => $_[0] }) } ])
	{
		my ($list, $with) = @$part;
		for (my $size = int(@$list / 2) || 1; $size > 0; $size = int($size / 2))
		{
			for (my $end = @$list; $end > 0; $end -= $size)
			{
				my $start = $end > $size ? $end - $size : 0;
				my @less = @$list;
				my @log;

				splice @less, $start, $end - $start;
				next if time() > $until || !await_server();
				my %try = (world => $world, steps => $steps, $with->(\@less));
				my $again =
				  Fuzz::Run::run($try{world}, $try{steps}, {}, \@log);
				next if kind($again // '') ne $kind;
				($failure, $log, $list) = ($again, \@log, \@less);
				($world, $steps) = @try{qw(world steps)};
			}
		}
	}
	return ($failure, $log);
}

# The same failure has the same words, but for its numbers.
sub kind
{
	return $_[0] =~ s/'.*'//gr =~ s/"[^"]*"//gr =~ s/[0-9]+//gr;
}

# ---------------------------------------------------------------------------
# What was done

sub summary
{
	my ($cases, $tally) = @_;
	my $calls = $tally->{calls};

	print "\n";
	for my $function (@functions)
	{
		my %class = %{ $calls->{$function} || {} };
		print sprintf('%-22s %6d: ', $function, sum0(values %class))
		  . join(', ',
			map { "$_ $class{$_}" }
			sort { $class{$b} <=> $class{$a} || $a cmp $b } keys %class)
		  . "\n";
	}
	my $all = sum0(map { values %$_ } values %$calls);
	my ($memory, $void) = map { $tally->{$_} || 0 } qw(memory void);
	if ($ENV{FUZZ_MESSAGES})
	{
		my $count = $tally->{messages};
		print "$count->{$_} $_\n"
		  for sort { $count->{$b} <=> $count->{$a} } keys %$count;
	}
	print "$cases cases, of which $void could not be set up, $all calls,"
	  . " $memory loops for memory, seed $seed\n";
	return;
}

# A generator that has rotted makes nothing but errors.
sub successes
{
	my ($tally) = @_;
	return 1 if sum0(map { values %$_ } values %{ $tally->{calls} }) < 2000;

	my @never = grep {
		my $class = $tally->{calls}{$_} || {};
		my $calls = sum0(values %$class);
		$calls == 0
		  || $calls >= 30 && !grep { $class->{$_} } qw(ok created replayed)
	} @functions;

	print "never succeeded: @never\n" if @never;
	return !@never;
}
