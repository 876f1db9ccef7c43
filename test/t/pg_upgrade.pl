# Copyright (c) 2026, the racefree developers

# pg_upgrade takes journals, guards and rows from an older major version to
# this one: what was booked is booked, what was refused is refused, and ids go
# on.
#
# RACEFREE_OLD_PG_CONFIG names the pg_config of an older server that has
# racefree installed, in the same version.  "make check-upgrade" arranges that.

use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old_config = $ENV{RACEFREE_OLD_PG_CONFIG}
  or plan skip_all => 'RACEFREE_OLD_PG_CONFIG names no older server';
my $old_bindir = qx("$old_config" --bindir);
chomp $old_bindir;
my ($old_major) = qx("$old_config" --version) =~ /(\d+)/;

# PostgreSQL::Test::Cluster wants the folder of the bin folder.
my $old = PostgreSQL::Test::Cluster->new('old', install_path => dirname($old_bindir));
my $new = PostgreSQL::Test::Cluster->new('new');
my $new_major = $new->pg_version =~ s/\D.*//r;
note("$old_major to $new_major");

# Both alike: from 18 on, initdb turns checksums on by itself.
my @locale = ('--locale', 'C', '--encoding', 'UTF8');
$old->init(extra => [@locale]);
$new->init(extra => [ @locale, $new_major >= 18 ? '--no-data-checksums' : () ]);

$old->start;
$old->safe_psql('postgres', q(
CREATE SCHEMA "Some where";
CREATE EXTENSION racefree SCHEMA "Some where";
SET search_path = "Some where", public;
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL);
INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) AS i;
SELECT create_journal('"A journal"', NULL::account, request_id_type => 'text');
SELECT transfer(NULL::account, 1, 2, 30, journal => '"A journal"', request_id => 'first', details => '{"a": 1}');
SELECT reverse_transfer(NULL::account, '"A journal"', 1, 10, 'back');
SELECT transfer_many(NULL::account, '{3,4}'::int[], '{4,5}'::int[], '{1,2}', '{m1,m2}', journal => '"A journal"');
CREATE TABLE purse (no text PRIMARY KEY, funds money NOT NULL);
INSERT INTO purse VALUES ('a', 100), ('b', 100);
SELECT create_journal('parts', NULL::purse, balance_column => 'funds', partition_by => 'RANGE (created_at)');
CREATE TABLE part PARTITION OF parts DEFAULT;
SELECT guard_journal('parts');
SELECT transfer(NULL::purse, 'a', 'b', 30, balance_column => 'funds', journal => 'parts',
	request_id => '00000000-0000-0000-0000-000000000001');
CREATE TABLE guarded (id serial, str text) PARTITION BY HASH (id);
CREATE TABLE guarded_0 PARTITION OF guarded FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE guarded_1 PARTITION OF guarded FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('str');
INSERT INTO guarded (str) SELECT 'key ' || i FROM generate_series(1, 100) AS i;
CREATE TABLE test (id serial PRIMARY KEY, str varchar(100), at timestamptz);
SELECT get_or_create(NULL::test, '{"str": "old", "at": "2024-12-31 23:59:59+00"}');
));

# What must not differ: the rows, the triggers and the extension's members.
my @same = (
	'SELECT * FROM account ORDER BY id',
	'SELECT * FROM purse ORDER BY no',
	'SELECT * FROM "A journal" ORDER BY id',
	'SELECT * FROM parts ORDER BY id',
	'SELECT * FROM guarded ORDER BY id',
	'SELECT * FROM test ORDER BY id',
	q(SELECT extversion, nspname FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'racefree'),
	q(SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
	  WHERE NOT tgisinternal ORDER BY CAST(tgrelid::regclass AS text), tgname),
	q(SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
	  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	  AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
	  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'racefree') ORDER BY 1));

sub asked
{
	my ($node, $query) = @_;
	return $node->safe_psql('postgres', qq(SET search_path = "Some where", public; SET timezone = 'UTC'; $query));
}

my %before = map { $_ => asked($old, $_) } @same;
$old->stop;

