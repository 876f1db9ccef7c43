# Copyright (c) 2026, the racefree developers

# Servers whose writes to WAL can be held up: see hold_wal.c.

package HoldWal;

use strict;
use warnings;
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Utils;

# The library, and why there is none, once it was tried to make it.
my ($library, $missing);

# Why WAL cannot be held up here, or nothing.
sub missing
{
	make() if !defined $library && !defined $missing;
	return $missing;
}

sub make
{
	my $file = tempdir() . '/hold_wal.so';
	my ($out, $err) = ('', '');
	my ($compiler) = run_command([ 'pg_config', '--cc' ]);

	if (!-d '/proc/self/fd')
	{
		$missing = 'there is no /proc';
		return;
	}
	# A server that was built with sanitizers lets nobody in before them.
	my $works = eval {
		IPC::Run::run(
			[
				split(' ', $compiler),
				qw(-O -Wall -shared -fPIC -o),
				$file, "$FindBin::RealBin/hold_wal.c", '-ldl'
			],
			'>', \$out, '2>', \$err)
		  && IPC::Run::run([ 'env', "LD_PRELOAD=$file", 'postgres', '-V' ],
			'>', \$out, '2>', \$err);
	};
	if ($works && $err eq '')
	{
		$library = $file;
	}
	else
	{
		$missing = "the library cannot be built or loaded: $err$@";
	}
	return;
}

# Start a server with the library, if there is one.
sub start
{
	my ($node) = @_;

	release();
	local $ENV{LD_PRELOAD} = $library if !missing();
	local $ENV{RACEFREE_HOLD_WAL} = file();
	$node->start;
	return;
}

# Hold up what is written from now on: until release(), or for some milliseconds
# each.
sub hold
{
	my ($milliseconds) = @_;

	release();
	append_to_file(file(), $milliseconds // '');
	return;
}

sub release
{
	unlink file();
	return;
}

my $folder;

sub tempdir { return $folder //= PostgreSQL::Test::Utils::tempdir(); }

sub file { return tempdir() . '/hold_wal'; }

1;
