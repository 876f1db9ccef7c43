# Copyright (c) 2026, the racefree developers

# What must hold when all is over: a list of queries, which give no row then.

package Soak::Verdict;

use strict;
use warnings;
use Soak::Calls;

# A session may grow by so much, since in a short run it meets some tables late,
# and by so much a call.  test/t/memory.pl looks closer.
my $slack = 512 * 1024;
my $slack_per_call = 4;

# As many plans of one statement: one for each size of a batch, and more.
my $most_plans = 50;

sub find
{
	my ($workspace, $log, $memory) = @_;
	my @wrong = load($workspace);
	my %queries = (of_server(), map { of_items($_) } @Soak::Calls::items);

	%queries = (%queries, map { of_family($_) } @Soak::Calls::families);
	for my $name (sort keys %queries)
	{
		my ($ok, @lines) = query($queries{$name});

		push @wrong, map { "$name: $_" } $ok && @lines > 5 ? (@lines[ 0 .. 4 ], @lines - 5 . ' more') : @lines;
		push @wrong, "$name: the query failed" unless $ok;
	}
	for (@$memory)
	{
		my ($client, $bytes, $calls, $plans) = @$_;
		push @wrong, "the session of client $client grew by $bytes bytes in $calls calls"
		  if $bytes > $slack + $slack_per_call * $calls;
		push @wrong, "the session of client $client keeps $plans plans of one statement"
		  if $plans > $most_plans;
	}
	return (@wrong, of_log($log));
}

sub query
{
	my ($sql) = @_;

	open(my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', $sql) or die "psql: $!\n";
	my @lines = <$psql>;
	chomp @lines;
	return (close $psql, @lines);
}

# What the clients were told.
sub load
{
	my ($workspace) = @_;

	open(my $psql, '|-', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1') or die "psql: $!\n";
	for my $what ([ 'row', 'told_row (target, name, id, created)' ], [ 'request', 'told_request (journal, request_id, entry_id)' ])
	{
		my ($kind, $table) = @$what;

		print {$psql} "COPY soak.$table FROM STDIN WITH (NULL '');\n";
		for my $file (glob "$workspace/told.*")
		{
			open(my $told, '<', $file) or die "$file: $!\n";
			while (my $line = <$told>)
			{
				print {$psql} $line if $line =~ s/^$kind\t//;
			}
		}
		print {$psql} "\\.\n";
	}
	print {$psql} 'ANALYZE';
	return close $psql ? () : 'could not load what clients were told';
}

sub of_items
{
	my ($item) = @_;
	my $table = $item->{table};
	my $told = "(SELECT DISTINCT name, id FROM soak.told_row WHERE target = '$table')";

	return (
		"$table: a key with two rows" =>
		  "SELECT name, count(*) FROM soak.$table GROUP BY name HAVING count(*) > 1",
		"$table: a row that a client was told of is not there" =>
		  "SELECT t.name, t.id FROM $told t WHERE NOT EXISTS
		   (SELECT FROM soak.$table i WHERE i.id = t.id AND i.name IS NOT DISTINCT FROM t.name)",
		"$table: a row was created twice" =>
		  "SELECT name, count(*) FROM soak.told_row WHERE target = '$table' AND created GROUP BY name HAVING count(*) > 1");
}

sub of_family
{
	my ($family) = @_;
	my ($accounts, $journal) = @$family{qw(accounts journal)};
	my $told = "(SELECT DISTINCT request_id, entry_id FROM soak.told_request WHERE journal = '$journal')";

	return (
		"$accounts: money was lost or made" =>
		  "SELECT sum(balance), count(*) FROM soak.$accounts HAVING sum(balance) <> 20000 OR count(*) <> 20",
		"$journal: does not add up" => 'SELECT * FROM ' . Soak::Calls::verification($family),
		"$journal: a request was booked twice" =>
		  "SELECT request_id, count(*) FROM soak.$journal WHERE request_id IS NOT NULL
		   GROUP BY request_id HAVING count(*) > 1",
		"$journal: a request has another entry than a client was told" =>
		  "SELECT t.request_id, t.entry_id, j.id
		   FROM $told t LEFT JOIN soak.$journal j ON j.request_id::text = t.request_id
		   WHERE j.id IS DISTINCT FROM t.entry_id",
		"$journal: balance_at" =>
		  "SELECT a.id, a.balance FROM soak.$accounts a
		   WHERE balance_at('soak.$journal', a.id, now()) <> a.balance",
		$family->{holds}
		? ("$accounts: more or less is held than there are holds" =>
			  "SELECT a.id, a.held FROM soak.$accounts a
			   WHERE a.held <> (SELECT coalesce(sum(h.amount), 0) FROM soak.${journal}_holds h WHERE h.from_id = a.id)")
		: ());
}

sub of_server
{
	return (
		'a key lock is left' => q(SELECT * FROM racefree_locks),
		'an advisory lock is left' => q(SELECT objid FROM pg_locks WHERE locktype = 'advisory'),
		'a table is locked' =>
		  q(SELECT l.relation::regclass, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE c.relnamespace = 'soak'::regnamespace AND l.mode NOT IN ('ShareUpdateExclusiveLock')),
		'a transaction is left' => q(SELECT gid FROM pg_prepared_xacts),
		'a session is left' => q(SELECT pid FROM pg_stat_activity WHERE application_name ~ '^soak '));
}

# Crashes other than ours, and internal errors that nobody may have read.
sub of_log
{
	my ($log) = @_;
	my @wrong;

	open(my $lines, '<', $log) or return "$log: $!";
	while (my $line = <$lines>)
	{
		chomp $line;
		push @wrong, "log: $line"
		  if $line =~ / XX\d\d\d |PANIC:|TRAP:|terminated by (?:signal|exception)/ && $line !~ /signal 9:/;
	}
	return @wrong;
}

1;
