# frozen_string_literal: true

module Racefree
  # What racefree refuses: one class for each SQLSTATE of its own. All other
  # errors stay what Active Record makes of them.
  class Error < ActiveRecord::StatementInvalid
    class << self
      attr_accessor :sqlstate
    end

    # Of PG::Error's result.
    attr_accessor :primary, :detail, :hint

    def sqlstate
      self.class.sqlstate
    end
  end

  BY_SQLSTATE = {
    InsufficientFunds: "RF001",
    AccountNotFound: "RF002",
    RequestMismatch: "RF003",
    LimitExceeded: "RF004",
    Mismatch: "RF005",
    OverReversed: "RF006",
    EntryNotFound: "RF007",
    AccountClosed: "RF008",
    HoldNotFound: "RF009",
    HoldSettled: "RF010",
    HoldExpired: "RF011",
    OverPosted: "RF012",
    SeveralRows: "21000"
  }.to_h do |name, sqlstate|
    made = Class.new(Error)
    made.sqlstate = sqlstate
    [sqlstate, const_set(name, made)]
  end.freeze
  private_constant :BY_SQLSTATE

  # The SQLSTATE of an error of Active Record or pg, if it has one.
  def self.sqlstate(error)
    error = error.cause if error.is_a?(ActiveRecord::ActiveRecordError)
    error.result&.error_field(PG::Result::PG_DIAG_SQLSTATE) if error.respond_to?(:result)
  end

  # Run the block, whose errors are those above where they can be.
  def self.translating_errors
    yield
  rescue ActiveRecord::StatementInvalid => e
    made = BY_SQLSTATE[sqlstate(e)]
    raise if made.nil? || e.is_a?(Error)

    own = made.new(e.message, sql: e.sql, binds: e.binds)
    result = e.cause.result
    own.primary = result.error_field(PG::Result::PG_DIAG_MESSAGE_PRIMARY)
    own.detail = result.error_field(PG::Result::PG_DIAG_MESSAGE_DETAIL)
    own.hint = result.error_field(PG::Result::PG_DIAG_MESSAGE_HINT)
    raise own, cause: e.cause
  end
end
