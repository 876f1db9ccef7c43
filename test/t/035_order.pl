# Copyright (c) 2026, the racefree developers

# Who may deadlock with whom.  Pairs of calls are drawn at random: single calls
# and batches, by primary key and by other columns, with keys, accounts and
# rows in any order, one call in a transaction or several behind lock_keys()
# and lock_rows(), next to the plain statements of others.  Each pair runs in
# several sessions at once.  Only the pairs that the README names under "What
# is not guaranteed" may deadlock; these have a list of their own at the end,
# which tells of each whether it did.
#
# One session more, the holder, locks a single row or key for a moment, again
# and again.  It waits for nothing while it holds something, so it is part of
# no deadlock.  But calls queue up behind it with what they have locked before,
# and so those that lock in different orders soon meet.
#
# RACEFREE_ORDER_SEED draws the same pairs again, RACEFREE_ORDER_PAIRS (60) and
# RACEFREE_ORDER_MS (120 for each pair) set the size, RACEFREE_ORDER_SESSIONS
# (2) how many sessions run each of the two.  RACEFREE_ORDER_ONLY, a regular
# expression, keeps the pairs that it matches.

use strict;
use warnings;
use IPC::Run;
use JSON::PP;
use List::Util qw(first max min shuffle sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{RACEFREE_ORDER_SEED} || int(rand(1_000_000_000));
my $npairs = $ENV{RACEFREE_ORDER_PAIRS} || 60;
my $duration = ($ENV{RACEFREE_ORDER_MS} || 120) / 1000;
my $per_side = $ENV{RACEFREE_ORDER_SESSIONS} || 2;
my $only = $ENV{RACEFREE_ORDER_ONLY};
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

note "RACEFREE_ORDER_SEED=$seed";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('order');
$node->init;
# Who waits for whom is in the log.
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ 2 * $per_side + 20 ]}
synchronous_commit = off
autovacuum = off
deadlock_timeout = 1ms
log_lock_waits = on
log_min_error_statement = panic
log_statement = none
log_line_prefix = '[%p] '
statement_timeout = 60s
));
$node->start;

# ---------------------------------------------------------------------------
# The tables.  In all of them, the order of the rows is another one by each of
# their columns.  "#" in a statement is a number that grows with time: rows and
# requests with it in their names are not there at first, and then are.

$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;

CREATE TABLE account (id integer PRIMARY KEY, iban text UNIQUE NOT NULL,
	note text, same integer, balance bigint NOT NULL DEFAULT 0);
CREATE TABLE account_two (branch integer, number integer UNIQUE, iban text UNIQUE NOT NULL,
	note text, same integer, balance numeric(20,2) NOT NULL DEFAULT 0, PRIMARY KEY (branch, number));
CREATE TABLE account_part (id integer, iban text NOT NULL, note text, same integer,
	balance bigint NOT NULL DEFAULT 0, zone integer NOT NULL DEFAULT 1, PRIMARY KEY (zone, id))
	PARTITION BY LIST (zone);
CREATE TABLE account_part_0 PARTITION OF account_part FOR VALUES IN (0);
CREATE TABLE account_part_1 PARTITION OF account_part FOR VALUES IN (1);
CREATE INDEX ON account_part (id);
CREATE INDEX ON account_part (iban);
CREATE TABLE account_bare (id integer NOT NULL, iban text NOT NULL, note text, same integer,
	balance money NOT NULL DEFAULT 0);
CREATE TABLE account_slow (LIKE account INCLUDING ALL);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON account_slow FOR EACH ROW EXECUTE FUNCTION keep();

-- Each has a journal for each of its id columns.
SELECT create_journal('account_id', NULL::account, request_id_type => 'text'),
	create_journal('account_iban', NULL::account, 'iban', 'text'),
	create_journal('account_two_number', NULL::account_two, 'number', 'text'),
	create_journal('account_two_iban', NULL::account_two, 'iban', 'text'),
	create_journal('account_part_id', NULL::account_part, 'id', 'text', false),
	create_journal('account_part_iban', NULL::account_part, 'iban', 'text', false),
	create_journal('account_bare_id', NULL::account_bare, 'id', 'text', false),
	create_journal('account_slow_id', NULL::account_slow, 'id', 'text'),
	create_journal('account_slow_iban', NULL::account_slow, 'iban', 'text');
-- To be emptied between the pairs.
ALTER TABLE account_id DISABLE TRIGGER USER;
ALTER TABLE account_iban DISABLE TRIGGER USER;
ALTER TABLE account_two_number DISABLE TRIGGER USER;
ALTER TABLE account_two_iban DISABLE TRIGGER USER;
ALTER TABLE account_part_id DISABLE TRIGGER USER;
ALTER TABLE account_part_iban DISABLE TRIGGER USER;
ALTER TABLE account_bare_id DISABLE TRIGGER USER;
ALTER TABLE account_slow_id DISABLE TRIGGER USER;
ALTER TABLE account_slow_iban DISABLE TRIGGER USER;

-- Refers to accounts.
CREATE TABLE payment (id serial PRIMARY KEY, name text UNIQUE, note text,
	payer integer REFERENCES account, payee integer REFERENCES account);

CREATE TABLE item (id serial PRIMARY KEY, name text UNIQUE, note text, same integer);
CREATE TABLE item_two (a integer, b serial, name text UNIQUE, note text, same integer, PRIMARY KEY (b, a));
ALTER TABLE item_two ALTER a SET DEFAULT 7;
CREATE TABLE item_null (id serial PRIMARY KEY, name text, tag text, note text, same integer);
CREATE INDEX ON item_null (name);
CREATE TABLE item_bare (id serial, name text, tag text, note text, same integer);
CREATE TABLE item_part (id serial, name text, note text, same integer,
	zone integer NOT NULL DEFAULT floor(random() * 2), PRIMARY KEY (zone, id))
	PARTITION BY LIST (zone);
CREATE TABLE item_part_0 PARTITION OF item_part FOR VALUES IN (0);
CREATE TABLE item_part_1 PARTITION OF item_part FOR VALUES IN (1);
CREATE INDEX ON item_part (name);
CREATE TABLE item_tree (id serial PRIMARY KEY, name text UNIQUE, note text, same integer,
	parent integer REFERENCES item_tree);
CREATE TABLE item_guard (LIKE item_part INCLUDING ALL) PARTITION BY LIST (zone);
CREATE TABLE item_guard_0 PARTITION OF item_guard FOR VALUES IN (0);
CREATE TABLE item_guard_1 PARTITION OF item_guard FOR VALUES IN (1);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON item_guard
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
-- Serial numbers do not meet those that are given.
SELECT setval(oid, 100000000) FROM pg_class WHERE relkind = 'S' AND relname ~ '^(item|payment)';
));

# ---------------------------------------------------------------------------
# The sessions

