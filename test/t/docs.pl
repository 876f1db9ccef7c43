# Copyright (c) 2026, the racefree developers

# The documentation.  Every block of SQL in README.md and doc/ is executed, in
# order, each page in a database of its own, and what it prints is compared with
# what the page shows.  Links lead somewhere, each function has a heading, and
# the README is short.
#
#   ```sql                  is run by the page's session, as psql would; a
#   ```text                 that follows it is its output, in which "…" stands for
#                           anything within a line.  Without one, no error may
#                           come out of it.
#   ```sql since 19         is run by servers from that major version on.
#   ```sql two sessions     has two columns, one for each session, that the first
#                           line divides by "|".  A statement runs when its line
#                           comes.  "--> x" below it is what it gives, a row a
#                           line, and "--> waits" that it waits for a lock, until
#                           something else is expected of it.
#
# A page whose output differs is written to results/ with the output that came.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Spec::Functions qw(canonpath);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $longest_readme = 250;
my @pages = ('README.md', sort glob 'doc/*.md doc/*/*.md');
my @linking = (@pages, glob 'CHANGELOG.md CONTRIBUTING.md .github/*.md bench/README.md clients/*/README.md');

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init(allows_streaming => 'logical');
$node->start;
my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d+)\d{4}$/;

# ---------------------------------------------------------------------------
# Sessions of psql

my $marker = 'the end of this block';

sub session
{
	my ($database, @options) = @_;
	my $timeout = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	my $self = { in => '', out => '', timeout => $timeout };

	$self->{run} = IPC::Run::start(
		[ 'psql', '-Xq', @options, '-d', $node->connstr($database) ],
		'<', \$self->{in}, '>', \$self->{out}, '2>&1', $timeout);
	send_to($self, 'SELECT pg_backend_pid() AS pid \gset', '\echo :pid');
	($self->{pid}) = finished($self) =~ /(\d+)/;
	return $self;
}

sub send_to
{
	my ($self, @lines) = @_;
	# For this, not for all.
	$self->{timeout}->start($PostgreSQL::Test::Utils::timeout_default);
	$self->{in} .= join '', map { "$_\n" } @lines, "\\echo $marker";
	# Nothing is written to psql before it is pumped.
	$self->{run}->pump_nb;
	return;
}

# What it has printed, when it is done with what it was sent.
sub finished
{
	my ($self) = @_;

	$self->{run}->pump until $self->{out} =~ s/\A(.*?)^\Q$marker\E\n//ms;
	return $1;
}

sub wait_for_lock
{
	my ($self) = @_;
	for (1 .. 100)
	{
		return 1
		  if $node->safe_psql('postgres',
			"SELECT wait_event_type FROM pg_stat_activity WHERE pid = $self->{pid}") eq 'Lock';
		usleep(50_000);
	}
	return 0;
}

sub end_of
{
	my ($self) = @_;
	$self->{in} .= "\\q\n";
	$self->{run}->finish;
	return;
}

# ---------------------------------------------------------------------------
# Pages

sub without_trailing_space
{
	my ($text) = @_;
	return $text =~ s/[ \t]+$//mgr =~ s/\n+\z/\n/r;
}

# A pattern for output in which "…" is anything.
sub pattern
{
	my ($expected) = @_;
	return join '.*?', map { quotemeta } split /\xe2\x80\xa6/, $expected, -1;
}

# The page's parts: blocks, as hashes, and text in between.
sub parts
{
	my ($page) = @_;
	my @parts = ('');
	my $line = 0;

	for (split /^/, slurp_file($page))
	{
		my $block = ref $parts[-1] && !$parts[-1]{closed} ? $parts[-1] : undef;
		$line++;
		if ($block && /^```$/)
		{
			$block->{closed} = 1;
		}
		elsif ($block)
		{
			$block->{body} .= $_;
		}
		elsif (/^```(.*)$/)
		{
			push @parts, { info => $1, body => '', line => $line };
		}
		else
		{
			push @parts, '' if ref $parts[-1];
			$parts[-1] .= $_;
		}
	}
	return @parts;
}

