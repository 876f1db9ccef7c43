# Sessions of psql that are given statements, and are not waited for.

package Session;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Utils ();

our @EXPORT_OK = qw(start_session give result quit);

# Start a session of that name that runs the statements.
sub start_session
{
	my ($node, $name, @statements) = @_;
	my $session = { name => $name, in => '', out => '' };

	$session->{run} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d',
			$node->connstr('postgres') . " application_name=$name"
		],
		'<', \$session->{in}, '>&', \$session->{out},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	give($session, @statements);
	return $session;
}

# Give a session more to do.
sub give
{
	my ($session, @statements) = @_;

	$session->{out} = '';
	$session->{in} .= join('', map { "$_;\n" } @statements) . "\\echo done\n";
	$session->{run}->pump_nb;
	return;
}

# Wait until it has done all, and return what it has said.
sub result
{
	my ($session) = @_;

	$session->{run}->pump until $session->{out} =~ s/done\n\z//;
	chomp $session->{out};
	return $session->{out};
}

sub quit
{
	my ($session) = @_;

	$session->{in} .= "\\q\n";
	$session->{run}->finish;
	return;
}

1;
