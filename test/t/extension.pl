# Copyright (c) 2026, the racefree developers

# The extension as an extension: an ordinary owner of the database can create it,
# in any schema; it moves, goes, and survives a dump and restore.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('extension');
$node->init;
$node->append_conf('postgresql.conf', 'statement_timeout = 60s');
$node->start;

# What there is of the extension: its functions with all their properties, and
# whatever else it may own.
my $contents = q(
SELECT pg_describe_object(classid, objid, 0)
	|| coalesce(' ' || pg_get_functiondef(p.oid), '')
	|| coalesce(' ' || p.proacl::text, '')
	|| coalesce(' ' || obj_description(objid, classid::regclass::name), '')
FROM pg_depend LEFT JOIN pg_proc AS p
	ON classid = 'pg_proc'::regclass AND p.oid = objid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'racefree')
ORDER BY 1;
);

# The functions at work, in a schema of their own.
sub works
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($database, $schema, $name) = @_;

	is( $node->safe_psql(
			$database, qq(
BEGIN;
CREATE SCHEMA works;
CREATE TABLE works.test (id integer PRIMARY KEY, str text, balance numeric);
SET LOCAL search_path = '';
SELECT created FROM $schema.get_or_create(NULL::works.test, '{"id": 1}', '{"balance": 5}');
SELECT created FROM $schema.get_or_create(NULL::works.test, '{"id": 1}');
SELECT created FROM $schema.update_or_create(NULL::works.test, '{"id": 2}', '{"balance": 0}');
SELECT (from_account).balance, (to_account).balance
FROM $schema.transfer(NULL::works.test, 1, 2, 3);
ROLLBACK;
)),
		"t\nf\nt\n2|3",
		$name);
	return;
}

# ---------------------------------------------------------------------------
# The version that the control file names.  versions.pl looks at all other files.

my ($version) = slurp_file('racefree.control') =~ /^default_version = '(.*)'$/m;

$node->safe_psql('postgres', 'CREATE EXTENSION racefree');
my $newest = $node->safe_psql('postgres', $contents);
is( $node->safe_psql(
		'postgres',
		"SELECT extversion FROM pg_extension WHERE extname = 'racefree'"),
	$version,
	'CREATE EXTENSION gives this version');
works('postgres', 'public', 'the functions work');

# ---------------------------------------------------------------------------
# Who and where.

$node->safe_psql('postgres',
	'CREATE ROLE owner LOGIN; CREATE DATABASE owned OWNER owner');
my $as_owner = [ '-U', 'owner' ];
$node->safe_psql(
	'owned', q(
CREATE SCHEMA "Race free";
CREATE EXTENSION racefree SCHEMA "Race free";
), extra_params => $as_owner);
works('owned', '"Race free"',
	'who owns the database can create the extension, in any schema');

# A session that has used the functions goes on after they have moved.
is( $node->safe_psql(
		'owned', q(
CREATE TABLE test (id serial, str text);
SELECT created FROM "Race free".get_or_create(NULL::test, '{"str": "x"}');
CREATE SCHEMA elsewhere;
ALTER EXTENSION racefree SET SCHEMA elsewhere;
SELECT created FROM elsewhere.get_or_create(NULL::test, '{"str": "x"}');
SELECT count(*) FROM pg_proc WHERE pronamespace = '"Race free"'::regnamespace;
)),
	"t\nf\n0",
	'ALTER EXTENSION SET SCHEMA moves all of it');
works('owned', 'elsewhere', 'the functions work where they are now');

# ---------------------------------------------------------------------------
# Dump and restore.

$node->safe_psql(
	'owned', q(
CREATE VIEW latest AS
	SELECT (object).id, created
	FROM elsewhere.get_or_create(NULL::test, '{"str": "x"}');
CREATE TABLE log (test_id integer NOT NULL);
CREATE FUNCTION fill_in() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	new.test_id := (SELECT (object).id FROM elsewhere.get_or_create(
		NULL::public.test, '{"str": "from a trigger"}'));
	RETURN new;
END
$$;
CREATE TRIGGER fill_in BEFORE INSERT ON log
	FOR EACH ROW EXECUTE FUNCTION fill_in();
INSERT INTO log DEFAULT VALUES;
));
my $dump = $node->basedir . '/owned.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('owned') ],
	'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ 'pg_restore', '-e', '-d', $node->connstr('restored'), $dump ],
	'pg_restore');

sub dump_text
{
	my ($database) = @_;
	my ($out, $err) =
	  run_command([ 'pg_dump', $node->connstr($database) ]);

	# Since a minor release each dump has a key of its own.
	return $out =~ s/^\\(?:un)?restrict .*$//mgr;
}

my $text = dump_text('owned');
is(dump_text('restored'), $text, 'the restored database is the same');
like($text, qr/CREATE EXTENSION IF NOT EXISTS racefree/,
	'the dump creates the extension');
unlike($text, qr/CREATE FUNCTION elsewhere\./,
	'and leaves the functions to it');
is( $node->safe_psql(
		'restored',
		q(INSERT INTO log DEFAULT VALUES; TABLE latest; SELECT * FROM log;)),
	"1|f\n2\n2",
	'views and triggers that call it work after restore');
works('restored', 'elsewhere', 'the functions work after restore');

# ---------------------------------------------------------------------------
# The end.

my ($status, $out, $err) =
  $node->psql('restored', 'DROP EXTENSION racefree');
like($err, qr/cannot drop extension racefree because other objects depend on it/,
	'DROP EXTENSION minds what depends on it');
$node->safe_psql('restored', 'DROP VIEW latest; DROP EXTENSION racefree');
is( $node->safe_psql(
		'restored', "SELECT count(*) FROM pg_proc WHERE probin LIKE '%racefree%'"
	),
	0,
	'DROP EXTENSION leaves nothing behind');
is( $node->safe_psql(
		'restored', 'CREATE EXTENSION racefree; ' . $contents),
	$newest,
	'and it can be created again');

# Sourced by hand, the scripts say what to do instead.
my $sharedir = $node->config_data('--sharedir');
for my $script (glob "$sharedir/extension/racefree--*.sql")
{
	my ($name) = $script =~ m{([^/]+)$};

	($status, $out, $err) =
	  $node->psql('postgres', "\\i $script", on_error_stop => 1);
	is("$status:$err", '0:', "$name: sourcing it does nothing");
	like($out, qr/^Use "(CREATE|ALTER) EXTENSION racefree.*" to load this file/,
		"$name: and says how it is used");
}

$node->stop;

done_testing();
