# Copyright (c) 2026, the racefree developers

# The examples run as they are, each in an empty database, and print what is
# beside them.

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
	my $expected = slurp_file($example =~ s/sql$/out/r);
	my ($out, $err);

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	my $worked = IPC::Run::run(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $example, $node->connstr($name) ],
		'>', \$out, '2>&1');
	ok($worked, "$example runs");
	# A message names the file and the line that it comes from.
	is($out =~ s/^psql:\S+: //mgr, $expected, "$example prints what is beside it");
}

$node->stop;

done_testing();
