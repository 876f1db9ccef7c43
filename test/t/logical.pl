# Copyright (c) 2026, the racefree developers

# Logical replication of tables, journals and guards.  What arrives, which
# triggers fire for what arrives, and what has to be done before the subscriber
# takes over.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');

for my $node ($publisher, $subscriber)
{
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', "wal_retrieve_retry_interval = 100ms");
	$node->start;
	# Replication does not make tables.
	$node->safe_psql(
		'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE test (id serial PRIMARY KEY, str text, note text);
CREATE TABLE guarded (id integer PRIMARY KEY, str text);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('str');
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
SELECT create_journal('journal', NULL::account, request_id_type => 'text');
CREATE TABLE purse (id integer PRIMARY KEY, balance numeric(12,2));
SELECT create_journal('parts', NULL::purse, request_id_type => 'text',
	partition_by => 'RANGE (created_at)');
CREATE TABLE part PARTITION OF parts DEFAULT;
SELECT guard_journal('parts');
));
}

sub publisher_does
{
	my ($query) = @_;
	my $answer = $publisher->safe_psql('postgres', $query);

	$publisher->wait_for_catchup('subscription');
	return $answer;
}

sub subscriber_has
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($subscriber->safe_psql('postgres', $query), $expected, $name);
	return;
}

sub refused
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $query, $sqlstate, $name) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$query");

	like($err, qr/ERROR:  $sqlstate$/, $name);
	return;
}

sub pay
{
	my ($journal, $request, $amount) = @_;
	my $accounts = $journal eq 'parts' ? 'purse' : 'account';

	return "SELECT replayed FROM transfer(NULL::$accounts, 1, 2, $amount, journal => '$journal', request_id => '$request')";
}

# ---------------------------------------------------------------------------
# Rows and entries arrive, those that were there before as well.

$publisher->safe_psql('postgres', q(
INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) AS i;
INSERT INTO purse SELECT * FROM account;
SELECT created FROM get_or_create(NULL::test, '{"str": "before"}');
INSERT INTO guarded VALUES (1, 'before');
) . pay('journal', 'before', 1) . ';' . pay('parts', 'before', 1) . q(;
CREATE PUBLICATION publication FOR ALL TABLES;
));
my $source = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION subscription CONNECTION '$source' PUBLICATION publication");
$subscriber->wait_for_subscription_sync($publisher, 'subscription');

publisher_does(q(
SELECT created FROM get_or_create(NULL::test, '{"str": "after"}');
SELECT created FROM update_or_create(NULL::test, '{"str": "before"}', '{"note": "x"}');
SELECT created FROM get_or_create_many(NULL::test, '[{"str": "a"}, {"str": "b"}]', '{str}');
INSERT INTO guarded VALUES (2, 'after');
) . pay('journal', 'after', 2) . ';' . pay('parts', 'after', 2) . q(;
SELECT reverse_transfer(NULL::account, 'journal', 1);
SELECT transfer_many(NULL::account, '{3,4}'::int[], '{4,5}'::int[], '{1,2}', '{m1,m2}', journal => 'journal');
));
my @rows = map { "SELECT * FROM $_ ORDER BY id" } 'test', 'guarded', 'account', 'journal', 'purse', 'parts';
subscriber_has($_, $publisher->safe_psql('postgres', $_), "the subscriber has the same: $_") for @rows;

subscriber_has(q(SELECT (object).note, created FROM get_or_create(NULL::test, '{"str": "before"}')),
	'x|f', 'a row is found');
subscriber_has(pay('journal', 'after', 2) . ';' . pay('parts', 'after', 2),
	"t\nt", 'requests that were booked are replays');
subscriber_has(
	q(SELECT count(*) FROM verify_journal('journal', NULL::account, opening => 100);
	  SELECT count(*) FROM verify_journal('parts', NULL::purse, opening => 100);
	  SELECT balance_at('journal', 5, 'infinity')),
	"0\n0\n102.00", 'journals add up');
refused($subscriber, 'DELETE FROM journal', '55000', 'a client cannot change an entry there');
refused($subscriber, 'TRUNCATE part', '55000', 'nor truncate a partition');

# Deleted, updated or not: without a primary key the publisher refuses it.
$_->safe_psql('postgres', 'CREATE TABLE keyless (str text, note text)') for $publisher, $subscriber;
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION subscription REFRESH PUBLICATION');
$subscriber->wait_for_subscription_sync($publisher, 'subscription');
publisher_does(q(SELECT created FROM get_or_create(NULL::keyless, '{"str": "x"}')));
subscriber_has('SELECT str FROM keyless', 'x', 'a new row of a table without a primary key arrives');
refused($publisher, q(SELECT created FROM update_or_create(NULL::keyless, '{"str": "x"}', '{"note": "y"}');),
	'55000', 'but it cannot be updated');

# ---------------------------------------------------------------------------
# Guards do not fire for what arrives.

$subscriber->safe_psql('postgres', q(INSERT INTO guarded VALUES (90, 'theirs')));
publisher_does(q(INSERT INTO guarded VALUES (3, 'theirs')));
subscriber_has(q(SELECT count(*) FROM guarded WHERE str = 'theirs'),
	2, 'a key_guard lets a duplicate in that is replicated');
