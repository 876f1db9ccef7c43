# Copyright (c) 2026, the racefree developers

# A journal is an ordinary table: pg_dump takes it along, and where it is
# restored, requests that were booked are still booked.

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
INSERT INTO "An account" VALUES (1, 100), (2, 100);
SELECT create_journal('parts', NULL::"An account", request_id_type => 'text', balance_column => 'The balance',
	partition_by => 'RANGE (created_at)');
CREATE TABLE part PARTITION OF parts DEFAULT;
SELECT guard_journal('parts');
SELECT transfer(NULL::"An account", 1, 2, 30, balance_column => 'The balance', journal => 'parts', request_id => 'first');
));

my $dump = $node->basedir . '/dump.sql';
$node->command_ok(
	[ 'pg_dump', '--no-sync', '--file', $dump, $node->connstr('postgres') ],
	'the database is dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ],
	'and restored');

# Each is asked of the restored database.
sub answers
{
	my ($query, $answer, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( $node->safe_psql('restored', qq(SET search_path = "Some where", public; $query)),
		$answer, $name);
	return;
}

answers(q(SELECT count(*) FROM verify_journal('"A journal"', NULL::account)),
	'0', 'it all adds up');
answers(
	q(SELECT amount, replayed, entry->>'id' FROM transfer(NULL::account, 1, 2, 30, journal => '"A journal"', request_id => 'first')),
	'30|t|1', 'a request that was booked is a replay');
answers(
	q(SELECT amount, replayed, entry->>'id' FROM reverse_transfer(NULL::account, '"A journal"', 1)),
	'20|f|3', 'the rest is reversed, and entries are numbered on');
answers(q(SELECT balance_at('"A journal"', 1, 'infinity')), '100.00', 'the balance is known');

my ($result, undef, $stderr) =
  $node->psql('restored', q(DELETE FROM "Some where"."A journal"));
like($stderr, qr/entries of journal "A journal" cannot be changed/, 'the guard is there');

# What a journal belongs to, and the guards of its partitions, came along.
answers(
	q(SELECT amount, replayed FROM transfer(NULL::"An account", 1, 2, 30, balance_column => 'The balance', journal => 'parts', request_id => 'first')),
	'30|t', 'a request in a partition is a replay');
($result, undef, $stderr) = $node->psql('restored',
	q(SELECT "Some where".transfer(NULL::"Some where".account, 1, 2, 30, journal => '"Some where".parts')));
like($stderr, qr/journal "parts" belongs to other accounts/, 'it belongs to its accounts');
for my $command ('DELETE FROM', 'TRUNCATE')
{
	($result, undef, $stderr) = $node->psql('restored', qq($command "Some where".part));
	like($stderr, qr/entries of journal "part" cannot be changed/, "$command: the partition is guarded");
}
answers(q(SELECT guard_journal('parts')), '0', 'nothing is left to guard');

# The extension cannot go without the journal's guard.
($result, undef, $stderr) = $node->psql('restored', 'DROP EXTENSION racefree');
like($stderr, qr/cannot drop extension racefree because other objects depend on it/,
	'the extension is not dropped by oversight');

$node->stop;

done_testing();
