# Copyright (c) 2026, the racefree developers

# An extension that was updated does not differ from a new one of the same
# version, and sessions that are in the middle of their work go on.  This is
# tested with every update script that there is, and with those of versions
# that are made up here: an update that is as it should be, and updates that
# forget something, each of which the comparison must notice.
#
# The scripts of made-up versions go into a copy of the PostgreSQL tree, which
# is as good as empty: what is only read is a link there.

use strict;
use warnings;
use File::Basename;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# ---------------------------------------------------------------------------
# The copy.  A PostgreSQL tree finds its files relative to its programs, so all
# folders keep their places relative to each other.

my ($found) = run_command([qw(pg_config --bindir --sharedir --pkglibdir)]);
my ($bindir, $sharedir, $pkglibdir) = split /\n/, $found;
my $tree = PostgreSQL::Test::Utils::tempdir;
my $scripts = "$tree$sharedir/extension";

make_path("$tree$bindir", dirname("$tree$pkglibdir"), $scripts);
# Links would lead the programs back to where they come from.
system_or_bail('cp', (map { "$bindir/$_" } qw(initdb pg_config pg_ctl postgres psql)),
	"$tree$bindir");
link_each("$sharedir/*", "$tree$sharedir");
link_each("$sharedir/extension/*", $scripts);
link_each($pkglibdir, dirname("$tree$pkglibdir"));

# Unless there is something of that name already.
sub link_each
{
	my ($pattern, $folder) = @_;

	for my $path (glob qq("$pattern"))
	{
		my $link = "$folder/" . basename($path);
		-e $link or symlink($path, $link) or die "symlink $link: $!";
	}
	return;
}

my $node = PostgreSQL::Test::Cluster->new('upgrade',
	install_path => dirname("$tree$bindir"));
$node->init;
$node->start;
is($node->config_data('--sharedir'), "$tree$sharedir", 'the server reads its copy');

# ---------------------------------------------------------------------------
# The comparison.

# All that belongs to the extension, as the catalogs describe it.
my $members = q(
SELECT d.classid::regclass, i.type, i.identity,
	   pg_get_functiondef(p.oid), p.proacl, pg_get_viewdef(v.oid), v.relacl,
	   (SELECT string_agg(concat_ws(' ', a.attname,
									format_type(a.atttypid, a.atttypmod),
									col_description(v.oid, a.attnum)),
						  ', ' ORDER BY a.attnum)
		FROM pg_attribute AS a WHERE a.attrelid = v.oid AND a.attnum > 0),
	   obj_description(d.objid, d.classid::regclass::text)
FROM pg_depend AS d
	 CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i
	 LEFT JOIN pg_proc AS p
		ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
	 LEFT JOIN pg_class AS v
		ON d.classid = 'pg_class'::regclass AND v.oid = d.objid AND v.relkind = 'v'
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'racefree')
ORDER BY 1, 2, 3;
);

# The members after these statements, which are then undone.
sub members_after
{
	my (@statements) = @_;
	return $node->safe_psql('postgres', join ";\n", 'BEGIN', @statements, "$members ROLLBACK");
}

sub new_members
{
	my ($version) = @_;
	return members_after("CREATE EXTENSION racefree VERSION '$version'");
}

sub updated_members
{
	my ($source, $target) = @_;
	return members_after("CREATE EXTENSION racefree VERSION '$source'",
		"ALTER EXTENSION racefree UPDATE TO '$target'");
}

# ---------------------------------------------------------------------------
# An extension in use.

