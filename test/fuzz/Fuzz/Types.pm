# Copyright (c) 2026, the racefree developers

# The types of columns: how each is made, a few JSON values that it takes, and
# some that it refuses.  The values are few so that calls meet again.

package Fuzz::Types;

use strict;
use warnings;
use Fuzz::Random;

# good, bad   JSON values
# make        statements that create it, in schema f
# no_equality cannot be a key
# no_hash     locks the table's keys as a whole
# partition   strategies that it serves as a partition key
our %types = (
	'smallint' => {
		good => [qw(0 1 2 -7 "3")],
		bad => [qw(99999 1.5 "x")],
		partition => 1,
	},
	'integer' => {
		good => [qw(0 1 2 3 -2147483648 "4")],
		bad => [ '99999999999', '1.0', '""', '[1]', 'true' ],
		partition => 1,
	},
	'bigint' => {
		good => [qw(0 1 2 9223372036854775807)],
		bad => [qw(1e40 "1 2")],
		partition => 1,
	},
	'numeric' => { good => [qw(0 1 1.0 1.50 "NaN" 1e20)], bad => ['"one"'] },
	'numeric(6,2)' =>
	  { good => [qw(0 1 1.004 2.5 -1)], bad => [qw(123456 "Infinity")] },
	'double precision' =>
	  { good => [qw(0 -0 1.5 "NaN" "-Infinity")], bad => ['"1e999"'] },
	'text' => {
		good => [ qw("" "a" "A" "b" "it's"), '"a\\\\b"', '"say \\"x\\""', 7 ],
		bad => ['"\\u0000"'],
		partition => 1,
	},
	'varchar(5)' =>
	  { good => [ '""', '"a"', '"a  "', '"b"' ], bad => ['"abcdefgh"'] },
	'char(4)' => { good => [qw("" "a" "b")], bad => ['"abcdefgh"'] },
	'name' => { good => [qw("a" "A" "b")], bad => [] },
	'citext' =>
	  { good => [qw("a" "A" "b" "B")], bad => [], make => [] , type => 'public.citext' },
	'text COLLATE f.nocase' => {
		good => [qw("a" "A" "b")],
		bad => [],
		make => [
			"CREATE COLLATION f.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
		],
	},
	'name COLLATE f.nocase' => {
		good => [qw("a" "A" "b")],
		bad => [],
		make => [
			"CREATE COLLATION f.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
		],
	},
	'boolean' => { good => [qw(true false "yes")], bad => ['"maybe"'] },
	'uuid' => {
		good => [
			map { "\"00000000-0000-0000-0000-00000000000$_\"" } 1 .. 3
		],
		bad => [ '"1"', '1' ],
	},
	'date' => {
		good => [qw("2026-01-01" "2026-02-01" "infinity")],
		bad => ['"2026-02-31"'],
		partition => 1,
	},
	'timestamptz' => {
		good => [ '"2026-01-01 12:00+00"', '"2026-01-01 13:00+01"', '"-infinity"' ],
		bad => ['"soon"'],
	},
	'interval' => { good => [ '"1 day"', '"24 hours"' ], bad => ['"x"'] },
	'inet' => { good => [qw("10.0.0.1" "10.0.0.0/8")], bad => ['"x"'] },
	'bytea' => { good => [ '"\\\\x00"', '"\\\\x01ff"', '""' ], bad => ['"\\\\xz"'] },
	'jsonb' => { good => [ '{"a": 1}', '[1, 2]', '"s"', '3' ], bad => [] },
	'json' => { good => [ '{"a": 1}', '[]' ], bad => [], no_equality => 1 },
	'point' => { good => ['"(1,2)"'], bad => ['"x"'], no_equality => 1 },
	'money' =>
	  { good => [ '1', '"2.50"', '-1' ], bad => ['"x"'], no_hash => 1 },
	'bit(3)' => { good => [qw("101" "000")], bad => ['"1"'], no_hash => 1 },
	'tsvector' => { good => [qw("a" "b")], bad => [], no_hash => 1 },
	'f.mood' => {
		good => [qw("sad" "happy")],
		bad => ['"none"'],
		make => ["CREATE TYPE f.mood AS ENUM ('sad', 'happy')"],
	},
	'f.mood_domain' => {
		good => [qw("sad" "happy")],
		bad => ['"none"'],
		make => [
			"CREATE TYPE f.mood AS ENUM ('sad', 'happy')",
			'CREATE DOMAIN f.mood_domain AS f.mood'
		],
	},
	'int4range' =>
	  { good => [ '"[1,5)"', '"empty"', '"[1,4]"' ], bad => ['"[5,1]"'] },
	'integer[]' => { good => [ '[]', '[1, 2]', '[[1], [2]]' ], bad => ['["x"]', '[[1],[2,3]]'] },
	'text[]' => { good => [ '["a", null]', '["a,b"]' ], bad => ['{"a": 1}'] },
	'varchar(3)[]' =>
	  { good => [ '["a"]', '["a", "b"]' ], bad => ['["abcd"]'] },
	'numeric(5,2)[]' => { good => [ '[1.5]', '[1.50]', '[]' ], bad => ['[12345]'] },
	'f.pair' => {
		good => [
			'{"x": 1, "y": "a"}', '{"x": null, "y": null}',
			'{"x": 1}', '"(2,b)"'
		],
		bad => [ '{"x": "a"}', '"(1"' ],
		make => ['CREATE TYPE f.pair AS (x integer, y text)'],
	},
	'f.positive' => {
		good => [ 1, 2, 3 ],
		bad => [ 0, -1 ],
		make => ['CREATE DOMAIN f.positive AS integer CHECK (VALUE > 0)'],
	},
	# Its check calls racefree again, and may raise.
	'f.checked' => {
		good => [ 1, 2, 3, 4, 6 ],
		bad => [ 12, 13, '"x"' ],
		make => [
			'CREATE DOMAIN f.checked AS integer CHECK (f.check_value(VALUE))'],
	},
	'f.labels' => {
		good => [ '["a"]', '[]' ],
		bad => ['["abcdef"]'],
		make => ['CREATE DOMAIN f.labels AS varchar(3)[]'],
	});
our @names = sort keys %types;

# A JSON value for a column of this type, and whether the type takes it.
sub value
{
	my ($name, $nulls) = @_;
	my $type = $types{$name};

	return ('null', 1) if chance($nulls);
	return (pick(@{ $type->{bad} }), 0) if @{ $type->{bad} } && chance(0.06);
	return (pick(@{ $type->{good} }), 1);
}

# The same value as the text that its input function takes.
sub text
{
	my ($json) = @_;

	return undef if $json eq 'null';
	return $json =~ tr/[]"/{}/dr if $json =~ /^\[/;
	return $json =~ s/^"(.*)"$/$1/r =~ s/\\(.)/$1/gr;
}

sub sql_name { return $types{ $_[0] }{type} || $_[0]; }
sub equality { return !$types{ $_[0] }{no_equality}; }

1;