$node->safe_psql(
	'postgres', q(
-- What "#" stands for.
CREATE SEQUENCE turn MAXVALUE 99999 CYCLE;

-- Run the statements as one transaction, again and again, and count how each
-- ended.  The holder begins a new turn when it holds one of its things.
CREATE PROCEDURE race(side text, statements text[], first float8, last float8,
	INOUT outcome jsonb DEFAULT '{}')
LANGUAGE plpgsql AS
$$
DECLARE
	holds boolean := side = 'holder';
	number bigint;
	statement text;
	result text;
	message text;
	detail text;
	context text;
	counts jsonb := '{}';
	errors jsonb := '{}';
BEGIN
	PERFORM pg_sleep(first - extract(epoch FROM clock_timestamp()));
	COMMIT;
	WHILE extract(epoch FROM clock_timestamp()) < last LOOP
		SELECT last_value + holds::integer INTO number FROM turn;
		BEGIN
			IF holds THEN
				EXECUTE replace(statements[1 + floor(random() * cardinality(statements))],
								'#', number::text);
				PERFORM nextval('turn');
				PERFORM pg_sleep(0.001);
			ELSE
				FOREACH statement IN ARRAY statements LOOP
					EXECUTE replace(statement, '#', number::text);
				END LOOP;
			END IF;
			result := 'ok';
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT,
				detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
			result := SQLSTATE;
			errors := errors || jsonb_build_object(result,
				format(E'%s\n%s\n%s\n# is %s', message, detail, context, number));
		END;
		COMMIT;
		counts := counts || jsonb_build_object(result,
			coalesce((counts->result)::integer, 0) + 1);
		IF holds THEN
			PERFORM pg_sleep(random() * 0.0015);
		END IF;
	END LOOP;
	outcome := jsonb_build_object('side', side, 'pid', pg_backend_pid(),
		'counts', counts, 'errors', errors);
END
$$;
));

my @sessions;
for my $i (0 .. 2 * $per_side)
{
	my %session = (in => '', out => '', err => '');

	$session{run} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-', '-d',
			$node->connstr('postgres')
		],
		'<', \$session{in},
		'>', \$session{out},
		'2>', \$session{err});
	push @sessions, \%session;
}

