# What several tests do with their server.

package Server;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils ();
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(wait_for_server);

# Wait until the server accepts connections.  A poll by psql would die of a
# broken pipe where the server refuses psql before it has its query.
sub wait_for_server
{
	my ($node) = @_;
	my $patience = 50 * $PostgreSQL::Test::Utils::timeout_default;

	until (system('pg_isready', '-q', '-d', $node->connstr('postgres')) == 0)
	{
		die 'the server does not come back' unless $patience--;
		usleep(20_000);
	}
	return;
}

1;
