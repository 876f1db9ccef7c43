# frozen_string_literal: true

module Racefree
  # How a statement for a model runs, and what its rows become.
  class Call
    def initialize(model)
      @model = model
      raise ArgumentError, "#{model.name} has no table" if model.abstract_class?
    end

    # The rows of a call, each as a record and what else was asked for. Arguments
    # are triples of a name, a type and the value as text.
    def records(function, arguments, from:, record:, extra:, order: nil)
      columns = @model.column_names
      fields = columns.map { |name| "(#{record}).#{quoted(name)}" } + extra
      sql = "SELECT #{fields.join(', ')} FROM #{call(function, arguments)} AS r#{from}"
      sql += " ORDER BY #{order}" if order
      run(function, sql, arguments).map do |row|
        [instantiate(columns.zip(row).to_h), *row.drop(columns.size)]
      end
    end

    def value(function, arguments)
      run(function, "SELECT #{call(function, arguments)}", arguments).first.first
    end

    # Run the block where the model writes.
    def writing
      base = ActiveRecord::Base
      role = ActiveRecord.respond_to?(:writing_role) ? ActiveRecord.writing_role : base.writing_role
      # Whoever writes in this role already has said whether it may.
      return yield(@model.connection) if @model.current_role == role

      base.connected_to(role: role) { yield(@model.connection) }
    end

    private

    # There is no account any more.
    def instantiate(attributes)
      return if attributes.each_value.all?(&:nil?)

      @model.instantiate(attributes)
    end

    # exec_query is not answered from the query cache, as select_all would be: that
    # has one transfer where two were asked for.
    def run(function, sql, arguments)
      binds = arguments.map do |name, _, value|
        ActiveRecord::Relation::QueryAttribute.new(name.to_s, value, ActiveModel::Type::String.new)
      end
      writing do |connection|
        if connection.preventing_writes?
          raise ActiveRecord::ReadOnlyError, "Write query attempted while in readonly mode: #{function}"
        end

        Racefree.translating_errors { connection.exec_query(sql, "racefree #{function}", binds).rows }
      ensure
        # Whatever was read before may have changed.
        connection.clear_query_cache
      end
    end

    # A null of the table's row type, and parameters.
    def call(function, arguments)
      given = arguments.each_with_index.map { |(name, type, _), i| "#{name} => CAST(CAST($#{i + 1} AS text) AS #{type})" }
      schema = "#{quoted(Racefree.schema)}." if Racefree.schema
      "#{schema}#{function}(#{["CAST(NULL AS #{@model.quoted_table_name})", *given].join(', ')})"
    end

    def quoted(name)
      @model.connection.quote_column_name(name)
    end
  end
  private_constant :Call
end
