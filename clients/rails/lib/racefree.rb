# frozen_string_literal: true

require "active_record"
require "active_record/connection_adapters/postgresql_adapter"
require_relative "racefree/version"
require_relative "racefree/errors"
require_relative "racefree/values"
require_relative "racefree/call"
require_relative "racefree/upserts"
require_relative "racefree/transfers"
require_relative "racefree/retries"

# The racefree extension of PostgreSQL, from Active Record.
module Racefree
  # As min_balance: this call asks for no floor.
  NO_FLOOR = BigDecimal("-Infinity")

  class << self
    # The schema of the extension, where that is not in the search path.
    attr_accessor :schema
  end

  # What a model is extended with.
  module Model
    include Upserts
    include Transfers
  end
end
