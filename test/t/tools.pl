# Copyright (c) 2026, the racefree developers

# "Which tool when", the table in the README: each cell of it is tried.  A cell is
# "yes" or "no", or "yes (18)" for a tool that can from that major version on.
# What only a newer server has is skipped on older ones.
#
# A tool is a list of statements that fetch the row with a key, or create it.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('tools');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "deadlock_timeout = 100ms\nautovacuum = off");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION racefree; CREATE TABLE held (id serial PRIMARY KEY, k text UNIQUE)');
$node->safe_psql('postgres', "INSERT INTO held (k) VALUES ('x')");
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d+)\d{4}$/;

# ---------------------------------------------------------------------------
# The tools.  Each gets the table and the keys, as SQL, and returns statements;
# "begin" is how its transactions begin.  The last row that one prints is id and
# whether it was created, as far as the tool tells.

sub missing_inserted
{
	my ($table, @keys) = @_;
	return "INSERT INTO $table (k) SELECT u.k FROM unnest(ARRAY[" . join(', ', @keys) . "]::text[])"
	  . " WITH ORDINALITY AS u (k, n) WHERE NOT EXISTS (SELECT FROM $table AS t"
	  . ' WHERE t.k IS NOT DISTINCT FROM u.k) ORDER BY n RETURNING id, true';
}

sub found
{
	my ($table, @keys) = @_;
	return join ' OR ', map { "k IS NOT DISTINCT FROM $_" } @keys;
}

sub values_of
{
	return join ', ', map { "($_)" } @_;
}

my $told_old = $major >= 18 ? 'id, old.id IS NULL' : 'id';
my $told_action = $major >= 17 ? " RETURNING t.id, merge_action() = 'INSERT'" : '';
my %tools = (
	'racefree' => {
		get => sub {
			my ($table, @keys) = @_;
			return @keys == 1
			  ? "SELECT (object).id, created FROM get_or_create(NULL::$table, jsonb_build_object('k', $keys[0]))"
			  : "SELECT (object).id, created FROM get_or_create_many(NULL::$table, jsonb_build_array("
			  . join(', ', map { "jsonb_build_object('k', $_)" } @keys) . "), '{k}')";
		}
	},
	'DO NOTHING' => {
		get => sub {
			my ($table, @keys) = @_;
			return "INSERT INTO $table (k) VALUES " . values_of(@keys)
			  . ' ON CONFLICT DO NOTHING RETURNING id, true';
		},
		# A row means that it was created.
		tells => 1
	},
	'DO UPDATE' => {
		get => sub {
			my ($table, @keys) = @_;
			return "INSERT INTO $table (k) VALUES " . values_of(@keys)
			  . " ON CONFLICT (k) DO UPDATE SET k = excluded.k RETURNING $told_old";
		}
	},
	'DO SELECT' => {
		since => 19,
		get => sub {
			my ($table, @keys) = @_;
			return "INSERT INTO $table (k) VALUES " . values_of(@keys)
			  . " ON CONFLICT (k) DO SELECT RETURNING $told_old";
		}
	},
	'MERGE' => {
		get => sub {
			my ($table, @keys) = @_;
			return "MERGE INTO $table AS t USING (VALUES " . values_of(@keys)
			  . ') AS s (k) ON t.k IS NOT DISTINCT FROM s.k::text WHEN MATCHED THEN UPDATE SET k = t.k'
			  . " WHEN NOT MATCHED THEN INSERT (k) VALUES (s.k)$told_action";
		}
	},
	'SERIALIZABLE' => {
		begin => 'BEGIN ISOLATION LEVEL SERIALIZABLE',
		get => sub {
			my ($table, @keys) = @_;
			return ("SELECT id, false FROM $table WHERE " . found($table, @keys), missing_inserted($table, @keys));
		}
	},
	'FOR UPDATE' => {
		get => sub {
			my ($table, @keys) = @_;
			return ("SELECT id, false FROM $table WHERE " . found($table, @keys) . ' FOR UPDATE',
				missing_inserted($table, @keys));
		}
	},
	'LOCK TABLE' => {
		get => sub {
			my ($table, @keys) = @_;
			return ("LOCK TABLE $table IN SHARE ROW EXCLUSIVE MODE",
				"SELECT id, false FROM $table WHERE " . found($table, @keys), missing_inserted($table, @keys));
		}
	});

# ---------------------------------------------------------------------------
# Sessions

