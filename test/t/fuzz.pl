# Copyright (c) 2026, the racefree developers

# Two seconds of random calls: see test/fuzz/fuzz.pl.  "make fuzz" goes on for
# longer, with another seed each time.
#
# RACEFREE_FUZZ_SECONDS (2) and RACEFREE_FUZZ_SEED (1) say how long and which.

use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('fuzz');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
restart_after_crash = on
log_statement = none
max_prepared_transactions = 10
synchronous_commit = off
));
$node->start;

{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{FUZZ_SECONDS} = $ENV{RACEFREE_FUZZ_SECONDS} || 2;
	local $ENV{FUZZ_SEED} = $ENV{RACEFREE_FUZZ_SEED} || 1;
	my ($stdout, $stderr);
	my $result = IPC::Run::run(
		[ $^X, "$FindBin::RealBin/../fuzz/fuzz.pl" ],
		'>' => \$stdout,
		'2>' => \$stderr);

	ok($result, 'nothing is found')
	  or diag($stdout);
	is($stderr, '', 'and nothing said to stderr');
	my ($calls) = $stdout =~ /(\d+) calls/;
	cmp_ok($calls, '>', 50, 'calls were made');
	note($stdout);
}
$node->stop;

done_testing();
