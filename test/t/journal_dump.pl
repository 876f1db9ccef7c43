# Copyright (c) 2026, the racefree developers

# Journals and guards are ordinary tables and triggers: pg_dump takes them
# along, in each of its formats, and where they are restored, requests that were
# booked are still booked, and what was refused is refused.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;

$node->safe_psql('postgres', q(
CREATE SCHEMA "Some where";
CREATE EXTENSION racefree SCHEMA "Some where";
SET search_path = "Some where", public;
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL);
INSERT INTO account VALUES (1, 100), (2, 100);
SELECT create_journal('"A journal"', NULL::account, request_id_type => 'text');
ALTER TABLE "A journal" ADD COLUMN teller name DEFAULT current_user;
SELECT transfer(NULL::account, 1, 2, 30, journal => '"A journal"', request_id => 'first');
SELECT reverse_transfer(NULL::account, '"A journal"', 1, 10, 'back');
CREATE TABLE "An account" ("No" integer PRIMARY KEY, "The balance" integer NOT NULL);
ALTER TABLE "An account" ADD COLUMN "The ""floor""" numeric DEFAULT -20, ADD COLUMN "Closed, or not" timestamptz,
	ADD COLUMN "Of, whom" text, ADD COLUMN b integer;
INSERT INTO "An account" VALUES (1, 100), (2, 100);
INSERT INTO "An account" VALUES (3, 100, 0, '-infinity', NULL), (4, 100, 0, NULL, 'others');
SELECT create_journal('parts', NULL::"An account", request_id_type => 'text', balance_column => 'The balance',
	partition_by => 'RANGE (created_at)', min_balance_column => 'The "floor"', closed_column => 'Closed, or not',
	must_match => ARRAY['Of, whom', 'b'], opening => 100.00);
CREATE TABLE part PARTITION OF parts DEFAULT;
SELECT guard_journal('parts');
SELECT reverse_transfer(NULL::account, '"A journal"', 1, 1, 'back again');
CREATE TABLE card (id text PRIMARY KEY, balance numeric(12,2) NOT NULL, "Held, yet" numeric(12,2) NOT NULL DEFAULT 0);
INSERT INTO card VALUES ('Ann', 100), ('shop', 0);
SELECT create_journal('"Card''s journal"', NULL::card, request_id_type => 'text', held_column => 'Held, yet', opening => NULL);
SELECT hold_transfer(NULL::card, 'Ann', 'shop', 60, '"Card''s journal"', request_id => 'hold', expires_at => '2999-01-01');
SELECT post_transfer(NULL::card, '"Card''s journal"', 1, 10, final => false);
CREATE TABLE guarded (id serial, str text, n integer) PARTITION BY HASH (id);
CREATE TABLE guarded_0 PARTITION OF guarded FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE guarded_1 PARTITION OF guarded FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('str');
INSERT INTO guarded (str) SELECT 'key ' || i FROM generate_series(1, 100) AS i;
SELECT transfer(NULL::"An account", 1, 2, 30, balance_column => 'The balance', journal => 'parts', request_id => 'first');
));


# Each way ends in a database of its own.
my $folder = $node->basedir;
my $source = $node->connstr('postgres');
my %ways = (
	plain => sub {
		my ($target) = @_;
		dumped('plain', '--file', "$folder/plain.sql");
		loaded('plain', $target, "$folder/plain.sql");
	},
	custom => sub {
		my ($target) = @_;
		dumped('custom', '-Fc', '--file', "$folder/custom");
		restored('custom', $target, "$folder/custom");
	},
	parallel => sub {
		my ($target) = @_;
		dumped('parallel', '-Fd', '-j', 2, '--file', "$folder/parallel");
		restored('parallel', $target, '-j', 2, "$folder/parallel");
	},
	# With the guards in place before the rows.
	'schema and data' => sub {
		my ($target) = @_;
		for my $part ('schema', 'data')
		{
			dumped($part, "--$part-only", '--file', "$folder/$part.sql");
			loaded($part, $target, "$folder/$part.sql");
		}
	});

sub dumped
{
	my ($name, @options) = @_;
	$node->command_ok([ 'pg_dump', '--no-sync', @options, $source ], "$name: the database is dumped");
	return;
}

sub loaded
{
	my ($name, $target, $file) = @_;
	$node->command_ok(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $file, $target ],
		"$name: and loaded");
	return;
}

sub restored
{
	my ($name, $target, @options) = @_;
	$node->command_ok(
		[ 'pg_restore', '--exit-on-error', '-d', $target, @options ],
		"$name: and restored");
	return;
}

