# Copyright (c) 2026, the racefree developers

# What the calls of a case work on, all in schema f: a table for the upserts,
# accounts, a journal, helper functions, and f.state(), which says what the
# session holds and whether anything is wrong.

package Fuzz::World;

use strict;
use warnings;
use Fuzz::Random;
use Fuzz::Types;

# Once for the server.  What the server's packages lack is left out.
our @server = (
	'CREATE EXTENSION IF NOT EXISTS racefree SCHEMA public',
	'CREATE EXTENSION IF NOT EXISTS citext SCHEMA public',
	"CREATE COLLATION public.icu_is_there (provider = icu, locale = 'und')",
	'DROP COLLATION public.icu_is_there',
	'CREATE ROLE fuzz_reader', 'CREATE ROLE fuzz_writer',
	'CREATE ROLE fuzz_columns', 'CREATE ROLE fuzz_tenant');
our ($has_citext, $has_icu);

# ---------------------------------------------------------------------------
# The world of one case

sub generate
{
	my %options = @_;
	my $world = {
		setup => [],
		problems => [],    # [ SQL condition, what it means ]
		tables => ['f.side'],    # whose rows f.state() sums up
		made => {},
		sessions => pick(1, 1 .. $options{clients}),
	};

	push @{ $world->{setup} },
	  'CREATE TABLE f.side (k integer, d text)',
	  helpers();
	$world->{table} = table($world);
	$world->{accounts} = accounts($world) if chance(0.7);
	$world->{journal} = journal($world, $world->{accounts})
	  if $world->{accounts} && chance(0.85);
	push @{ $world->{setup} },
	  'GRANT SELECT ON ALL TABLES IN SCHEMA f TO fuzz_reader',
	  'GRANT ALL ON f.side TO PUBLIC',
	  'GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA f TO fuzz_writer, fuzz_tenant',
	  'GRANT USAGE ON ALL SEQUENCES IN SCHEMA f TO PUBLIC';
	return $world;
}

sub setup
{
	my ($world, @statements) = @_;
	for my $statement (@statements)
	{
		push @{ $world->{setup} }, $statement
		  unless $statement =~ /^CREATE (TYPE|DOMAIN|COLLATION)/
		  && $world->{made}{$statement}++;
	}
	return;
}

sub available
{
	my ($type) = @_;
	return 0 if $type eq 'citext' && !$has_citext;
	return 0 if $type =~ /nocase/ && !$has_icu;
	return 1;
}

sub make_type
{
	my ($world, $type) = @_;
	setup($world, @{ $Fuzz::Types::types{$type}{make} || [] });
	return Fuzz::Types::sql_name($type);
}

# ---------------------------------------------------------------------------
# Helper functions

