# Copyright (c) 2026, the racefree developers

# Lines between nodes that can be cut at the moments that matter: a process
# relays what is sent to a node, and while the file "cut" exists, it now and then
# cuts the line at a COMMIT PREPARED, PREPARE TRANSACTION or COMMIT, before it
# arrives or before the answer does.

package CitusProxy;

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

my @proxies;
my $folder;

END
{
	my $status = $?;

	kill 'KILL', @proxies;
	$? = $status;
}

sub cut_file
{
	$folder ||= PostgreSQL::Test::Utils::tempdir_short();
	return "$folder/cut";
}

# How often lines were cut so far, by where.
sub cuts
{
	my %cuts;

	for my $file (glob "$folder/*.log")
	{
		$cuts{$_}++ for split /\n/, slurp_file($file);
	}
	return %cuts;
}

# From now on, cut lines at so many of these moments; 0 cuts no more.
sub cut
{
	my ($share) = @_;

	if ($share)
	{
		append_to_file(cut_file(), $share);
	}
	else
	{
		unlink cut_file();
	}
	return;
}

# Start a proxy for the port; return its own.
sub start
{
	my ($port) = @_;
	my $file = cut_file();
	my $listener = IO::Socket::INET->new(
		Listen => 128,
		LocalAddr => '127.0.0.1',
		Proto => 'tcp') or die "cannot listen: $!";
	my $pid = fork // die "cannot fork: $!";

	if (!$pid)
	{
		$SIG{PIPE} = 'IGNORE';
		srand $$;
		eval { relay($listener, $port, "$folder/$port.log"); };
		POSIX::_exit(0);
	}
	push @proxies, $pid;
	return $listener->sockport;
}

# Send all of it; false if the line is gone.
sub forward
{
	my ($to, $data) = @_;

	while (length $data)
	{
		my $sent = syswrite $to, $data;

		return 0 unless $sent;
		substr($data, 0, $sent) = '';
	}
	return 1;
}

# Where the line is to be cut, if it is: before or after this is sent.
sub choose
{
	my ($data) = @_;

	return '' unless -e cut_file() && $data =~ /\b(COMMIT PREPARED|PREPARE TRANSACTION|COMMIT)\b/;
	my $moment = $1;

	return '' unless rand() < (slurp_file(cut_file()) || 0);
	return (rand() < 0.5 ? 'before ' : 'after ') . $moment;
}

sub relay
{
	my ($listener, $port, $log) = @_;
	my $parent = getppid;
	my $select = IO::Select->new($listener);
	my (%other, %is_client);

	while (getppid == $parent)
	{
		for my $from ($select->can_read(1))
		{
			if ($from == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::INET->new(
					PeerAddr => '127.0.0.1',
					PeerPort => $port,
					Proto => 'tcp') or next;

				($other{$client}, $other{$server}) = ($server, $client);
				$is_client{$client} = 1;
				$select->add($client, $server);
				next;
			}
			my $to = $other{$from} or next;
			my $cut = '';
			my $alive = sysread $from, my $data, 65536;

			$cut = choose($data) if $alive && $is_client{$from};
			$alive &&= forward($to, $data) unless $cut =~ /before/;
			if ($cut)
			{
				append_to_file($log, "$cut\n");
				# The server gets it, and the answer is lost.
				usleep(20_000) if $cut =~ /after/;
			}
			next if $alive && !$cut;
			$select->remove($from, $to);
			delete @other{ $from, $to };
			delete @is_client{ $from, $to };
			close $from;
			close $to;
		}
	}
	return;
}

1;
