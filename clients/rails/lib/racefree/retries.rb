# frozen_string_literal: true

module Racefree
  # Run the block in a transaction, and again after a serialization failure (40001)
  # and a deadlock (40P01), attempts times in all. With lost, after a lost
  # connection, too, when it may have been committed: so all that it does must be
  # such that it happens once, by request ids or get_or_create. In a transaction
  # that is open already, which cannot be repeated from here, it runs once.
  def self.retry(attempts: 5, isolation: nil, lost: false, model: ActiveRecord::Base)
    return yield if model.connection.transaction_open?

    attempt = 0
    begin
      attempt += 1
      model.transaction(isolation: isolation) { yield }
    rescue ActiveRecord::ActiveRecordError => e
      gone = connection_lost?(e)
      again = e.is_a?(ActiveRecord::SerializationFailure) || e.is_a?(ActiveRecord::Deadlocked) || (lost && gone)
      raise unless again && attempt < attempts

      sleep(rand * 0.01 * 2**attempt)
      model.connection.reconnect! if gone
      retry
    end
  end

  def self.connection_lost?(error)
    return true if error.is_a?(ActiveRecord::ConnectionNotEstablished)

    cause = error.cause
    cause.is_a?(PG::ConnectionBad) || cause.is_a?(PG::UnableToSend) ||
      %w[57P01 57P02 57P03 08006 08003].include?(sqlstate(error))
  end
  private_class_method :connection_lost?
end
