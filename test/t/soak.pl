# Copyright (c) 2026, the racefree developers

# Half a minute of everything at once: see test/soak/soak.pl.  "make soak" goes
# on for longer, with another seed each time.
#
# RACEFREE_SOAK_SECONDS (30, with SOAK=1 300) and RACEFREE_SOAK_SEED (1) say how
# long and which.

use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('soak');
$node->init;
$node->start;

{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATA} = $node->data_dir;
	local $ENV{SOAK_LOG} = $node->logfile;
	local $ENV{SOAK_SECONDS} = $ENV{RACEFREE_SOAK_SECONDS} || ($ENV{SOAK} ? 300 : 30);
	local $ENV{SOAK_SEED} = $ENV{RACEFREE_SOAK_SEED} || 1;
	my ($stdout, $stderr);
	my $result = IPC::Run::run(
		[ $^X, "$FindBin::RealBin/../soak/soak.pl" ],
		'>' => \$stdout,
		'2>' => \$stderr);

	ok($result, 'nothing is wrong')
	  or diag($stdout);
	is($stderr, '', 'and nothing said to stderr');
	# How many there are is a matter of the machine.
	like($stdout, qr/^transfer_many +\d+: .*ok \d+/m, 'calls were made');
	like($stdout, qr/^\d+ calls, .* [1-9]\d* crashes/m, 'and the server crashed');
	note($stdout);
}
$node->stop;

done_testing();
