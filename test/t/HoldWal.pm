# Copyright (c) 2026, the racefree developers

# A server whose writes to WAL can be held up: see hold_wal.c.

package HoldWal;

use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Utils;

# Why the library cannot be used here, or nothing.
sub missing
{
	my ($settings) = run_command([ 'pg_config', '--configure' ]);
	my ($flags) = run_command([ 'pg_config', '--cflags' ]);

	return 'there is no /proc' if !-e '/proc/self/fd';
	return 'the server has a sanitizer, which must be loaded first'
	  if "$settings $flags" =~ /-fsanitize/;
	return 'there is no compiler' if !compile();
	return;
}

# Compile the library, once.  The result is its file, or nothing.
my $library;

sub compile
{
	my ($compiler) = run_command([ 'pg_config', '--cc' ]);
	my $file = PostgreSQL::Test::Utils::tempdir() . '/hold_wal.so';

	return $library if defined $library;
	return
	  if system(split(' ', $compiler),
		qw(-shared -fPIC -O -o),
		$file, "$FindBin::RealBin/hold_wal.c", '-ldl') != 0;
	$library = $file;
	return $library;
}

# Start the server with the library.
sub start
{
	my ($node) = @_;

	local $ENV{LD_PRELOAD} = compile();
	local $ENV{RACEFREE_HOLD_WAL} = file($node);
	$node->start;
	return;
}

# Hold up what is written from now on: until release(), or for some time each.
sub hold
{
	my ($node, $milliseconds) = @_;

	append_to_file(file($node), $milliseconds // '');
	return;
}

sub release
{
	my ($node) = @_;

	unlink file($node) or die "could not remove the file: $!";
	return;
}

sub file { return $_[0]->basedir . '/hold_wal'; }

1;
