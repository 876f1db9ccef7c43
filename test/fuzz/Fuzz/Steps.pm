# Copyright (c) 2026, the racefree developers

# What the sessions of a case do.  All steps are drawn before the first one
# runs, whatever their results will be: so a case can be repeated, also with
# some of its steps left out.
#
# A step is { session, kind, ... }.  Kinds:
#   begin, savepoint, rollback, release, end, sql    sql is run as it is
#   call      sql calls the function fn, each result a line; see Fuzz::Run
#   race      calls, one for each session, at once
#   memory    sql many times over in one transaction

package Fuzz::Steps;

use strict;
use warnings;
use Fuzz::Random;
use Fuzz::Types;

# The result of a single transfer as a line.
my $moved = "format('moved %s|%s', replayed, trim_scale(amount))";

sub generate
{
	my ($world, $length) = @_;
	# What the generator knows of each session: is it in a transaction, with
	# which savepoints, and which call has a cursor?
	my @sessions = map { { open => 0, marks => [], cursor => undef } }
	  1 .. $world->{sessions};
	my @steps;

	while (@steps < $length)
	{
		my $number = int(rand(@sessions));
		my $session = $sessions[$number];
		my $quiet = !grep { $_->{open} } @sessions;
		my $dice = rand();
		my $step =
		    !$session->{open} && $dice < 0.4 ? begin($session)
		  : $session->{open} && $dice < 0.25 ? transaction($session, $dice, scalar @steps)
		  : $session->{open} && $dice < 0.6 ? cursor($world, $session, $dice, scalar @steps)
		  : $dice < 0.64 ? other($world)
		  : $dice < 0.66 ? repeated($world)
		  : $dice < 0.72 && @sessions > 1 && $quiet ? race($world)
		  : undef;

		# What would keep the others out for long.
		$step = undef
		  if $step
		  && @sessions > 1
		  && ($step->{alone} && !$quiet || $step->{outside} && $session->{open});
		$step ||= dressed($world, a_call($world));
		push @steps, { %$step, session => $number };
	}
	for my $number (grep { $sessions[$_]{open} } 0 .. $#sessions)
	{
		push @steps, { session => $number, kind => 'end', sql => ['COMMIT'] };
	}
	return \@steps;
}

# ---------------------------------------------------------------------------
# Transactions, savepoints, cursors

sub begin
{
	my ($session) = @_;
	my $level = pick('', '', '', ' ISOLATION LEVEL REPEATABLE READ',
		' ISOLATION LEVEL SERIALIZABLE');
	my $only = chance(0.04) ? ' READ ONLY' : '';

	%$session = (open => 1, marks => [], cursor => undef);
	return {
		kind => 'begin',
		sql => "BEGIN$level$only",
		snapshot => $level ne '',
		readonly => $only ne ''
	};
}

# Ends the transaction, sets a savepoint or goes back to one.
sub transaction
{
	my ($session, $dice, $n) = @_;
	my $marks = $session->{marks};

	if ($dice < 0.1)
	{
		$session->{open} = 0;
		return {
			kind => 'end',
			sql => pick(
				['COMMIT'], ['COMMIT'], ['ROLLBACK'],
				[ "PREPARE TRANSACTION 'f'", "COMMIT PREPARED 'f'" ])
		};
	}
	if ($dice < 0.17 || !@$marks)
	{
		push @$marks, "s$n";
		return { kind => 'savepoint', mark => "s$n", sql => "SAVEPOINT s$n" };
	}
	my $to = int(rand(@$marks));
	my $mark = $marks->[$to];
	if (chance(0.3))
	{
		splice @$marks, $to;
		return { kind => 'release', mark => $mark, sql => "RELEASE $mark" };
	}
	splice @$marks, $to + 1;
	return { kind => 'rollback', mark => $mark, sql => "ROLLBACK TO $mark" };
}

# Opens a cursor over calls, or goes on with it.
sub cursor
{
	my ($world, $session, $dice, $n) = @_;
	my $call = $session->{cursor};

	if ($call)
	{
		$session->{cursor} = undef if chance(0.1);
		return {
			%$call,
			sql => pick('FETCH 1', 'FETCH 1', 'FETCH 2', 'FETCH ALL')
			  . " FROM $call->{cursor}"
		};
	}
	return undef if $dice > 0.33;
	$call = $session->{cursor} = { %{ over_rows($world) }, cursor => "c$n" };
	return {
		kind => 'sql',
		sql => "DECLARE $call->{cursor} CURSOR FOR $call->{sql}"
	};
}

# The same call many times over.
sub repeated
{
	my ($world) = @_;
	my $call = a_call($world);

	# The server remembers tables and triggers that it has made.
	return undef if $call->{fn} =~ /^(?:create|alter)_journal$/;
	return {
		kind => 'memory',
		alone => 1,
		fn => $call->{fn},
		request => $call->{request},
		sql => $call->{sql}
	};
}

# ---------------------------------------------------------------------------
# How a call is made: by whom, and in what

sub dressed
{
	my ($world, $call) = @_;
	my %step = %$call;
	my $dice = rand();

	# A call that fails outside of a savepoint ends the transaction.
	$step{bare} = chance(0.02);
	$step{keep} = chance(0.5);
	if ($dice < 0.15)
	{
		$step{sql} = 'SELECT f.try(' . literal($step{sql}) . ')';
		$step{sql} = 'SELECT f.try(' . literal($step{sql}) . ')' if chance(0.2);
	}
	elsif ($dice < 0.25)
	{
		my $rows = over_rows($world);
		%step = %$rows;
		$step{sql} = 'SELECT f.fetch(' . literal($step{sql}) . ')';
	}
	$step{role} = pick(qw(fuzz_reader fuzz_writer fuzz_columns fuzz_tenant))
	  if chance(0.15);
	# What another role may not do, or does not see, is not promised.
	$step{sure} = 0 if $step{role};
	$step{repeat} = 0
	  if $step{role} && ($step{fn} =~ /transfer/ || $world->{table}{secured});
	return \%step;
}

# One call of one function.
sub a_call
{
	my ($world) = @_;
	my @kinds = (\&upsert, \&upsert, \&upsert_many, \&upsert_many, \&lock_keys,
		\&lock_rows, \&guarded);
	my @money = (\&transfer, \&transfer, \&transfer_many, \&transfer_many);
	my @books = (\&reverse_transfer, \&reverse_transfer, \&journal_calls);
	my @holds = ((\&hold_transfer) x 5, (\&settle_hold) x 4, \&expire_holds);

	push @kinds, @money, @money if $world->{accounts};
	push @kinds, @books if $world->{journal};
	# Without that rule, they are refused.
	push @kinds, @holds if $world->{journal} && ($world->{journal}{holds} || chance(0.05));
	return pick(@kinds)->($world);
}

# All sessions at once, with the same call or with others of its kind.
sub race
{
	my ($world) = @_;
	my $makers = pick(
		[ \&upsert ], [ \&upsert, \&upsert_many ], [ \&lock_keys ],
		$world->{accounts} ? [ \&transfer, \&transfer_many ] : (),
		$world->{journal} ? [ \&transfer, \&reverse_transfer ] : (),
		$world->{journal} && $world->{journal}{holds}
		? [ \&transfer, \&hold_transfer, \&settle_hold, \&expire_holds ]
		: ());
	my $call = pick(@$makers)->($world);
	my $same = chance(0.5);

	return {
		kind => 'race',
		session => 0,
		same => $same && $world->{table}{pure} && $call->{fn} eq 'get_or_create',
		level => pick('', '', 'REPEATABLE READ', 'SERIALIZABLE'),
		calls => [
			map { $same ? $call : pick(@$makers)->($world) }
			  1 .. $world->{sessions} ]
	};
}

# A query that makes a call for each of its rows: for cursors, and blocks
# around each row.
sub over_rows
{
	my ($world) = @_;
	my $dice = rand();

	return transfers_over_rows($world) if $world->{accounts} && $dice < 0.3;
	return reversals_over_rows($world) if $world->{journal} && $dice < 0.45;
	return upserts_over_rows($world);
}

sub upserts_over_rows
{
	my ($world) = @_;
	my $t = $world->{table};
	my %columns = key_columns($t);
	my @rows =
	  map { '(' . literal((values_for($t, @{ $columns{key} }))[0]) . ')' } many(5);
	my $fn = pick(qw(get_or_create update_or_create));

	return {
		known($t, 0, $columns{key}),
		fn => $fn,
		sql => 'SELECT ' . row_line(undef, @{ $columns{key} })
		  . ' FROM (VALUES ' . join(', ', @rows) . ") AS v (j), public.$fn(NULL::"
		  . pick(@{ $t->{target} }) . ', v.j::jsonb)'
	};
}

sub transfers_over_rows
{
	my ($world) = @_;
	my $column = id_column($world);
	my $request = request($world);
	my @rows = map {
		'(' . join(', ',
			literal(account($world, $column)),
			literal(account($world, $column)),
			amount() . '::numeric') . ')'
	} many(5);

	return {
		kind => 'call',
		fn => 'transfer',
		request => [ ($request) x 5 ],
		sql => "SELECT $moved FROM (VALUES " . join(', ', @rows)
		  . ') AS v (a, b, c), public.transfer(NULL::f.a, v.a, v.b, v.c'
		  . transfer_options($world, $column, $request) . ')'
	};
}

sub reversals_over_rows
{
	my ($world) = @_;
	my @rows = map { "($_)" } map { pick(1, 1, 2, 999) } many(5);

	return {
		kind => 'call',
		fn => 'reverse_transfer',
		sql => "SELECT $moved FROM (VALUES " . join(', ', @rows)
		  . ") AS v (e), public.reverse_transfer(NULL::f.a, 'f.j', v.e"
		  . reversal_options($world, undef) . ')'
	};
}

# ---------------------------------------------------------------------------
# get_or_create, update_or_create, their batches, locks and guard

# The key and the data of a call: nothing but the key where the case is to
# end with one row for each.
sub key_columns
{
	my ($t) = @_;
	my @key = @{ $t->{keys} };
	my @data = some(0.4, @{ $t->{data} });

	if (!$t->{pure})
	{
		@key = some(0.6, @key);
		push @key, shift @data if @data && chance(0.1);
		push @data, pick('nowhere', 'ctid', 'id', 'always', @{ $t->{keys} })
		  if chance(0.1);
	}
	return (key => \@key, data => \@data);
}

sub values_for
{
	my ($t, @columns) = @_;
	my ($all, @pairs) = (1);

	for my $column (@columns)
	{
		my ($value, $sure) =
		  $t->{type}{$column}
		  ? Fuzz::Types::value($t->{type}{$column}, 0.12)
		  : (pick(1, '"x"'), 0);
		$all &&= $sure;
		push @pairs, $column, $value;
	}
	return (object(@pairs), $all);
}

# created, id, and the key's columns that are NULL, as one line.
sub row_line
{
	my ($ordinality, @key) = @_;
	my @nulls = map {
		"CASE WHEN to_jsonb(object)->" . literal($_) . " = 'null' THEN " . literal($_) . " END"
	} @key;
	my $nulls = @nulls ? 'concat_ws(\',\', ' . join(', ', @nulls) . ')' : "''";

	return "format('row %s|%s|%s|%s', "
	  . ($ordinality || '1')
	  . ", created, to_jsonb(object)->'id', $nulls)";
}

# What is known of the result, for Fuzz::Run.
sub known
{
	my ($t, $sure, $key) = @_;

	return (
		kind => 'call',
		key => 1,
		# Types without equality are refused; triggers may do anything.
		sure => $sure && !$t->{hostile} && !$t->{recursive} && !$t->{renamed}
		  && !(grep { !$t->{type}{$_} || !Fuzz::Types::equality($t->{type}{$_}) } @$key),
		# Also for a trigger of the table's.
		no_equality => $t->{no_equality} || scalar(
			grep { $t->{type}{$_} && !Fuzz::Types::equality($t->{type}{$_}) }
			  @$key));
}

sub nulls
{
	my ($json, @key) = @_;
	return join ',', grep { index($json, json_string($_) . ': null') >= 0 } @key;
}

sub upsert
{
	my ($world) = @_;
	my $t = $world->{table};
	my $fn = pick(qw(get_or_create get_or_create update_or_create));
	my %columns = key_columns($t);
	my @key = @{ $columns{key} };
	my ($key, $key_sure) = values_for($t, @key);
	my ($data, $data_sure) = values_for($t, @{ $columns{data} });
	my @arguments = (literal($key), literal($data));

	push @arguments, literal((values_for($t, some(0.5, @{ $t->{data} })))[0])
	  if $fn eq 'update_or_create' && chance(0.2);
	my $sure = $key_sure && $data_sure && @arguments == 2;
	if (chance(0.06))
	{
		$sure = 0;
		$arguments[ int(rand(@arguments)) ] = pick('NULL', "'[]'", "'{\"nowhere\": 1}'", "'3'");
		# Such a key may find, and make, a row that another key names.
		$arguments[0] =
		  pick('NULL', "'[]'", "'{\"nowhere\": 1}'", "'{}'", "'3'",
			"jsonb_build_object('k1', repeat('x', 100000))")
		  if !$t->{pure};
	}
	my $target = pick(@{ $t->{target} });
	$target = pick('f.side', 'integer', 'pg_class'), $sure = 0 if chance(0.01);
	$sure = 0 if $target ne $t->{name};
	my $overlap = join(' ', @{ $columns{data} }) =~ /\bk\d/;
	$sure = 0 if $overlap;

	return {
		known($t, $sure, \@key),
		fn => $fn,
		# The second call updates with what the first did not need.
		repeat => !$overlap && $target eq $t->{name} && @arguments == 2,
		nulls => $sure ? [ nulls($key, @key) ] : undef,
		sql => 'SELECT ' . row_line(undef, @key)
		  . " FROM public.$fn(NULL::$target, " . join(', ', @arguments) . ')'
	};
}

sub upsert_many
{
	my ($world) = @_;
	my $t = $world->{table};
	my $fn = pick(qw(get_or_create_many update_or_create_many));
	my %columns = key_columns($t);
	my @key = @{ $columns{key} };
	my ($sure, @rows, @nulls) = (1);

	for (many(chance(0.1) ? 30 : 6))
	{
		my ($row, $row_sure) =
		  values_for($t, @key, some(0.7, @{ $columns{data} }));
		$sure &&= $row_sure;
		push @rows, $row;
		push @nulls, nulls($row, @key);
	}
	my $rows = literal('[' . join(', ', @rows) . ']');
	my $names = 'ARRAY[' . join(', ', map { literal($_) } @key) . ']::name[]';
	my $target = pick(@{ $t->{target} });
	if (chance(0.06))
	{
		$sure = 0;
		$rows = pick('NULL', "'[]'", "'[{}]'", "'[null]'", "'{}'",
			"'[{\"k1\": 1}, 7]'",
			"(SELECT jsonb_agg(jsonb_build_object('k1', i % 700)) FROM generate_series(1, 800) AS i)");
		# A key of its own would not be the case's.
		$names = pick('NULL', "'{}'", "'{k1,k1}'", "'{nowhere}'", "'{NULL}'")
		  if chance(0.5);
	}
	$sure = 0 if $target ne $t->{name};
	my $overlap = join(' ', @{ $columns{data} }) =~ /\bk\d/;
	$sure = 0 if $overlap;

	return {
		known($t, $sure, \@key),
		fn => $fn,
		repeat => $sure && !$overlap,
		nulls => $sure ? \@nulls : undef,
		sql => 'SELECT ' . row_line('ordinality', @key)
		  . " FROM public.$fn(NULL::$target, $rows, $names)"
	};
}

sub lock_keys
{
	my ($world) = @_;
	my $t = $world->{table};
	my %columns = key_columns($t);
	my ($sure, @keys) = (1);

	for (many(4))
	{
		my ($key, $key_sure) = values_for($t, @{ $columns{key} });
		$sure &&= $key_sure;
		push @keys, $key;
	}
	my $keys = literal(object($t->{name}, '[' . join(', ', @keys) . ']',
			chance(0.3) ? ('f.side', '[{"k": 1}]') : ()));
	$keys = pick('NULL', "'[]'", "'{\"f.nowhere\": []}'", "'{\"f.side\": 1}'",
		"'{}'", "'{\"f.side\": [{}]}'",
		"(SELECT jsonb_build_object('f.side', jsonb_agg(jsonb_build_object('k', i))) FROM generate_series(1, 600) AS i)"
	  ), $sure = 0 if chance(0.1);
	return {
		known($t, $sure, $columns{key}),
		key => 0,
		fn => 'lock_keys',
		locks => $sure,
		sql => "SELECT 'done' || coalesce(public.lock_keys($keys)::text, '')"
	};
}

sub lock_rows
{
	my ($world) = @_;
	my $t = $world->{table};
	my $column = pick(undef, 'id', 'id', @{ $t->{keys} });
	my @ids = $column && $column ne 'id'
	  ? map { (Fuzz::Types::value($t->{type}{$column}, 0.05))[0] } many(4)
	  : many(5);
	my $ids = 'ARRAY[' . join(', ', map { literal(Fuzz::Types::text($_)) } @ids) . ']::text[]';
	my $target = $t->{name};

	if ($world->{accounts} && chance(0.4))
	{
		$target = 'f.a';
		$column = pick(undef, 'id', 'code');
		$ids = 'ARRAY[' . join(', ', map { literal($_) } some(0.6, @{ $world->{accounts}{ids} })) . ']::'
		  . pick('text', Fuzz::Types::sql_name($world->{accounts}{type}) =~ s/\[\]$//r) . '[]';
	}
	$ids = pick('NULL::integer[]', "'{}'::text[]", 'ARRAY[NULL]::text[]', 'ARRAY[1.5]',
		"'{{1,2},{3,4}}'::text[]", 'ARRAY[ARRAY[1]]', "'[5:6]={1,2}'::integer[]")
	  if chance(0.1);
	return {
		kind => 'call',
		fn => 'lock_rows',
		no_equality => 1,
		sql => "SELECT 'done ' || count(*) FROM public.lock_rows(NULL::$target, $ids, "
		  . literal(pick('update', 'no key update', 'share', 'key share',
				chance(0.1) ? 'x' : 'update')) . ', '
		  . literal(pick('wait', 'nowait', 'skip locked', chance(0.1) ? undef : 'wait')) . ', '
		  . literal($column) . ')'
	};
}

# A plain INSERT into a table with the trigger, or a statement that makes it.
sub guarded
{
	my ($world) = @_;
	my $t = $world->{table};
	return upsert($world) if !$t->{guarded};

	my @columns = (@{ $t->{keys} }, $t->{data}[0]);
	my ($row, $sure) = values_for($t, @columns);
	my $names = join ', ', map { ident($_) } @columns;
	my $record = "jsonb_populate_record(NULL::$t->{name}, " . literal($row) . ')';
	my $sql = pick(
		"INSERT INTO $t->{name} ($names) SELECT $names FROM $record",
		"UPDATE $t->{name} SET ($names) = (SELECT $names FROM $record) WHERE id = "
		  . pick(1 .. 5));
	return {
		known($t, 0, $t->{keys}),
		key => 0,
		fn => 'key_guard',
		sql => "$sql RETURNING 'done'"
	};
}

# ---------------------------------------------------------------------------
# Money

sub account
{
	my ($world, $column) = @_;
	my $n = chance(0.9) ? int(rand(4)) : int(rand(7));
	return 'c' . $n if ($column || '') eq 'code';
	return $world->{accounts}{ids}[$n];
}

sub id_column
{
	my ($world) = @_;
	my $by = $world->{accounts}{by};

	my $default = $world->{accounts}{primary} || chance(0.1) ? undef : 'id';

	return $by eq 'code' ? $by : pick($default, $by) if $world->{journal};
	return pick($default, 'id', 'id', 'code');
}

sub amount
{
	return pick(1, 1, 2, 2, 5, 5, 10, 20, 1000) if chance(0.92);
	return pick('1.5', '0.01', 0, -1, "'NaN'", "'Infinity'", '1e30', '0.001', 'NULL');
}

# Arguments that all transfers share.
sub money_options
{
	my ($world, $many) = @_;
	my $j = $world->{journal};
	my @options;

	push @options, "journal => 'f.j'" if $j;
	push @options, 'details => ' . pick("'{\"a\": 1}'", 'NULL', "'[1]'", "'null'")
	  if $j && $j->{has}{details} && chance(0.3);
	push @options, 'min_balance => ' . pick(0, -50, 90, 'NULL', "'-Infinity'", chance(0.2) ? "'NaN'" : 0)
	  if chance(0.2);
	push @options, 'max_balance => ' . pick(200, 'NULL', 50) if chance(0.15);
	push @options, 'must_match => ' . (
		chance(0.7)
		? "'{currency}'"
		: pick("'{}'", "'{currency,code}'", "'{nowhere}'", "'{balance}'",
			"'{NULL}'"))
	  if chance(0.1);
	push @options, 'up_to => true' if chance(0.15);
	push @options, "balance_column => " . pick("'balance'", "'code'", "'nowhere'", 'NULL')
	  if chance(0.02) && !$j;
	return @options;
}

# Values for the journal's own columns, not all of which fit.
sub own_columns
{
	my ($world) = @_;
	my %values = (
		own_number => [ 1, 2, '"3"', 'null', chance(0.1) ? pick(1000, '"x"', '{}') : 4 ],
		own_word => [ '"a"', '"b c"', 7, 'null', chance(0.1) ? '"longer"' : '""' ],
		own_serial => [ 1, 50, chance(0.1) ? 'null' : 7 ],
		own_list => [ '[]', '[1, null]', chance(0.1) ? pick('null', '"["') : '[2.5]' ]);
	my @names = some(0.6, @{ $world->{journal}{own} });

	push @names, pick('nowhere', 'id', 'amount') if chance(0.02);
	return '{' . join(', ', map { "\"$_\": " . pick(@{ $values{$_} || [1] }) } @names) . '}';
}

sub columns_option
{
	my ($world, $n) = @_;

	return () if !$world->{journal} || !chance(0.4);
	my $all = own_columns($world);
	$all = pick('[]', '7', 'null', '[null]') if chance(0.03);
	$all = '[' . join(', ', map { chance(0.3) ? 'null' : own_columns($world) } 1 .. $n) . ']'
	  if defined $n && chance(0.7);
	return 'columns => ' . literal($all);
}

sub request
{
	my ($world) = @_;
	my $j = $world->{journal};
	return undef
	  if !$j || !$j->{has}{request_id} || chance(0.4);
	return pick('', 'x') if chance(0.03);
	return pick(@{ $j->{requests} });
}

sub transfer_options
{
	my ($world, $column, $request) = @_;
	my @options = (money_options($world), columns_option($world));

	push @options, 'id_column => ' . literal($column) if $column;
	push @options, 'request_id => ' . literal($request) if defined $request;
	return join '', map { ", $_" } @options;
}

sub transfer
{
	my ($world) = @_;
	my $column = id_column($world);
	my $request = request($world);
	my ($from, $to) = map { literal(account($world, $column)) } 1 .. 2;
	my $amount = amount();

	$to = literal(account($world, $column)) while $to eq $from && chance(0.9);
	$from = pick('NULL', '1', "'x'::name", 'now()') if chance(0.03);
	$to = 'NULL' if chance(0.02);
	return {
		kind => 'call',
		fn => 'transfer',
		request => [$request],
		repeat => defined $request,
		books => $world->{journal} && !defined $request,
		sql => "SELECT $moved FROM public.transfer(NULL::f.a, $from, $to, $amount"
		  . transfer_options($world, $column, $request) . ')'
	};
}

sub transfer_many
{
	my ($world) = @_;
	my $a = $world->{accounts};
	my $column = id_column($world);
	my @options = money_options($world);
	my (@from, @to, @amounts, @requests, @chains);

	for (many(chance(0.1) ? 40 : 6))
	{
		push @from, account($world, $column);
		push @to, account($world, $column);
		$to[-1] = account($world, $column) if $to[-1] eq $from[-1];
		push @amounts, amount();
		push @requests, request($world);
		push @chains, pick('NULL', 'NULL', 1, 2);
	}
	# Everything back again: balances end where they began.
	if (chance(0.15))
	{
		my @back = reverse @to;
		push @to, reverse @from;
		push @from, @back;
		@amounts = (@amounts, reverse @amounts);
		@requests = (@requests, map { undef } @requests);
		@chains = (@chains, reverse @chains);
	}
	# Some are reversals, of entries that there may be.
	if ($world->{journal} && chance(0.3))
	{
		my @entries = map { chance(0.3) ? entry_id($world) : 'NULL' } @from;

		for (grep { $entries[$_] ne 'NULL' } 0 .. $#entries)
		{
			($from[$_], $to[$_]) = (undef, undef) if chance(0.98);
			$amounts[$_] = 'NULL' if chance(0.5);
		}
		push @options, 'entry_ids => ARRAY[' . join(', ', @entries) . ']::bigint[]';
	}
	push @options, kinds($world, \@from, \@to, \@amounts)
	  if $world->{journal} && $world->{journal}{holds} && chance(0.5) && !grep { /entry_ids/ } @options;
	push @options, columns_option($world, scalar @from);
	push @options, 'id_column => ' . literal($column) if $column;
	push @options, 'request_ids => ARRAY[' . join(', ', map { literal($_) } @requests) . ']::text[]'
	  if grep { defined } @requests;
	push @options, 'chains => ARRAY[' . join(', ', @chains) . ']::integer[]'
	  if chance(0.4);
	push @options, 'on_error => '
	  . pick("'report'", "'report'", chance(0.9) ? "'raise'" : pick('NULL', "'x'"))
	  if chance(0.9);
	my $arguments = join ', ', array(@from), array(@to),
	  'ARRAY[' . join(', ', @amounts) . ']::numeric[]';
	$arguments = pick('NULL::integer[], NULL, NULL', 'ARRAY[1], ARRAY[1, 2], ARRAY[1]',
		"'{}'::text[], '{}'::text[], '{}'",
		'ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::numeric[]')
	  if chance(0.03);

	return {
		kind => 'call',
		fn => 'transfer_many',
		books => $world->{journal} ? 1 : 0,
		request => \@requests,
		sql => "SELECT format('%s %s|%s', status, ordinality, entry_id)"
		  . " FROM public.transfer_many(NULL::f.a, $arguments"
		  . join('', map { ", $_" } @options) . ')'
	};
}

sub array { return 'ARRAY[' . join(', ', map { literal($_) } @_) . ']::text[]'; }

sub reversal_options
{
	my ($world, $request) = @_;
	my $column = id_column($world);
	my @options = grep { /_balance|details/ } money_options($world);

	push @options, columns_option($world);
	push @options, 'amount => ' . amount() if chance(0.6);
	push @options, 'request_id => ' . literal($request) if defined $request;
	push @options, 'up_to => true' if chance(0.1);
	push @options, 'id_column => ' . literal($column) if $column;
	return join '', map { ", $_" } @options;
}

# The id of an entry that there may be.
sub entry_id
{
	my ($world) = @_;
	my $n = int(rand(3));

	return chance(0.9) && $world->{journal}{has}{id}
	  ? "(SELECT coalesce(min(id), 1) + $n FROM f.j)"
	  : pick('NULL', '999', '-1', '1');
}

sub reverse_transfer
{
	my ($world) = @_;
	my $request = request($world);
	my $entry = entry_id($world);

	return {
		kind => 'call',
		fn => 'reverse_transfer',
		request => [$request],
		books => !defined $request,
		sql => "SELECT $moved FROM public.reverse_transfer(NULL::f.a, 'f.j', ($entry)::bigint"
		  . reversal_options($world, $request) . ')'
	};
}

# ---------------------------------------------------------------------------
# Holds

# Mostly a time that does not come.
sub expiry
{
	return pick("'infinity'", "'2100-01-01'", "now() + '1 hour'", "clock_timestamp() + '5 ms'",
		chance(0.2) ? pick("'2000-01-01'", 'now()', "'-infinity'") : 'NULL');
}

# The id of a hold that there may be, open or not.
sub hold_id
{
	my ($world) = @_;
	my $n = int(rand(3));

	return pick('NULL', '999', '-1', '1') if chance(0.05) || !$world->{journal}{holds};
	my $any = "(SELECT coalesce(min(id), 1) + $n FROM f.j)";
	return $any if chance(0.2);
	return "coalesce((SELECT entry_id FROM f.j_holds ORDER BY entry_id OFFSET $n LIMIT 1), $any)";
}

sub hold_transfer
{
	my ($world) = @_;
	my $column = id_column($world);
	my $request = request($world);
	my ($from, $to) = map { literal(account($world, $column)) } 1 .. 2;
	my @options = grep { !/journal|max_balance/ } money_options($world);

	push @options, columns_option($world);
	push @options, 'expires_at => ' . expiry() if chance(0.6);
	push @options, 'id_column => ' . literal($column) if $column;
	push @options, 'request_id => ' . literal($request) if defined $request;
	return {
		kind => 'call',
		fn => 'hold_transfer',
		request => [$request],
		repeat => defined $request,
		sql => "SELECT $moved FROM public.hold_transfer(NULL::f.a, $from, $to, "
		  . amount() . ", 'f.j'" . join('', map { ", $_" } @options) . ')'
	};
}

# Post it or void it.
sub settle_hold
{
	my ($world) = @_;
	my $column = id_column($world);
	my $request = request($world);
	my $fn = pick('post_transfer', 'post_transfer', 'void_transfer');
	my $keep = $fn eq 'post_transfer' ? qr/_balance|details/ : qr/balance_column|details/;
	my @options = grep { /$keep/ } money_options($world);

	push @options, columns_option($world);
	push @options, 'amount => ' . amount() if $fn eq 'post_transfer' && chance(0.5);
	push @options, 'final => ' . pick('true', 'false', 'NULL') if $fn eq 'post_transfer' && chance(0.5);
	push @options, 'beyond => ' . pick('true', 'false', 'NULL') if $fn eq 'post_transfer' && chance(0.3);
	push @options, 'id_column => ' . literal($column) if $column;
	push @options, 'request_id => ' . literal($request) if defined $request;
	return {
		kind => 'call',
		fn => $fn,
		request => [$request],
		sql => "SELECT $moved FROM public.$fn(NULL::f.a, 'f.j', (" . hold_id($world) . ')::bigint'
		  . join('', map { ", $_" } @options) . ')'
	};
}

sub expire_holds
{
	my ($world) = @_;
	my $column = id_column($world);
	my @options = columns_option($world);

	push @options, 'max_count => ' . pick(1, 2, 1000, 0, 'NULL') if chance(0.3);
	push @options, 'id_column => ' . literal($column) if $column;
	return {
		kind => 'call',
		fn => 'expire_holds',
		sql => "SELECT 'done ' || public.expire_holds(NULL::f.a, 'f.j'" . join('', map { ", $_" } @options) . ')'
	};
}

# The arguments that make some of a batch holds, or settle them.
sub kinds
{
	my ($world, $from, $to, $amounts) = @_;
	my (@kinds, @entries, @expires, @final, @beyond);

	for my $i (0 .. $#$from)
	{
		my $kind = pick('NULL', "'transfer'", "'hold'", "'hold'", "'post'", "'void'");
		my $settles = $kind =~ /post|void/;

		$kind = "'x'" if chance(0.01);
		push @kinds, $kind;
		push @entries, $settles ? hold_id($world) : 'NULL';
		push @expires, $kind =~ /hold/ ? expiry() : 'NULL';
		push @final, pick('NULL', 'true', 'false');
		push @beyond, pick('NULL', 'NULL', 'true', 'false');
		next unless $settles;
		($from->[$i], $to->[$i]) = (undef, undef) if chance(0.98);
		$amounts->[$i] = 'NULL' if $kind =~ /void/ ? chance(0.98) : chance(0.5);
	}
	return (
		'kinds => ARRAY[' . join(', ', @kinds) . ']::text[]',
		'entry_ids => ARRAY[' . join(', ', @entries) . ']::bigint[]',
		'expires_at => ARRAY[' . join(', ', @expires) . ']::timestamptz[]',
		'final => ARRAY[' . join(', ', @final) . ']::boolean[]',
		'beyond => ARRAY[' . join(', ', @beyond) . ']::boolean[]');
}

# Rules for alter_journal(): mostly ones that a journal can have.
sub rules
{
	my ($world) = @_;
	my %rule = (
		min_balance_column => pick('"opening"', 'null', 'null', chance(0.3) ? pick('"nowhere"', '"balance"', 1) : 'null'),
		max_balance_column => pick('"opening"', 'null', 'null', chance(0.3) ? pick('"code"', '[]') : 'null'),
		closed_column => pick('"frozen"', 'null', '"frozen"', chance(0.2) ? '"currency"' : 'null'),
		must_match => pick('["currency"]', 'null', '[]', '["currency", "frozen"]', chance(0.3) ? pick('["nowhere"]', '"x"') : 'null'),
		# Any that they did not begin with would be reported.
		opening => pick('null', 'null', chance(0.3) ? pick('"1"', '{}') : 'null'),
		nothing => 1);
	delete $rule{nothing} if chance(0.9);

	return pick("'[]'", 'NULL', "'1'") if chance(0.05);
	return "'{" . join(', ', map { "\"$_\": $rule{$_}" } some(0.3, sort keys %rule)) . "}'";
}

sub journal_calls
{
	my ($world) = @_;
	my $by = $world->{accounts}{by};
	my $id = literal(account($world, $by));
	my $at = pick('now()', 'clock_timestamp()', "'infinity'", "'-infinity'", 'NULL');

	return {
		kind => 'call',
		fn => 'balance_at',
		sql => "SELECT 'done ' || coalesce(public.balance_at('f.j', $id, $at)::text, '')"
	} if chance(0.4);
	return {
		kind => 'call',
		fn => 'create_journal',
		sql => "SELECT 'done ' || public.create_journal("
		  . join(', ',
			chance(0.8)
			? literal('f.j' . int(rand(100)))
			: pick("'f.j'", "'nowhere.j'", 'NULL', "'f.\"j 3\"'"),
			'NULL::' . pick('f.a', 'f.a', 'f.a', 'f.side'),
			chance(0.8) ? "'$by'" : pick("'code'", 'NULL', "'balance'"),
			pick("'uuid'", "'text'", "'bigint'", chance(0.2) ? "'json'" : "'numeric'"),
			pick('true', 'false', 'false'),
			chance(0.2)
			? 'partition_by => ' . pick("'HASH (id)'", "'LIST (from_id)'",
				"'RANGE'", "'HASH (id)); DROP TABLE f.a; --'")
			: ())
		  . ')'
	} if chance(0.3);
	return {
		kind => 'call',
		fn => 'alter_journal',
		sql => "SELECT 'done ' || public.alter_journal("
		  . (chance(0.9) ? "'f.j'" : pick("'f.a'", 'NULL')) . ', ' . rules($world) . ')'
	} if chance(0.4);
	return {
		kind => 'call',
		fn => 'guard_journal',
		sql => "SELECT 'done ' || public.guard_journal(" . pick("'f.j'", "'f.j'", "'f.a'", 'NULL') . ')'
	} if chance(0.3);
	return {
		kind => 'call',
		fn => 'verify_journal',
		verifies => !$world->{journal}{foreign},
		sql => "SELECT format('%s %s %s %s %s', problem, account_id, entry_id, expected, found)"
		  . " FROM public.verify_journal('f.j', NULL::f.a, '$by')"
		  # Accounts that had money before the journal.
		  . " WHERE problem <> 'no_entries'"
	};
}

# ---------------------------------------------------------------------------
# What others do between the calls

sub other
{
	my ($world) = @_;
	my $t = $world->{table};
	my $n = $t->{name};
	my $column = pick(@{ $t->{data} });
	my $type = $t->{type}{$column};
	my @statements = (
		"DELETE FROM $n WHERE id = " . pick(1 .. 6),
		"UPDATE $n SET " . ident($column) . ' = NULL WHERE id = ' . pick(1 .. 6),
		"CREATE INDEX ON $n (" . join(', ', @{ $t->{keys} }) . ')',
		"CREATE UNIQUE INDEX again ON $n (" . join(', ', @{ $t->{keys} }) . ')',
		'DROP INDEX IF EXISTS f.again, f.one',
		"ALTER TABLE $n ADD COLUMN IF NOT EXISTS added integer DEFAULT 3",
		"ALTER TABLE $n DROP COLUMN IF EXISTS added",
		"ALTER TABLE $n ALTER COLUMN " . ident($column) . ' SET DEFAULT NULL',
		"ANALYZE $n",
		'SET search_path = ' . pick("''", 'f, public', 'DEFAULT'),
		'DISCARD PLANS',
		'SET plan_cache_mode = ' . pick('force_generic_plan', 'auto'));

	if ($type eq 'integer' || $type eq 'varchar(5)')
	{
		my $to = $type eq 'integer' ? 'bigint' : 'text';
		push @statements, "ALTER TABLE $n ALTER COLUMN $column TYPE $to"
		  if $column =~ /^d/;
	}
	# The server tells sessions that are in a transaction too late, so that its
	# own statements fail, too.
	return {
		kind => 'sql',
		alone => 1,
		sql => "ALTER COLLATION f.nocase RENAME TO nocase2"
	} if chance(0.2) && grep { /nocase/ } values %{ $t->{type} };
	if ($world->{journal} && $world->{journal}{guarded})
	{
		push @statements, 'DELETE FROM f.j', 'UPDATE f.j SET amount = 1',
		  'TRUNCATE f.j CASCADE', 'TRUNCATE f.j1';
	}
	if ($world->{accounts})
	{
		push @statements, "UPDATE f.a SET code = code || 'x' WHERE code = 'c5'"
		  if !$world->{accounts}{hostile} && $world->{accounts}{by} ne 'code';
		push @statements,
		  'ALTER TABLE f.a ADD COLUMN IF NOT EXISTS added integer DEFAULT 3',
		  'CREATE INDEX ON f.a (id)', 'ANALYZE f.a';
	}
	# The model of the table follows, whether or not the statement succeeds.
	if (chance(0.15))
	{
		my ($old) = grep { $t->{data}[$_] eq $column } 0 .. $#{ $t->{data} };
		my $new = 'r' . int(rand(1000));
		$t->{data} = [ @{ $t->{data} } ];
		$t->{data}[$old] = $new;
		$t->{type} = { %{ $t->{type} }, $new => $type };
		$t->{renamed} = 1;
		return {
			kind => 'sql',
			outside => 1,
			sql => "ALTER TABLE $n RENAME COLUMN " . ident($column) . " TO $new"
		};
	}
	return { kind => 'sql', outside => 1, sql => pick(@statements) };
}

1;
