# frozen_string_literal: true

module Racefree
  # What was done: the accounts as they are now (nil in a replay, where there is
  # none any more), what was moved, held or let go of, whether the request had been
  # done before, and the entry of the journal, its numbers Integer or BigDecimal.
  Transfer = Struct.new(:from, :to, :amount, :replayed, :entry, keyword_init: true) do
    alias_method :replayed?, :replayed

    def entry_id
      entry && entry["id"]
    end
  end

  # Money that moves between two records, or is set aside for that.
  module Transfers
    # Each argument's type, in the order of the statement.
    TYPES = {
      from_id: "text", to_id: "text", entry_id: "bigint", amount: "numeric", journal: "regclass",
      request_id: "text", details: "jsonb", columns: "jsonb", min_balance: "numeric", max_balance: "numeric",
      must_match: "name[]", up_to: "boolean", expires_at: "timestamptz", final: "boolean", beyond: "boolean",
      max_count: "integer", id_column: "name", balance_column: "name"
    }.freeze
    COMMON = %i[journal request_id details columns balance].freeze
    private_constant :TYPES, :COMMON

    # Move an amount from one account to another, both or neither; with a journal
    # and a request_id once, however often it is asked for. The accounts are
    # records, which are refreshed, or ids.
    def transfer(from:, to:, amount:, **options)
      racefree_between("transfer", from, to, amount, options,
                       [*COMMON, :min_balance, :max_balance, :must_match, :up_to])
    end

    # Move back what an entry moved, whole or in part, never more.
    def reverse_transfer(entry_id, **options)
      racefree_entry("reverse_transfer", entry_id, options,
                     [*COMMON, :amount, :min_balance, :max_balance, :up_to])
    end

    # Set an amount aside for a transfer that post_transfer makes later.
    def hold_transfer(from:, to:, amount:, **options)
      racefree_between("hold_transfer", from, to, amount, options,
                       [*COMMON, :expires_at, :min_balance, :must_match, :up_to])
    end

    # Move what was held, or a part of it; what is left is let go of, unless final
    # is false.
    def post_transfer(entry_id, **options)
      racefree_entry("post_transfer", entry_id, options,
                     [*COMMON, :amount, :final, :beyond, :min_balance, :max_balance])
    end

    # Let go of what is left of a hold.
    def void_transfer(entry_id, **options)
      racefree_entry("void_transfer", entry_id, options, COMMON)
    end

    # Let go of holds that have expired, and return how many these were.
    def expire_holds(**options)
      Call.new(self).value("expire_holds", racefree_arguments(options, %i[journal max_count balance]))
    end

    private

    def racefree_between(function, from, to, amount, options, known)
      given = { from: from, to: to }
      given.each { |name, account| racefree_check(name, account, options.fetch(:balance, "balance")) }
      ids = given.to_h { |name, account| [:"#{name}_id", account.is_a?(ActiveRecord::Base) ? account.id : account] }
      options = ids.merge(amount: amount, **options)
      racefree_transfer(function, racefree_arguments(options, [*known, :from_id, :to_id, :amount]), given)
    end

    def racefree_entry(function, entry_id, options, known)
      racefree_transfer(function, racefree_arguments({ entry_id: entry_id, **options }, [*known, :entry_id]), {})
    end

    # An account that is to be refreshed must have nothing of its own there.
    def racefree_check(name, account, balance)
      return unless account.is_a?(ActiveRecord::Base)
      raise TypeError, "#{name} must be a #{self.name}, not a #{account.class.name}" unless account.is_a?(self)
      raise ArgumentError, "#{name} is not saved" if account.new_record?
      return unless account.will_save_change_to_attribute?(balance.to_s)

      raise ArgumentError, "#{name} has a balance that is not saved"
    end

    def racefree_transfer(function, arguments, given)
      (from, _, amount, replayed, entry), (to,) = Call.new(self).records(
        function, arguments,
        from: ", LATERAL (VALUES (1, r.from_account), (2, r.to_account)) AS s (side, account)",
        record: "s.account", order: "s.side",
        extra: ["s.side", "CAST(r.amount AS text)", "r.replayed", "CAST(r.entry AS text)"]
      )
      Transfer.new(from: racefree_refreshed(given[:from], from), to: racefree_refreshed(given[:to], to),
                   amount: BigDecimal(amount), replayed: replayed,
                   entry: entry && JSON.parse(entry, decimal_class: BigDecimal))
    end

    # The caller's record, with what the server has; what it has not saved stays.
    def racefree_refreshed(record, fresh)
      return fresh unless record.is_a?(ActiveRecord::Base) && fresh

      names = fresh.attribute_names & record.attribute_names - record.changed_attribute_names_to_save
      names.each { |name| record.send(:_write_attribute, name, fresh[name]) }
      record.clear_attribute_changes(names)
      record
    end

    def racefree_arguments(options, known)
      unknown = options.keys - known
      raise ArgumentError, "unknown keyword: #{unknown.first.inspect}" unless unknown.empty?

      # A floor, or a request id, that is forgotten is no floor and no request id.
      options.each { |name, value| raise ArgumentError, "#{name} is nil: leave it out" if value.nil? }
      options = options.except(:balance).merge(
        id_column: primary_key, balance_column: racefree_attribute(options.fetch(:balance, "balance"))
      )
      TYPES.slice(*options.keys).map { |name, type| [name, type, racefree_text(name, options[name])] }
    end

    def racefree_text(name, value)
      return Values.amount(name, value) if TYPES[name] == "numeric"

      case name
      when :journal then value.respond_to?(:quoted_table_name) ? value.quoted_table_name : value.to_s
      when :details, :columns then Values.json(value)
      when :must_match then Values.names(value.map { |attribute| racefree_attribute(attribute) })
      when :expires_at then value.to_time.iso8601(6)
      else Values.text(value)
      end
    end
  end
end