# What each function does, with its answer; undef for an error.
my @calls = (
	[ q(SELECT created FROM get_or_create(NULL::test, '{"str": "@"}')), 't' ],
	[ q(SELECT created FROM get_or_create(NULL::test, '{"str": "@"}')), 'f' ],
	[
		q(SELECT (object).note FROM update_or_create(NULL::test, '{"str": "@"}', '{"note": "y"}')),
		'y'
	],
	[
		q(SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::account, 1, 2, 0)),
		undef
	],
	[
		q(SELECT amount, replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => '@')),
		'1|f'
	],
	[
		q(SELECT amount, replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => '@')),
		'1|t'
	],
	[
		q(SELECT amount FROM reverse_transfer(NULL::account, 'journal', (SELECT max(id) FROM journal))),
		'1'
	],
	[
		q(SELECT string_agg(status, ' ') FROM transfer_many(NULL::account, '{1,2}'::int[], '{2,1}'::int[], '{1,1}', '{"@",NULL}', journal => 'journal')),
		'replayed ok'
	],
	[ q(SELECT guard_journal('journal')), '0' ],
	[ q(DELETE FROM journal), undef ],
	[ q(SELECT balance_at('journal', 1, 'infinity') = balance FROM account WHERE id = 1), 't' ],
	[ q(SELECT count(*) FROM verify_journal('journal', NULL::account)), '0' ],
	[
		q(SELECT string_agg(created::text, ' ' ORDER BY ordinality) FROM get_or_create_many(NULL::test, '[{"str": "@"}, {"str": "@ many"}, {"str": "@ many"}]', '{str}')),
		'false true false'
	],
	[
		q(SELECT (object).note FROM update_or_create_many(NULL::test, '[{"str": "@", "note": "z"}]', '{str}')),
		'z'
	],
	[ q(SELECT lock_keys('{"test": [{"str": "@ locked"}]}')), '' ],
	[ q(SELECT string_agg(id::text, ' ') FROM lock_rows(NULL::account, '{2,1,3}'::int[])), '2 1' ],
	[ q(INSERT INTO guarded (str) VALUES ('@')), '' ],
	[ q(INSERT INTO guarded (str) VALUES ('@')), undef ],
	[ q(SELECT count(*) FROM racefree_locks WHERE relation = 'guarded'::regclass), '0' ]);

sub works
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($session, $when) = @_;

	for my $call (@calls)
	{
		my ($statement, $answer) = @$call;
		my ($function) = $statement =~ /(\w+\(|INSERT|DELETE|racefree_locks)/;

		$statement =~ s/\@/$when/g;
		# What an earlier one complained of would still be there.
		$session->{stderr} = '';
		my ($result, $failed) = $session->query($statement);

		if (defined $answer)
		{
			is("$result" . ($failed ? ' and an error' : ''),
				$answer, "$when: $function gives its answer");
		}
		else
		{
			ok($failed, "$when: $function refuses what it should");
		}
	}
	return;
}

# Update it while another session holds a key lock.
sub update_in_use
{
	my ($source, $target) = @_;
	my $change = "$source to $target";

	$node->safe_psql('postgres', 'CREATE DATABASE used');
	$node->safe_psql('used', qq(
CREATE EXTENSION racefree VERSION '$source';
CREATE TABLE test (id serial, str text, note text);
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account VALUES (1, 100), (2, 100);
SELECT create_journal('journal', NULL::account, request_id_type => 'text');
CREATE TABLE guarded (id serial, str text);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('str');
));
	# Sessions that go on after errors.
	my ($session, $other) =
	  map { $node->background_psql('used', on_error_stop => 0) } 1 .. 2;
	works($session, "$change, before");
	works($other, "$change, before, elsewhere");

	$other->query(q(BEGIN; SELECT created FROM get_or_create(NULL::test, '{"str": "open"}')));
	$session->query("ALTER EXTENSION racefree UPDATE TO '$target'");
	is( $session->query(q(SELECT extversion FROM pg_extension WHERE extname = 'racefree')),
		$target, "$change: the extension is updated");
	is( $session->query(
			q(SELECT relation, mode, granted FROM racefree_locks WHERE key_hash IS NOT NULL)),
		'test|ExclusiveLock|t',
		"$change: a lock that was taken before the update is seen after it");
	$other->query('COMMIT');

	my $new = $node->background_psql('used', on_error_stop => 0);
	works($session, "$change, same session");
	works($other, "$change, other session");
	works($new, "$change, new session");
	$_->quit for $session, $other, $new;
	$node->safe_psql('postgres', 'DROP DATABASE used');
	return;
}

# ---------------------------------------------------------------------------
# The versions that there are.

my $default = $node->safe_psql('postgres',
	"SELECT default_version FROM pg_available_extensions WHERE name = 'racefree'");
