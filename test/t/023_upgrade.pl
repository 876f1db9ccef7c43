# Copyright (c) 2026, the racefree developers

# An installation of 0.1 that is in use becomes one of 0.2, of 0.3 and of 0.4,
# which then does not differ from one that is new.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('postgres', 'CREATE DATABASE upgraded');

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

my $first_members = q(
SELECT count(*) FROM pg_depend
WHERE deptype = 'e' AND refobjid =
	(SELECT oid FROM pg_extension WHERE extname = 'racefree');
);

my $version = q(SELECT extversion FROM pg_extension WHERE extname = 'racefree');

# What was there in 0.1, and what was new in 0.2, 0.3 and 0.4, each with its answer.
my @old = (
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
	[ q(SELECT (to_account).id FROM transfer(NULL::account, 1, 2, 1)), '2' ]);
my @new = (
	[
		q(SELECT string_agg(created::text, ' ' ORDER BY ordinality) FROM get_or_create_many(NULL::test, '[{"str": "@"}, {"str": "@ many"}, {"str": "@ many"}]', '{str}')),
		'false true false'
	],
	[
		q(SELECT (object).note FROM update_or_create_many(NULL::test, '[{"str": "@", "note": "z"}]', '{str}')),
		'z'
	],
	[ q(SELECT lock_keys('{"test": [{"str": "@ locked"}]}')), '' ],
	[
		q(SELECT string_agg(id::text, ' ') FROM lock_rows(NULL::account, '{2,1,3}'::int[])),
		'2 1'
	],
	[ q(SELECT count(*) FROM racefree_locks WHERE relation = 'test'::regclass), '0' ],
	[ q(INSERT INTO guarded (str) VALUES ('@')), '' ],
	[ q(INSERT INTO guarded (str) VALUES ('@')), undef ],
	[ q(SELECT created FROM get_or_create(NULL::guarded, '{"str": "@"}')), 'f' ]);
my @newest = (
	[
		q(SELECT amount, replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => '@')),
		'1|f'
	],
	[
		q(SELECT amount, replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => '@')),
		'1|t'
	],
	[
		q(SELECT string_agg(status, ' ') FROM transfer_many(NULL::account, '{1,2}'::int[], '{2,1}'::int[], '{1,1}', '{"@",NULL}', journal => 'journal')),
		'replayed ok'
	],
	[
		q(SELECT amount FROM reverse_transfer(NULL::account, 'journal', (SELECT max(id) FROM journal))),
		'1'
	],
	# The transfers that are not booked leave gaps.
	[
		q(SELECT count(*) FROM verify_journal('journal', NULL::account) WHERE problem <> 'balance_gap'),
		'0'
	],
	[
		q(SELECT balance_at('journal', 1, 'infinity') = balance FROM account WHERE id = 1),
		't'
	],
	[ q(DELETE FROM journal), undef ]);
my @last = (
	[ q(SELECT guard_journal('journal')), '0' ],
	# A journal of 0.3 is open to any accounts, and says so no less.
	[
		q(SELECT amount FROM transfer(NULL::other, 1, 2, 1, balance_column => 'money', journal => 'journal')),
		'1'
	],
	[
		q(SELECT count(*) > 0 FROM verify_journal('journal', NULL::account, opening => 0)),
		't'
	],
	[ q(SELECT amount FROM transfer(NULL::account, 1, 2, 1, journal => 'tied')), '1' ],
	[
		q(SELECT transfer(NULL::other, 1, 2, 1, balance_column => 'money', journal => 'tied')),
		undef
	]);

# A session, which is told to go on after errors.
sub open_session
{
	my ($database) = @_;
	return $node->background_psql($database, on_error_stop => 0);
}

