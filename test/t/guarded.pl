# Copyright (c) 2026, the racefree developers

# A guarded journal: what its page says of it, and that it stays guarded where
# it is restored from a dump or replicated to.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('guarded');
$node->init(allows_streaming => 'logical');
$node->start;

# ---------------------------------------------------------------------------
# The page's example, as it stands there

my ($section) = slurp_file('doc/reference/rules.md') =~ /^## Guarded journals\n(.*)/ms;
my ($accounts, undef, $end, $pay) = $section =~ /^```sql\n(.*?)^```/msg;

like($accounts, qr/guarded => true/, 'it shows how to guard');
like($pay, qr/SECURITY DEFINER.*session_user/s, 'and the other way');
$node->safe_psql('postgres', $_)
  for 'CREATE EXTENSION racefree', $accounts, $pay, 'ALTER ROLE teller LOGIN; ALTER ROLE ann LOGIN; ALTER ROLE bob LOGIN';

sub answers
{
	my ($server, $role, $query, $answer, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $stdout, $stderr) =
	  $server->psql('postgres', $query, extra_params => [ '-U', $role ]);

	is("$stdout$stderr", $answer, $name);
	return;
}

sub refused
{
	my ($server, $role, $query, $complaint, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my (undef, undef, $stderr) = $server->psql(
		'postgres', "\\set VERBOSITY sqlstate\n$query;",
		extra_params => [ '-U', $role ]);

	like($stderr, qr/ERROR:  \Q$complaint\E$/m, $name);
	return;
}

my $transfer = q(SELECT amount FROM transfer(NULL::purse, %d, %d, %d, journal => 'public.purse_journal'));
my $by_hand = 'INSERT INTO purse_journal (id, from_id, to_id, amount, from_balance, to_balance)'
  . ' OVERRIDING SYSTEM VALUE VALUES (0, 1, 2, 1, 0, 0)';
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# A role with the grants can transfer, and do nothing else.
answers($node, 'teller', sprintf($transfer, 2, 3, 10), '10', 'a teller transfers');
refused($node, 'teller', 'UPDATE purse SET balance = balance + 1', '42501', 'and changes no balance');
refused($node, 'teller', $by_hand, '42501', 'and inserts no entry');
refused($node, 'teller', q(SELECT transfer(NULL::purse, 2, 3, 1000, '-Infinity', journal => 'purse_journal')),
	'RF001', 'and overdraws no account');
refused($node, 'teller', 'SELECT transfer(NULL::purse, 2, 3, 1)', '55000', 'and leaves no entry out');
refused($node, $superuser, 'UPDATE purse SET balance = balance + 1', '42501', 'nor does a superuser');

# A role without grants pays from its own account, by the function.
my $uuid = '00000000-0000-0000-0000-000000000001';
answers($node, 'ann', "SELECT pay(2, 3, 5, '$uuid')", '85.00', 'ann pays from her account');
answers($node, 'ann', "SELECT pay(2, 3, 5, '$uuid')", '85.00', 'once');
refused($node, 'bob', "SELECT pay(2, 3, 5, '$uuid')", '42501', 'bob cannot');
refused($node, 'bob', sprintf($transfer, 3, 2, 1), '42501', 'nor transfer without the function');
refused($node, 'teller', "SELECT pay(2, 3, 5, '$uuid')", '42501', 'nor can who may not call it');

# ---------------------------------------------------------------------------
# Dumps

my $folder = $node->basedir;
my $source = $node->connstr('postgres');
my %ways = (
	plain => [ ['-f'] ],
	custom => [ [ '-Fc', '-f' ] ],
	parallel => [ [ '-Fd', '-j', 2, '-f' ] ],
	# With the guards in place before the rows.
	apart => [ [ '--schema-only', '-f' ], [ '--data-only', '--disable-triggers', '-f' ] ]);

for my $way (sort keys %ways)
{
	my $target = $node->connstr($way);

	$node->safe_psql('postgres', "CREATE DATABASE $way");
	for my $i (0 .. $#{ $ways{$way} })
	{
		my @dump = @{ $ways{$way}[$i] };
		my $file = "$folder/$way.$i";

		$node->command_ok([ 'pg_dump', '--no-sync', @dump, $file, $source ], "$way: dumped");
		$node->command_ok(
			"@dump" =~ /-F/
			? [ 'pg_restore', '--exit-on-error', '-d', $target, $file ]
			: [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $file, $target ],
			"$way: restored");
	}
	is($node->safe_psql($way, sprintf($transfer, 3, 2, 1)), '1', "$way: transfers go on");
	for my $statement ('UPDATE purse SET balance = 0', 'DELETE FROM purse', $by_hand, 'TRUNCATE purse CASCADE')
	{
		my (undef, undef, $stderr) = $node->psql($way, "\\set VERBOSITY sqlstate\n$statement;");

		like($stderr, qr/ERROR:  (42501|55000|23503)$/m, "$way: $statement is refused");
	}
	is( $node->safe_psql($way, q(SELECT balance FROM purse ORDER BY id)),
		"-100.00\n86.00\n14.00", "$way: balances are as they were");
}
# Without that option, data are refused, too.
$node->safe_psql('postgres', 'CREATE DATABASE refused');
$node->command_ok(
	[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/apart.0", $node->connstr('refused') ],
	'a schema is restored');
$node->command_ok([ 'pg_dump', '--no-sync', '--data-only', '-f', "$folder/data", $source ], 'data are dumped');
$node->command_fails_like(
	[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/data", $node->connstr('refused') ],
	qr/an account must begin with zero/, 'and refused by the guard');

# ---------------------------------------------------------------------------
# Logical replication: what arrives passes, what is written there does not

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE ROLE teller LOGIN; CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN');
$subscriber->safe_psql('postgres', slurp_file("$folder/apart.0"));
$node->safe_psql('postgres', 'CREATE PUBLICATION money FOR TABLE purse, purse_journal');
$subscriber->safe_psql('postgres',
	'CREATE SUBSCRIPTION money CONNECTION $$' . $source . '$$ PUBLICATION money');
answers($node, 'teller', sprintf($transfer, 2, 3, 5), '5', 'a transfer on the publisher');
$node->wait_for_catchup('money');
$subscriber->poll_query_until('postgres', q(SELECT count(*) = 4 FROM purse_journal));
answers($subscriber, 'teller', 'SELECT balance FROM purse ORDER BY id', "-100.00\n80.00\n20.00", 'arrives on the subscriber');
refused($subscriber, 'teller', 'UPDATE purse SET balance = balance + 1', '42501', 'where no balance is changed by hand');
refused($subscriber, $superuser, $by_hand, '42501', 'and no entry inserted');

# ---------------------------------------------------------------------------
# The end

$node->safe_psql('postgres', $end);
answers($node, 'teller', 'UPDATE purse SET balance = balance WHERE id = 3 RETURNING balance', "20.00",
	'the owner can end it');
$node->safe_psql('postgres', 'UPDATE purse SET balance = 0 WHERE id = 3');

$subscriber->stop;
$node->stop;

done_testing();