cmp_ok(scalar(split /\n/, new_members($default)),
	'>', 15, 'there is something to compare');
is( $node->safe_psql(
		'postgres', "SELECT source FROM pg_extension_update_paths('racefree')
					 WHERE target = '$default' AND path IS NULL"),
	'',
	"every version can be updated to $default");

for my $update (split /\n/,
	$node->safe_psql(
		'postgres', q(SELECT source, target FROM pg_extension_update_paths('racefree')
					  WHERE path IS NOT NULL ORDER BY 1, 2)))
{
	my ($source, $target) = split /\|/, $update;

	# Otherwise a new one is an updated one.
	ok(-e "$scripts/racefree--$target.sql", "version $target has a script of its own");
	# As lines, of which the first that differs is shown.
	is_deeply([ split /\n/, updated_members($source, $target) ],
		[ split /\n/, new_members($target) ],
		"version $source, updated to $target, is like a new one");
	update_in_use($source, $target);
}

# ---------------------------------------------------------------------------
# Versions that are made up.

# A next version: the update, and what only a new one has of it.
sub make_version
{
	my ($version, $update, $more) = @_;

	append_to_file("$scripts/racefree--$default--$version.sql", $update);
	append_to_file("$scripts/racefree--$version.sql",
		slurp_file("$scripts/racefree--$default.sql") . $update . ($more // ''));
	return;
}

my $update = q(
CREATE FUNCTION made_up(a integer, b integer DEFAULT 1) RETURNS integer
AS 'SELECT a + b' LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION made_up(integer, integer) IS 'their sum';
);

make_version('next', $update);
is(updated_members($default, 'next'),
	new_members('next'), 'an update that adds a function is like a new one');
isnt(new_members('next'), new_members($default), 'and unlike the version before');
is( members_after(
		'CREATE SCHEMA "Some where"',
		qq(CREATE EXTENSION racefree SCHEMA "Some where" VERSION '$default'),
		q(ALTER EXTENSION racefree UPDATE TO 'next'),
		'ALTER EXTENSION racefree SET SCHEMA public'),
	new_members('next'),
	'so is one that was updated in another schema');
update_in_use($default, 'next');

my %forgotten = (
	'function' => q(CREATE FUNCTION made_up() RETURNS integer AS 'SELECT 1' LANGUAGE sql;),
	'comment' => q(COMMENT ON FUNCTION made_up(integer, integer) IS 'another';),
	'argument' => q(DROP FUNCTION made_up(integer, integer);
CREATE FUNCTION made_up(a integer, c integer DEFAULT 1) RETURNS integer
AS 'SELECT a + c' LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION made_up(integer, integer) IS 'their sum';),
	'default' => q(CREATE OR REPLACE FUNCTION made_up(a integer, b integer DEFAULT 2) RETURNS integer
AS 'SELECT a + b' LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;),
	'volatility' => q(ALTER FUNCTION made_up(integer, integer) IMMUTABLE;),
	'parallel' => q(ALTER FUNCTION made_up(integer, integer) PARALLEL SAFE;),
	'revoke' => q(REVOKE EXECUTE ON FUNCTION made_up(integer, integer) FROM PUBLIC;),
	'view' => q(CREATE OR REPLACE VIEW racefree_locks AS
SELECT NULL::regclass AS relation, NULL::bigint AS key_hash, NULL::text AS mode,
	   NULL::boolean AS granted, NULL::integer AS pid,
	   NULL::timestamptz AS waiting_since, NULL::integer[] AS blocking_pids;),
	'view_comment' => q(COMMENT ON VIEW racefree_locks IS 'other';),
	'column_comment' => q(COMMENT ON COLUMN racefree_locks.pid IS 'other';),
	'grant' => q(REVOKE SELECT ON racefree_locks FROM PUBLIC;));
for my $what (sort keys %forgotten)
{
	make_version("forgets_$what", $update, $forgotten{$what});
	isnt(updated_members($default, "forgets_$what"),
		new_members("forgets_$what"), "an update that forgets this is noticed: $what");
}

$node->stop;

done_testing();