my $marker = 'done';

sub session
{
	my $timeout = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	my $self = { in => '', out => '', timeout => $timeout };
	$self->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-F', ' ', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres') ],
		'<', \$self->{in}, '>', \$self->{out}, '2>&1', $timeout);
	$self->{pid} = answer($self, 'SELECT pg_backend_pid()');
	return $self;
}

sub ask
{
	my ($self, $statement) = @_;
	# For this statement, not for all.
	$self->{timeout}->start($PostgreSQL::Test::Utils::timeout_default);
	$self->{in} .= "$statement;\n\\echo $marker\n";
	$self->{run}->pump_nb;
	return;
}

# Whether it waits for a lock, or has its answer.
sub waits
{
	my ($self) = @_;
	until ($self->{out} =~ /^$marker$/m)
	{
		$self->{run}->pump_nb;
		return 1
		  if $node->safe_psql('postgres',
			"SELECT wait_event_type FROM pg_stat_activity WHERE pid = $self->{pid}") eq 'Lock';
	}
	return 0;
}

sub answer
{
	my ($self, $statement) = @_;
	ask($self, $statement) if defined $statement;
	$self->{run}->pump until $self->{out} =~ s/\A(.*?)^$marker\n//ms;
	return $1 =~ s/\n\z//r;
}

my @sessions = (session(), session(), session());

sub sqlstate
{
	my ($answer) = @_;
	return $answer =~ /ERROR:  (\w{5})/ ? $1 : '';
}

# Do statements in the second session while the first has a transaction open, which
# is committed when the second waits for it, or at the end.  Return the first
# error that is not one to repeat the transaction for.
sub beside
{
	my ($begin, @statements) = @_;
	my ($first, $second) = @sessions;
	my $open = 1;

	for my $attempt (1 .. 5)
	{
		my $error = '';
		answer($second, $begin) unless $attempt == 1 && $begin eq 'begun';
		for my $statement (@statements, 'COMMIT')
		{
			if ($statement eq 'COMMIT' && $open)
			{
				$open = 0;
				answer($first, 'COMMIT');
			}
			ask($second, $statement);
			if ($open && waits($second))
			{
				$open = 0;
				answer($first, 'COMMIT');
			}
			$error = sqlstate(answer($second)) and last;
		}
		return '' if $error eq '';
		answer($second, 'ROLLBACK');
		if ($open)
		{
			$open = 0;
			answer($first, 'COMMIT');
		}
		return $error if $error ne '40001';
		$begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ' if $begin eq 'begun';
	}
	return '40001';
}

sub fresh_table
{
	my ($constraint) = @_;
	$node->safe_psql('postgres',
		"DROP TABLE IF EXISTS t; CREATE TABLE t (id serial PRIMARY KEY, k text $constraint)");
	return;
}

sub rows
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM t');
}

# ---------------------------------------------------------------------------
# What each can do.  A property is a function that tries a tool.

# Two sessions at once: one row.
sub race
{
	my ($tool, $constraint, $key) = @_;
	my $begin = $tool->{begin} // 'BEGIN';

	fresh_table($constraint);
	for my $statement ($begin, $tool->{get}->('t', $key))
	{
		next unless sqlstate(answer($sessions[0], $statement));
		# Not even one session can.
		answer($sessions[0], 'ROLLBACK');
		return 0;
	}
	return beside($begin, $tool->{get}->('t', $key)) eq '' && rows() == 1;
}

