# Copyright (c) 2026, the racefree developers

# On a hot standby a row that is there can be had; what would have to write
# is refused, and works once the standby is promoted.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', 'statement_timeout = 60s');
$primary->start;
$primary->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE test (id serial, str varchar(100));
SELECT created FROM get_or_create(NULL::test, '{"str": "old"}');
CREATE TABLE account (id integer PRIMARY KEY, balance numeric);
INSERT INTO account VALUES (1, 100), (2, 100);
CREATE TABLE guarded (str text);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('str');
SELECT create_journal('journal', NULL::account, request_id_type => 'text');
));
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# A row that was created after the standby was made.
$primary->safe_psql('postgres',
	q(SELECT created FROM get_or_create(NULL::test, '{"str": "new"}')));
$primary->safe_psql('postgres',
	q(SELECT transfer(NULL::account, 1, 2, 10, journal => 'journal', request_id => 'old')));
$primary->wait_for_catchup($standby);

for my $key ('old', 'new')
{
	is( $standby->safe_psql(
			'postgres', qq(
SELECT (object).str, created FROM get_or_create(NULL::test, '{"str": "$key"}');
)),
		"$key|f",
		"get_or_create() gives the row that is there ($key)");
}

is( $standby->safe_psql(
		'postgres', q(
SELECT (object).str, created FROM get_or_create_many(NULL::test, '[{"str": "new"}, {"str": "old"}]', '{str}');
)),
	"new|f\nold|f",
	'get_or_create_many() gives the rows that are there');

sub refused
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($statement, $name, $sqlstate) = @_;
	my ($status, $out, $err) = $standby->psql(
		'postgres',
		"\\set VERBOSITY verbose\n$statement",
		on_error_stop => 1);

	is($out, '', "$name returns nothing");
	$sqlstate ||= '25006';
	like($err, qr/ERROR:  $sqlstate: /, "$name gives $sqlstate");
	return;
}

refused(q(SELECT * FROM get_or_create(NULL::test, '{"str": "absent"}');),
	'get_or_create() without a row');
refused(
	q(SELECT * FROM update_or_create(NULL::test, '{"str": "old"}', '{"id": 9}');),
	'update_or_create()');
refused(q(SELECT * FROM transfer(NULL::account, 1, 2, 1);), 'transfer()');
refused(
	q(SELECT * FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => 'absent');),
	'transfer() of a request that was not booked');
refused(
	q(SELECT * FROM transfer_many(NULL::account, '{1}', '{2}', '{1}', '{absent}', journal => 'journal');),
	'transfer_many()');
refused(q(SELECT * FROM reverse_transfer(NULL::account, 'journal', 1);),
	'reverse_transfer()');
refused(
	q(SELECT * FROM get_or_create_many(NULL::test, '[{"str": "old"}, {"str": "absent"}]', '{str}');),
	'get_or_create_many() without one of the rows');
refused(
	q(SELECT * FROM update_or_create_many(NULL::test, '[{"str": "old"}]', '{str}');),
	'update_or_create_many()');
refused(q(SELECT FROM lock_rows(NULL::account, '{1}'::int[]);), 'lock_rows()');
refused(q(SELECT create_journal('another', NULL::account);), 'create_journal()');
# The lock on the journal is refused first, as that of any LOCK TABLE.
refused(q(SELECT guard_journal('journal');), 'guard_journal()', '55000');
refused(q(INSERT INTO guarded VALUES ('x');), 'an INSERT under a key_guard');
is( $standby->safe_psql(
		'postgres', q(
SELECT amount, replayed, (from_account).balance
FROM transfer(NULL::account, 1, 2, 10, journal => 'journal', request_id => 'old');
SELECT count(*) FROM verify_journal('journal', NULL::account);
SELECT balance_at('journal', 1, 'infinity');
)),
	"10|t|90\n0\n90",
	'the journal can be read on the standby');
is( $standby->safe_psql(
		'postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
	),
	0,
	'no key lock is left on the standby');

$standby->promote;
is( $standby->safe_psql(
		'postgres', q(
SELECT (object).str, created FROM get_or_create(NULL::test, '{"str": "absent"}');
SELECT (object).str, created FROM update_or_create(NULL::test, '{"str": "old"}');
SELECT (from_account).balance, (to_account).balance
FROM transfer(NULL::account, 1, 2, 1);
SELECT string_agg(status, ' ')
FROM transfer_many(NULL::account, '{1,1}', '{2,2}', '{10,1}', '{old,absent}', journal => 'journal');
)),
	"absent|t\nold|f\n89|111\nreplayed ok",
	'all of it works once it is promoted');

$standby->stop;
$primary->stop;

done_testing();