$publisher->safe_psql('postgres', 'ALTER TABLE journal DISABLE TRIGGER USER');
publisher_does(q(UPDATE journal SET details = '"changed"' WHERE request_id = 'm2'));
subscriber_has(q(SELECT details FROM journal WHERE request_id = 'm2'),
	'"changed"', 'a journal_guard lets a change in that is replicated');

# Unless they are told to: then the subscription stops at it.
my @triggers = split /\n/, $subscriber->safe_psql('postgres', q(
SELECT format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', tgrelid::regclass, tgname)
FROM pg_trigger WHERE tgrelid IN ('guarded'::regclass, 'journal'::regclass) AND NOT tgisinternal));
cmp_ok(scalar @triggers, '>=', 3, 'there are guards to enable');
$subscriber->safe_psql('postgres', "$_; ALTER SUBSCRIPTION subscription SET (disable_on_error = true)") for @triggers;

sub stops
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($change, $complaint, $mend, $name) = @_;
	my $offset = -s $subscriber->logfile;

	$publisher->safe_psql('postgres', $change);
	ok( $subscriber->poll_query_until('postgres', 'SELECT NOT subenabled FROM pg_subscription'),
		"$name: the subscription stops");
	like(slurp_file($subscriber->logfile, $offset), $complaint, "$name: the guard refuses it");
	$subscriber->safe_psql('postgres', "$mend; ALTER SUBSCRIPTION subscription ENABLE");
	$publisher->wait_for_catchup('subscription');
	return;
}

$subscriber->safe_psql('postgres', q(INSERT INTO guarded VALUES (91, 'ours')));
stops(
	q(INSERT INTO guarded VALUES (4, 'ours')),
	qr/duplicate key value violates key guard "guard"/,
	'DELETE FROM guarded WHERE id = 91',
	'key_guard, ENABLE ALWAYS');
subscriber_has(q(SELECT id FROM guarded WHERE str = 'ours'),
	4, 'and once the other is away, the row arrives');
publisher_does(q(UPDATE guarded SET str = 'renamed' WHERE id = 4));
subscriber_has(q(SELECT id FROM guarded WHERE str = 'renamed'),
	4, 'as do a new key and its row');

publisher_does(pay('journal', 'guarded', 3));
subscriber_has(pay('journal', 'guarded', 3), 't', 'under journal_guard, ENABLE ALWAYS, entries arrive');
stops(
	q(UPDATE journal SET details = '"changed"' WHERE request_id = 'guarded'),
	qr/entries of journal "journal" cannot be changed/,
	'ALTER TABLE journal DISABLE TRIGGER USER',
	'journal_guard, ENABLE ALWAYS');

# ---------------------------------------------------------------------------
# The subscriber takes over: its sequences are where they were made.

publisher_does(pay('journal', 'last', 1) . ';' . pay('parts', 'last', 1));
my $most = $publisher->safe_psql('postgres', 'SELECT max(id) FROM parts');
$publisher->stop;
$subscriber->safe_psql('postgres', q(
ALTER SUBSCRIPTION subscription DISABLE;
ALTER SUBSCRIPTION subscription SET (slot_name = NONE);
DROP SUBSCRIPTION subscription;
ALTER TABLE journal ENABLE TRIGGER USER;
));

subscriber_has(pay('journal', 'last', 1), 't', 'what was booked last is a replay');
refused($subscriber, pay('journal', 'new', 1) . ';', '23505',
	'a new entry has the number of an old one, and is refused');
refused($subscriber, q(SELECT get_or_create(NULL::test, '{"str": "new"}');), '23505',
	'and so has a new row');
subscriber_has(q(SELECT count(*) FROM journal WHERE request_id = 'new'), 0, 'nothing is booked');
# No unique index says so here.
subscriber_has('BEGIN; ' . pay('parts', 'new', 1) . q(;
	SELECT id FROM parts WHERE request_id = 'new'; ROLLBACK),
	"f\n1", 'in a partitioned journal it would not be refused');

$subscriber->safe_psql('postgres', qq(
SELECT setval(pg_get_serial_sequence('$_', 'id'), max(id)) FROM $_)) for 'test', 'journal', 'parts';
subscriber_has(pay('journal', 'new', 1) . ';' . pay('parts', 'new', 1),
	"f\nf", 'with its sequences set, it books');
subscriber_has(q(SELECT id FROM parts WHERE request_id = 'new'), $most + 1,
	'with the number after the last');
subscriber_has(q(SELECT created FROM get_or_create(NULL::test, '{"str": "new"}')), 't', 'and creates');
subscriber_has(pay('journal', 'new', 1), 't', 'once');
subscriber_has(
	q(SELECT count(*) FROM verify_journal('journal', NULL::account, opening => 100);
	  SELECT count(*) FROM verify_journal('parts', NULL::purse, opening => 100)),
	"0\n0", 'journals add up');

$subscriber->stop;

done_testing();
