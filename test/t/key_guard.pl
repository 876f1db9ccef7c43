# Copyright (c) 2026, the racefree developers

# Many writers that know nothing of us, on tables of which key_guard() keeps a
# key unique: partitions by another column, and an inheritance tree.  They
# INSERT, COPY and UPDATE, into the root and into its members, next to calls
# and batches.  A duplicate is refused with 23505, and nothing else happens.
#
# RACEFREE_GUARD_CLIENTS (8) and RACEFREE_GUARD_WRITES (300 for each client)
# set the size.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = $ENV{RACEFREE_GUARD_CLIENTS} || 8;
my $writes = $ENV{RACEFREE_GUARD_WRITES} || 300;
# How many writes must have been refused, or little was tested: half are.
my $enough = $clients * $writes / 8;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

my $node = PostgreSQL::Test::Cluster->new('guard');
$node->init;
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ $clients + 20 ]}
log_statement = none
log_min_messages = fatal
synchronous_commit = off
deadlock_timeout = 20ms
statement_timeout = 60s
));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION racefree');

sub holds
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

# Run each list of statements in a psql of its own, all at once, and return
# the SQLSTATEs that they met, with their numbers.
sub run_all
{
	my @scripts = @_;
	my (@runs, %errors);

	# Files, since nobody would feed all of them at once.
	my $prefix = $node->basedir . '/client';
	for my $i (0 .. $#scripts)
	{
		unlink "$prefix-$i.sql";
		append_to_file("$prefix-$i.sql", $scripts[$i]);
	}
	for my $i (0 .. $#scripts)
	{
		push @runs,
		  IPC::Run::start(
			[
				'psql', '-XAtq',
				'-v' => 'VERBOSITY=sqlstate',
				'-d' => $node->connstr('postgres'),
				'-f' => "$prefix-$i.sql"
			],
			'>' => '/dev/null',
			'2>' => "$prefix-$i.err",
			IPC::Run::timeout($timeout));
	}
	$_->finish for @runs;
	for my $line (map { split /\n/, slurp_file("$prefix-$_.err") } 0 .. $#scripts)
	{
		$errors{ $line =~ /ERROR:  (\w{5})$/ ? $1 : $line }++;
	}
	return %errors;
}

# The writes of one client: each needs one key, since whoever takes several,
# one after the other, would deadlock with any lock there is.
sub writes
{
	my ($writer, $tables, $zones) = @_;
	my @kinds = (
		sub {
			my ($table, $zone, $name) = @_;
			return
			  "INSERT INTO $table (zone, name, writer) VALUES ($zone, $name, $writer)";
		},
		sub {
			my ($table, $zone, $name) = @_;
			# As text: what ends CSV differs between versions of psql.
			my $text = $name eq 'NULL' ? '\N' : $name =~ tr/'//dr;
			return
			  "COPY $table (zone, name, writer) FROM STDIN;\n$zone\t$text\t$writer\n\\.\n";
		},
		# A row of one's own, so that nobody waits for it who holds the key.
		sub {
			my ($table, $zone, $name) = @_;
			return
			  "UPDATE place SET name = $name WHERE ctid = (SELECT ctid FROM place WHERE writer = $writer LIMIT 1) AND writer = $writer";
		},
		# A key that stays the same is no conflict with itself.
		sub {
			my ($table, $zone, $name) = @_;
			return
			  "UPDATE place SET name = name, note = 'x' WHERE name = $name AND writer = $writer";
		},
		sub {
			return
			  "SELECT count(*) FROM get_or_create_many(NULL::place, (SELECT jsonb_agg(jsonb_build_object('name', 'key ' || i, 'zone', 0, 'writer', $writer) ORDER BY random()) FROM generate_series(1 + $_[3], 20 + $_[3]) AS i), '{name}')";
		},
		sub {
			my ($table, $zone, $name) = @_;
			return
			  "SELECT created FROM get_or_create(NULL::place, jsonb_build_object('name', $name), '{\"zone\": $zone, \"writer\": $writer}')";
		});
	my @writes;

	for my $i (1 .. $writes)
	{
		my $n = 4 * $i + int(rand(40));
		my $name = rand() < 0.05 ? 'NULL' : "'key $n'";
		my $kind = $kinds[rand() < 0.5 ? 0 : int(rand(@kinds))];
		my $zone = int(rand(@$zones));
		# The zone's own member, or the root.
		my $table = rand() < 0.5 ? $tables->[$zone] : 'place';

		my $write = $kind->($table, $zone, $name, 4 * $i);
		# Nothing may come between the end of COPY's data and a statement, not
		# even a semicolon: some versions of psql end there.
		push @writes, $write =~ /\n\z/ ? $write : "$write;\n";
	}
	return join '', @writes;
}

# Under READ COMMITTED, a duplicate is the only error.
sub storm
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($scenario, $tables) = @_;
	my %errors =
	  run_all(map { writes($_, $tables, [ 0 .. $#$tables ]) } 1 .. $clients);
	my $refused = delete $errors{23505} // 0;

	note("$scenario: $refused duplicates refused");
	is_deeply(\%errors, {}, "$scenario: no error but unique violations");
	cmp_ok($refused, '>', $enough, "$scenario: duplicates were tried");
	holds(
		'SELECT count(*) FROM (SELECT FROM place GROUP BY name
							   HAVING count(*) > 1) AS d',
		0, "$scenario: no key has two rows, NULL being one");
	holds(
		'SELECT count(DISTINCT tableoid) FROM place',
		scalar(@$tables),
		"$scenario: every member has rows");
	holds("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'",
		0, "$scenario: no deadlock");
	holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
		0, "$scenario: no key lock is left");
	return;
}

# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q(
CREATE TABLE place (zone integer NOT NULL, name text, note text, writer integer)
	PARTITION BY LIST (zone);
CREATE TABLE place_0 PARTITION OF place FOR VALUES IN (0);
CREATE TABLE place_1 (writer integer, gone text, name text, note text,
					  zone integer NOT NULL);
ALTER TABLE place_1 DROP COLUMN gone;
ALTER TABLE place ATTACH PARTITION place_1 FOR VALUES IN (1);
CREATE TABLE place_2 PARTITION OF place FOR VALUES IN (2);
CREATE INDEX ON place (name);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON place
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
));
storm('partitions', [ 'place_0', 'place_1', 'place_2' ]);

# A row that goes to another partition takes its key along.
is( $node->psql(
		'postgres', q(
UPDATE place SET zone = (zone + 1) % 3;
UPDATE place SET name = 'new ' || name, zone = (zone + 1) % 3 WHERE zone = 0;
)),
	0,
	'partitions: rows move from one to the other');

# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q(
DROP TABLE place;
CREATE TABLE place (zone integer NOT NULL, name text, note text, writer integer);
CREATE TABLE place_1 (writer integer, color text, name text) INHERITS (place);
CREATE TABLE place_2 () INHERITS (place_1);
CREATE INDEX ON place (name);
CREATE INDEX ON place_1 (name);
CREATE INDEX ON place_2 (name);
-- Other than with partitions, each table needs its own.
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON place
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON place_1
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON place_2
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
));
storm('inheritance', [ 'place', 'place_1', 'place_2' ]);