# Give each session its script, and return the outcomes as they print them.
sub run_sessions
{
	my @scripts = @_;
	my $deadline = time + $timeout;
	my @outcomes;

	for my $i (0 .. $#scripts)
	{
		$sessions[$i]{out} = '';
		$sessions[$i]{in} .= "$scripts[$i]\n\\echo done\n";
		$sessions[$i]{run}->pump_nb while length $sessions[$i]{in};
	}
	for my $i (0 .. $#scripts)
	{
		my $session = $sessions[$i];

		until ($session->{out} =~ s/^done\n\z//m)
		{
			BAIL_OUT("a session does not answer: $session->{err}")
			  if time > $deadline || !$session->{run}->pumpable;
			$session->{run}->pump_nb;
			Time::HiRes::sleep(0.001);
		}
		push @outcomes, $session->{out} =~ /^\{/ ? decode_json($session->{out}) : {};
	}
	return @outcomes;
}

sub quote
{
	my ($text) = @_;
	return q(') . ($text =~ s/'/''/gr) . q(');
}

sub text_array
{
	return 'ARRAY[' . join(', ', map { quote($_) } @_) . ']';
}

my $log_offset = 0;

# How often sessions waited for each other, as the log has it since the last
# call: a session that waits, and those that hold what it waits for.
sub logged_waits
{
	my $log = slurp_file($node->logfile, $log_offset);
	my @waits;

	$log_offset += length $log;
	while ($log =~
		/process (\d+) still waiting for .*\n.*DETAIL:  Process(?:es)? holding the lock: ([\d, ]+)\. Wait/g)
	{
		push @waits, [ $1, split /, /, $2 ];
	}
	return @waits;
}

# What the holder may hold: rows that all pairs share, and keys that these calls
# name.
sub points
{
	my ($family, @calls) = @_;
	my $text = join ' ', map { @{ $_->{sql} } } @calls;

	return grep {
		my ($key) = /lock_keys.*(\{.*?\})/;
		!defined $key || !grep { $text !~ /\b\Q$_\E/ } $key =~ /: "?([^",}]+)/g
	} @{ $family->{points} };
}

# Run two calls against each other, and tell what came of it: how often each
# outcome was there, an error of each kind, and how often a session of one
# waited for a session of the other.
sub race
{
	my ($one, $two, $family) = @_;
	my $first = time + 0.02;
	my $last = $first + $duration;
	my $times = "$first, $last";
	my %result = (counts => {}, errors => {}, waits => 0);
	my %side;

	my $isolation = $one->{isolation} // 'read committed';
	my @scripts = map {
		my ($side, $call) = @$_;
		(  "SET default_transaction_isolation = '$isolation';\n"
			  . "CALL race('$side', "
			  . text_array(@{ $call->{sql} })
			  . ", $times);") x $per_side
	} ([ 'one', $one ], [ 'two', $two ]);
	my @outcomes = run_sessions(@scripts,
		"CALL race('holder', " . text_array(points($family, $one, $two)) . ", $times);");

	for my $outcome (@outcomes)
	{
		$side{ $outcome->{pid} } = $outcome->{side};
		$result{counts}{$_} += $outcome->{counts}{$_} for keys %{ $outcome->{counts} };
		$result{errors}{$_} = "$outcome->{side}: $outcome->{errors}{$_}"
		  for keys %{ $outcome->{errors} };
	}
	for my $wait (logged_waits())
	{
		my ($waiter, @holders) = map { $side{$_} // '' } @$wait;
		$result{waits}++
		  if $waiter ne 'holder' && grep { $_ eq 'one' || $_ eq 'two' } @holders;
	}
	# Say whose processes a deadlock's detail is about.
	$result{errors}{$_} =~ s/(rocess )(\d+)/$1 . ($side{$2} ? "$2 ($side{$2})" : $2)/ge
	  for keys %{ $result{errors} };
	return \%result;
}

# ---------------------------------------------------------------------------
# Calls.  Each is a list of statements, run as one transaction, with what
# matters for deadlocks:
#
#	kind	what it is, for the statistics
#	may		the errors that it may give by its nature
#	rows	how many of the rows that all pairs share it locks
#	loose	it locks them in an order of its own
#	keys	the columns by which it locks their keys before them
#	excludes	it locks several rows FOR UPDATE
#	checks	it makes foreign key checks of several rows
#	rekeys	it changes a guarded key

# Some of the list, or all, in any order.
sub some
{
	my ($min, @list) = @_;
	my @shuffled = shuffle @list;
	my $n = $min + int(rand(@list - $min + 1));

	return @shuffled[ 0 .. $n - 1 ];
}

sub one_of
{
	return $_[ rand @_ ];
}

sub chance
{
	my ($probability) = @_;
	return rand() < $probability;
}

# JSON text, with numbers as they are: "#" is replaced later.
sub json
{
	my ($value) = @_;

	return 'null' unless defined $value;
	return '[' . join(', ', map { json($_) } @$value) . ']'
	  if ref $value eq 'ARRAY';
	return '{' . join(', ', map { qq("$_": ) . json($value->{$_}) } sort keys %$value) . '}'
	  if ref $value eq 'HASH';
	return $value =~ /^-?\d+#?$/ ? $value : qq("$value");
}

sub object
{
	return quote(json($_[0]));
}

# The values of one of the columns, as SQL takes them.
sub literals
{
	return map { /^\d+#?$/ ? $_ : quote($_) } @_;
}

# The columns of the row that a key gives.
sub key_of
{
	my ($columns, $row) = @_;
	return { map { ($_ => $row->{$_}) } @$columns };
}

# A row of which the given columns are the key: one that all share, or one that
# is new in its time.
sub some_rows
{
	my ($family, $columns, $min) = @_;
	my $new = $family->{new}{"@$columns"} // [];
	my @rows = some($min, @{ $family->{rows} }, @$new);

	return splice @rows, 0, 5;
}

sub is_shared
{
	my ($family, $row) = @_;
	return scalar grep { $_ == $row } @{ $family->{rows} };
}

# What a call is to set, besides the key.
sub data_of
{
	my ($family, $columns, $row) = @_;
	my %data = (note => one_of('x', 'y', '#'));

	# What a new row needs.
	%data = (%data, %$row) unless is_shared($family, $row);
	delete @data{@$columns};
	$data{ $family->{parent} } = 1 + int(rand 4)
	  if $family->{parent} && chance(0.7);
	return \%data;
}

sub single
{
	my ($family, $columns, $row) = @_;
	my $function = one_of('get_or_create', 'update_or_create');
	my $data = object(data_of($family, $columns, $row));

	return {
		kind => $function,
		sql => ["SELECT created FROM $function(NULL::$family->{table}, " . object(key_of($columns, $row)) . ", $data)"],
		rows => $function eq 'update_or_create',
		checks => $data =~ /parent/
	};
}

sub many
{
	my ($family, $columns, $function, @rows) = @_;
	my @objects = map { { %{ key_of($columns, $_) }, %{ data_of($family, $columns, $_) } } } @rows;

	return {
		kind => $function,
		sql => ["SELECT count(*) FROM $function(NULL::$family->{table}, "
			  . object(\@objects)
			  . ", '{"
			  . join(',', @$columns)
			  . "}')"],
		rows => $function eq 'update_or_create_many' ? scalar grep { is_shared($family, $_) } @rows : 0,
		keys => $function eq 'update_or_create_many' ? "@$columns" : undef,
		loose => $family->{bare},
		checks => $family->{parent}
	};
}

sub lock_keys
{
	my (%keys) = @_;

	return {
		kind => 'lock_keys',
		sql => ['SELECT lock_keys(' . object(\%keys) . ')'],
		rows => 0
	};
}

# The rows by one of their ids.
sub lock_rows
{
	my ($family, $mode, $wait, @rows) = @_;
	my $id = one_of(@{ $family->{ids} });
	my $ids = join ', ', literals(map { $_->{$id} } @rows);

	return {
		kind => "lock_rows in mode $mode",
		sql => ["SELECT count(*) FROM lock_rows(NULL::$family->{table}, ARRAY[$ids], '$mode', '$wait', '$id')"],
		rows => scalar @rows,
		excludes => $mode eq 'update' && @rows > 1,
		may => $wait eq 'nowait' ? ['55P03'] : []
	};
}

# A plain statement of somebody else.
sub plain_update
{
	my ($family) = @_;
	my $row = one_of(@{ $family->{rows} });
	my $where = join ' AND ', map { "$_ = " . (literals($row->{$_}))[0] } @{ $family->{primary} };

	return {
		kind => 'UPDATE',
		sql => ["UPDATE $family->{table} SET note = '#' WHERE $where"],
		rows => 1
	};
}

# Declare keys and rows, or keys alone, and then do several things.
sub declared
{
	my ($family, $with_rows, $columns, $keys, $rows, @calls) = @_;
	my @lock_keys = %$keys ? (lock_keys(%$keys)) : ();
	my @lock_rows = $with_rows && @$rows ? (lock_rows($family, one_of('no key update', 'update'), 'wait', @$rows)) : ();

	return {
		kind => join(' and ', 'declared', (%$keys ? 'keys' : ()), (@lock_rows ? 'rows' : ())),
		sql => [ map { @{ $_->{sql} } } @lock_keys, @lock_rows, @calls ],
		may => [ map { @{ $_->{may} // [] } } @calls ],
		rows => scalar @$rows,
		loose => $family->{bare} || !@lock_rows,
		keys => "@$columns",
		excludes => scalar(grep { $_->{excludes} } @lock_rows),
		checks => scalar(grep { $_->{checks} } @calls)
	};
}

# ---------------------------------------------------------------------------
# Rows with keys

# Calls by one key, or by several where the rows are declared, too.
sub declared_keys
{
	my ($family) = @_;
	my $with_rows = chance(0.5) && !$family->{bare};
	my $columns = one_of(@{ $family->{keys} });
	my (@calls, @keys, @rows);

	for (1 .. 2 + rand 3)
	{
		my $by = $with_rows ? one_of(@{ $family->{keys} }) : $columns;
		my @some = some_rows($family, $by, 1);

		if (chance(0.5))
		{
			@some = $some[0];
			push @calls, single($family, $by, @some);
		}
		else
		{
			push @calls, many($family, $by, one_of('get_or_create_many', 'update_or_create_many'), @some);
		}
		push @keys, map { key_of($by, $_) } @some;
		push @rows, grep { is_shared($family, $_) } @some;
	}
	return declared($family, $with_rows, $columns, { $family->{table} => [ shuffle @keys ] }, [ unique(@rows) ], @calls);
}

sub unique
{
	my %seen;
	return grep { !$seen{$_}++ } @_;
}

sub any_lock_rows
{
	my ($family) = @_;
	return lock_rows($family, one_of('update', 'no key update', 'share', 'key share'),
		one_of('wait', 'wait', 'wait', 'nowait', 'skip locked'),
		some(2, @{ $family->{rows} }));
}

sub any_many
{
	my ($family, $function) = @_;
	my $columns = one_of(@{ $family->{keys} });
	my @rows = some_rows($family, $columns, 2);

	# Some twice.
	return many($family, $columns, $function, @rows, chance(0.2) ? $rows[0] : ());
}

# By a column that several rows have the same value in.  It must fail without
# having locked them in an order of its own.
sub ambiguous
{
	my ($family) = @_;
	my $table = "NULL::$family->{table}";
	my $first = 1 + int(rand 2);
	my $second = 3 - $first;
	my $ids = "ARRAY[$first, $second]";
	my @calls = (
		qq[update_or_create($table, '{"same": $first}', '{"note": "#"}')],
		qq[update_or_create($table, '{"same": $first}')],
		qq[update_or_create_many($table, '[{"same": 1, "note": "#"}, {"same": 2}]', '{same}')],
		"lock_rows($table, $ids, id_column => 'same')");

	push @calls, "transfer($table, $first, $second, 1, id_column => 'same')",
	  "transfer_many($table, $ids, ARRAY[$second, $first], ARRAY[1, 1], id_column => 'same')"
	  if $family->{journals};
	return {
		kind => 'key of several rows',
		sql => [ 'SELECT FROM ' . one_of(@calls) ],
		may => ['21000'],
		rows => $family->{bare} ? 2 : 0,
		loose => $family->{bare}
	};
}

my %key_kinds = (
	ambiguous => \&ambiguous,
	single => sub {
		my ($family) = @_;
		my $columns = one_of(@{ $family->{keys} });
		return single($family, $columns, one_of(some_rows($family, $columns, 2)));
	},
	get_many => sub { any_many($_[0], 'get_or_create_many') },
	update_many => sub { any_many($_[0], 'update_or_create_many') },
	declared => \&declared_keys,
	lock_keys => sub {
		my ($family) = @_;
		my @keys = map { my $c = $_; map { key_of($c, $_) } some_rows($family, $c, 2) } @{ $family->{keys} };
		return lock_keys($family->{table} => [ shuffle @keys ]);
	},
	lock_rows => \&any_lock_rows,
	plain => \&plain_update);

sub rows_of
{
	my ($columns, @rows) = @_;
	return [ map { my %row; @row{@$columns} = @$_; \%row } @rows ];
}

# New rows by their names, and by the other columns.
my $new_names = rows_of([ 'name' ], map { ["$_#"] } 'a' .. 'd');
my $new_ids = rows_of([ 'id', 'name' ], map { [ "$_#", "id $_#" ] } 91 .. 94);
my $four = rows_of([ 'id', 'name' ], [ 1, 'd' ], [ 2, 'c' ], [ 3, 'b' ], [ 4, 'a' ]);

my @key_families = (
	{
		table => 'item',
		ids => [ 'id', 'name' ],
		keys => [ ['id'], ['name'] ],
		primary => ['id'],
		rows => $four,
		new => { id => $new_ids, name => $new_names }
	},
	{
		table => 'item_two',
		ids => [ 'b', 'name' ],
		keys => [ [ 'a', 'b' ], ['name'] ],
		primary => [ 'b', 'a' ],
		rows => rows_of([ 'a', 'b', 'name' ], [ 1, 4, 'd' ], [ 2, 3, 'c' ], [ 3, 1, 'b' ], [ 4, 2, 'a' ]),
		new => {
			'a b' => rows_of([ 'a', 'b', 'name' ], map { [ 1, "$_#", "id $_#" ] } 91 .. 94),
			name => $new_names
		}
	},
	{
		table => 'item_null',
		ids => ['id'],
		keys => [ ['id'], [ 'name', 'tag' ] ],
		primary => ['id'],
		rows => rows_of([ 'id', 'name', 'tag' ], [ 1, undef, 'z' ], [ 2, 'c', undef ], [ 3, undef, 'y' ], [ 4, 'a', 'x' ]),
		new => {
			id => $new_ids,
			'name tag' => rows_of([ 'name', 'tag' ], [ 'a#', undef ], [ undef, 'b#' ], [ 'c#', 'c' ])
		}
	},
	{
		table => 'item_bare',
		bare => 1,
		ids => ['id'],
		keys => [ [ 'name', 'tag' ] ],
		primary => ['id'],
		rows => rows_of([ 'id', 'name', 'tag' ], [ 1, 'd', undef ], [ 2, 'c', 'x' ], [ 3, undef, 'b' ], [ 4, 'a', 'w' ]),
		new => {
			'name tag' => rows_of([ 'name', 'tag' ], [ 'a#', undef ], [ undef, 'b#' ], [ 'c#', 'c' ])
		}
	},
	{
		table => 'item_part',
		ids => [ 'id', 'name' ],
		keys => [ ['name'], [ 'id', 'zone' ] ],
		primary => [ 'zone', 'id' ],
		rows => rows_of([ 'id', 'name', 'zone' ], [ 1, 'd', 1 ], [ 2, 'c', 0 ], [ 3, 'b', 1 ], [ 4, 'a', 0 ]),
		new => {
			name => $new_names,
			'id zone' => rows_of([ 'id', 'name', 'zone' ], map { [ "$_#", "id $_#", $_ % 2 ] } 91 .. 94)
		}
	},
	{
		table => 'item_tree',
		parent => 'parent',
		ids => [ 'id', 'name' ],
		keys => [ ['id'], ['name'] ],
		primary => ['id'],
		rows => $four,
		new => { id => $new_ids, name => $new_names }
	},
	{
		table => 'item_guard',
		ids => ['id'],
		keys => [ ['name'] ],
		primary => ['id'],
		rows => rows_of([ 'id', 'name', 'zone' ], [ 1, 'd', 1 ], [ 2, 'c', 0 ], [ 3, 'b', 1 ], [ 4, 'a', 0 ]),
		new => { name => $new_names },
		kinds => {
			insert => sub {
				return {
					kind => 'INSERT under key_guard',
					sql => [ "INSERT INTO item_guard (name) VALUES (" . quote(one_of('a' .. 'd') . one_of('', '#', '#')) . ")" ],
					may => ['23505']
				};
			},
			rekey => sub {
				return {
					kind => 'UPDATE under key_guard',
					sql => [ "UPDATE item_guard SET name = " . quote(one_of('a' .. 'd') . '#') . " WHERE id = " . one_of(1 .. 4) ],
					may => ['23505'],
					rows => 1,
					rekeys => 1
				};
			},
			insert_many => sub {
				my @names = map { $_ . '#' } some(2, 'a' .. 'd');
				return {
					kind => 'INSERT under key_guard, declared keys',
					sql => [
						@{ lock_keys(item_guard => [ map { { name => $_ } } @names ])->{sql} },
						"INSERT INTO item_guard (name) VALUES " . join(', ', map { "(" . quote($_) . ")" } shuffle @names)
					],
					may => ['23505']
				};
			}
		}
	});

for my $family (@key_families)
{
	my $table = $family->{table};
	my @columns = sort keys %{ { map { %$_ } @{ $family->{rows} } } };
	my $same = 0;

	$family->{kinds} = { %key_kinds, %{ $family->{kinds} // {} } };
	$family->{reset} = "TRUNCATE $table;\n";
	for my $row (@{ $family->{rows} })
	{
		$family->{reset} .= "INSERT INTO $table (" . join(', ', @columns, 'same') . ") VALUES (" . join(', ', (map { defined $row->{$_} ? literals($row->{$_}) : 'NULL' } @columns), 1 + $same++ % 2) . ");\n";
	}
	push @{ $family->{points} },
	  map { my $id = $family->{ids}[0]; "SELECT FROM $table WHERE $id = $_->{$id} FOR " . one_of('UPDATE', 'NO KEY UPDATE') } @{ $family->{rows} };
	for my $columns (@{ $family->{keys} })
	{
		push @{ $family->{points} }, lock_keys($table => [ key_of($columns, $_) ])->{sql}[0]
		  for @{ $family->{rows} }, @{ $family->{new}{"@$columns"} // [] };
	}
}

# ---------------------------------------------------------------------------
# Accounts

# A request that others ask for, too, or none.
sub request
{
	return one_of('a' .. 'd') . '#';
}

# The id column of a transfer, with the journal for it.
sub ledger
{
	my ($family) = @_;
	my $id = one_of(sort keys %{ $family->{journals} });
	return ($id, $family->{journals}{$id});
}

sub transfer
{
	my ($family, $requests) = @_;
	my ($id, $journal) = ledger($family);
	my ($from, $to) = literals(map { $_->{$id} } some(2, @{ $family->{rows} }));
	my @more = ("id_column => '$id'", 'min_balance => NULL');
	my @may;

	push @more, "journal => '$journal'" if $requests || chance(0.5);
	if ($requests)
	{
		my $request = one_of(@$requests);
		push @more, "request_id => '$request'";
		push @may, 'RF003';
	}
	push @more, "max_balance => " . 10**15 if chance(0.2);
	push @more, 'up_to => true' if chance(0.2);
	return {
		kind => 'transfer',
		sql => ["SELECT replayed FROM transfer(NULL::$family->{table}, $from, $to, 1, " . join(', ', @more) . ")"],
		may => \@may,
		rows => 2
	};
}

sub reversal
{
	my ($family, $entries, $requests) = @_;
	my ($id, $journal) = ledger($family);
	my $request = $requests ? ", request_id => '" . one_of(@$requests) . "'" : '';

	return {
		kind => 'reverse_transfer',
		sql => ["SELECT replayed FROM reverse_transfer(NULL::$family->{table}, '$journal', " . one_of(@$entries) . ", 1$request, min_balance => NULL, id_column => '$id')"],
		may => $requests ? ['RF003'] : [],
		rows => 2
	};
}

sub transfers
{
	my ($family, $requests) = @_;
	my ($id, $journal) = ledger($family);
	my (@from, @to, @request);
	my $n = 1 + int(rand 4);

	for (1 .. $n)
	{
		my ($from, $to) = literals(map { $_->{$id} } some(2, @{ $family->{rows} }));
		push @from, $from;
		push @to, $to;
		push @request, $requests && chance(0.8) ? quote(one_of(@$requests)) : 'NULL';
	}
	return {
		kind => 'transfer_many',
		sql => [
			"SELECT count(*) FROM transfer_many(NULL::$family->{table}, ARRAY["
			  . join(', ', @from)
			  . "], ARRAY["
			  . join(', ', @to)
			  . "], ARRAY["
			  . join(', ', (1) x $n) . "]"
			  . ($requests ? ", ARRAY[" . join(', ', @request) . "]::text[]" : '')
			  . ", on_error => '"
			  . one_of('raise', 'report')
			  . "', min_balance => NULL, id_column => '$id'"
			  . ($requests || chance(0.5) ? ", journal => '$journal'" : '') . ")"
		],
		may => $requests ? ['RF003'] : [],
		rows => min(4, 2 * $n)
	};
}

sub some_requests
{
	return [ map { request() } 1 .. 3 ];
}

# Rows first, and before them the keys of all that wants one.
sub declared_accounts
{
	my ($family, $with_keys) = @_;
	my $requests = some_requests();
	my $entries = [ some(2, 1 .. 4) ];
	my (@calls, %keys);

	for (1 .. 2 + rand 3)
	{
		my $columns = one_of(@{ $family->{keys} });

		push @calls, one_of(
			sub { transfer($family) },
			sub { transfers($family) },
			sub {
				my $call = single($family, $columns, one_of(@{ $family->{rows} }));
				$call->{sql}[0] =~ s/get_or_create/update_or_create/;
				return $call;
			},
			sub { plain_update($family) },
			$with_keys
			? (
				sub { transfer($family, $requests) },
				sub { transfers($family, $requests) },
				sub { reversal($family, $entries, chance(0.5) ? $requests : undef) },
				sub {
					my @rows = some_rows($family, $columns, 1);
					push @{ $keys{ $family->{table} } }, map { key_of($columns, $_) } @rows;
					return many($family, $columns, one_of('get_or_create_many', 'update_or_create_many'), @rows);
				})
			: ())->();
	}
	if ($with_keys)
	{
		for my $journal (values %{ $family->{journals} })
		{
			$keys{$journal} = [ shuffle((map { { request_id => $_ } } @$requests), map { { id => $_ } } @$entries) ];
		}
	}
	return declared($family, 1, [], \%keys, [ some(4, @{ $family->{rows} }) ], @calls);
}

my %account_kinds = (
	%key_kinds,
	declared => sub { declared_accounts($_[0], 0) },
	declared_keys => sub { declared_accounts($_[0], 1) },
	transfer => sub { transfer($_[0]) },
	request => sub { transfer($_[0], some_requests()) },
	reversal => sub { reversal($_[0], [ 1 .. 4 ], chance(0.5) ? some_requests() : undef) },
	transfers => sub { transfers($_[0]) },
	requests => sub { transfers($_[0], some_requests()) });
delete $account_kinds{lock_keys};

my $accounts = rows_of([ 'id', 'iban' ], map { [ $_, 'DE' . (5 - $_) ] } 1 .. 4);
my $new_accounts = rows_of([ 'id', 'iban' ], map { [ "$_#", "new $_#" ] } 91 .. 94);

my @account_families = (
	{
		table => 'account',
		ids => [ 'id', 'iban' ],
		keys => [ ['id'], ['iban'] ],
		primary => ['id'],
		rows => $accounts,
		new => { id => $new_accounts },
		journals => { id => 'account_id', iban => 'account_iban' },
		kinds => {
			payment => sub {
				my ($payer, $payee) = some(2, 1 .. 4);
				return {
					kind => 'INSERT with foreign keys',
					sql => ["INSERT INTO payment (payer, payee) VALUES ($payer, $payee)"],
					checks => 1
				};
			},
			payments => sub {
				my @rows = map {
					my ($payer, $payee) = some(2, 1 .. 4);
					{ name => "$_#", payer => $payer, payee => $payee }
				} some(2, 'a' .. 'd');
				return {
					kind => 'get_or_create_many with foreign keys',
					sql => [ "SELECT count(*) FROM get_or_create_many(NULL::payment, " . object(\@rows) . ", '{name}')" ],
					checks => 1
				};
			}
		}
	},
	{
		table => 'account_two',
		ids => [ 'number', 'iban' ],
		keys => [ [ 'branch', 'number' ], ['iban'], ['number'] ],
		primary => [ 'branch', 'number' ],
		rows => rows_of([ 'branch', 'number', 'iban' ], [ 2, 1, 'DE4' ], [ 1, 2, 'DE3' ], [ 2, 3, 'DE2' ], [ 1, 4, 'DE1' ]),
		new => { 'branch number' => rows_of([ 'branch', 'number', 'iban' ], map { [ 1, "$_#", "new $_#" ] } 91 .. 94) },
		journals => { number => 'account_two_number', iban => 'account_two_iban' }
	},
	{
		table => 'account_part',
		ids => [ 'id', 'iban' ],
		keys => [ ['id'], ['iban'], [ 'id', 'zone' ] ],
		primary => [ 'zone', 'id' ],
		rows => rows_of([ 'id', 'iban', 'zone' ], [ 1, 'DE4', 1 ], [ 2, 'DE3', 0 ], [ 3, 'DE2', 1 ], [ 4, 'DE1', 0 ]),
		new => { id => $new_accounts },
		journals => { id => 'account_part_id', iban => 'account_part_iban' }
	},
	{
		table => 'account_bare',
		bare => 1,
		ids => ['id'],
		keys => [ ['id'] ],
		primary => ['id'],
		rows => $accounts,
		new => { id => $new_accounts },
		journals => { id => 'account_bare_id' }
	},
	{
		table => 'account_slow',
		ids => [ 'id', 'iban' ],
		keys => [ ['id'], ['iban'] ],
		primary => ['id'],
		rows => $accounts,
		new => { id => $new_accounts },
		journals => { id => 'account_slow_id', iban => 'account_slow_iban' }
	});

for my $family (@account_families)
{
	my $table = $family->{table};
	my @columns = sort keys %{ $family->{rows}[0] };
	my $id = $family->{ids}[0];
	my $same = 0;

	$family->{kinds} = { %account_kinds, %{ $family->{kinds} // {} } };
	$family->{reset} = 'TRUNCATE ' . join(', ', $table, ($table eq 'account' ? 'payment' : ()), values %{ $family->{journals} }) . " RESTART IDENTITY;\n";
	for my $row (@{ $family->{rows} })
	{
		$family->{reset} .= "INSERT INTO $table (" . join(', ', @columns, 'same', 'balance') . ") VALUES (" . join(', ', (map { literals($row->{$_}) } @columns), 1 + $same++ % 2, 1000000000) . ");\n";
		push @{ $family->{points} }, "SELECT FROM $table WHERE $id = $row->{$id} FOR " . one_of('UPDATE', 'NO KEY UPDATE');
	}
	for my $column (sort keys %{ $family->{journals} })
	{
		my $journal = $family->{journals}{$column};

		# The entries that are reversed.
		for my $i (0 .. 3)
		{
			my ($from, $to) = literals(map { $_->{$column} } @{ $family->{rows} }[ $i, ($i + 1) % 4 ]);
			$family->{reset} .= "DO \$\$ BEGIN PERFORM transfer(NULL::$table, $from, $to, 1000000, id_column => '$column', journal => '$journal'); END \$\$;\n";
		}
		push @{ $family->{points} }, map { lock_keys($journal => [$_])->{sql}[0] } (map { { request_id => "$_#" } } 'a' .. 'd'), (map { { id => $_ } } 1 .. 2);
	}
	for my $columns (@{ $family->{keys} })
	{
		push @{ $family->{points} }, map { lock_keys($table => [ key_of($columns, $_) ])->{sql}[0] } @{ $family->{rows} }, @{ $family->{new}{"@$columns"} // [] };
	}
}

# ---------------------------------------------------------------------------
# What the README names

my %readme = (
	rows_first => 'rows before keys, or keys that were not declared',
	weaker_mode => 'lock_rows in a weaker mode than what follows needs',
	rows_not_declared => 'keys declared, but not the rows, against calls that lock these rows by other columns',
	no_primary_key => 'a table without a primary key',
	unique_data => 'unique values besides the key',
	other_key => 'the same new rows by different columns as their key',
	guard_rows => 'statements and batches of several rows under a key_guard',
	guard_update => 'an UPDATE of a guarded key',
	two_guards => 'two key_guards on one table',
	foreign_keys => 'checks of foreign keys against stronger locks on the referenced rows',
	inheritance => 'an inheritance child with another primary key than its parent',
	triggers => 'what triggers lock',
	others => 'statements of others that lock several rows',
	several_calls => 'several calls in one transaction without declared locks');

# The name of two calls that may deadlock, or nothing.
sub named
{
	my ($family, $one, $two) = @_;

	for ([ $one, $two ], [ $two, $one ])
	{
		my ($a, $b) = @$_;

		return 'foreign_keys' if $a->{checks} && $b->{excludes};
		return 'guard_update'
		  if $a->{rekeys} && $b->{rows} && defined $b->{keys};
		return $family->{bare} ? 'no_primary_key' : 'rows_not_declared'
		  if $a->{loose} && $a->{rows} > 1 && $b->{rows} > 1
		  && !(defined $a->{keys} && defined $b->{keys} && ($family->{bare} || $a->{keys} eq $b->{keys}));
	}
	return undef;
}

# Pairs that do deadlock: the name, the table, both lists of statements, and
# the errors that they may end with.
my ($item, $account) = map { my $name = $_; first { $_->{table} eq $name } @key_families, @account_families } 'item', 'account';
my %by_table = map { ($_->{table} => $_) } @key_families, @account_families;
my $two_guards = {
	table => 'guarded',
	reset => 'TRUNCATE guarded',
	points => [ map { lock_keys(guarded => [$_])->{sql}[0] } { name => 'a#' }, { code => 'a#' } ]
};
my $references = {
	table => 'journal_ref',
	reset => $account->{reset} . 'TRUNCATE journal_ref',
	points => $account->{points}
};
my $noted = {
	table => 'noted',
	reset => $account->{reset} . 'TRUNCATE noted',
	points => $account->{points}
};
my $inherited = {
	table => 'child',
	reset => q(TRUNCATE parent;
INSERT INTO child (id, code, note) VALUES (1, 4, 'x'), (2, 3, 'x'), (3, 2, 'x'), (4, 1, 'x')),
	points => [ map { "SELECT FROM child WHERE id = $_ FOR UPDATE" } 1 .. 4 ]
};

$node->safe_psql(
	'postgres', q(
CREATE TABLE guarded (id serial, name text, code text);
CREATE TRIGGER guard_code BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('code');
CREATE TRIGGER guard_name BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
CREATE TABLE journal_ref (id serial, request_id text, from_id integer, to_id integer,
	amount numeric, details jsonb);
CREATE UNIQUE INDEX ON journal_ref ((details->>'ref'));
CREATE TABLE noted (name text PRIMARY KEY, account integer);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE account SET note = NEW.name WHERE id = NEW.account; RETURN NULL; END $$;
CREATE TRIGGER touch AFTER INSERT ON noted FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE parent (id integer PRIMARY KEY, code integer, note text);
CREATE TABLE child (PRIMARY KEY (code)) INHERITS (parent);
CREATE UNIQUE INDEX ON child (id);
));

# A batch that makes so many rows, or books so many transfers, each with a
# unique value besides.
my @values = map { "$_ #" } 11 .. 40;

sub item_batch
{
	my ($key, $first, @names) = @_;
	my @rows = map { { id => $first++ . '#', name => $_ } } @names;

	@rows = reverse @rows if $key eq 'name';
	return 'SELECT count(*) FROM get_or_create_many(NULL::item, ' . object(\@rows) . ", '{$key}')";
}

sub transfer_batch
{
	my ($from, $to, @references) = @_;
	my $n = @references;

	return "SELECT count(*) FROM transfer_many(NULL::account, "
	  . "array_fill($from, '{$n}'), array_fill($to, '{$n}'), array_fill(1.0, '{$n}'), "
	  . "journal => 'journal_ref', details => " . object([ map { { ref => $_ } } @references ]) . ")";
}

my @may_deadlock = (
	# Keys come before rows.
	[
		rows_first => $account,
		[
			"SELECT count(*) FROM lock_rows(NULL::account, ARRAY[1, 2])",
			q[SELECT lock_keys('{"account": [{"id": 1}, {"id": 2}]}')]
		],
		[
			q[SELECT lock_keys('{"account": [{"id": 1}, {"id": 2}]}')],
			"SELECT count(*) FROM lock_rows(NULL::account, ARRAY[1, 2])"
		]
	],
	[
		rows_first => $account,
		[
			"SELECT count(*) FROM lock_rows(NULL::account, ARRAY[1, 2])",
			q[SELECT count(*) FROM update_or_create_many(NULL::account, '[{"id": 2, "note": "x"}, {"id": 1}]', '{id}')]
		],
		[
			q[SELECT count(*) FROM update_or_create_many(NULL::account, '[{"id": 2, "note": "x"}, {"id": 1}]', '{id}')]
		]
	],
	[
		rows_first => $account,
		[
			"SELECT count(*) FROM lock_rows(NULL::account, ARRAY[1, 2])",
			"SELECT replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'account_id', request_id => 'a#')"
		],
		[
			"SELECT replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'account_id', request_id => 'a#')"
		]
	],
	# Two that share a row, and both want it for themselves.
	[
		weaker_mode => $account,
		([
				"SELECT count(*) FROM lock_rows(NULL::account, ARRAY[1, 2], 'share')",
				"SELECT replayed FROM transfer(NULL::account, 1, 2, 1)"
			]) x 2
	],
	[
		weaker_mode => $item,
		[
			"SELECT count(*) FROM lock_rows(NULL::item, ARRAY[1, 2], 'no key update')",
			q[SELECT created FROM update_or_create(NULL::item, '{"id": 1}', '{"name": "x #"}')]
		],
		[
			"SELECT count(*) FROM lock_rows(NULL::item, ARRAY[1, 2], 'key share')",
			"SELECT count(*) FROM lock_rows(NULL::item, ARRAY[1, 2], 'no key update')"
		]
	],
	[
		rows_not_declared => $item,
		[
			q[SELECT lock_keys('{"item": [{"name": "a"}, {"name": "d"}]}')],
			q[SELECT created FROM update_or_create(NULL::item, '{"name": "a"}', '{"note": "x"}')],
			q[SELECT created FROM update_or_create(NULL::item, '{"name": "d"}', '{"note": "x"}')]
		],
		[
			q[SELECT lock_keys('{"item": [{"id": 1}, {"id": 4}]}')],
			q[SELECT created FROM update_or_create(NULL::item, '{"id": 1}', '{"note": "y"}')],
			q[SELECT created FROM update_or_create(NULL::item, '{"id": 4}', '{"note": "y"}')]
		]
	],
	[
		rows_not_declared => $item,
		[
			q[SELECT lock_keys('{"item": [{"name": "a"}, {"name": "d"}]}')],
			q[SELECT created FROM update_or_create(NULL::item, '{"name": "a"}', '{"note": "x"}')],
			q[SELECT created FROM update_or_create(NULL::item, '{"name": "d"}', '{"note": "x"}')]
		],
		["SELECT count(*) FROM lock_rows(NULL::item, ARRAY[1, 4])"]
	],
	[
		no_primary_key => $by_table{item_bare},
		[
			q[SELECT count(*) FROM update_or_create_many(NULL::item_bare, '[{"name": "a", "tag": "w"}, {"name": "c", "tag": "x"}, {"name": null, "tag": "b"}, {"name": "d", "tag": null}]', '{name,tag}')]
		],
		["SELECT count(*) FROM lock_rows(NULL::item_bare, ARRAY[1, 2, 3, 4], id_column => 'id')"]
	],
	[
		no_primary_key => $by_table{account_bare},
		["SELECT replayed FROM transfer(NULL::account_bare, 1, 2, 1, id_column => 'id')"],
		["SELECT replayed FROM transfer(NULL::account_bare, 'DE3', 'DE4', 1, id_column => 'iban')"]
	],
	[
		unique_data => $item,
		[ item_batch('id', 111, @values) ],
		[ item_batch('id', 211, reverse @values) ],
		'23505'
	],
	# Single calls, too, that want each other's value.
	[
		unique_data => $item,
		[q[SELECT created FROM update_or_create(NULL::item, '{"id": 1}', '{"name": "c"}')]],
		[q[SELECT created FROM update_or_create(NULL::item, '{"id": 2}', '{"name": "d"}')]],
		'23505'
	],
	# A unique index of the user's on a journal.
	[
		unique_data => $references,
		[ transfer_batch(1, 2, @values) ],
		[ transfer_batch(3, 4, reverse @values) ],
		'23505'
	],
	[
		other_key => $item,
		[ item_batch('id', 111, @values) ],
		[ item_batch('name', 111, @values) ],
		'23505'
	],
	[
		guard_rows => $by_table{item_guard},
		["INSERT INTO item_guard (name) VALUES ('a#'), ('b#')"],
		["INSERT INTO item_guard (name) VALUES ('b#'), ('a#')"],
		'23505'
	],
	[
		guard_rows => $by_table{item_guard},
		["INSERT INTO item_guard (name) VALUES ('b#'), ('a#')"],
		[
			q[SELECT count(*) FROM get_or_create_many(NULL::item_guard, '[{"id": 91#, "zone": 1, "name": "a#"}, {"id": 92#, "zone": 1, "name": "b#"}]', '{zone,id}')]
		],
		'23505'
	],
	[
		guard_update => $by_table{item_guard},
		["UPDATE item_guard SET name = 'a#' WHERE id = 1"],
		[
			q[SELECT count(*) FROM update_or_create_many(NULL::item_guard, '[{"name": "d", "note": "x"}, {"name": "a#", "note": "y"}]', '{name}')]
		],
		'23505'
	],
	[
		two_guards => $two_guards,
		[q[SELECT created FROM get_or_create(NULL::guarded, '{"name": "a#"}', '{"code": "a#"}')]],
		[q[SELECT created FROM get_or_create(NULL::guarded, '{"code": "a#"}', '{"name": "a#"}')]],
		'23505'
	],
	[
		foreign_keys => $account,
		["SELECT count(*) FROM lock_rows(NULL::account, ARRAY[1, 2], 'update')"],
		["INSERT INTO payment (payer, payee) VALUES (2, 1)"]
	],
	[
		foreign_keys => $by_table{item_tree},
		[
			"SELECT count(*) FROM update_or_create_many(NULL::item_tree, (SELECT jsonb_agg(jsonb_build_object('id', i, 'name', random())) FROM generate_series(1, 2) AS i), '{id}')"
		],
		["INSERT INTO item_tree (parent) VALUES (2), (1)"]
	],
	# Single calls, too, that change what they refer to.
	[
		foreign_keys => $by_table{item_tree},
		[
			q[SELECT created FROM update_or_create(NULL::item_tree, '{"id": 1}', jsonb_build_object('name', random(), 'parent', floor(2 + random() * 2)))]
		],
		[
			q[SELECT created FROM update_or_create(NULL::item_tree, '{"id": 2}', jsonb_build_object('name', random(), 'parent', floor(random() * 2) * 2 + 1))]
		]
	],
	[
		others => $item,
		["UPDATE item SET note = '#' WHERE id IN (SELECT id FROM item WHERE id <= 4 ORDER BY id DESC)"],
		["SELECT count(*) FROM lock_rows(NULL::item, ARRAY[1, 2, 3, 4])"]
	],
	[
		others => $item,
		["INSERT INTO item (name) VALUES ('b#'), ('a#')"],
		[q[SELECT count(*) FROM get_or_create_many(NULL::item, '[{"name": "a#"}, {"name": "b#"}]', '{name}')]],
		'23505'
	],
	[
		others => $item,
		[ "DELETE FROM item WHERE id = 2", "INSERT INTO item (id, name) VALUES (2, 'c')" ],
		[
			q[SELECT CASE WHEN random() < 0.5 THEN (SELECT count(*) FROM lock_rows(NULL::item, ARRAY[1, 2, 3, 4])) ELSE (SELECT count(*) FROM update_or_create_many(NULL::item, '[{"id": 1, "note": "x"}, {"id": 2, "name": "c", "note": "x"}, {"id": 3, "note": "x"}]', '{id}')) END]
		],
		'23505', '40001'
	],
	[
		others => $item,
		["UPDATE item SET id = 6 - id WHERE id IN (1, 5)"],
		["SELECT count(*) FROM lock_rows(NULL::item, ARRAY[1, 2, 3, 4, 5])"]
	],
	[
		inheritance => $inherited,
		[q[SELECT count(*) FROM update_or_create_many(NULL::parent, '[{"id": 1, "note": "x"}, {"id": 4, "note": "x"}]', '{id}')]],
		["SELECT count(*) FROM lock_rows(NULL::child, ARRAY[1, 4])"]
	],
	[
		triggers => $noted,
		[q[SELECT count(*) FROM get_or_create_many(NULL::noted, '[{"name": "a#", "account": 1}, {"name": "b#", "account": 2}]', '{name}')]],
		[q[SELECT count(*) FROM get_or_create_many(NULL::noted, '[{"name": "c#", "account": 2}, {"name": "d#", "account": 1}]', '{name}')]]
	],
	[
		several_calls => $account,
		[
			"SELECT replayed FROM transfer(NULL::account, 1, 2, 1)",
			"SELECT replayed FROM transfer(NULL::account, 3, 4, 1)"
		],
		[
			"SELECT replayed FROM transfer(NULL::account, 3, 4, 1)",
			"SELECT replayed FROM transfer(NULL::account, 1, 2, 1)"
		]
	],
	[
		several_calls => $item,
		[
			q[SELECT created FROM get_or_create(NULL::item, '{"name": "a#"}')],
			q[SELECT created FROM get_or_create(NULL::item, '{"name": "b#"}')]
		],
		[
			q[SELECT created FROM get_or_create(NULL::item, '{"name": "b#"}')],
			q[SELECT created FROM get_or_create(NULL::item, '{"name": "a#"}')]
		]
	]);

# ---------------------------------------------------------------------------
# The races

my @families = (@key_families, @account_families);
my (%seen, %named, $overlaps);

sub describe
{
	my ($call) = @_;
	return join "\n", map { "    $_;" } @{ $call->{sql} };
}

# Run a pair that may deadlock if it has a name, and return what it did that it
# may not, and how often it did deadlock.
sub run_pair
{
	my ($family, $one, $two, $named) = @_;
	my %may = map { ($_ => 1) } 'ok', map { @{ $_->{may} // [] } } $one, $two;
	my ($result, $deadlocks);

	$may{40001} = 1 if $one->{isolation} ne 'read committed';
	$may{'40P01'} = 1 if defined $named;
	run_sessions($family->{reset} . ';');
	logged_waits();
	$result = race($one, $two, $family);
	$deadlocks = $result->{counts}{'40P01'} // 0;
	$overlaps += $result->{waits};
	for my $call ($one, $two)
	{
		my $seen = $seen{ $call->{kind} } //= {};

		$seen->{pairs}++;
		$seen->{calls} += sum0 values %{ $result->{counts} };
		$seen->{waits} += $result->{waits};
	}
	if (defined $named)
	{
		$named{$named}{pairs}++;
		$named{$named}{deadlocks} += $deadlocks;
	}
	return (
		join('', map { "$result->{counts}{$_} times $_: $result->{errors}{$_}\n" }
			  grep { !$may{$_} } sort keys %{ $result->{counts} }),
		$deadlocks);
}

# Every kind of call in its turn, against any other on the same table.
my @draws = shuffle map { my $family = $_; map { [ $family, $_ ] } sort keys %{ $family->{kinds} } } @families;

for my $i (1 .. $npairs)
{
	my ($family, $kind) = @{ $draws[ $i % @draws ] };
	my $one = $family->{kinds}{$kind}->($family);
	my $two = $family->{kinds}{ one_of(sort keys %{ $family->{kinds} }) }->($family);
	my $text;

	$one->{isolation} = one_of(('read committed') x 5, 'repeatable read');
	$text = "--- one, $one->{isolation}:\n" . describe($one) . "\n--- two:\n" . describe($two);
	next if $only && $text !~ /$only/;
	my ($wrong) = run_pair($family, $one, $two, named($family, $one, $two));
	ok($wrong eq '', "$family->{table}: $one->{kind} against $two->{kind}")
	  or diag "RACEFREE_ORDER_SEED=$seed, pair $i\n$text\n$wrong";
}
my %drawn = %seen;

for my $pair (@may_deadlock)
{
	my ($name, $family, $first, $second, @may) = @$pair;
	my $one = { kind => 'may deadlock', sql => $first, may => \@may, isolation => 'read committed' };
	my $two = { kind => 'may deadlock', sql => $second };
	my $text = "--- one:\n" . describe($one) . "\n--- two:\n" . describe($two);

	next if $only && $text !~ /$only/;
	my ($wrong, $deadlocks) = run_pair($family, $one, $two, $name);
	ok($wrong eq '', "may deadlock: $readme{$name}") or diag "$text\n$wrong";
	note "$deadlocks deadlocks\n$text";
}

note sprintf '%-45s %5d pairs %7d calls %6d waits', $_, @{ $seen{$_} }{ 'pairs', 'calls', 'waits' } for sort keys %seen;
note sprintf '%-85s %5d pairs %7d deadlocks', $readme{$_}, map { $_ // 0 } @{ $named{$_} // {} }{ 'pairs', 'deadlocks' } for sort keys %readme;
cmp_ok($overlaps, '>', 0, 'calls waited for each other');

$_->{in} .= "\\q\n" for @sessions;
$_->{run}->finish for @sessions;
$node->stop;

done_testing();