for my $way (sort keys %ways)
{
	my $database = $way =~ tr/ /_/r;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$ways{$way}->($node->connstr($database));

	# Each is asked of the restored database.
	my $answers = sub {
		my ($query, $answer, $name) = @_;
		local $Test::Builder::Level = $Test::Builder::Level + 1;

		is( $node->safe_psql($database, qq(SET search_path = "Some where", public; $query)),
			$answer, "$way: $name");
	};
	my $refuses = sub {
		my ($query, $complaint, $name) = @_;
		local $Test::Builder::Level = $Test::Builder::Level + 1;
		my (undef, undef, $stderr) =
		  $node->psql($database, qq(SET search_path = "Some where", public; $query));

		like($stderr, $complaint, "$way: $name");
	};

	$answers->(
		q(SELECT count(*) FROM verify_journal('"A journal"', NULL::account);
		  SELECT count(*) FROM verify_journal('"A journal"', NULL::account, opening => 100)),
		"0\n0", 'it all adds up');
	$answers->(
		q(SELECT amount, replayed, entry->>'id' FROM transfer(NULL::account, 1, 2, 30, journal => '"A journal"', request_id => 'first')),
		'30|t|1', 'a request that was booked is a replay');
	$answers->(
		q(SELECT amount, replayed, entry->>'id' FROM reverse_transfer(NULL::account, '"A journal"', 1)),
		'19|f|4', 'the rest is reversed, and entries are numbered on');
	$answers->(q(SELECT balance_at('"A journal"', 1, 'infinity')),
		'100.00', 'the balance is known');
	$refuses->(
		q(DELETE FROM "A journal"),
		qr/entries of journal "A journal" cannot be changed/,
		'the guard is there');
	$refuses->(
		q(DELETE FROM account),
		qr/violates foreign key constraint/,
		'so are the foreign keys');

	# What a journal belongs to, and the guards of its partitions, came along.
	$answers->(
		q(SELECT amount, replayed FROM transfer(NULL::"An account", 1, 2, 30, balance_column => 'The balance', journal => 'parts', request_id => 'first')),
		'30|t', 'a request in a partition is a replay');
	$answers->(
		q(SELECT amount, replayed, entry->>'id' FROM transfer(NULL::"An account", 1, 2, 1, balance_column => 'The balance', journal => 'parts', request_id => 'second')),
		'1|f|2', 'entries of partitions are numbered on');
	$refuses->(
		q(SELECT transfer(NULL::account, 1, 2, 30, journal => 'parts')),
		qr/journal "parts" belongs to other accounts/,
		'it belongs to its accounts');
	# So did the rules of the journal.
	$answers->(
		q(SELECT status FROM transfer_many(NULL::"An account", '{1,1,1,1}', '{3,4,2,2}', '{1,1,1000,80}',
			balance_column => 'The balance', journal => 'parts', on_error => 'report')),
		"account_closed\nmismatch\ninsufficient_funds\nok", 'its rules apply');
	$answers->(
		q(SELECT count(*) FROM verify_journal('parts', NULL::"An account", balance_column => 'The balance');
		  SELECT alter_journal('parts', '{"opening": 99}');
		  SELECT count(*) FROM verify_journal('parts', NULL::"An account", balance_column => 'The balance')),
		"0\n\n4", 'among them the balance to begin with, and they can be changed');
	for my $command ('DELETE FROM', 'TRUNCATE')
	{
		$refuses->(
			qq($command part),
			qr/entries of journal "part" cannot be changed/,
			"$command: the partition is guarded");
	}
	$answers->(q(SELECT guard_journal('parts')), '0', 'nothing is left to guard');

	# What is held is held, and what is left of a hold can be posted.
	$refuses->(
		q(SELECT transfer(NULL::card, 'Ann', 'shop', 41, journal => '"Card''s journal"')),
		qr/The balance is 90.00, of which 50.00 is held/,
		'held amounts are no funds');
	$answers->(
		q(SELECT amount, replayed FROM hold_transfer(NULL::card, 'Ann', 'shop', 60, '"Card''s journal"', request_id => 'hold', expires_at => '2999-01-01');
		  SELECT amount, (from_account)."Held, yet", entry->'id' FROM post_transfer(NULL::card, '"Card''s journal"', 1);
		  SELECT count(*) FROM verify_journal('"Card''s journal"', NULL::card)),
		"60|t\n50|0.00|3\n0", 'holds go on');

	# The other guard, and the rows that it guards.
	$refuses->(
		q(INSERT INTO guarded (str) VALUES ('key 7')),
		qr/duplicate key value violates key guard "guard"/,
		'a guarded key is refused');
	$answers->(
		q(SELECT created, (object).id FROM get_or_create(NULL::guarded, '{"str": "key 7"}');
		  SELECT created, (object).id FROM get_or_create(NULL::guarded, '{"str": "key 101"}')),
		# The refused one had a number, too.
		"f|7\nt|102", 'a guarded row is found, another created');

	# The extension cannot go without the journal's guard.
	$refuses->(
		'DROP EXTENSION racefree',
		qr/cannot drop extension racefree because other objects depend on it/,
		'the extension is not dropped by oversight');
}

$node->stop;

done_testing();
