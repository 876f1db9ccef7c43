# Copyright (c) 2026, the racefree developers

# Who may deadlock with whom.  Pairs of calls are drawn at random: single calls
# and batches, by primary key and by other columns, with keys, accounts and
# rows in any order, one call in a transaction or several behind lock_keys()
# and lock_rows(), and plain statements of others.  Each pair runs in several
# sessions at once.  Only those pairs may deadlock that doc/guarantees.md names under
# "What is not guaranteed".  At the end, pairs of each of these names run, and
# the test tells which of them did deadlock.
#
# One session more, the holder, locks a single row or key for a moment, again
# and again.  It waits for nothing while it holds something, and so causes no
# deadlock.  But calls queue up behind it with what they have locked before, and
# those that lock in different orders soon meet.
#
# RACEFREE_ORDER_SEED draws the same pairs again.  RACEFREE_ORDER_PAIRS (60) and
# RACEFREE_ORDER_MS (80 for each pair) set the size, RACEFREE_ORDER_SESSIONS
# (2) how many sessions run each of the two.  RACEFREE_ORDER_ONLY, a regular
# expression, leaves out the pairs that it does not match.

use strict;
use warnings;
use IPC::Run;
use JSON::PP;
use List::Util qw(min shuffle sum0 uniq);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $seed = $ENV{RACEFREE_ORDER_SEED} || int(rand(1_000_000_000));
my $npairs = $ENV{RACEFREE_ORDER_PAIRS} || 60;
my $duration = ($ENV{RACEFREE_ORDER_MS} || 80) / 1000;
my $per_side = $ENV{RACEFREE_ORDER_SESSIONS} || 2;
my $only = $ENV{RACEFREE_ORDER_ONLY};
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

note "RACEFREE_ORDER_SEED=$seed";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('order');
$node->init;
# The log tells who waits for whom.
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ 4 * $per_side + 20 ]}
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
# The tables.  The order of their rows is another one by each of their columns.
# "#" in a statement stands for a number that grows with time: rows and requests
# that have it in their names are not there at first, and then are.

$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;

CREATE TABLE account (id integer PRIMARY KEY, iban text UNIQUE NOT NULL,
	note text, same integer, balance bigint NOT NULL DEFAULT 0);
CREATE TABLE account_two (branch integer, number integer UNIQUE,
	iban text UNIQUE NOT NULL, note text, same integer,
	balance numeric(20,2) NOT NULL DEFAULT 0, PRIMARY KEY (branch, number));
CREATE TABLE account_part (id integer, iban text NOT NULL, note text, same integer,
	balance bigint NOT NULL DEFAULT 0, zone integer NOT NULL DEFAULT 1,
	PRIMARY KEY (zone, id)) PARTITION BY LIST (zone);
CREATE TABLE account_part_0 PARTITION OF account_part FOR VALUES IN (0);
CREATE TABLE account_part_1 PARTITION OF account_part FOR VALUES IN (1);
CREATE INDEX ON account_part (id);
CREATE INDEX ON account_part (iban);
CREATE TABLE account_bare (id integer NOT NULL, iban text NOT NULL, note text,
	same integer, balance money NOT NULL DEFAULT 0);
-- Its triggers keep transfers from the short way.
CREATE TABLE account_slow (LIKE account INCLUDING ALL);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON account_slow FOR EACH ROW EXECUTE FUNCTION keep();

SELECT create_journal('account_id', NULL::account, request_id_type => 'text'),
	create_journal('account_iban', NULL::account, 'iban', 'text'),
	create_journal('account_two_number', NULL::account_two, 'number', 'text'),
	create_journal('account_two_iban', NULL::account_two, 'iban', 'text'),
	create_journal('account_part_id', NULL::account_part, 'id', 'text', false),
	create_journal('account_part_iban', NULL::account_part, 'iban', 'text', false),
	create_journal('account_bare_id', NULL::account_bare, 'id', 'text', false),
	create_journal('account_slow_id', NULL::account_slow, 'id', 'text'),
	create_journal('account_slow_iban', NULL::account_slow, 'iban', 'text');
-- They are emptied for each pair.
DO $$
DECLARE
	journal regclass;
BEGIN
	FOR journal IN SELECT tgrelid FROM pg_trigger WHERE tgname LIKE '%journal_guard%' LOOP
		EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', journal);
	END LOOP;
END
$$;

CREATE TABLE payment (id serial PRIMARY KEY, name text UNIQUE,
	payer integer REFERENCES account, payee integer REFERENCES account);

CREATE TABLE item (id serial PRIMARY KEY, name text UNIQUE, note text, same integer);
CREATE TABLE item_two (a integer DEFAULT 7, b serial, name text UNIQUE, note text,
	same integer, PRIMARY KEY (b, a));
CREATE TABLE item_null (id serial PRIMARY KEY, name text, tag text, note text,
	same integer);
CREATE INDEX ON item_null (name);
CREATE TABLE item_bare (id serial, name text, tag text, note text, same integer);
CREATE TABLE item_part (id serial, name text, note text, same integer,
	zone integer NOT NULL DEFAULT floor(random() * 2), PRIMARY KEY (zone, id))
	PARTITION BY LIST (zone);
CREATE TABLE item_part_0 PARTITION OF item_part FOR VALUES IN (0);
CREATE TABLE item_part_1 PARTITION OF item_part FOR VALUES IN (1);
CREATE INDEX ON item_part (name);
CREATE TABLE item_guard (LIKE item_part INCLUDING ALL) PARTITION BY LIST (zone);
CREATE TABLE item_guard_0 PARTITION OF item_guard FOR VALUES IN (0);
CREATE TABLE item_guard_1 PARTITION OF item_guard FOR VALUES IN (1);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON item_guard
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
CREATE TABLE item_tree (id serial PRIMARY KEY, name text UNIQUE, note text,
	same integer, parent integer REFERENCES item_tree);
-- The type of "name" has no hash.
CREATE TABLE item_money (id serial PRIMARY KEY, name money, note text, same integer);
CREATE INDEX ON item_money (name);
-- Serial numbers do not meet those that are given.
SELECT setval(oid, 100000000) FROM pg_class
WHERE relkind = 'S' AND relname ~ '^(item|payment)';

-- For the pairs that may deadlock.
CREATE TABLE guarded (id serial, name text, code text);
CREATE TRIGGER guard_code BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('code');
CREATE TRIGGER guard_name BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
CREATE TABLE guarded_money (id integer PRIMARY KEY, price money);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded_money
	FOR EACH ROW EXECUTE FUNCTION key_guard('price');
CREATE TABLE journal_ref (id serial, request_id text, from_id integer, to_id integer,
	amount numeric, details jsonb);
