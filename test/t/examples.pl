# Copyright (c) 2026, the racefree developers

# The examples run as they are, each in an empty database.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('examples');
$node->init;
$node->start;

my @examples = glob 'examples/*.sql';
isnt(scalar(@examples), 0, 'there are examples');
for my $example (@examples)
{
	my ($name) = $example =~ /(\w+)\.sql$/;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->command_ok(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $example, $node->connstr($name) ],
		"$example runs");
}

is( $node->safe_psql('payments', 'SELECT owner, balance FROM account ORDER BY id'),
	"bank, euro|-79.50\nshop|69.50\nAnn|0.00\nBob|10.00\nCho|0.00",
	'payments.sql ends as it says');

$node->stop;

done_testing();
