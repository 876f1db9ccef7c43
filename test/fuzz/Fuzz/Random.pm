# Copyright (c) 2026, the racefree developers

# What the generator draws from, and how it quotes.  All draws come from
# Perl's own generator, which gives the same numbers everywhere.

package Fuzz::Random;

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT = qw(seed chance pick some many ident literal json_string object);

# The cases of one run are independent: each can be repeated on its own.
sub seed
{
	my ($seed, $case) = @_;

	srand(($seed * 1_000_003 + $case * 7919) % 2**32);
	rand() for 1 .. 3;
	return;
}

sub chance { return rand() < $_[0]; }
sub pick { return $_[ int(rand(@_)) ]; }

# A subset of these, in their order, each with this probability.
sub some
{
	my ($chance, @list) = @_;
	return grep { chance($chance) } @list;
}

# So many numbers from 1, at most.
sub many { return 1 .. 1 + int(rand($_[0])); }

sub ident
{
	my ($name) = @_;
	return $name if $name =~ /^[a-z_][a-z_0-9]*$/;
	return '"' . $name =~ s/"/""/gr . '"';
}

sub literal
{
	my ($text) = @_;
	return 'NULL' unless defined $text;
	return "'" . $text =~ s/'/''/gr . "'";
}

sub json_string { return '"' . $_[0] =~ s/(["\\])/\\$1/gr . '"'; }

# Names and JSON values as the text of a JSON object.
sub object
{
	my (@pairs) = @_;
	my @members;

	while (my ($name, $value) = splice @pairs, 0, 2)
	{
		push @members, json_string($name) . ": $value";
	}
	return '{' . join(', ', @members) . '}';
}

1;