# What a tool prints of a row that is there.
sub hit
{
	my ($tool) = @_;
	my $answer = '';

	fresh_table('UNIQUE');
	answer($sessions[0], "INSERT INTO t (k) VALUES ('x')");
	answer($sessions[0], $tool->{begin} // 'BEGIN');
	$answer .= answer($sessions[0], $_) . "\n" for $tool->{get}->('t', "'x'");
	answer($sessions[0], 'COMMIT');
	return $answer;
}

my %properties = (
	'needs no unique index' => sub { race($_[0], '', "'x'") },
	'NULL is a key' => sub { race($_[0], 'UNIQUE', 'NULL') },
	'returns the row' => sub { hit($_[0]) =~ /^1\b/m },
	'tells whether it was created' => sub { $_[0]{tells} || hit($_[0]) =~ /^1 f$/m },
	'takes no id for nothing' => sub {
		hit($_[0]);
		return answer($sessions[0], 'SELECT last_value FROM t_id_seq') == 1;
	},
	'writes no row for nothing' => sub {
		hit($_[0]);
		return answer($sessions[0], 'SELECT ctid FROM t') eq '(0,1)';
	},
	'right at REPEATABLE READ' => sub {
		my ($tool) = @_;
		my $begin = $tool->{begin} // 'BEGIN ISOLATION LEVEL REPEATABLE READ';
		fresh_table('UNIQUE');
		# The snapshot comes before the other one's row.
		answer($sessions[1], $begin);
		answer($sessions[1], 'SELECT count(*) FROM t');
		answer($sessions[0], $_) for $tool->{begin} // 'BEGIN', $tool->{get}->('t', "'x'"), 'COMMIT', 'BEGIN';
		return beside('begun', $tool->{get}->('t', "'x'")) eq '' && rows() == 1;
	},
	'finds the row on a standby' => sub {
		my ($tool) = @_;
		my $sql = join ";\n", $tool->{begin} // 'BEGIN', $tool->{get}->('held', "'x'"), 'COMMIT';
		my ($status, $out) = $standby->psql('postgres', $sql);
		return $status == 0 && $out =~ /^1\b/m;
	},
	'many rows without deadlock' => sub {
		my ($tool) = @_;
		my ($first, $second, $holder) = @sessions;
		my $begin = $tool->{begin} // 'BEGIN';
		my @sides = ([ $first, "'a'", "'m'", "'b'" ], [ $second, "'b'", "'m'", "'a'" ]);
		my $deadlock = 0;

		# Both meet at "m", which the holder has.
		fresh_table('UNIQUE');
		answer($holder, 'BEGIN');
		answer($holder, "INSERT INTO t (k) VALUES ('m')");
		for my $side (@sides)
		{
			my ($session, @keys) = @$side;
			answer($session, $begin);
			ask($session, join '; ', $tool->{get}->('t', @keys), 'COMMIT');
			waits($session);
		}
		answer($holder, 'ROLLBACK');
		for my $side (@sides)
		{
			$deadlock = 1 if sqlstate(answer($side->[0])) eq '40P01';
			answer($side->[0], 'ROLLBACK');
		}
		return !$deadlock;
	},
	'right beside plain INSERTs' => sub {
		my ($tool) = @_;
		fresh_table('UNIQUE');
		answer($sessions[0], $_) for 'BEGIN', "INSERT INTO t (k) VALUES ('x')";
		return beside($tool->{begin} // 'BEGIN', $tool->{get}->('t', "'x'")) eq '' && rows() == 1;
	});

# ---------------------------------------------------------------------------
# The table

my ($section) = slurp_file('README.md') =~ /^## Which tool when\n(.*?)^## /ms;
my ($head, undef, @table) = map { [ map { s/^\s+|\s+$|`|\s*<br>\s*//gr } split /\|/ ] } $section =~ /^(\|.*\|)$/mg;

sub column_tool
{
	my ($heading) = @_;
	my ($tool) = grep { $heading =~ /\b\Q$_\E\b/ } sort { length $b <=> length $a } keys %tools;
	return $tool;
}

is_deeply([ sort map { $_->[1] } @table ], [ sort keys %properties ], 'the table has what is tried here');
is_deeply([ sort map { column_tool($_) // $_ } @$head[ 2 .. $#$head ] ], [ sort keys %tools ], 'and of all tools');

for my $row (@table)
{
	my (undef, $property, @cells) = @$row;
	for my $i (0 .. $#cells)
	{
		my $name = column_tool($head->[ $i + 2 ]);
		my ($says, $since) = $cells[$i] =~ /^(yes|no)(?: \((\d+)\))?$/;

	  SKIP:
		{
			skip "$name: needs PostgreSQL $tools{$name}{since}", 1
			  if $major < ($tools{$name}{since} // 0);
			$says = 'no' if defined $since && $major < $since;
			my $can = $properties{$property}->($tools{$name}) ? 'yes' : 'no';
			is($can, $says // $cells[$i], "$name: $property");
		}
	}
}

# What the text before the table says.
ok(race($tools{$_}, 'UNIQUE NULLS NOT DISTINCT', 'NULL'), "NULLS NOT DISTINCT, ON CONFLICT $_")
  for 'DO NOTHING', 'DO UPDATE';

for my $session (@sessions)
{
	$session->{in} .= "\\q\n";
	$session->{run}->finish;
}
$standby->stop;
$node->stop;

done_testing();
