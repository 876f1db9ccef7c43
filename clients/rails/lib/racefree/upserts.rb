# frozen_string_literal: true

module Racefree
  # Rows that are there once, however many ask for them.
  module Upserts
    # The one record that has these attributes, and whether this call created it.
    # A new one gets the defaults, too. nil equals nil.
    def get_or_create(key, defaults = {})
      key = racefree_key(key)
      racefree_one("get_or_create", key: racefree_json(key), defaults: racefree_new(key, defaults))
    end

    # The same, after the defaults are set in it. A new one gets create_defaults,
    # or the defaults where these are not given.
    def update_or_create(key, defaults = {}, create_defaults = defaults)
      key = racefree_key(key)
      racefree_one("update_or_create",
                   key: racefree_json(key),
                   defaults: racefree_json(racefree_touched(defaults)),
                   create_defaults: racefree_new(key, create_defaults))
    end

    # get_or_create for a batch, in one statement that never deadlocks with others:
    # a record and whether it was created for each of the hashes, in their order.
    # The key is a list of attributes; each hash has these, and others for a new row.
    def get_or_create_many(rows, key)
      rows = rows.map do |row|
        row = racefree_key(row)
        racefree_merged(racefree_json(row), racefree_new(row, {}))
      end
      racefree_many("get_or_create_many", rows, key)
    end

    # update_or_create for a batch. What only a new row should have cannot be given.
    def update_or_create_many(rows, key)
      rows = rows.map { |row| racefree_json(racefree_touched(racefree_key(row))) }
      racefree_many("update_or_create_many", rows, key)
    end

    private

    def racefree_one(function, arguments)
      arguments = arguments.map { |name, value| [name, "jsonb", value] }
      Call.new(self).records(function, arguments, from: "", record: "r.object", extra: ["r.created"]).first
    end

    def racefree_many(function, rows, key)
      key = Array(key).map { |name| racefree_attribute(name) } | racefree_scope.keys
      arguments = [[:rows, "jsonb", "[#{rows.join(', ')}]"], [:key, "name[]", Values.names(key)]]
      Call.new(self).records(function, arguments, from: "", record: "r.object", extra: ["r.created"],
                             order: "r.ordinality")
    end

    # Attributes by the names of their columns, and those of the scope: that of an
    # association, a default scope, the class of a table with several.
    def racefree_key(attributes)
      racefree_scope.merge(racefree_columns(attributes))
    end

    def racefree_columns(attributes)
      attributes.to_h.transform_keys { |name| racefree_attribute(name) }
    end

    def racefree_attribute(name)
      name = name.to_s
      name = attribute_aliases[name] || name
      raise ActiveModel::UnknownAttributeError.new(new, name) unless column_names.include?(name)

      name
    end

    def racefree_scope
      where = all.only(:where)
      found = where.where_values_hash
      unless found.values.none?(Array) && where.where_clause.send(:predicates).size == found.size
        raise ArgumentError, "the scope has conditions that a new record cannot be given"
      end

      found
    end

    def racefree_json(attributes)
      Call.new(self).writing do |connection|
        Values.object(racefree_columns(attributes).map do |name, value|
          [name, Values.attribute_json(connection, type_for_attribute(name), value)]
        end)
      end
    end

    # What Active Record would insert besides the key: attributes that are given or
    # have another value than the column's default, and timestamps.
    def racefree_new(key, defaults)
      given = defaults.to_h.stringify_keys
      record = unscoped { new(key.merge(given)) }
      named = given.keys.map { |name| attribute_aliases[name] || name } & column_names
      names = (record.changed_attribute_names_to_save & column_names) | named
      values = names.to_h { |name| [name, record[name]] }
      times = timestamp_attributes_for_create_in_model + timestamp_attributes_for_update_in_model
      racefree_json(racefree_times(times).merge(values).except(*(key.keys - named)))
    end

    def racefree_touched(attributes)
      return attributes if attributes.empty?

      racefree_times(timestamp_attributes_for_update_in_model).merge(racefree_columns(attributes))
    end

    def racefree_times(names)
      return {} unless record_timestamps

      names.to_h { |name| [name, current_time_from_proper_timezone] }
    end

    # Two objects in one; the first one's members win, as those that come last do.
    def racefree_merged(first, second)
      return first if second == "{}"
      return second if first == "{}"

      "#{second.chomp('}')}, #{first.delete_prefix('{')}"
    end
  end
end