# ---------------------------------------------------------------------------
# At the stricter levels a writer whose snapshot is too old to see the other
# row is told to retry.

$node->safe_psql('postgres', 'TRUNCATE place');
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	my $scenario = "inheritance, $level";
	my %errors = run_all(
		map {
			my $writer = $_;
			join '', map {
				my $name = "'key " . (4 * $_ + int(rand(20))) . "'";
				my $table = ('place', 'place_1', 'place_2')[ rand 3 ];
				# A first statement fixes the snapshot.
				"BEGIN ISOLATION LEVEL $level;\nSELECT pg_sleep(0.001) FROM (SELECT FROM place LIMIT 1) AS p \\g /dev/null\n"
				  . "INSERT INTO $table (zone, name, writer) VALUES (0, $name, $writer);\nCOMMIT;\n"
			} 1 .. int($writes / 2)
		} 1 .. $clients);

	note("$scenario: $_ $errors{$_} times") for sort keys %errors;
	my $refused = ($errors{23505} // 0) + ($errors{40001} // 0);
	cmp_ok($refused, '>', $enough, "$scenario: duplicates were tried");
	delete @errors{ '23505', '40001' };
	is_deeply(\%errors, {},
		"$scenario: no error but unique violations and serialization failures"
	);
	holds(
		'SELECT count(*) FROM (SELECT FROM place GROUP BY name
							   HAVING count(*) > 1) AS d',
		0, "$scenario: no key has two rows");
}
holds("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'",
	0, 'no deadlock in all of this');

$node->stop;

done_testing();