# Each statement gives its answer, or fails where it has none.
sub works
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($session, $when, @calls) = @_;

	for my $call (@calls)
	{
		my ($statement, $answer) = @$call;
		$statement =~ s/\@/$when/g;
		my ($function) =
		  $statement =~ /(\w+\(|INSERT|DELETE|racefree_locks)/;
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

$node->safe_psql('upgraded', q(
CREATE EXTENSION racefree VERSION '0.1';
CREATE TABLE test (id serial, str text, note text);
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account VALUES (1, 100), (2, 100);
CREATE TABLE other (id integer PRIMARY KEY, money integer);
INSERT INTO other VALUES (1, 100), (2, 100);
));
is($node->safe_psql('upgraded', $version), '0.1', 'there is an installation of 0.1');

my $session = open_session('upgraded');
my $other = open_session('upgraded');
works($session, 'before', @old);
works($other, 'before, elsewhere', @old);

# While another transaction holds a key lock.
$other->query(q(BEGIN; SELECT created FROM get_or_create(NULL::test, '{"str": "open"}')));
$session->query(q(ALTER EXTENSION racefree UPDATE TO '0.2'));
is($session->query($version), '0.2', 'the installation is of 0.2 now');
is( $session->query(
		q(SELECT relation, mode, granted FROM racefree_locks WHERE key_hash IS NOT NULL)),
	'test|ExclusiveLock|t',
	'a lock that was taken before the update is seen after it');
$other->query('COMMIT');

$session->query(
	q(CREATE TABLE guarded (id serial, str text);
	  CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
		FOR EACH ROW EXECUTE FUNCTION key_guard('str')));
works($session, 'same session', @old, @new);
works($other, 'other session', @old, @new);
works(open_session('upgraded'), 'new session', @old, @new);

$session->query(q(ALTER EXTENSION racefree UPDATE TO '0.3'));
is($session->query($version), '0.3', 'the installation is of 0.3 now');
$session->query(q(SELECT create_journal('journal', NULL::account, request_id_type => 'text')));
# As declared in 0.3, it makes a journal of 0.3.
is( $session->query(
		q(SELECT string_agg(tgnargs::text, ' ') FROM pg_trigger WHERE tgrelid = 'journal'::regclass AND NOT tgisinternal)),
	'0 0',
	'a journal of 0.3 is anybody\'s');
works($session, '0.3, same session', @old, @new, @newest);
works($other, '0.3, other session', @old, @new, @newest);
works(open_session('upgraded'), '0.3, new session', @old, @new, @newest);

$session->query(q(ALTER EXTENSION racefree UPDATE TO '0.4'));
is($session->query($version), '0.4', 'the installation is of 0.4 now');
$session->query(q(SELECT create_journal('tied', NULL::account)));
works($session, '0.4, same session', @old, @new, @newest, @last);
works($other, '0.4, other session', @old, @new, @newest, @last);
works(open_session('upgraded'), '0.4, new session', @old, @new, @newest, @last);
# What came with the tests' own tables is no member of the extension.
$session->query('DROP TABLE journal, tied');

$node->safe_psql('fresh', q(CREATE EXTENSION racefree VERSION '0.4'));
my $fresh = $node->safe_psql('fresh', $members);
cmp_ok(scalar(split /\n/, $fresh), '>', 14, 'there is something to compare');
is($node->safe_psql('upgraded', $members),
	$fresh, 'it does not differ from an installation that is new');

# Whatever depends on a function that is replaced has to go before; and who may
# execute that is as for any new function.
$node->safe_psql('postgres', q(
CREATE EXTENSION racefree VERSION '0.3';
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
SELECT create_journal('journal', NULL::account);
CREATE VIEW problems AS SELECT * FROM verify_journal('journal', NULL::account);
REVOKE EXECUTE ON FUNCTION create_journal FROM PUBLIC;
));
my ($status, $output, $errors) =
  $node->psql('postgres', q(\set VERBOSITY verbose
ALTER EXTENSION racefree UPDATE TO '0.4'));
like($errors, qr/2BP01.*problems/s, 'a view on a replaced function blocks the update');
is($node->safe_psql('postgres', $version), '0.3', 'then nothing is updated');
$node->safe_psql('postgres', q(
DROP VIEW problems;
ALTER EXTENSION racefree UPDATE TO '0.4';
CREATE VIEW problems AS SELECT * FROM verify_journal('journal', NULL::account);
));
is($node->safe_psql('postgres', q(SELECT count(*) FROM problems)),
	'0', 'without it the update is made, and the view made again');
is( $node->safe_psql('postgres', q(SELECT proacl IS NULL FROM pg_proc WHERE proname = 'create_journal')),
	't', 'a replaced function has the privileges of a new one');
$node->safe_psql('postgres', 'DROP TABLE account, journal CASCADE; DROP EXTENSION racefree CASCADE');

# Nor does one in another schema, which it is then moved out of.
$node->safe_psql('postgres', q(
CREATE SCHEMA "Some where";
CREATE EXTENSION racefree SCHEMA "Some where" VERSION '0.1';
ALTER EXTENSION racefree UPDATE;
ALTER EXTENSION racefree SET SCHEMA public;
));
is($node->safe_psql('postgres', $members),
	$fresh, 'nor does one that was upgraded in another schema');

# All of it goes.
$node->safe_psql('postgres', 'DROP EXTENSION racefree');
is($node->safe_psql('postgres', $first_members), '0', 'nothing is left of it');

$node->stop;

done_testing();