CREATE UNIQUE INDEX ON journal_ref ((details->>'ref'));
CREATE TABLE parent (id integer PRIMARY KEY, code integer, note text);
CREATE TABLE child (PRIMARY KEY (code)) INHERITS (parent);
CREATE UNIQUE INDEX ON child (id);
CREATE TABLE noted (name text PRIMARY KEY, account integer);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	UPDATE account SET note = NEW.name WHERE id = NEW.account;
	RETURN NULL;
END
$$;
CREATE TRIGGER touch AFTER INSERT ON noted FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE here (id integer, balance integer);
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
	EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw
			OPTIONS (dbname %L, port %L, host %L)', current_database(),
		current_setting('port'), current_setting('unix_socket_directories'));
END
$$;
CREATE USER MAPPING FOR CURRENT_USER SERVER loopback;
CREATE FOREIGN TABLE elsewhere (id integer, balance integer)
	SERVER loopback OPTIONS (table_name 'here');
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
			usleep(1000);
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

my $log_offset = 0;

# How often sessions waited for each other, as the log has it since the last
# call: a session that waits, and those that hold what it waits for.
sub logged_waits
{
	my $log = slurp_file($node->logfile, $log_offset);
	my @waits;

	$log_offset += length $log;
	while ($log =~ /process (\d+) still waiting .*\n.*Process(?:es)? holding the lock: ([\d, ]+)/g)
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
	my ($family, $one, $two, $isolation) = @_;
	my $first = time + 0.02;
	my $last = $first + $duration;
	my $set = "SET default_transaction_isolation = '$isolation';";
	my @sides = (
		([ one => @{ $one->{sql} } ]) x $per_side,
		([ two => @{ $two->{sql} } ]) x $per_side,
		[ holder => points($family, $one, $two) ]);
	my @scripts = map {
		my ($side, @statements) = @$_;
		my $array = join ', ', map { quote($_) } @statements;
		"$set\nCALL race('$side', ARRAY[$array], $first, $last);"
	} @sides;
	my %result = (counts => {}, errors => {}, waits => 0);
	my %side;
	my @outcomes = run_sessions(@scripts);

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
# Statements

# JSON text.  Numbers with "#" in them are numbers, too.
sub json
{
	my ($value) = @_;

	return 'null' unless defined $value;
	return '[' . join(', ', map { json($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return '{' . join(', ', map { qq("$_": ) . json($value->{$_}) } sort keys %$value) . '}'
	  if ref $value;
	return $value =~ /^-?\d+#?$/ ? $value : qq("$value");
}

# Values as SQL takes them: JSON, NULL, numbers, expressions in brackets or of
# an array; all others are text.
sub literal
{
	my ($value) = @_;

	return 'NULL' unless defined $value;
	return quote(json($value)) if ref $value;
	return $value =~ /^(-?\d+#?|true|NULL|ARRAY\[.*|array_fill\(.*|\(.*\))$/s ? $value : quote($value);
}

sub literals
{
	return join ', ', map { literal($_) } @_;
}

# A call for a table, with arguments by their places, and by their names.
sub call
{
	my ($function, $table, $arguments, %named) = @_;

	return "$function("
	  . join(', ',
		($table ? "NULL::$table" : ()),
		(map { literal($_) } @$arguments),
		map { "$_ => " . literal($named{$_}) } sort keys %named)
	  . ')';
}

sub get_or_create
{
	my ($table, @arguments) = @_;
	return 'SELECT created FROM ' . call('get_or_create', $table, \@arguments);
}

sub update_or_create
{
	my ($table, @arguments) = @_;
	return 'SELECT created FROM ' . call('update_or_create', $table, \@arguments);
}

sub get_many
{
	my ($table, $rows, @key) = @_;
	my $key = '{' . join(',', @key) . '}';
	return 'SELECT count(*) FROM ' . call('get_or_create_many', $table, [ $rows, $key ]);
}

sub update_many
{
	return get_many(@_) =~ s/get_or_create_many/update_or_create_many/r;
}

sub lock_keys
{
	my (%keys) = @_;
	return 'SELECT ' . call('lock_keys', undef, [ \%keys ]);
}

sub lock_rows
{
	my ($table, $ids, %named) = @_;
	my $array = 'ARRAY[' . literals(@$ids) . ']';
	return 'SELECT count(*) FROM ' . call('lock_rows', $table, [$array], %named);
}

sub transfer
{
	my ($table, $from, $to, %named) = @_;
	return 'SELECT replayed FROM '
	  . call('transfer', $table, [ $from, $to, 1 ], min_balance => '-Infinity', %named);
}

sub insert
{
	my ($table, @rows) = @_;
	my @columns = sort keys %{ $rows[0] };
	my @values = map { '(' . literals(@{$_}{@columns}) . ')' } @rows;
	return "INSERT INTO $table (" . join(', ', @columns) . ') VALUES ' . join(', ', @values);
}

# Some of the list, or all, in any order.
sub some
{
	my ($min, @list) = @_;
	my @shuffled = shuffle @list;
	return @shuffled[ 0 .. $min - 1 + int(rand(@list - $min + 1)) ];
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

# ---------------------------------------------------------------------------
# Calls.  Each is a list of statements, run as one transaction, and what matters
# for deadlocks:
#
#	kind		what it is, for people
#	may			the errors that it may end with
#	rows		how many of the rows that all calls share it locks
#	loose		it locks them in an order of its own
#	keys		the columns by which it locks their keys before them
#	excludes	it locks several rows FOR UPDATE
#	checks		it makes foreign key checks
#	rekeys		it changes a guarded key
#
# A family is a table with the calls that are drawn for it:
#
#	rows		the rows that all calls share
#	new			new rows, for each key
#	keys		the columns of keys
#	ids			id columns
#	primary		the columns that find a row
#	journals	for each id column
#	parent		a column that refers to the rows
#	bare		it has no primary key
#	partitions	it has partitions, "_1" among them
#	kinds		makers of calls
#	reset		makes its contents
#	points		what the holder locks

# The values that are a row's key.
sub key_of
{
	my ($columns, $row) = @_;
	return { map { ($_ => $row->{$_}) } @$columns };
}

# Rows to ask for by that key: some that all calls share, some new ones.
sub some_rows
{
	my ($family, $columns, $min) = @_;
	my $new = $family->{new}{"@$columns"} // [];
	my @rows = some($min, @{ $family->{rows} }, @$new);

	return splice @rows, 0, 5;
}

sub shared
{
	my ($family, @rows) = @_;
	my %shared = map { ($_ => 1) } @{ $family->{rows} };
	return grep { $shared{$_} } @rows;
}

# What a call sets, besides the key.
sub data_of
{
	my ($family, $columns, $row) = @_;
	my %data = (note => one_of('x', 'y', '#'));

	# What a new row needs.
	%data = (%data, %$row) unless shared($family, $row);
	delete @data{@$columns};
	$data{ $family->{parent} } = 1 + int(rand 4) if $family->{parent} && chance(0.7);
	return \%data;
}

sub single
{
	my ($family, $columns, $row, $function) = @_;
	$function //= one_of('get_or_create', 'update_or_create');
	my $updates = $function eq 'update_or_create';
	my $data = data_of($family, $columns, $row);
	my @arguments = ($family->{table}, key_of($columns, $row), $data);

	return {
		kind => $function,
		sql => [ $updates ? update_or_create(@arguments) : get_or_create(@arguments) ],
		rows => $updates,
		keys => $updates && $family->{partitions} ? "@$columns" : undef,
		checks => $family->{parent}
	};
}

sub many
{
	my ($family, $columns, @rows) = @_;
	my $updates = chance(0.5);
	my @objects =
	  map { { %{ key_of($columns, $_) }, %{ data_of($family, $columns, $_) } } } @rows;

	return {
		kind => $updates ? 'update_or_create_many' : 'get_or_create_many',
		sql => [
			$updates
			? update_many($family->{table}, \@objects, @$columns)
			: get_many($family->{table}, \@objects, @$columns)
		],
		rows => $updates ? scalar shared($family, @rows) : 0,
		keys => $updates ? "@$columns" : undef,
		loose => $family->{bare},
		checks => $family->{parent}
	};
}

# More new rows than a batch locks one by one, or a bit fewer.
sub large
{
	my ($family) = @_;
	my ($columns) = @{ $family->{keys} };
	my ($last, @others) = reverse @$columns;
	my %others = map { ($_ => 1) } @others;
	my @shared = map { { %{ key_of($columns, $_) }, note => '#' } } shuffle @{ $family->{rows} };
	my $value = $last eq 'name' ? "'large ' || i || '#'" : "(i || '#')::integer";
	my $to = one_of(1300, 1510);
	my $rows = '('
	  . literal(\@shared)
	  . "::jsonb || (SELECT jsonb_agg(jsonb_build_object('$last', $value) || "
	  . literal(\%others)
	  . ") FROM generate_series(1000, $to) AS i))";
	my $updates = chance(0.5);

	return {
		kind => 'large ' . ($updates ? 'update_or_create_many' : 'get_or_create_many'),
		sql => [
			$updates
			? update_many($family->{table}, $rows, @$columns)
			: get_many($family->{table}, $rows, @$columns)
		],
		rows => $updates ? scalar @shared : 0,
		keys => $updates ? "@$columns" : undef,
		loose => $family->{bare}
	};
}

sub rows_locked
{
	my ($family, $mode, $wait, @rows) = @_;
	my $id = one_of(@{ $family->{ids} });
	# Of a partition, too.
	my $partition = $family->{partitions} && chance(0.3) ? '_1' : '';

	return {
		kind => "lock_rows in mode $mode",
		sql => [
			lock_rows(
				$family->{table} . $partition,
				[ map { $_->{$id} } @rows ],
				mode => $mode,
				wait => $wait,
				id_column => $id)
		],
		rows => scalar @rows,
		excludes => $mode eq 'update' && @rows > 1,
		may => $wait eq 'nowait' ? ['55P03'] : []
	};
}

# By a column in which several rows have the same value: an error.  Updates lock
# no rows before that, and the others lock them in the order of all.
sub ambiguous
{
	my ($family) = @_;
	my $table = $family->{table};
	my ($one, $two) = shuffle(1, 2);
	my $ids = "ARRAY[$one, $two]";
	my @calls = (
		update_or_create($table, { same => $one }, { note => '#' }),
		update_or_create($table, { same => $one }),
		update_many($table, [ { same => 1, note => '#' }, { same => 2 } ], 'same'),
		lock_rows($table, [ $one, $two ], id_column => 'same'));

	push @calls,
	  transfer($table, $one, $two, id_column => 'same'),
	  'SELECT FROM ' . call('transfer_many', $table, [ $ids, "ARRAY[$two, $one]", 'ARRAY[1, 1]' ],
		id_column => 'same')
	  if $family->{journals};
	my $call = one_of(@calls);
	my $updates = $call =~ /update_or_create/;

	return {
		kind => 'key of several rows',
		sql => [$call],
		may => ['21000'],
		rows => $updates ? 0 : 4,
		loose => $family->{bare}
	};
}

# A statement that knows nothing of racefree.
sub plain_update
{
	my ($family) = @_;
	my $row = one_of(@{ $family->{rows} });
	my $where = join ' AND ', map { "$_ = " . literal($row->{$_}) } @{ $family->{primary} };

	return {
		kind => 'UPDATE',
		sql => ["UPDATE $family->{table} SET note = '#' WHERE $where"],
		rows => 1
	};
}

# Declare these keys and rows, and then make the calls.
sub declared
{
	my ($family, $columns, $keys, $rows, @calls) = @_;
	my $lock = @$rows
	  && rows_locked({ %$family, partitions => 0 }, one_of('no key update', 'update'), 'wait', @$rows);

	return {
		kind => join(' and ', (%$keys ? 'keys' : ()), ($lock ? 'rows' : ())) . ' declared',
		sql => [
			(%$keys ? lock_keys(%$keys) : ()),
			($lock ? @{ $lock->{sql} } : ()),
			map { @{ $_->{sql} } } @calls
		],
		may => [ map { @{ $_->{may} // [] } } @calls ],
		rows => scalar @{ $family->{rows} },
		loose => !$lock,
		keys => $keys->{ $family->{table} } ? "@$columns" : undef,
		excludes => $lock && $lock->{excludes},
		checks => scalar grep { $_->{checks} } @calls
	};
}

# Declare keys for calls by one key, or for any calls that the rows are declared
# for, too.
sub keys_declared
{
	my ($family) = @_;
	my $with_rows = chance(0.5) && !$family->{bare};
	my $columns = one_of(@{ $family->{keys} });
	my (@calls, @keys, @rows);

	for (1 .. 2 + rand 3)
	{
		my $by = $with_rows ? one_of(@{ $family->{keys} }) : $columns;
		my @some = some_rows($family, $by, 1);

		@some = $some[0] if chance(0.5);
		push @calls, @some == 1 ? single($family, $by, @some) : many($family, $by, @some);
		push @keys, map { key_of($by, $_) } @some;
		push @rows, shared($family, @some) if $with_rows;
	}
	return declared($family, $columns, { $family->{table} => [ shuffle @keys ] },
		[ uniq @rows ], @calls);
}

my %key_kinds = (
	ambiguous => \&ambiguous,
	declared => \&keys_declared,
	large => \&large,
	plain => \&plain_update,
	single => sub {
		my ($family) = @_;
		my $columns = one_of(@{ $family->{keys} });
		return single($family, $columns, (some_rows($family, $columns, 1))[0]);
	},
	many => sub {
		my ($family) = @_;
		my $columns = one_of(@{ $family->{keys} });
		my @rows = some_rows($family, $columns, 2);
		# One of them twice.
		return many($family, $columns, @rows, chance(0.2) ? $rows[0] : ());
	},
	lock_keys => sub {
		my ($family) = @_;
		my @keys;
		for my $columns (@{ $family->{keys} })
		{
			push @keys, map { key_of($columns, $_) } some_rows($family, $columns, 2);
		}
		return {
			kind => 'lock_keys',
			sql => [ lock_keys($family->{table} => [ shuffle @keys ]) ],
			rows => 0
		};
	},
	lock_rows => sub {
		my ($family) = @_;
		return rows_locked(
			$family,
			one_of('update', 'no key update', 'share', 'key share'),
			one_of('wait', 'wait', 'wait', 'nowait', 'skip locked'),
			some(2, @{ $family->{rows} }));
	});
# A plain INSERT of one row, where the names are unique.
my %insert_kind = (
	insert => sub {
		my ($family) = @_;
		my $row = one_of(map { @{ $family->{new}{$_} } } sort keys %{ $family->{new} });
		return {
			kind => 'INSERT',
			sql => [ insert($family->{table}, $row) . one_of('', ' ON CONFLICT DO NOTHING') ],
			may => ['23505']
		};
	});

# Batches are worth more.
$key_kinds{more} = $key_kinds{many};

# ---------------------------------------------------------------------------
# Rows with keys

sub rows_of
{
	my ($columns, @rows) = @_;
	my @columns = split / /, $columns;
	return [ map { my %row; @row{@columns} = @$_; \%row } @rows ];
}

my $named = rows_of('id name', [ 1, 'd' ], [ 2, 'c' ], [ 3, 'b' ], [ 4, 'a' ]);
my $placed = rows_of('id name zone', [ 1, 'd', 1 ], [ 2, 'c', 0 ], [ 3, 'b', 1 ], [ 4, 'a', 0 ]);
my $new_names = rows_of('name', map { ["$_#"] } 'a' .. 'd');
my $new_ids = rows_of('id name', map { [ "$_#", "id $_#" ] } 91 .. 94);
my $new_tags = rows_of('name tag', [ 'a#', undef ], [ undef, 'b#' ], [ 'c#', 'c' ]);

my @key_families = (
	{
		table => 'item',
		kinds => \%insert_kind,
		ids => [ 'id', 'name' ],
		keys => [ ['id'], ['name'] ],
		primary => ['id'],
		rows => $named,
		new => { id => $new_ids, name => $new_names }
	},
	{
		table => 'item_two',
		kinds => \%insert_kind,
		ids => [ 'b', 'name' ],
		keys => [ [ 'a', 'b' ], ['name'] ],
		primary => [ 'b', 'a' ],
		rows => rows_of('a b name', [ 1, 4, 'd' ], [ 2, 3, 'c' ], [ 3, 1, 'b' ], [ 4, 2, 'a' ]),
		new => {
			'a b' => rows_of('a b name', map { [ 1, "$_#", "id $_#" ] } 91 .. 94),
			name => $new_names
		}
	},
	{
		table => 'item_null',
		ids => ['id'],
		keys => [ ['id'], [ 'name', 'tag' ] ],
		primary => ['id'],
		rows => rows_of('id name tag',
			[ 1, undef, 'z' ], [ 2, 'c', undef ], [ 3, undef, 'y' ], [ 4, 'a', 'x' ]),
		new => { id => $new_ids, 'name tag' => $new_tags }
	},
	{
		table => 'item_bare',
		bare => 1,
		ids => ['id'],
		keys => [ [ 'name', 'tag' ] ],
		primary => ['id'],
		rows => rows_of('id name tag',
			[ 1, 'd', undef ], [ 2, 'c', 'x' ], [ 3, undef, 'b' ], [ 4, 'a', 'w' ]),
		new => { 'name tag' => $new_tags }
	},
	{
		table => 'item_part',
		partitions => 1,
		ids => [ 'id', 'name' ],
		keys => [ ['name'], [ 'zone', 'id' ] ],
		primary => [ 'zone', 'id' ],
		rows => $placed,
		new => {
			name => $new_names,
			'zone id' => rows_of('id name zone', map { [ "$_#", "id $_#", $_ % 2 ] } 91 .. 94)
		}
	},
	{
		table => 'item_money',
		ids => ['id'],
		keys => [ ['id'], ['name'] ],
		primary => ['id'],
		rows => rows_of('id name', [ 1, 40 ], [ 2, 30 ], [ 3, 20 ], [ 4, 10 ]),
		new => {
			id => rows_of('id name', map { [ "$_#", "$_#" ] } 91 .. 94),
			name => rows_of('name', map { ["$_#"] } 51 .. 54)
		}
	},
	{
		table => 'item_tree',
		kinds => \%insert_kind,
		parent => 'parent',
		ids => [ 'id', 'name' ],
		keys => [ ['id'], ['name'] ],
		primary => ['id'],
		rows => $named,
		new => { id => $new_ids, name => $new_names }
	},
	{
		table => 'item_guard',
		partitions => 1,
		ids => ['id'],
		keys => [ ['name'] ],
		primary => ['id'],
		rows => $placed,
		new => { name => $new_names },
		kinds => {
			insert => sub {
				my $name = one_of('a' .. 'd') . one_of('', '#', '#');
				return {
					kind => 'INSERT under key_guard',
					sql => [ insert('item_guard', { name => $name }) ],
					may => ['23505']
				};
			},
			insert_many => sub {
				my @rows = some(2, @$new_names);
				return {
					kind => 'INSERT under key_guard, keys declared',
					sql => [ lock_keys(item_guard => \@rows), insert('item_guard', shuffle @rows) ],
					may => ['23505']
				};
			},
			other_key => sub {
				my ($id, $name) = (one_of(91 .. 94) . '#', one_of('a' .. 'd') . '#');
				return {
					kind => 'get_or_create by another key under key_guard',
					sql => [ get_or_create('item_guard', { zone => 1, id => $id }, { name => $name }) ],
					may => ['23505']
				};
			},
			rekey => sub {
				my $name = one_of('a' .. 'd') . '#';
				my $id = one_of(1 .. 4);
				return {
					kind => 'UPDATE under key_guard',
					sql => ["UPDATE item_guard SET name = '$name' WHERE id = $id"],
					may => ['23505'],
					rows => 1,
					rekeys => 1
				};
			}
		}
	});

# What the holder may lock of a table, and statements that fill the table.
sub furnish
{
	my ($family, $tables, %more) = @_;
	my $table = $family->{table};
	my $id = $family->{ids}[0];
	my $same = 0;

	$family->{reset} = 'TRUNCATE ' . join(', ', $table, @$tables) . " RESTART IDENTITY;\n"
	  . insert($table, map { { %$_, same => 1 + $same++ % 2, %more } } @{ $family->{rows} }) . ";\n";
	$family->{points} = [
		map { "SELECT FROM $table WHERE $id = $_->{$id} FOR " . one_of('UPDATE', 'NO KEY UPDATE') }
		  @{ $family->{rows} }
	];
	for my $columns (@{ $family->{keys} })
	{
		push @{ $family->{points} }, map { lock_keys($table => [ key_of($columns, $_) ]) }
		  @{ $family->{rows} }, @{ $family->{new}{"@$columns"} // [] };
	}
}

for my $family (@key_families)
{
	$family->{kinds} = { %key_kinds, %{ $family->{kinds} // {} } };
	furnish($family, []);
	$family->{reset} =~ s/ RESTART IDENTITY//;
}

# ---------------------------------------------------------------------------
# Accounts

# Requests that others ask for, too.
sub some_requests
{
	return map { one_of('a' .. 'd') . '#' } 1 .. 3;
}

# The id column of a transfer, with the journal for it.
sub ledger
{
	my ($family) = @_;
	my $id = one_of(sort keys %{ $family->{journals} });
	return ($id, $family->{journals}{$id});
}

sub any_transfer
{
	my ($family, @requests) = @_;
	my ($id, $journal) = ledger($family);
	my ($from, $to) = map { $_->{$id} } some(2, @{ $family->{rows} });
	my %named = (id_column => $id);

	$named{journal} = $journal if @requests || chance(0.5);
	$named{request_id} = one_of(@requests) if @requests;
	$named{max_balance} = 10**15 if chance(0.2);
	$named{up_to} = 'true' if chance(0.2);
	return {
		kind => 'transfer',
		sql => [ transfer($family->{table}, $from, $to, %named) ],
		may => ['RF003'],
		rows => 2
	};
}

sub any_reversal
{
	my ($family, $entries, @requests) = @_;
	my ($id, $journal) = ledger($family);
	my @arguments = ($journal, one_of(@$entries), 1);
	my %named = (min_balance => '-Infinity', id_column => $id);

	$named{request_id} = one_of(@requests) if @requests;
	return {
		kind => 'reverse_transfer',
		sql => [
			'SELECT replayed FROM ' . call('reverse_transfer', $family->{table}, \@arguments, %named)
		],
		may => ['RF003'],
		rows => 2
	};
}

sub any_transfers
{
	my ($family, @requests) = @_;
	my ($id, $journal) = ledger($family);
	my $n = 1 + int(rand 4);
	my @pairs = map { [ some(2, @{ $family->{rows} }) ] } 1 .. $n;
	my @arguments = (
		(map { my $side = $_; 'ARRAY[' . literals(map { $_->[$side]{$id} } @pairs) . ']' } 0, 1),
		"array_fill(1.0, '{$n}')");
	my %named = (on_error => one_of('raise', 'report'), min_balance => '-Infinity', id_column => $id);

	push @arguments,
	  'ARRAY[' . literals(map { chance(0.8) ? one_of(@requests) : undef } @pairs) . ']::text[]'
	  if @requests;
	$named{journal} = $journal if @requests || chance(0.5);
	return {
		kind => 'transfer_many',
		sql => [ 'SELECT count(*) FROM ' . call('transfer_many', $family->{table}, \@arguments, %named) ],
		may => ['RF003'],
		rows => min(4, 2 * $n)
	};
}

# More requests than a batch locks one by one.
sub large_transfers
{
	my ($family) = @_;
	my $id = $family->{ids}[0];
	my ($from, $to) =
	  map { "(SELECT array_agg($_ + i % 2) FROM generate_series(1, 510) AS i)" } 1, 3;
	my $requests = '('
	  . 'ARRAY[' . literals(some_requests()) . ']'
	  . " || (SELECT array_agg('large ' || i || '#') FROM generate_series(4, 510) AS i))";
	my @arguments = ($from, $to, "array_fill(1.0, '{510}')", $requests);
	my %named = (
		on_error => 'report',
		min_balance => '-Infinity',
		id_column => $id,
		journal => $family->{journals}{$id});

	return {
		kind => 'large transfer_many',
		sql => [ 'SELECT count(*) FROM ' . call('transfer_many', $family->{table}, \@arguments, %named) ],
		rows => 4
	};
}

# Declare all rows, and the keys of all calls that lock any.
sub accounts_declared
{
	my ($family, $with_keys) = @_;
	my @requests = some_requests();
	my $entries = [ some(2, 1 .. 4) ];
	my (@calls, @keys, %keys);

	for (1 .. 2 + rand 3)
	{
		my $columns = one_of(@{ $family->{keys} });
		my @rows = some_rows($family, $columns, 1);
		my $row = one_of(@{ $family->{rows} });
		my @makers = (
			sub { any_transfer($family) },
			sub { any_transfers($family) },
			sub { plain_update($family) },
			sub {
				rows_locked({ %$family, partitions => 0 },
					one_of('no key update', 'share'), 'wait', @{ $family->{rows} });
			});

		push @makers, sub {
			push @keys, key_of($columns, $row);
			single($family, $columns, $row, 'update_or_create');
		  }
		  # Where there are partitions, it locks its key.
		  if $with_keys || !$family->{partitions};
		push @makers,
		  sub { any_transfer($family, @requests) },
		  sub { any_transfers($family, @requests) },
		  sub { any_reversal($family, $entries, chance(0.5) ? @requests : ()) },
		  sub {
			push @keys, map { key_of($columns, $_) } @rows;
			many($family, $columns, @rows);
		  }
		  if $with_keys;
		push @calls, one_of(@makers)->();
	}
	if ($with_keys)
	{
		$keys{ $family->{table} } = \@keys if @keys;
		$keys{$_} =
		  [ shuffle((map { { request_id => $_ } } @requests), map { { id => $_ } } @$entries) ]
		  for sort values %{ $family->{journals} };
	}
	return declared($family, $family->{keys}[0], \%keys, [ shuffle @{ $family->{rows} } ], @calls);
}

my %account_kinds = (
	%key_kinds,
	declared => sub { accounts_declared($_[0], 0) },
	keys_declared => sub { accounts_declared($_[0], 1) },
	transfer => sub { any_transfer($_[0]) },
	request => sub { any_transfer($_[0], some_requests()) },
	reversal => sub { any_reversal($_[0], [ 1 .. 4 ], chance(0.5) ? some_requests() : ()) },
	transfers => sub { any_transfers($_[0]) },
	requests => sub { any_transfers($_[0], some_requests()) },
	large => \&large_transfers);
delete @account_kinds{qw(lock_keys more)};

my $accounts = rows_of('id iban', map { [ $_, 'DE' . (5 - $_) ] } 1 .. 4);
my $new_accounts = rows_of('id iban', map { [ "$_#", "new $_#" ] } 91 .. 94);

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
					sql => [ insert('payment', { payer => $payer, payee => $payee }) ],
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
					sql => [ get_many('payment', \@rows, 'name') ],
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
		rows => rows_of('branch number iban',
			[ 2, 1, 'DE4' ], [ 1, 2, 'DE3' ], [ 2, 3, 'DE2' ], [ 1, 4, 'DE1' ]),
		new => {
			'branch number' =>
			  rows_of('branch number iban', map { [ 1, "$_#", "new $_#" ] } 91 .. 94)
		},
		journals => { number => 'account_two_number', iban => 'account_two_iban' }
	},
	{
		table => 'account_part',
		partitions => 1,
		ids => [ 'id', 'iban' ],
		keys => [ ['id'], ['iban'], [ 'zone', 'id' ] ],
		primary => [ 'zone', 'id' ],
		rows => rows_of('id iban zone',
			[ 1, 'DE4', 1 ], [ 2, 'DE3', 0 ], [ 3, 'DE2', 1 ], [ 4, 'DE1', 0 ]),
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
	my @journals = sort values %{ $family->{journals} };

	$family->{kinds} = { %account_kinds, %{ $family->{kinds} // {} } };
	furnish($family, [ @journals, $table eq 'account' ? 'payment' : () ], balance => 1_000_000_000);
	for my $id (sort keys %{ $family->{journals} })
	{
		my $journal = $family->{journals}{$id};
		my @ids = map { $_->{$id} } @{ $family->{rows} };

		# The entries that are reversed.
		for my $i (0 .. 3)
		{
			my $call = call('transfer', $table, [ $ids[$i], $ids[ ($i + 1) % 4 ], 1_000_000 ],
				id_column => $id, journal => $journal);
			$family->{reset} .= "DO \$\$ BEGIN PERFORM $call; END \$\$;\n";
		}
		push @{ $family->{points} }, map { lock_keys($journal => [$_]) }
		  (map { { request_id => "$_#" } } 'a' .. 'd'), { id => 1 }, { id => 2 };
	}
}

# ---------------------------------------------------------------------------
# What the documentation names

my %named = (
	rows_first => 'rows before keys, or keys that were not declared',
	weaker_mode => 'rows declared in a weaker mode than is needed later',
	rows_not_declared => 'keys declared, but not the rows that are found by other columns, too',
	several_calls => 'several calls, or several declarations of rows, in one transaction',
	no_primary_key => 'a table without a primary key',
	inheritance => 'an inheritance child with another primary key than its parent',
	unique_data => 'unique values besides the key',
	other_key => 'new rows that are the same by different keys',
	guard_rows => 'statements and batches of several rows under a key_guard',
	guard_update => 'an UPDATE of a guarded key',
	two_guards => 'two key_guards on one table, or one on a column without a hash',
	foreign_keys => 'foreign key checks',
	foreign_tables => 'foreign tables',
	triggers => 'what triggers lock',
	new_rows => 'rows that appear, or are replaced, while a call waits for others',
	others => 'statements of others that lock several rows or tables, or change ids');

my $manual = slurp_file('doc/guarantees.md') =~ s/\s+/ /gr;
like($manual, qr/ - \Q$_\E/, "doc/guarantees.md names: $_") for sort values %named;

# The name of two calls that may deadlock, or nothing.
sub name_of
{
	my ($family, $one, $two) = @_;

	# Each of them runs in several sessions.
	for ([ $one, $two ], [ $two, $one ], [ $one, $one ], [ $two, $two ])
	{
		my ($a, $b) = @$_;
		my $both_keyed = defined $a->{keys} && defined $b->{keys};

		return 'foreign_keys' if $a->{checks} && $b->{excludes};
		return 'guard_update' if $a->{rekeys} && $b->{rows} && defined $b->{keys};
		next unless $a->{loose} && $a->{rows} > 1 && $b->{rows} && $b->{rows} > 1;
		if ($family->{bare})
		{
			return 'no_primary_key' unless $both_keyed;
		}
		else
		{
			return 'rows_not_declared' unless $both_keyed && $a->{keys} eq $b->{keys};
		}
	}
	return undef;
}

my %by_table = map { ($_->{table} => $_) } @key_families, @account_families;
my ($item, $account) = @by_table{ 'item', 'account' };
my $both_accounts = {
	table => 'account and account_slow',
	reset => $account->{reset} . $by_table{account_slow}{reset},
	points => $account->{points}
};
my $referenced = {
	table => 'journal_ref',
	reset => $account->{reset} . 'TRUNCATE journal_ref',
	points => $account->{points}
};
my $noted = {
	table => 'noted',
	reset => $account->{reset} . 'TRUNCATE noted',
	points => $account->{points}
};
my $guarded = {
	table => 'guarded',
	reset => 'TRUNCATE guarded',
	points => [ map { lock_keys(guarded => [$_]) } { name => 'a#' }, { code => 'a#' } ]
};
my $guarded_money = {
	table => 'guarded_money',
	reset => 'TRUNCATE guarded_money',
	points => [ map { lock_keys(guarded_money => [ { id => $_ } ]) } '91#', '92#' ]
};
my $inherited = {
	table => 'parent and child',
	reset => 'TRUNCATE parent; '
	  . insert('child', map { { id => $_, code => 5 - $_ } } 1 .. 4),
	points => [ map { "SELECT FROM child WHERE id = $_ FOR UPDATE" } 1 .. 4 ]
};
my $foreign = {
	table => 'elsewhere',
	reset => 'TRUNCATE here; '
	  . insert('here', map { { id => 5 - $_, balance => 100 } } 1 .. 4),
	points => [ map { "SELECT FROM here WHERE id = $_ FOR UPDATE" } 1 .. 4 ]
};

# Long batches, each row or transfer of which has a unique value besides.
my @values = map { "$_ #" } 11 .. 40;
my @items = map { { id => "1$_#", name => $values[ $_ - 11 ] } } 11 .. 40;
my @other_items = map { { id => "2$_#", name => $values[ 40 - $_ ] } } 11 .. 40;

sub referenced_transfers
{
	my ($from, $to, @values) = @_;
	my $n = @values;
	my @arguments = map { "array_fill($_, '{$n}')" } $from, $to, '1.0';

	return 'SELECT count(*) FROM ' . call('transfer_many', 'account', \@arguments,
		journal => 'journal_ref', details => [ map { { ref => $_ } } @values ]);
}

# The name, the family, both lists of statements, and the errors that they may
# end with.
my @may_deadlock = (
	[
		'rows_first', $account,
		[ lock_rows('account', [ 1, 2 ]), lock_keys(account => [ { id => 1 }, { id => 2 } ]) ],
		[ lock_keys(account => [ { id => 1 }, { id => 2 } ]), lock_rows('account', [ 1, 2 ]) ]
	],
	[
		'rows_first', $account,
		[
			lock_rows('account', [ 1, 2 ]),
			update_many('account', [ { id => 2, note => 'x' }, { id => 1 } ], 'id')
		],
		[ update_many('account', [ { id => 2, note => 'x' }, { id => 1 } ], 'id') ]
	],
	# A request is a key of the journal.
	[
		'rows_first', $account,
		[
			lock_rows('account', [ 1, 2 ]),
			transfer('account', 1, 2, journal => 'account_id', request_id => 'a#')
		],
		[ transfer('account', 1, 2, journal => 'account_id', request_id => 'a#') ]
	],
	# Where there are partitions, single calls lock their keys first, too.
	[
		'rows_first',
		$by_table{account_part},
		[
			lock_rows('account_part', [ 1, 2 ], id_column => 'id'),
			update_or_create('account_part', { id => 1 }, { note => 'x' })
		],
		[ update_or_create('account_part', { id => 1 }, { note => 'x' }) ]
	],
	# Both share the rows, and then want them for themselves.
	[
		'weaker_mode', $account,
		[ lock_rows('account', [ 1, 2 ], mode => 'share'), transfer('account', 1, 2) ],
		[ lock_rows('account', [ 1, 2 ], mode => 'share'), transfer('account', 2, 1) ]
	],
	# A unique value is changed under the mode "update".
	[
		'weaker_mode', $item,
		[ lock_rows('item', [1]), update_or_create('item', { id => 1 }, { name => 'x #' }) ],
		[ lock_rows('item', [1], mode => 'key share'), lock_rows('item', [1]) ]
	],
	[
		'rows_not_declared', $item,
		[
			lock_keys(item => [ { name => 'a' }, { name => 'd' } ]),
			update_or_create('item', { name => 'a' }, { note => 'x' }),
			update_or_create('item', { name => 'd' }, { note => 'x' })
		],
		[
			lock_keys(item => [ { id => 1 }, { id => 4 } ]),
			update_or_create('item', { id => 1 }, { note => 'y' }),
			update_or_create('item', { id => 4 }, { note => 'y' })
		]
	],
	[
		'rows_not_declared', $item,
		[
			lock_keys(item => [ { name => 'a' }, { name => 'd' } ]),
			update_or_create('item', { name => 'a' }, { note => 'x' }),
			update_or_create('item', { name => 'd' }, { note => 'x' })
		],
		[ lock_rows('item', [ 1, 4 ]) ]
	],
	[
		'several_calls', $account,
		[ transfer('account', 1, 2), transfer('account', 3, 4) ],
		[ transfer('account', 3, 4), transfer('account', 1, 2) ]
	],
	[
		'several_calls', $item,
		[ get_or_create('item', { name => 'a#' }), get_or_create('item', { name => 'b#' }) ],
		[ get_or_create('item', { name => 'b#' }), get_or_create('item', { name => 'a#' }) ]
	],
	[
		'several_calls', $both_accounts,
		[ lock_rows('account', [ 1, 2 ]), lock_rows('account_slow', [ 1, 2 ]) ],
		[ lock_rows('account_slow', [ 1, 2 ]), lock_rows('account', [ 1, 2 ]) ]
	],
	[
		'no_primary_key',
		$by_table{item_bare},
		[
			update_many('item_bare',
				[ map { { name => $_->{name}, tag => $_->{tag} } } @{ $by_table{item_bare}{rows} } ],
				'name', 'tag')
		],
		[ lock_rows('item_bare', [ 1 .. 4 ], id_column => 'id') ]
	],
	[
		'no_primary_key',
		$by_table{account_bare},
		[ transfer('account_bare', 1, 2, id_column => 'id') ],
		[ transfer('account_bare', 'DE3', 'DE4', id_column => 'iban') ]
	],
	[
		'inheritance', $inherited,
		[ update_many('parent', [ { id => 1, note => 'x' }, { id => 4, note => 'x' } ], 'id') ],
		[ lock_rows('child', [ 1, 4 ]) ]
	],
	[
		'unique_data', $item,
		[ get_many('item', \@items, 'id') ],
		[ get_many('item', \@other_items, 'id') ],
		'23505'
	],
	# Single calls, too, that want each other's value.
	[
		'unique_data', $item,
		[ update_or_create('item', { id => 1 }, { name => 'c' }) ],
		[ update_or_create('item', { id => 2 }, { name => 'd' }) ],
		'23505'
	],
	[
		'unique_data', $referenced,
		[ referenced_transfers(1, 2, @values) ],
		[ referenced_transfers(3, 4, reverse @values) ],
		'23505'
	],
	[
		'other_key', $item,
		[ get_many('item', \@items, 'id') ],
		[ get_many('item', [ reverse @items ], 'name') ],
		'23505'
	],
	[
		'guard_rows',
		$by_table{item_guard},
		[ insert('item_guard', { name => 'a#' }, { name => 'b#' }) ],
		[ insert('item_guard', { name => 'b#' }, { name => 'a#' }) ],
		'23505'
	],
	[
		'guard_rows',
		$by_table{item_guard},
		[ insert('item_guard', { name => 'b#' }, { name => 'a#' }) ],
		[
			get_many('item_guard',
				[ { id => '91#', zone => 1, name => 'a#' }, { id => '92#', zone => 1, name => 'b#' } ],
				'zone', 'id')
		],
		'23505'
	],
	[
		'guard_update',
		$by_table{item_guard},
		["UPDATE item_guard SET name = 'a#' WHERE id = 1"],
		[ update_many('item_guard', [ { name => 'd', note => 'x' }, { name => 'a#' } ], 'name') ],
		'23505'
	],
	[
		'two_guards', $guarded,
		[ get_or_create('guarded', { name => 'a#' }, { code => 'a#' }) ],
		[ get_or_create('guarded', { code => 'a#' }, { name => 'a#' }) ],
		'23505'
	],
	# To lock a key without a hash is to lock them all.
	[
		'two_guards', $guarded_money,
		[ get_or_create('guarded_money', { id => '91#' }, { price => '1#' }) ],
		[ get_or_create('guarded_money', { id => '92#' }, { price => '2#' }) ]
	],
	[
		'foreign_keys', $account,
		[ lock_rows('account', [ 1, 2 ], mode => 'update') ],
		[ insert('payment', { payer => 2, payee => 1 }) ]
	],
	[
		'foreign_keys',
		$by_table{item_tree},
		[
			update_many('item_tree',
				q[(SELECT jsonb_agg(jsonb_build_object('id', i, 'name', random()))
				   FROM generate_series(1, 4) AS i)], 'id')
		],
		[ insert('item_tree', map { { parent => $_ } } reverse 1 .. 4) ]
	],
	# Single calls, too, that change each other's parent.
	[
		'foreign_keys',
		$by_table{item_tree},
		[
			update_or_create('item_tree', { id => 1 },
				q[(jsonb_build_object('name', random(), 'parent', floor(2 + random() * 2)))])
		],
		[
			update_or_create('item_tree', { id => 2 },
				q[(jsonb_build_object('name', random(), 'parent', floor(random() * 2) * 2 + 1))])
		]
	],
	[
		'foreign_tables', $foreign,
		[ lock_rows('elsewhere', [ 1 .. 4 ], id_column => 'id') ],
		[ transfer('elsewhere', 1, 4, id_column => 'id') ],
		'40001'
	],
	[
		'triggers', $noted,
		[ get_many('noted', [ { name => 'a#', account => 1 }, { name => 'b#', account => 2 } ], 'name') ],
		[ get_many('noted', [ { name => 'c#', account => 2 }, { name => 'd#', account => 1 } ], 'name') ]
	],
	[
		'new_rows', $item,
		[ 'DELETE FROM item WHERE id = 2', insert('item', { id => 2, name => 'c' }) ],
		[
			'SELECT CASE WHEN random() < 0.5 THEN ('
			  . lock_rows('item', [ 2, 3 ])
			  . ') ELSE ('
			  . update_many('item', [ { id => 2, name => 'c' }, { id => 3, note => 'x' } ], 'id')
			  . ') END'
		],
		'23505', '40001'
	],
	# An account appears that one of them looked for before.
	[
		'new_rows', $account,
		[ get_or_create('account', { id => '-9#' }, { iban => '#', balance => 1000 }) ],
		[
			'SELECT CASE WHEN random() < 0.5 THEN ('
			  . transfer('account', '-9#', 3)
			  . ') ELSE (SELECT bool_and(true) FROM '
			  . call('transfer_many', 'account', [ 'ARRAY[-9#]', 'ARRAY[3]', 'ARRAY[1]' ],
				on_error => 'report')
			  . ') END'
		],
		'RF002'
	],
	[
		'others', $item,
		['SELECT FROM item WHERE id <= 4 ORDER BY id DESC FOR UPDATE'],
		[ lock_rows('item', [ 1 .. 4 ]) ]
	],
	[
		'others', $item,
		[ insert('item', map { { name => $_ } } reverse @values) ],
		[ get_many('item', [ map { { name => $_ } } @values ], 'name') ],
		'23505'
	],
	# Calls for a partition lock its root when they create a row.
	[
		'others',
		$by_table{item_part},
		['TRUNCATE item_part'],
		[ get_or_create('item_part_0', { name => 'a#' }, { zone => 0 }) ]
	],
	[
		'others', $item,
		['UPDATE item SET id = 6 - id WHERE id IN (1, 5)'],
		[ lock_rows('item', [ 1 .. 5 ]) ]
	]);

# ---------------------------------------------------------------------------
# The races

my @functions = qw(get_or_create update_or_create get_or_create_many update_or_create_many
  lock_keys lock_rows transfer reverse_transfer transfer_many INSERT UPDATE);
my (%waits, %deadlocks);

sub describe
{
	my ($one, $two) = @_;
	my $text = '';

	for my $given ([ one => $one ], [ two => $two ])
	{
		my ($side, $call) = @$given;
		$text .= "--- $side, $call->{kind}:\n" . join('', map { "$_;\n" } @{ $call->{sql} });
	}
	return $text;
}

# Run a pair that may deadlock if it has a name, and return what it did that it
# may not, and how often it deadlocked.
sub run_pair
{
	my ($family, $one, $two, $name, $isolation) = @_;
	my %may = map { ($_ => 1) } 'ok', map { @{ $_->{may} // [] } } $one, $two;
	my ($result, $wrong, $deadlocks);

	$may{40001} = 1 if $isolation ne 'read committed';
	$may{'40P01'} = 1 if defined $name;
	run_sessions($family->{reset} . ';');
	logged_waits();
	$result = race($family, $one, $two, $isolation);
	for my $call ($one, $two)
	{
		my $text = join ' ', @{ $call->{sql} };
		$waits{$_} += $result->{waits} for grep { $text =~ /\b$_\b/ } @functions;
	}
	$deadlocks = $result->{counts}{'40P01'} // 0;
	push @{ $deadlocks{$name} }, $deadlocks if defined $name;
	$wrong = join '', map { "--- $result->{counts}{$_} times $_, $result->{errors}{$_}\n" }
	  grep { !$may{$_} } sort keys %{ $result->{counts} };
	return ($wrong, $deadlocks);
}

# Each kind of call for each table in its turn, against any other kind.
my @draws;
for my $family (@key_families, @account_families)
{
	push @draws, map { [ $family, $_ ] } sort keys %{ $family->{kinds} };
}
@draws = shuffle @draws;

for my $i (1 .. $npairs)
{
	my ($family, $kind) = @{ $draws[ $i % @draws ] };
	my $other = one_of(sort keys %{ $family->{kinds} });
	my ($one, $two) = map { $family->{kinds}{$_}->($family) } $kind, $other;
	my $isolation = chance(0.2) ? 'repeatable read' : 'read committed';
	my $name = name_of($family, $one, $two);
	my $text = describe($one, $two);

	next if $only && $text !~ /$only/;
	my ($wrong) = run_pair($family, $one, $two, $name, $isolation);
	ok($wrong eq '', "$family->{table}: $one->{kind}, and $two->{kind}")
	  or diag "RACEFREE_ORDER_SEED=$seed, pair $i, $isolation\n$text$wrong";
}

for my $pair (@may_deadlock)
{
	my ($name, $family, $first, $second, @may) = @$pair;
	my $one = { kind => 'may deadlock', sql => $first, may => \@may };
	my $two = { kind => 'may deadlock', sql => $second };
	my $text = describe($one, $two);

	next if $only && $text !~ /$only/;
	my ($wrong, $deadlocks) = run_pair($family, $one, $two, $name, 'read committed');
	ok($wrong eq '', "$family->{table}: $named{$name}") or diag "$text$wrong";
	note substr($text, 0, 1000), "$deadlocks deadlocks";
}

for my $name (sort keys %named)
{
	my @seen = @{ $deadlocks{$name} // [] };
	note sprintf 'may deadlock: %s: %d pairs, %d of them did, %d times', $named{$name},
	  scalar @seen, scalar(grep { $_ } @seen), sum0 @seen;
}

# The races were such.
unless ($only)
{
	cmp_ok($waits{$_} // 0, '>', 0, "calls of $_ waited, or others for them") for @functions;
	note join ', ', map { "$_: $waits{$_} waits" } grep { $waits{$_} } @functions;
}

$_->{in} .= "\\q\n" for @sessions;
$_->{run}->finish for @sessions;
$node->stop;

done_testing();
