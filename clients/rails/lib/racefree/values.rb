# frozen_string_literal: true

require "bigdecimal"
require "json"

module Racefree
  # Ruby's values as the text that PostgreSQL reads. Nothing is cut: a time keeps
  # its microseconds, a BigDecimal its digits.
  module Values
    module_function

    # A value of an attribute, as JSON from which its type can be read back.
    def attribute_json(connection, type, value)
      serialized = type.serialize(type.cast(value))
      # A JSON object itself, not a string that holds one.
      return serialized if %i[json jsonb].include?(type.type) && serialized.is_a?(String)

      json(serialized, connection)
    end

    # Any value as JSON.
    def json(value, connection = nil)
      case value
      when Hash
        object(value.map { |name, member| [name, json(member, connection)] })
      when Array
        "[#{value.map { |item| json(item, connection) }.join(', ')}]"
      when ActiveRecord::ConnectionAdapters::PostgreSQL::OID::Array::Data
        json(value.values, connection)
      when nil, true, false, Integer
        value.to_json
      when BigDecimal
        value.finite? ? value.to_s("F") : text(value).to_json
      else
        JSON.generate(text(value, connection))
      end
    end

    # An object of names and JSON.
    def object(members)
      "{#{members.map { |name, value| "#{JSON.generate(name.to_s)}: #{value}" }.join(', ')}}"
    end

    # A scalar as its type's input function takes it.
    def text(value, connection = nil)
      case value
      when String, Symbol, Integer, Float, true, false then value.to_s
      when BigDecimal then value.finite? ? value.to_s("F") : value.to_s
      when ActiveModel::Type::Binary::Data then "\\x#{value.hex}"
      when Date, Time, ActiveSupport::TimeWithZone
        connection && !value.is_a?(Date) ? connection.quoted_date(value) : value.iso8601(*digits(value))
      else
        made = connection ? connection.type_cast(value) : value
        raise TypeError, "cannot send a value of class #{value.class}" unless made.is_a?(String) || made.is_a?(Numeric)

        made.to_s
      end
    end

    def digits(value)
      value.instance_of?(Date) ? [] : [6]
    end

    # Money: never a Float, which is not what was written.
    def amount(name, value)
      case value
      when Integer, BigDecimal, String then text(value)
      else raise TypeError, "#{name} must be an Integer, a BigDecimal or a String, not a #{value.class}"
      end
    end

    # Names as an array.
    def names(names)
      "{#{names.map { |name| "\"#{name.to_s.gsub(/["\\]/) { |c| "\\#{c}" }}\"" }.join(',')}}"
    end
  end
  private_constant :Values
end