my $options = '-c jit=off';
chdir $PostgreSQL::Test::Utils::tmp_check or die "chdir: $!";
command_ok(
	[
		'pg_upgrade', '--no-sync',
		'-d' => $old->data_dir, '-D' => $new->data_dir,
		'-b' => $old_bindir, '-B' => $new->config_data('--bindir'),
		'-s' => $new->host, '-p' => $old->port, '-P' => $new->port,
		'-o' => $options, '-O' => $options
	],
	'pg_upgrade says that all went well');
$new->start;

is(asked($new, $_), $before{$_}, "the same as before: $_") for @same;

sub answers
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $answer, $name) = @_;

	is(asked($new, $query), $answer, $name);
	return;
}

sub refuses
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $complaint, $name) = @_;
	my (undef, undef, $stderr) =
	  $new->psql('postgres', qq(SET search_path = "Some where", public; $query));

	like($stderr, $complaint, $name);
	return;
}

answers(
	q(SELECT count(*) FROM verify_journal('"A journal"', NULL::account, opening => 100);
	  SELECT count(*) FROM verify_journal('parts', NULL::purse, balance_column => 'funds', opening => 100)),
	"0\n0", 'journals add up');
answers(q(SELECT balance_at('"A journal"', 1, 'infinity')), '80.00', 'a balance is known');
answers(
	q(SELECT amount, replayed, entry->>'id' FROM transfer(NULL::account, 1, 2, 30, journal => '"A journal"', request_id => 'first')),
	'30|t|1', 'a request that was booked is a replay');
answers(
	q(SELECT string_agg(status, ' ') FROM transfer_many(NULL::account, '{3,4}'::int[], '{4,5}'::int[], '{1,2}', '{m1,m2}', journal => '"A journal"')),
	'replayed replayed', 'so is a batch');
answers(
	q(SELECT amount, replayed, entry->>'id' FROM reverse_transfer(NULL::account, '"A journal"', 1)),
	'20|f|5', 'the rest of an old entry is reversed, and entries are numbered on');
answers(
	q(SELECT amount, replayed FROM transfer(NULL::purse, 'a', 'b', 30, balance_column => 'funds', journal => 'parts',
		request_id => '00000000-0000-0000-0000-000000000001')),
	'30|t', 'a request in a partition is a replay');
answers(
	q(SELECT amount, replayed, entry->>'id' FROM transfer(NULL::purse, 'b', 'a', 1, balance_column => 'funds', journal => 'parts',
		request_id => '00000000-0000-0000-0000-000000000002')),
	'1|f|2', 'and a new one has the next number');
refuses(
	q(SELECT transfer(NULL::account, 1, 2, 30, journal => 'parts')),
	qr/journal "parts" belongs to other accounts/,
	'a journal belongs to its accounts');
for my $command ('DELETE FROM "A journal"', 'TRUNCATE "A journal"', 'DELETE FROM part', 'TRUNCATE part')
{
	refuses($command, qr/cannot be changed/, "$command: refused");
}
answers(q(SELECT guard_journal('parts')), '0', 'nothing is left to guard');
refuses(
	q(INSERT INTO guarded (str) VALUES ('key 7')),
	qr/duplicate key value violates key guard "guard"/,
	'a guarded key is refused');
answers(
	q(SELECT (object).id, created FROM get_or_create(NULL::guarded, '{"str": "key 7"}');
	  SELECT (object).id, created FROM get_or_create(NULL::test, '{"str": "old", "at": "2024-12-31 23:59:59+00"}');
	  SELECT (object).id, created FROM get_or_create(NULL::test, '{"str": "new"}')),
	"7|f\n1|f\n2|t", 'rows are found, and created');
refuses(
	'DROP EXTENSION racefree',
	qr/cannot drop extension racefree because other objects depend on it/,
	'the extension is not dropped by oversight');
answers(
	q(SELECT count(*) FROM verify_journal('"A journal"', NULL::account, opening => 100);
	  SELECT count(*) FROM verify_journal('parts', NULL::purse, balance_column => 'funds', opening => 100)),
	"0\n0", 'journals still add up');

$new->stop;

done_testing();
