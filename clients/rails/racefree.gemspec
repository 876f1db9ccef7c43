# frozen_string_literal: true

require_relative "lib/racefree/version"

Gem::Specification.new do |spec|
  spec.name = "racefree"
  spec.version = Racefree::VERSION
  spec.summary = "Transfers, holds, get-or-create and update-or-create on PostgreSQL without races"
  spec.description = "The racefree extension of PostgreSQL, from Active Record: past the query cache, " \
                     "to the writing role, with records that are as the server has them."
  spec.authors = ["The racefree contributors"]
  spec.license = "PostgreSQL"
  spec.files = Dir["lib/**/*.rb"] + ["README.md", "LICENSE"]
  spec.required_ruby_version = ">= 2.7"
  spec.add_dependency "activerecord", ">= 6.1"
  spec.add_dependency "pg", ">= 1.1"
end