# Run the statements of two sessions in the order of the lines, and return what
# was not as expected.
sub two_sessions
{
	my ($database, $body) = @_;
	my @lines = split /\n/, $body;
	my $column = index $lines[0], '|';
	my @sides = map { { session => session($database, '-At', '-v', 'VERBOSITY=terse'), text => '' } } 0, 1;
	my $wrong = '';

	# A wait that is not expected ends, too.  Of a deadlock, it is the first
	# session that finds it.
	for my $i (0, 1)
	{
		my $patience = (3, 60)[$i];
		send_to($sides[$i]{session}, "SET lock_timeout = '20s';", "SET deadlock_timeout = '${patience}s';");
		finished($sides[$i]{session});
	}

	my $settle = sub {
		my ($side) = @_;
		return unless defined $side->{expected};
		my $found = finished($side->{session}) =~ s/\n\z//r;
		my $expected = join "\n", @{ $side->{expected} };
		$expected = '' if $expected eq '(0 rows)';
		my $pattern = pattern($expected);
		$wrong .= "$side->{statement}\ngave:\n$found\nexpected:\n$expected\n"
		  if $found !~ /\A$pattern\z/;
		$side->{expected} = undef;
	};

	# Each side's statements and what is expected of them, with the lines that
	# these are on.
	my @events;
	for my $n (1 .. $#lines)
	{
		my @cells = (substr($lines[$n], 0, $column),
			length $lines[$n] > $column ? substr($lines[$n], $column + 1) : '');
		for my $i (0, 1)
		{
			my $cell = $cells[$i] =~ s/^\s+|\s+$//gr;
			next if $cell eq '';
			if ($cell =~ /^--> ?(.*)$/)
			{
				push @events, { side => $sides[$i], expect => $1 };
				next;
			}
			$sides[$i]{text} .= ($sides[$i]{text} eq '' ? '' : "\n") . $cell;
			next unless $cell =~ /;$/;
			push @events, { side => $sides[$i], run => $sides[$i]{text} };
			$sides[$i]{text} = '';
		}
	}
	for my $n (0 .. $#events)
	{
		my ($event, $side) = ($events[$n], $events[$n]{side});
		if (defined $event->{run})
		{
			my ($next) = grep { $_->{side} == $side } @events[ $n + 1 .. $#events ];
			$settle->($side);
			@$side{qw(statement expected)} = ($event->{run}, []);
			send_to($side->{session}, $event->{run});
			if (defined $next && ($next->{expect} // '') eq 'waits')
			{
				wait_for_lock($side->{session}) or $wrong .= "$event->{run}\ndid not wait\n";
				next;
			}
			# All that is expected of it, on whatever lines.
			for my $later (grep { $_->{side} == $side } @events[ $n + 1 .. $#events ])
			{
				last if defined $later->{run};
				push @{ $side->{expected} }, $later->{expect};
				$later->{seen} = 1;
			}
			# With COMMIT, the other side goes on.
			$settle->($side);
		}
		elsif (!$event->{seen} && $event->{expect} ne 'waits')
		{
			push @{ $side->{expected} }, $event->{expect};
		}
	}
	$settle->($_) for @sides;
	end_of($_->{session}) for @sides;
	return $wrong;
}

my $number = 0;

sub check_page
{
	my ($page) = @_;
	my @parts = parts($page);
	my @blocks = grep { ref && $_->{info} =~ /^sql\b/ } @parts;
	my $database = 'page_' . ++$number;
	my ($session, $differs);

	return unless @blocks;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION racefree')
	  unless grep { $_->{body} =~ /^CREATE EXTENSION racefree;/m } @blocks;
	$session = session($database);
	for my $i (0 .. $#parts)
	{
		my $block = $parts[$i];
		next unless ref $block && $block->{info} =~ /^sql\b/;
		my $name = "$page, line $block->{line}";
		my $output = $parts[ $i + 1 ] // '';
		$output = $parts[ $i + 2 ] // '' if !ref $output && $output =~ /^\s*$/;
		$output = undef unless ref $output && $output->{info} eq 'text';

		if ($block->{info} =~ /since (\d+)/ && $major < $1)
		{
			note "$name: not on PostgreSQL $major";
			next;
		}
		if ($block->{info} =~ /two sessions/)
		{
			my $wrong = two_sessions($database, $block->{body});
			ok($wrong eq '', $name) or diag $wrong;
			next;
		}
		send_to($session, $block->{body});
		my $found = without_trailing_space(finished($session));
		if (!defined $output)
		{
			unlike($found, qr/^(ERROR|FATAL|PANIC|WARNING|invalid|\\)/m, $name);
			next;
		}
		my $pattern = pattern(without_trailing_space($output->{body}));
		ok($found =~ /\A$pattern\z/, $name) or diag $found;
		next if $found =~ /\A$pattern\z/;
		$differs = $output->{body} = $found;
	}
	end_of($session);
	if ($differs)
	{
		make_path("results/" . dirname($page));
		open my $handle, '>', "results/$page" or die "results/$page: $!";
		print $handle map { ref ? "```$_->{info}\n$_->{body}```\n" : $_ } @parts;
		close $handle or die "results/$page: $!";
	}
	return;
}

# ---------------------------------------------------------------------------
# Links

# The text without its blocks and inline code.
sub prose
{
	my ($page) = @_;
	return join '', map { ref ? "\n" : $_ } parts($page);
}

# The anchors of a page, as the usual viewers of Markdown make them of headings.
sub anchors
{
	my ($page) = @_;
	my (%anchors, %times);

	for my $heading (prose($page) =~ /^#+ +(.*)$/mg)
	{
		$heading =~ s/\[(.*?)\]\(.*?\)/$1/g;
		utf8::decode($heading);
		my $anchor = lc($heading) =~ s/[^\w\- ]//gr =~ s/ /-/gr;
		$anchor .= "-$times{$anchor}" if $times{$anchor}++;
		$anchors{$anchor} = 1;
	}
	return \%anchors;
}

my %anchors;

sub broken_links
{
	my ($page) = @_;
	my @broken;

	for my $link (prose($page) =~ s/`[^`]*`//gr =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ /^(https?|mailto):/;
		my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $target = $path eq '' ? $page : dirname($page) . "/$path";
		$target = canonpath($target);
		1 while $target =~ s,(^|/)(?!\.\./)[^/]+/\.\.(/|$),$1,;
		$target = '.' if $target eq '';
		if (!-e $target)
		{
			push @broken, $link;
		}
		elsif (defined $anchor && $target =~ /\.md$/)
		{
			$anchors{$target} //= anchors($target);
			push @broken, $link unless $anchors{$target}{$anchor};
		}
	}
	return @broken;
}

for my $page (@linking)
{
	is_deeply([ broken_links($page) ], [], "$page: its links lead somewhere");
}

# ---------------------------------------------------------------------------
# What there has to be

cmp_ok(scalar(my @lines = split /^/, slurp_file('README.md')),
	'<=', $longest_readme, "README.md has no more than $longest_readme lines");

# Where these were installed from this checkout.  Packages have their own way.
SKIP:
{
	my $installed = `pg_config --docdir` =~ s/\s+\z//r . '/racefree';

	skip 'the documents are not installed', 1 unless -e "$installed/README.md";
	is_deeply([ grep { !-e "$installed/$_" } @pages, glob 'bench/results/*.svg' ],
		[], 'pages are installed so that their links lead somewhere');
}

for my $page (grep { m,^doc/, } @pages)
{
	my $others = join '', map { $_ eq $page ? '' : prose($_) } @linking;
	my $name = $page =~ s,.*/,,r;
	ok($others =~ /\]\([^)]*\b\Q$name\E[#)]/, "another page links to $page");
}

my $reference = join '', map { prose($_) } glob 'doc/reference/*.md';
my $functions = $node->safe_psql('postgres', q(
	CREATE EXTENSION racefree;
	SELECT DISTINCT p.proname
	  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_language l ON l.oid = p.prolang
	 WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
	   AND d.deptype = 'e' AND l.lanname = 'c'
	   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'racefree') ORDER BY 1;
	DROP EXTENSION racefree));
for my $function (split /\n/, $functions)
{
	ok($reference =~ /^#+ .*\b\Q$function\E\b/m, "$function has a heading");
}

my ($errors) = prose('doc/errors.md') =~ /^## Statuses\n(.*?)^## /ms;
my %statuses = map { ($_ => 1) } slurp_file('src/ledger/rules.c') =~ /\[TRANSFER_\w+\] = \{"(\w+)"/g;
# While a batch is tried, not in what it returns.
delete $statuses{left_out};
is_deeply([ sort($errors =~ /^### (\w+)$/mg) ], [ sort keys %statuses ], 'each status has a heading');

check_page($_) for @pages;

$node->stop;

done_testing();
