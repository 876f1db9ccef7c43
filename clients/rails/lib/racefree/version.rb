# frozen_string_literal: true

module Racefree
  VERSION = "0.4.0"
end
