# Copyright (c) 2026, the racefree developers

# A session: a psql behind two pipes, and what it was told.
#
# send() passes statements on and returns at once, receive() waits for their
# results: so several sessions can be at work at the same moment.  Each
# statement is followed by an \echo that carries its SQLSTATE.

package Fuzz::Session;

use strict;
use warnings;
use IO::Select;
use IPC::Open3;
use Time::HiRes qw(time);

# What the server must answer within, and when we stop to wait for it.
our $statement_timeout = 20;
my $patience = 2 * $statement_timeout + 10;

sub new
{
	my ($class, $number, $log) = @_;
	my $self = bless {
		number => $number,    # in the script that is printed
		log => $log,          # array: [ session number, statement ]
		buffer => '',
		pending => 0,
	}, $class;

	local $ENV{PGOPTIONS} = "-c statement_timeout=${statement_timeout}s"
	  . ' -c client_min_messages=error -c deadlock_timeout=50ms';
	open(my $null, '>', '/dev/null') or die "/dev/null: $!";
	$self->{pid} = open3($self->{in}, $self->{out}, '>&' . fileno($null),
		'psql', '-XqAt', '-v', 'VERBOSITY=terse');
	return $self;
}

sub send
{
	my ($self, @statements) = @_;
	my $text = '';

	for my $statement (@statements)
	{
		push @{ $self->{log} }, [ $self->{number}, $statement ];
		$text .= "$statement\n;\n"
		  . "\\echo \@\@ :SQLSTATE :LAST_ERROR_MESSAGE \@\@end\n";
		$self->{pending}++;
	}
	local $SIG{PIPE} = 'IGNORE';
	$self->{in}->print($text);
	$self->{in}->flush;
	return;
}

# One { state, message, lines } for each statement that was sent, and "gone"
# where the connection was lost, "hangs" where nothing came.
sub receive
{
	my ($self) = @_;
	my $until = time() + $patience;
	my @results;

	while ($self->{pending} > 0)
	{
		if ($self->{buffer} =~ s/\A(.*?)^\@\@ (\S{5}) (.*?) ?\@\@end\n//ms)
		{
			my ($lines, $state, $message) = ($1, $2, $3);

			push @results,
			  {
				state => $state,
				message => $state eq '00000' ? '' : $message,
				lines => [ split /\n/, $lines ],
			  };
			$self->{pending}--;
			next;
		}
		my $left = $until - time();
		if ($left <= 0
			|| !IO::Select->new($self->{out})->can_read($left))
		{
			$self->{pending} = 0;
			return (@results, { state => 'hangs', message => '', lines => [] });
		}
		if (!sysread($self->{out}, $self->{buffer}, 65536,
				length $self->{buffer}))
		{
			$self->{pending} = 0;
			return (@results, { state => 'gone', message => '', lines => [] });
		}
	}
	return @results;
}

# Statements, one after the other; the result of the last.
sub run
{
	my ($self, @statements) = @_;

	$self->send(@statements);
	return ($self->receive)[-1];
}

sub close
{
	my ($self) = @_;

	# The end of its input ends psql, and with it the session.
	close $self->{in};
	close $self->{out};
	waitpid $self->{pid}, 0;
	return;
}

1;
