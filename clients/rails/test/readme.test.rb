# frozen_string_literal: true

# The examples of the README run, and print what their comments say.

require "help"
require "stringio"

class Readme < Minitest::Test
  TEXT = File.read(File.join(__dir__, "..", "README.md"))

  def blocks(language)
    TEXT.scan(/^```#{language}\n(.*?)^```$/m).join("\n")
  end

  def test_the_examples
    new_database("racefree_rails_readme", blocks("sql"), extension: false)
    code = blocks("ruby")
    output = capture_io { Object.class_eval(code, "README.md") }.first
    expected = code.scan(/^ *puts .* # (.*)$/).flatten
    assert_operator expected.size, :>=, 6
    assert_equal expected, output.lines(chomp: true)
  end

  def test_it_names_all_there_is
    names = Racefree::Model.public_instance_methods + Racefree::Error.subclasses.map { |error| error.name[/\w+\z/] }
    names.each { |name| assert_includes TEXT, "`#{name}" }
    assert_operator names.size, :>=, 20
  end

  def test_the_gem
    gem = Gem::Specification.load(File.join(__dir__, "..", "racefree.gemspec"))
    assert_equal ["racefree", Racefree::VERSION], [gem.name, gem.version.to_s]
    Dir.chdir(File.join(__dir__, "..")) { gem.files.each { |file| assert_path_exists file } }
  end
end