sub helpers
{
	return (
		# A query in an exception block: its lines, or the error as a line.
		'CREATE FUNCTION f.try(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE query LOOP
		RETURN NEXT line;
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	RETURN NEXT format(\'error %s %s\', SQLSTATE, SQLERRM);
END $$',
		# The same with a cursor, and a block for each row.
		'CREATE FUNCTION f.fetch(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	cursor refcursor;
	line text;
BEGIN
	OPEN cursor FOR EXECUTE query;
	LOOP
		BEGIN
			FETCH cursor INTO line;
			EXIT WHEN NOT FOUND;
			RETURN NEXT line;
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT format(\'error %s %s\', SQLSTATE, SQLERRM);
			EXIT;
		END;
	END LOOP;
END $$',
		# How many bytes the session keeps of each call.
		'CREATE FUNCTION f.memory(query text, calls integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	used bigint[];
	line text;
BEGIN
	FOR round IN 1..4 LOOP
		FOR i IN 1..calls LOOP
			BEGIN
				FOR line IN EXECUTE query LOOP
				END LOOP;
			EXCEPTION WHEN OTHERS THEN
			END;
		END LOOP;
		used[round] := (SELECT sum(used_bytes) FROM pg_backend_memory_contexts);
	END LOOP;
	RETURN least(used[2] - used[1], used[3] - used[2], used[4] - used[3]) / calls;
END $$',
		# For domains and defaults: calls racefree, or raises.
		'CREATE FUNCTION f.check_value(value integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF value = 13 THEN
		RAISE SQLSTATE \'FZ001\' USING MESSAGE = \'the check raises\';
	ELSIF value IS NULL OR value % 2 = 0 THEN
		PERFORM public.get_or_create_many(NULL::f.side,
			jsonb_build_array(jsonb_build_object(\'k\', value, \'d\', \'x\'), \'{"k": 0}\'::jsonb), \'{k}\');
	ELSIF value % 3 = 0 THEN
		BEGIN
			PERFORM public.update_or_create_many(NULL::f.side, \'[{"k": 1}, {"k": "x"}]\', \'{k}\');
		EXCEPTION WHEN invalid_text_representation THEN
		END;
	END IF;
	RETURN value <> 12;
END $$',
		'CREATE FUNCTION f.make_default() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	PERFORM public.update_or_create(NULL::f.side, \'{"k": -1}\', \'{"d": "made"}\');
	RETURN 1;
END $$',
		# Triggers.
		'CREATE FUNCTION f.suppress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN hashtext(NEW::text) % 3 <> 0 THEN NEW END;
END $$',
		# Planned each time: what the server keeps of the row's type is of no use
		# after ALTER TABLE in the same transaction.
		'CREATE FUNCTION f.rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE \'SELECT (jsonb_populate_record($1, $2)).*\' INTO NEW USING NEW, TG_ARGV[0]::jsonb;
	RETURN NEW;
END $$',
		'CREATE FUNCTION f.recurse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() < 3 THEN
		PERFORM public.get_or_create(NULL::f.t, TG_ARGV[0]::jsonb);
	END IF;
	RETURN NEW;
END $$',
		'CREATE FUNCTION f.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.frozen THEN
		RAISE SQLSTATE \'FZ002\' USING MESSAGE = \'the account is frozen\';
	END IF;
	RETURN NEW;
END $$',
		'CREATE FUNCTION f.nothing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RETURN NULL;
END $$');
}

# What the session holds, what is in the tables, and what is wrong.
sub state_function
{
	my ($world) = @_;
	my $tables = join "\n\t\t|| ' ' || ", map
	{
		"(SELECT format('%s=%s:%s', '$_', count(*), sum(hashtextextended(x::text, 0))) FROM $_ AS x)"
	} @{ $world->{tables} };
	my $problems = join '', map
	{
		"	IF $_->[0] THEN\n		problem := " . literal($_->[1]) . ";\n	END IF;\n"
	} @{ $world->{problems} };

	return "CREATE FUNCTION f.state(OUT locks text, OUT tables text, OUT sequences text, OUT problem text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS \$\$
BEGIN
	locks := (SELECT string_agg(concat_ws('/', relation, key_hash, mode), ' ' ORDER BY relation::text, key_hash, mode)
		FROM racefree_locks WHERE pid = pg_backend_pid() AND granted);
	tables := $tables;
	sequences := (SELECT string_agg(last_value::text, ' ' ORDER BY sequencename)
		FROM pg_sequences WHERE schemaname = 'f');
$problems"
	  . "END \$\$";
}

# ---------------------------------------------------------------------------
# A table for the upserts

sub table
{
	my ($world) = @_;
	my $t = { name => 'f.t', type => {}, target => ['f.t'], pure => 1 };
	my $form = pick(qw(plain plain plain list hash range inherit temporary));
	my @keys = map { "k$_" } many(3);
	my @data = map { "d$_" } many(3);

	$data[0] = 'D "1"' if chance(0.1);
	$form = 'plain' if $form eq 'temporary' && $world->{sessions} > 1;
	for my $column (@keys, @data)
	{
		my $is_key = $column =~ /^k/;
		my $type = pick(grep { available($_) }
			  grep { !$is_key || chance(0.02) || Fuzz::Types::equality($_) }
			  @Fuzz::Types::names);
		$type = 'f.checked' if chance(0.06);
		$t->{type}{$column} = $type;
	}
	if ($form =~ /list|range/)
	{
		$t->{type}{k1} = pick(
			grep { $Fuzz::Types::types{$_}{partition} } @Fuzz::Types::names);
	}
	$t->{keys} = \@keys;
	$t->{data} = \@data;
	$t->{form} = $form;
	$t->{no_equality} = grep { !Fuzz::Types::equality($t->{type}{$_}) } @keys;
	$t->{recursive} =
	  grep { $t->{type}{$_} eq 'f.checked' } @keys, @data;

	# Columns in any order, one of them dropped later.
	my @columns = (
		'id bigint GENERATED BY DEFAULT AS IDENTITY'
		  . ($form =~ /plain|inherit|temporary/ && chance(0.5) ? ' PRIMARY KEY' : ''),
		map { ident($_) . ' ' . make_type($world, $t->{type}{$_}) } @keys, @data);
	push @columns, 'dropped text DEFAULT 1' if chance(0.4);
	push @columns, 'volatile integer DEFAULT f.make_default()' if chance(0.2);
	push @columns, 'always integer GENERATED ALWAYS AS (1 + 1) STORED'
	  if chance(0.2);
	@columns = sort { $a cmp $b } @columns if chance(0.3);

	my $by = $form =~ /list|range|hash/
	  ? " PARTITION BY $form (" . ($form eq 'hash' && chance(0.5) ? 'id' : 'k1') . ')'
	  : '';
	$by =~ s/k1/id/ if $form eq 'hash' && $Fuzz::Types::types{ $t->{type}{k1} }{no_hash};
	$by =~ s/k1/id/ if $form eq 'hash' && $t->{no_equality};
	my $temporary = $form eq 'temporary' ? 'TEMPORARY ' : '';
	$t->{name} = 'pg_temp.t' if $temporary;
	$t->{temporary} = $temporary ne '';
	$t->{target} = [ $t->{name} ];
	setup($world,
		"CREATE ${temporary}TABLE $t->{name} (" . join(', ', @columns) . ")$by");
	children($world, $t, $form, \@columns);
	# A call that names a partition looks for its key only there.
	$t->{pure} = 0 if $by =~ /\(id\)/ && @{ $t->{target} } > 1;
	setup($world, "ALTER TABLE $t->{name} DROP COLUMN IF EXISTS dropped");
	indexes($world, $t);
	triggers($world, $t);
	security($world, $t) if chance(0.15);
	setup($world,
		"GRANT SELECT, INSERT (k1, id), UPDATE (" . ident($data[0]) . ") ON $t->{name} TO fuzz_columns");
	push @{ $world->{tables} }, $t->{name};

	# Every writer names the whole key: so no two rows have the same.
	if ($t->{pure} && !$t->{no_equality})
	{
		my $keys = join ', ', @keys;
		push @{ $world->{problems} },
		  [ "EXISTS (SELECT FROM $t->{name} GROUP BY $keys HAVING count(*) > 1)",
			'two rows have the same key' ];
	}
	$t->{pure} &&= !$t->{no_equality};
	return $t;
}

# Partitions, of which one has its columns in another order, or a child.
sub children
{
	my ($world, $t, $form, $columns) = @_;
	my @good = map { literal(Fuzz::Types::text($_)) }
	  @{ $Fuzz::Types::types{ $t->{type}{k1} }{good} };

	if ($form eq 'inherit')
	{
		setup($world, "CREATE TABLE f.t1 (extra text) INHERITS (f.t)");
		push @{ $t->{target} }, 'f.t1' if chance(0.2);
	}
	return unless $form =~ /list|range|hash/;

	my @bounds =
	  $form eq 'list' ? ("IN ($good[0], NULL)", 'DEFAULT')
	  : $form eq 'range' ? ("FROM (MINVALUE) TO ($good[0])", 'DEFAULT')
	  : (
		'WITH (MODULUS 2, REMAINDER 0)', 'WITH (MODULUS 2, REMAINDER 1)');
	setup($world,
		"CREATE TABLE f.t1 PARTITION OF f.t"
		  . ($bounds[0] eq 'DEFAULT' ? '' : ' FOR VALUES')
		  . " $bounds[0]");
	# Identity columns and generated ones do not go by ATTACH everywhere.
	setup($world,
		'CREATE TABLE f.t2 ('
		  . join(', ',
			map { s/ GENERATED BY DEFAULT AS IDENTITY/ NOT NULL/r =~ s/ PRIMARY KEY//r }
			reverse(grep { !/^dropped/ } @$columns)) . ')');
	setup($world, 'ALTER TABLE f.t DROP COLUMN IF EXISTS dropped');
	setup($world,
		'ALTER TABLE f.t ATTACH PARTITION f.t2 '
		  . ($bounds[1] eq 'DEFAULT' ? 'DEFAULT' : "FOR VALUES $bounds[1]"));
	push @{ $t->{target} }, 'f.t1' if chance(0.2);
	return;
}

sub indexes
{
	my ($world, $t) = @_;
	my @keys = @{ $t->{keys} };
	my $keys = join ', ', @keys;
	my $data = ident($t->{data}[0]);
	my $n = $t->{name};

	# Those that the table's columns do not allow are left out.
	for my $index (
		some(
			0.18,
			"CREATE UNIQUE INDEX one ON $n ($keys)",
			"CREATE UNIQUE INDEX ON $n ($keys) NULLS NOT DISTINCT",
			"CREATE INDEX ON $n ($keys)",
			"CREATE UNIQUE INDEX ON $n (k1) WHERE id > 3",
			"CREATE UNIQUE INDEX ON $n ((k1::text))",
			"CREATE UNIQUE INDEX ON $n ($keys, id)",
			"CREATE UNIQUE INDEX ON $n ($data)",
			"CREATE UNIQUE INDEX ON f.t1 ($keys)",
			"ALTER TABLE $n ADD CONSTRAINT late UNIQUE ($keys) DEFERRABLE INITIALLY DEFERRED",
			"ALTER TABLE f.t2 ADD CONSTRAINT late2 UNIQUE ($keys) DEFERRABLE",
			"ALTER TABLE $n ADD CONSTRAINT pk PRIMARY KEY ($keys)",
			"ALTER TABLE f.t1 ADD PRIMARY KEY (id)",
			"ALTER TABLE $n REPLICA IDENTITY FULL"))
	{
		setup($world, $index);
		# Rows that have another key may be in each other's way.
		$t->{entangled} = 1
		  if $index =~ /UNIQUE/ && $index !~ /\(\Q$keys\E[,)]/;
	}
	return;
}

# Some write what a call did not ask for, or take part in it.
sub triggers
{
	my ($world, $t) = @_;
	my $n = $t->{name};
	my $insert = "ON $n FOR EACH ROW EXECUTE FUNCTION";
	my $key = object(map { $_ => (Fuzz::Types::value($t->{type}{$_}, 0.2))[0] }
		  @{ $t->{keys} });
	my $data = object($t->{data}[0],
		pick(@{ $Fuzz::Types::types{ $t->{type}{ $t->{data}[0] } }{good} }));
	my @triggers = some(
		0.08,
		"CREATE TRIGGER a_rewrite BEFORE INSERT $insert f.rewrite(" . literal($data) . ')',
		"CREATE TRIGGER b_rewrite BEFORE INSERT OR UPDATE $insert f.rewrite(" . literal($key) . ')',
		"CREATE TRIGGER c_suppress BEFORE INSERT OR UPDATE $insert f.suppress()",
		"CREATE TRIGGER d_recurse BEFORE INSERT $insert f.recurse(" . literal($key) . ')',
		"CREATE TRIGGER e_recurse AFTER INSERT OR UPDATE $insert f.recurse(" . literal($key) . ')',
		"CREATE TRIGGER f_same BEFORE UPDATE $insert suppress_redundant_updates_trigger()",
		"CREATE TRIGGER g_nothing AFTER INSERT OR UPDATE $insert f.nothing()");

	# Recursion names f.t.
	@triggers = () if $n ne 'f.t';
	$t->{hostile} = grep { /rewrite|suppress|recurse/ } @triggers;
	$t->{recursive} ||= grep { /recurse/ } @triggers;
	$t->{pure} = 0 if grep { /BEFORE INSERT OR UPDATE.*f\.rewrite/ } @triggers;
	setup($world, @triggers);
	if (chance(0.2))
	{
		$t->{guarded} = 1;
		for my $table ($n, $t->{form} eq 'inherit' ? 'f.t1' : ())
		{
			setup($world,
				"CREATE TRIGGER z_guard BEFORE INSERT OR UPDATE ON $table"
				  . ' FOR EACH ROW EXECUTE FUNCTION public.key_guard('
				  . join(', ', map { literal($_) } @{ $t->{keys} }) . ')');
		}
	}
	return;
}

sub security
{
	my ($world, $t) = @_;

	$t->{pure} = 0;
	$t->{secured} = 1;
	setup(
		$world,
		"ALTER TABLE $t->{name} ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY all_rows ON $t->{name} TO fuzz_writer, fuzz_columns, fuzz_reader USING (true)",
		"CREATE POLICY some_rows ON $t->{name} TO fuzz_tenant USING (id % 2 = 0)");
	return;
}

# ---------------------------------------------------------------------------
# Accounts

# Types that money and accounts' ids have, and values for six ids and one that
# no account has.
my %ids = (
	'smallint' => [ 1 .. 7 ],
	'integer' => [ 1 .. 7 ],
	'bigint' => [ -1, 0, 1, 2, 3, '9223372036854775807', 4 ],
	'numeric' => [ '1.5', 2 .. 7 ],
	'text' => [ '', 'a', 'A', 'b', "it's", '{', 'nobody' ],
	'varchar(5)' => [ 'a' .. 'g' ],
	'char(4)' => [ 'a' .. 'g' ],
	'citext' => [ 'a' .. 'g' ],
	'uuid' => [ map { "00000000-0000-0000-0000-00000000000$_" } 1 .. 7 ],
	'date' => [ map { "2026-01-0$_" } 1 .. 7 ],
	'varchar(3)[]' => [ '{}', map { "{$_,x}" } 'a' .. 'f' ],
	'numeric(5,2)[]' => [ map { "{$_.5}" } 1 .. 7 ],
	'bytea' => [ map { "\\x0$_" } 1 .. 7 ],
	'f.pair' => [ map { "($_,a)" } 1 .. 7 ],
	'f.positive' => [ 1 .. 7 ],
	'f.checked' => [ 1 .. 7 ],
	'int4range' => [ map { "[$_,9)" } 1 .. 7 ]);
my @money = (
	'smallint', 'integer', 'bigint', 'numeric', 'numeric(12,2)',
	'numeric(12,2)', 'money', 'f.positive');

sub accounts
{
	my ($world) = @_;
	my $a = { name => 'f.a', clean => 1 };
	my $type = chance(0.5) ? 'integer' : pick(grep { available($_) } sort keys %ids);
	my $money = pick(@money);
	my $form = pick(qw(plain plain plain plain hash inherit));
	my @rows;

	$a->{type} = $type;
	$a->{ids} = $ids{$type};
	# With a journal, all calls of the case name the accounts alike.
	$a->{by} = chance(0.8) ? 'id' : 'code';
	$a->{money} = $money;
	$a->{form} = $form;
	make_type($world, $_) for $type, $money;
	my $held = 'held ' . ($money eq 'f.positive' ? 'numeric' : $money) . ' NOT NULL DEFAULT 0';
	my @columns = (
		'id ' . Fuzz::Types::sql_name($type) . ($form eq 'plain' && chance(0.9) ? ' PRIMARY KEY' : ''),
		'code text', "balance $money", 'currency text', 'frozen boolean',
		'opening numeric', 'dropped text', $held);
	push @columns, 'twice numeric GENERATED ALWAYS AS (balance::numeric * 2) STORED'
	  if chance(0.1) && $money ne 'money';
	push @columns, 'CHECK (balance::numeric <= 100000)' if chance(0.2);
	setup($world,
		'CREATE TABLE f.a (' . join(', ', @columns) . ')'
		  . ($form eq 'hash' ? ' PARTITION BY hash (id)' : ''));
	setup($world, 'CREATE TABLE f.a1 PARTITION OF f.a FOR VALUES WITH (MODULUS 2, REMAINDER 0)',
		'CREATE TABLE f.a2 PARTITION OF f.a FOR VALUES WITH (MODULUS 2, REMAINDER 1)',
		'ALTER TABLE f.a ADD PRIMARY KEY (id)')
	  if $form eq 'hash';
	setup($world, 'CREATE TABLE f.a1 () INHERITS (f.a)') if $form eq 'inherit';
	$a->{primary} = $form eq 'hash' || $columns[0] =~ /PRIMARY KEY/;
	setup($world, 'ALTER TABLE f.a DROP COLUMN dropped');
	setup($world, 'CREATE UNIQUE INDEX ON f.a (code)')
	  if $a->{by} eq 'code' || chance(0.7);

	for my $i (0 .. 5)
	{
		my $balance = $i < 4 ? 10 * (10 + $i) : pick('NULL', 1, 100, 1000);
		my $frozen = $i == 3 && chance(0.5) ? 'true' : 'false';
		my $to = $form eq 'inherit' && $i % 2 ? 'f.a1' : 'f.a';
		setup($world,
			"INSERT INTO $to (id, code, balance, currency, frozen, opening) VALUES ("
			  . join(', ', literal($a->{ids}[$i]), "'c$i'",
				"$balance", $i == 2 ? "'EUR'" : "'USD'", $frozen, $balance) . ')');
	}
	setup($world, 'CREATE TABLE f.total AS SELECT sum(balance::numeric) AS total FROM f.a');

	# After the rows: they are as they were meant.
	my @triggers = some(
		0.08,
		"a_rewrite BEFORE UPDATE f.rewrite('{\"balance\": 7}')",
		"b_suppress BEFORE UPDATE f.suppress()",
		"c_nothing AFTER UPDATE f.nothing()",
		"d_rewrite BEFORE UPDATE f.rewrite('{\"currency\": \"GBP\"}')");
	push @triggers, "e_refuse BEFORE UPDATE f.refuse()" if chance(0.4);
	for my $table ('f.a', $form eq 'inherit' ? 'f.a1' : ())
	{
		setup(
			$world,
			map {
				"CREATE TRIGGER "
				  . s/UPDATE/UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION/r
			} @triggers);
	}
	if (grep { /refuse/ } @triggers)
	{
		push @{ $world->{problems} },
		  [ 'EXISTS (SELECT FROM f.a WHERE frozen AND balance::numeric <> opening)',
			'the balance of a frozen account has changed' ];
	}
	$a->{hostile} = grep { /rewrite|suppress/ } @triggers;
	push @{ $world->{tables} }, 'f.a';
	push @{ $world->{problems} },
	  [ '(SELECT sum(balance::numeric) FROM f.a) IS DISTINCT FROM (SELECT total FROM f.total)',
		'the sum of the balances has changed' ];
	setup($world,
		'GRANT SELECT, UPDATE (code, currency) ON f.a TO fuzz_columns');
	$a->{frozen} = grep { /refuse/ } @triggers;
	return $a;
}

# ---------------------------------------------------------------------------
# A journal, create_journal()'s or one of the user's own

# Types of request ids, and words for requests of which no two mean the same.
my %requests = (
	'uuid' => [ map { "00000000-0000-0000-0000-0000000000a$_" } 0 .. 9 ],
	'text' => [ 'r', 'R', 'r ', "r's", '1', '01', '1.0', 'x' x 70 . '1', 'x' x 70 . '2' ],
	'varchar(80)' => [ 'r', 'R', 'r ', '1', 'x' x 70 . '1', 'x' x 70 . '2' ],
	'name' => [ 'r', 'R', 'x' x 70 . '1', 'x' x 70 . '2' ],
	'citext' => [ 'r', 's', '1', '01' ],
	'bigint' => [ 1, 2, 3, 9007199254740993, 9007199254740992 ],
	'numeric' => [ 1, 2, '1.5', '9007199254740993', '9007199254740992' ],
	'real' => [ 1, 2, 16777216, 16777217 ],
	'double precision' => [ 1, 2, 9007199254740993, 9007199254740992 ],
	'money' => [ 1, 2, '1.001', '1.002' ],
	'"char"' => [ 'a', 'ab', 'ac' ],
	'date' => [ '2026-01-01', '2026-01-01 10:00', '2026-01-02' ]);

sub journal
{
	my ($world, $a) = @_;
	my $j = { name => 'f.j', requests => undef, clean => 1 };
	my $type =
	  chance(0.6)
	  ? pick('uuid', 'text', 'bigint')
	  : pick(grep { available($_) } sort keys %requests);
	my $by = $a->{by};
	my $id = $by eq 'code' ? 'text' : Fuzz::Types::sql_name($a->{type});

	$j->{type} = $type;
	$j->{requests} = [ some(0.6, @{ $requests{$type} }) ];
	$j->{requests} = $requests{$type} if !@{ $j->{requests} };
	# Of the types that round, create_journal() makes none.
	my $rounds = $type =~ /^(?:name|real|double precision|money|"char"|date)$/;
	if (chance($rounds ? 0.05 : 0.5))
	{
		$j->{columns} = [qw(id request_id from_balance to_balance reverses details created_at)];
		$j->{guarded} = 1;
		# The server's own foreign keys fail with arrays that have a modifier.
		my @arguments = (
			"'f.j'", 'NULL::f.a', literal($by),
			literal(Fuzz::Types::sql_name($type)),
			$id =~ /\)\[\]/ || !$a->{primary} ? 'false' : pick('true', 'false'));
		my $partitioned = chance(0.15);
		push @arguments, "partition_by => 'RANGE (created_at)'" if $partitioned;
		# Rules, of which alter_journal() makes others.
		push @arguments, some(0.15, "closed_column => 'frozen'", "must_match => '{currency}'",
			"max_balance_column => 'opening'", "min_balance_column => 'opening'");
		# What transfers do must be told from what all else does.
		push @arguments, 'guarded => true' if chance(0.2);
		$j->{holds} = chance(0.5);
		push @arguments, "held_column => 'held'" if $j->{holds};
		setup($world,
			'SELECT public.create_journal(' . join(', ', @arguments) . ')');
		setup($world, 'CREATE TABLE f.j1 PARTITION OF f.j DEFAULT',
			"SELECT public.guard_journal('f.j')")
		  if $partitioned;
	}
	else
	{
		my $amount = pick('numeric', 'numeric', 'numeric(8,2)', 'bigint', 'smallint', 'money');
		my $integer = pick('bigint', 'integer', 'smallint', chance(0.1) ? 'numeric' : 'bigint');
		my $balance = pick('numeric', 'numeric', 'numeric(12,2)', 'bigint', 'money');
		my %column = (
			id => pick("$integer GENERATED BY DEFAULT AS IDENTITY", 'serial', 'bigserial'),
			request_id => Fuzz::Types::sql_name($type),
			from_balance => $balance,
			to_balance => $balance,
			reverses => $integer,
			details => chance(0.95) ? 'jsonb' : pick('json', 'text'),
			created_at => chance(0.97) ? 'timestamptz DEFAULT now()' : 'timestamp',
			note => "text DEFAULT 'x'");
		$column{id} =~ s/numeric/bigint/;
		my @extra = some(0.85, sort keys %column);
		$j->{columns} = \@extra;
		setup($world,
			"CREATE TABLE f.j (from_id $id, to_id $id, amount $amount"
			  . join('', map { ", $_ $column{$_}" } @extra) . ')'
			  . (chance(0.1) ? ' PARTITION BY hash (from_id)' : ''));
		setup($world, 'CREATE TABLE f.j1 PARTITION OF f.j FOR VALUES WITH (MODULUS 1, REMAINDER 0)')
		  if $world->{setup}[-1] =~ /PARTITION BY/;
		setup($world,
			pick('CREATE UNIQUE INDEX ON f.j (request_id)',
				'CREATE INDEX ON f.j (request_id)'))
		  if $column{request_id} && chance(0.6);
		my @triggers = map {
			'CREATE TRIGGER '
			  . s/INSERT/INSERT ON f.j FOR EACH ROW EXECUTE FUNCTION/r
		  } some(
			0.06,
			'a_rewrite BEFORE INSERT f.rewrite(\'{"note": "y", "amount": 1}\')',
			'b_suppress BEFORE INSERT f.suppress()',
			'c_nothing AFTER INSERT f.nothing()',
			'd_rewrite BEFORE INSERT f.rewrite(\'{"request_id": null}\')');
		setup($world, @triggers);
		$j->{hostile} = grep { /rewrite|suppress/ } @triggers;
		# What no transfer would book.
		if (chance(0.15))
		{
			$j->{foreign} = 1;
			$j->{booked} = $j->{requests}[0];
			setup($world, 'INSERT INTO f.j (request_id, amount) VALUES ('
				  . literal($j->{booked}) . ', ' . pick(1, 5, 'NULL') . ')')
			  if grep { $_ eq 'request_id' } @extra;
			setup($world, 'INSERT INTO f.j (amount, reverses) VALUES (NULL, 1)')
			  if grep { $_ eq 'reverses' } @extra;
		}
	}
	$j->{has} = { map { $_ => 1 } @{ $j->{columns} } };
	push @{ $world->{tables} }, 'f.j';
	push @{ $world->{tables} }, 'f.j_holds' if $j->{holds};

	# Columns that only calls give values for.
	my %own = (
		own_number => 'integer DEFAULT 3 CHECK (own_number < 100)',
		own_word => 'varchar(5)',
		own_serial => 'serial',
		own_list => 'numeric[] NOT NULL DEFAULT \'{1.5}\'');
	$j->{own} = [ some(0.4, sort keys %own) ];
	setup($world, map { "ALTER TABLE f.j ADD $_ $own{$_}" } @{ $j->{own} });

	# Every transfer of the case is booked here, so the entries explain the
	# balances, and the open holds what is held of them.
	my $moves = $j->{holds} ? " AND kind NOT IN ('hold', 'void', 'expiry')" : '';
	push @{ $world->{problems} },
	  [ 'EXISTS (SELECT FROM f.a AS a WHERE balance::numeric - opening IS DISTINCT FROM'
		  . " coalesce((SELECT sum(amount::numeric) FROM f.j WHERE to_id = a.$by$moves), 0)"
		  . " - coalesce((SELECT sum(amount::numeric) FROM f.j WHERE from_id = a.$by$moves), 0)"
		  . ' AND balance IS NOT NULL)',
		'the entries do not explain the balances' ];
	push @{ $world->{problems} },
	  [ 'EXISTS (SELECT FROM f.a AS a WHERE held::numeric IS DISTINCT FROM'
		  . ' coalesce((SELECT sum(amount) FROM f.j_holds WHERE from_id = a.' . $by . '), 0))',
		'the open holds do not explain what is held' ],
	  [ "EXISTS (SELECT FROM f.j_holds AS o WHERE amount <= 0 OR amount <> (SELECT amount FROM f.j WHERE id = o.entry_id AND kind = 'hold')"
		  . ' - coalesce((SELECT sum(amount) FROM f.j WHERE settles = o.entry_id), 0))',
		'the entries do not explain what is left of a hold' ]
	  if $j->{holds};
	push @{ $world->{problems} },
	  [ 'EXISTS (SELECT FROM f.j WHERE request_id IS NOT NULL GROUP BY request_id HAVING count(*) > 1)',
		'a request was booked twice' ]
	  if $j->{has}{request_id};
	push @{ $world->{problems} },
	  [ 'EXISTS (SELECT FROM f.j WHERE reverses IS NOT NULL GROUP BY reverses'
		  . ' HAVING sum(amount::numeric) > (SELECT amount::numeric FROM f.j AS r WHERE r.id = j.reverses))',
		'more was reversed than moved' ]
	  if $j->{has}{reverses} && $j->{has}{id};
	push @{ $world->{problems} },
	  [ "EXISTS (SELECT FROM f.a JOIN f.j ON a.$by = j.from_id OR (a.$by = j.to_id$moves) WHERE a.frozen)",
		'an entry names a frozen account' ]
	  if $a->{frozen};
	setup($world, 'GRANT SELECT ON f.j TO fuzz_columns');
	setup($world, 'GRANT DELETE ON f.j_holds TO fuzz_writer, fuzz_tenant') if $j->{holds};
	return $j;
}

1;
