# Copyright (c) 2026, the racefree developers

# Every file that names the version names the same one, and what the packages
# say of racefree is what its own files say.  No server is needed:
#
#     prove test/t/versions.pl

use strict;
use warnings;
use FindBin;
use JSON::PP;
use Test::More;

chdir "$FindBin::RealBin/../.." or die "no checkout: $!";

sub content
{
	my ($file) = @_;
	open my $handle, '<:encoding(UTF-8)', $file or die "$file: $!";
	local $/;
	return scalar <$handle>;
}

# What the pattern finds in the file, each time.
sub found
{
	my ($file, $pattern) = @_;
	return join ' ', content($file) =~ /$pattern/g;
}

# What its groups find the first time.
sub first
{
	my ($file, $pattern) = @_;
	my @groups = content($file) =~ $pattern or fail("$file has no $pattern");
	return @groups;
}

# ---------------------------------------------------------------------------
# The version of the extension is X.Y, that of a release X.Y.Z.

my $version = found('racefree.control', qr/^default_version = '(.*)'$/m);
my $meta = decode_json(content('META.json'));
my $provided = $meta->{provides}{racefree};
my $release = $meta->{version};

like($version, qr/^\d+\.\d+$/, 'racefree.control names the version');
like($release, qr/^\Q$version\E\.\d+$/, 'META.json has it');
is($provided->{version}, $release, 'and has it twice');
is($provided->{file}, "racefree--$version.sql", 'and names the script of it');
ok(-e $provided->{file}, 'which there is');
is(found('src/base/compat.h', qr/\.version = "(.*?)"/),
	$version, 'the module says the same of itself');

my ($newest, $date) = first('CHANGELOG.md', qr/^## \[(.*?)\] - (.*)$/m);
is($newest, $release, 'the changelog begins with it');
like($date, qr/^(\d{4}-\d\d-\d\d|not released yet)$/, 'and says when it was released, or that it was not');

my $released = $date ne 'not released yet';
my ($packaged, $suite) = first('debian/changelog', qr/\Aracefree \((.*)-\d+\) (\w+);/);
is($packaged, $release, 'debian/changelog begins with it');
is($suite ne 'UNRELEASED', $released, 'and agrees on whether it is released');

my $spec = 'doc/packages/racefree.spec';
my $cluster = 'doc/packages/cluster.yaml';
is(found($spec, qr/^Version:\s+(.*)$/m), $release, 'the spec has it');
is( (first($spec, qr/^%changelog\n\* .* (\S+)-\d+$/m))[0],
	$release, 'and its changelog begins with it');

is(decode_json(content('clients/node/package.json'))->{version},
	$release, 'so has the client for Node.js');
is(found('clients/django/django_racefree/__init__.py', qr/^__version__ = "(.*?)"/m),
	$release, 'so has the client for Django');
is(found('clients/rails/lib/racefree/version.rb', qr/VERSION = "(.*)"$/m),
	$release, 'so has the client for Active Record');
is(found('clients/sqlalchemy/pyproject.toml', qr/^version = "(.*)"$/m),
	$release, 'so has the client for SQLAlchemy');
is(found($cluster, qr/^ +version: "(.*)"$/m), $version, 'so has the cluster that has it');
like(content('doc/upgrading.md'), qr/^### \Q$version\E$/m, 'doc/upgrading.md says what the version asks for');

# Archives and images, by name, in whatever file.
for my $file ('README.md', 'CONTRIBUTING.md', $spec, $cluster, glob 'doc/*.md doc/*/*.md')
{
	# That one tells of another release.
	next if $file eq 'doc/releasing.md';
	is_deeply([ grep { $_ ne $release } content($file) =~ /\bracefree[\w-]*[-_:](\d+\.\d+\.\d+)\b/g ],
		[], "$file names archives and images of this version");
}

my $stable = $version !~ /^0\./;
is($meta->{release_status}, $stable ? 'stable' : 'testing', 'META.json says whether it is stable');

# ---------------------------------------------------------------------------
# The oldest version of PostgreSQL.

my ($oldest) = first('test/deps.sh', qr/^oldest_major=(\d+)$/m);
is($meta->{prereqs}{runtime}{requires}{PostgreSQL}, "$oldest.0.0", 'META.json names the oldest PostgreSQL');
is(found('debian/pgversions', qr/^(\d\S*)$/m), "$oldest+", 'so does debian/pgversions');
is(found($spec, qr/^BuildRequires:\s+postgresql.*-devel >= (\d+)/m), $oldest, 'and the spec');

# The versions that "pg_buildext updatecontrol" has put into debian/control.
my @majors = content('debian/control') =~ /^Package: postgresql-(\d+)-racefree$/mg;

sub with_majors
{
	my ($separator, $text) = @_;
	return join $separator, map { $text =~ s/PGVERSION/$_/gr } @majors;
}

cmp_ok(scalar @majors, '>', 0, 'debian/control has a package of racefree');
is( content('debian/control'),
	content('debian/control.in') =~ s/^(Package: .*)\z/with_majors("\n", $1)/emsr,
	'debian/control is made from debian/control.in');
is( content('debian/tests/control'),
	content('debian/tests/control.in') =~ s/([\w-]*PGVERSION[\w-]*)/with_majors(', ', $1)/ger,
	'so is debian/tests/control');

# ---------------------------------------------------------------------------
# What it is.

my $comment = found('racefree.control', qr/^comment = '(.*)'$/m);
is($meta->{abstract}, $comment, 'META.json describes it as racefree.control does');
is($provided->{abstract}, $comment, 'and does so twice');
is(found($spec, qr/^Summary:\s+(.*)$/m), $comment, 'so does the spec');
is(found('debian/control.in', qr/^Description: (.*)$/m), $comment, 'and debian/control.in');
is(found('Makefile', qr/^PGFILEDESC = "racefree - (.*)"$/m), $comment, 'and the Makefile');
is(found($spec, qr/^URL:\s+(.*)$/m), $meta->{resources}{homepage}, 'the spec names the same home page');
is(found('debian/control.in', qr/^Homepage: (.*)$/m), $meta->{resources}{homepage}, 'so does debian/control.in');
is(found('debian/control.in', qr/^Maintainer: (.*)$/m), $meta->{maintainer}, 'and the same maintainer');
ok(-e $provided->{docfile}, 'META.json names a document that there is');
is_deeply($meta->{x_documentation}, [ 'README.md', sort(glob 'doc/*.md doc/*/*.md') ], 'and lists all pages');

like(content('LICENSE'), qr/^PostgreSQL License$/m, 'LICENSE names itself');
is($meta->{license}, 'postgresql', 'so does META.json');
is(found($spec, qr/^License:\s+(.*)$/m), 'PostgreSQL', 'and the spec');
is( content('debian/copyright') =~ s/^ (?:\.$)?//mgr =~ s/.*^License: PostgreSQL\n//msr =~ s/\s+/ /gr,
	content('LICENSE') =~ s/.*?^(?=Permission)//msr =~ s/\s+/ /gr,
	'debian/copyright has the text of LICENSE');

done_testing();
