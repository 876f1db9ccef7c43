# frozen_string_literal: true

# Transfers, holds, and transactions that are run again.

require "help"

NAME = "racefree_rails_transfers"
new_database(
  NAME,
  "CREATE TABLE accounts (id bigserial PRIMARY KEY, balance numeric(12,2) NOT NULL, held numeric(12,2) NOT NULL DEFAULT 0, " \
  "owner text, top numeric, currency text DEFAULT 'EUR', closed_at timestamptz)",
  "CREATE TABLE wallets (name text PRIMARY KEY, money bigint NOT NULL)",
  "SELECT create_journal('public.payments', NULL::accounts, opening => 100, held_column => 'held', " \
  "max_balance_column => 'top', must_match => '{currency}', closed_column => 'closed_at')",
  "ALTER TABLE payments ADD order_id bigint"
)

class Account < ActiveRecord::Base
  extend Racefree::Model
end

class Wallet < ActiveRecord::Base
  extend Racefree::Model
end

class Payment < ActiveRecord::Base
end

class MoneyTest < Minitest::Test
  JOURNAL = "public.payments"

  def setup
    ActiveRecord::Base.connection.execute(<<~SQL)
      TRUNCATE wallets;
      ALTER TABLE payments DISABLE TRIGGER ALL;
      TRUNCATE accounts, payments, payments_holds RESTART IDENTITY;
      ALTER TABLE payments ENABLE TRIGGER ALL;
      INSERT INTO accounts (balance) VALUES (100), (100), (100)
    SQL
    @a, @b, @c = Account.order(:id).to_a
  end

  def pay(amount, from: @a, to: @b, journal: JOURNAL, **options)
    Account.transfer(from: from, to: to, amount: amount, journal: journal, **options)
  end

  def assert_sound
    assert_equal 300, sql_value("SELECT sum(balance) FROM accounts")
    assert_nil sql_value("SELECT problem FROM verify_journal('public.payments', NULL::accounts)")
  end
end

class Transfers < MoneyTest
  def test_moves
    time = Time.now
    done = pay("10.50", details: { order: 4711, at: time, share: BigDecimal("0.10") })
    assert_same @a, done.from
    assert_same @b, done.to
    assert_equal [BigDecimal("89.50"), BigDecimal("110.50")], [@a.balance, @b.balance]
    refute_predicate @a, :changed?
    assert_equal [BigDecimal("10.50"), false], [done.amount, done.replayed?]
    assert_equal done.entry_id, done.entry["id"]
    assert_equal [BigDecimal("0.10"), time.iso8601(6)], done.entry["details"].values_at("share", "at")
    assert_instance_of BigDecimal, done.entry["amount"]
    assert_sound
  end

  def test_ids
    done = pay(1, from: 1, to: "2")
    assert_equal [@a, @b, 99], [done.from, done.to, done.from.balance]
  end

  def test_without_a_journal
    x = Wallet.create!(name: "x'", money: 5)
    y = Wallet.create!(name: "y", money: 0)
    done = Wallet.transfer(from: x, to: y, amount: 2, balance: :money)
    assert_equal [3, 2, nil, nil], [x.money, y.money, done.entry, done.entry_id]
  end

  def test_happens_once
    id = SecureRandom.uuid
    first = pay(10, request_id: id)
    again = pay(10, request_id: id)
    assert_predicate again, :replayed?
    assert_equal [first.entry_id, 90], [again.entry_id, @a.balance]
    assert_raises(Racefree::RequestMismatch) { pay(11, request_id: id) }
    assert_sound
  end

  # Two that are the same are two.
  def test_the_query_cache_is_passed
    Account.cache do
      assert_equal 100, Account.find(1).balance
      2.times { pay(10) }
      assert_equal 80, Account.find(1).balance
    end
    assert_sound
  end

  def test_a_record_does_not_save_the_old_balance_back
    pay(9)
    @a.balance += 1
    @a.save!
    assert_equal 92, sql_value("SELECT balance FROM accounts WHERE id = 1")
  end

  def test_what_is_not_saved_stays
    @a.owner = "Ada"
    pay(1)
    assert_equal [{ "owner" => [nil, "Ada"] }, 99], [@a.changes, @a.balance]
    @a.balance += 1
    assert_raises(ArgumentError) { pay(1) }
    assert_raises(ArgumentError) { pay(1, to: Account.new) }
  end

  def test_limits
    error = assert_raises(Racefree::InsufficientFunds) { pay(1000) }
    assert_kind_of ActiveRecord::StatementInvalid, error
    assert_equal "RF001", error.sqlstate
    assert_match(/insufficient funds/, error.primary)
    refute_empty error.detail
    assert_raises(Racefree::InsufficientFunds) { pay(10, min_balance: 95) }
    assert_raises(Racefree::LimitExceeded) { pay(10, max_balance: 105) }
    @b.update!(owner: "Bob")
    assert_raises(Racefree::Mismatch) { pay(10, must_match: [:owner]) }
    assert_equal 100, pay(1000, up_to: true).amount
    assert_equal(-5, pay(5, min_balance: Racefree::NO_FLOOR).from.balance)
    assert_sound
  end

  def test_a_failure_in_a_savepoint_leaves_the_rest
    Account.transaction do
      pay(1)
      assert_raises(Racefree::InsufficientFunds) { Account.transaction(requires_new: true) { pay(1000) } }
      pay(2)
    end
    assert_equal 97, @a.balance
    assert_sound
  end

  def test_errors
    @c.update!(closed_at: 1.day.ago)
    @b.update!(top: 105)
    assert_raises(Racefree::AccountClosed) { pay(1, to: @c) }
    assert_raises(Racefree::LimitExceeded) { pay(6) }
    assert_raises(Racefree::AccountNotFound) { pay(1, to: 99) }
    assert_raises(Racefree::EntryNotFound) { Account.reverse_transfer(99, journal: JOURNAL) }
    assert_raises(Racefree::HoldNotFound) { Account.post_transfer(99, journal: JOURNAL) }
    assert_raises(Racefree::HoldNotFound) { Account.void_transfer(99, journal: JOURNAL) }
  end

  def test_slips_are_refused
    [1.5, :one].each { |amount| assert_raises(TypeError) { pay(amount) } }
    assert_raises(ArgumentError) { pay(nil) }
    assert_raises(ArgumentError) { pay(1, request_id: nil) }
    assert_raises(ArgumentError) { pay(1, min_balance: nil) }
    assert_raises(TypeError) { pay(1, min_balance: -Float::INFINITY) }
    assert_raises(ArgumentError) { pay(1, requestid: "x") }
    assert_raises(ArgumentError) { Account.void_transfer(1, journal: JOURNAL, amount: 1) }
    assert_raises(TypeError) { pay(1, to: Wallet.create!(name: "x", money: 1)) }
  end

  def test_reverse
    paid = pay(10)
    undone = Account.reverse_transfer(paid.entry_id, amount: 4, journal: JOURNAL)
    assert_equal [@b, @a, 4], [undone.from, undone.to, undone.amount]
    assert_raises(Racefree::OverReversed) { Account.reverse_transfer(paid.entry_id, amount: 7, journal: JOURNAL) }
    assert_equal 6, Account.reverse_transfer(paid.entry_id, journal: JOURNAL).amount
    assert_sound
  end

  def test_journals_and_their_columns
    [Payment, :payments, JOURNAL].each do |journal|
      done = pay(1, journal: journal, columns: { order_id: 7 })
      assert_equal 7, Payment.find(done.entry_id).order_id
    end
  end

  def test_accounts_that_are_gone
    Wallet.transaction do
      x = Wallet.create!(name: "x", money: 5)
      Wallet.create!(name: "y", money: 0)
      Wallet.connection.execute("SELECT create_journal('pocket', NULL::wallets, foreign_keys => false, balance_column => 'money')")
      options = { amount: 2, journal: "pocket", request_id: SecureRandom.uuid, balance: :money }
      Wallet.transfer(from: x, to: "y", **options)
      Wallet.delete("x")
      again = Wallet.transfer(from: "x", to: "y", **options)
      assert_equal [nil, 2, true], [again.from, again.to.money, again.replayed?]
      raise ActiveRecord::Rollback
    end
  end

  def test_without_prepared_statements
    ActiveRecord::Base.establish_connection(config(NAME, prepared_statements: false))
    pay(1, must_match: %w[currency])
    assert_equal 99, @a.balance
  ensure
    ActiveRecord::Base.establish_connection(config(NAME))
  end
end

class Roles < MoneyTest
  def teardown
    ActiveRecord::Base.establish_connection(config(NAME))
  end

  def test_it_is_a_write
    # A replica would refuse to write; this one cannot.
    ActiveRecord::Base.configurations = {
      "default_env" => {
        "primary" => config(NAME).stringify_keys,
        "replica" => config("postgres", replica: true, variables: { default_transaction_read_only: "on" }).stringify_keys
      }
    }
    ActiveRecord::Base.connects_to database: { writing: :primary, reading: :replica }
    ActiveRecord::Base.connected_to(role: :reading) do
      pay(1)
      assert Account.get_or_create({ balance: 0, owner: "new" }).last
      assert_equal "postgres", sql_value("SELECT current_database()")
    end
    assert_equal 99, sql_value("SELECT balance FROM accounts WHERE id = 1")
  end

  def test_who_may_not_write
    writes = if ActiveRecord::Base.respond_to?(:while_preventing_writes)
               ActiveRecord::Base.method(:while_preventing_writes)
             else
               ActiveRecord::Base.connection_handler.method(:while_preventing_writes)
             end
    writes.call do
      assert_raises(ActiveRecord::ReadOnlyError) { pay(1) }
      assert_raises(ActiveRecord::ReadOnlyError) { Account.get_or_create({ id: 1 }) }
    end
    assert_sound
  end
end

class Holds < MoneyTest
  def hold(amount, **options)
    Account.hold_transfer(from: @a, to: @b, amount: amount, journal: JOURNAL, **options)
  end

  def test_post_and_void
    held = hold(30, expires_at: 1.hour.from_now, request_id: SecureRandom.uuid)
    assert_equal [100, 30, "hold"], [@a.balance, @a.held, held.entry["kind"]]
    posted = Account.post_transfer(held.entry_id, amount: 20, journal: JOURNAL)
    assert_equal [20, 80, 0], [posted.amount, posted.from.balance, posted.from.held]
    assert_raises(Racefree::HoldSettled) { Account.void_transfer(held.entry_id, journal: JOURNAL) }
    assert_equal 5, Account.void_transfer(hold(5).entry_id, journal: JOURNAL).amount
    assert_sound
  end

  def test_parts_and_more
    held = hold(30).entry_id
    Account.post_transfer(held, amount: 10, final: false, journal: JOURNAL)
    assert_raises(Racefree::OverPosted) { Account.post_transfer(held, amount: 21, journal: JOURNAL) }
    done = Account.post_transfer(held, amount: 21, beyond: true, journal: JOURNAL)
    assert_equal [0, 69], [done.from.held, done.from.balance]
    assert_sound
  end

  def test_expiry
    held = hold(30, expires_at: 1.second.from_now).entry_id
    sleep 1.1
    assert_raises(Racefree::HoldExpired) { Account.post_transfer(held, journal: JOURNAL) }
    assert_equal 1, Account.expire_holds(journal: JOURNAL)
    assert_sound
  end
end

class Retries < MoneyTest
  def test_serialization_failures
    seen = []
    done = Racefree.retry(isolation: :repeatable_read) do
      seen << Account.find(1).balance
      Thread.new { ActiveRecord::Base.connection_pool.with_connection { pay(5, from: 1, to: 3) } }.join if seen.one?
      pay(10)
    end
    assert_equal [85, [100, 95]], [done.from.balance, seen]
    assert_sound
  end

  def test_gives_up
    { "40001" => 2, "40P01" => 2, "RF001" => 1, "23505" => 1 }.each do |sqlstate, times|
      tries = 0
      error = assert_raises(ActiveRecord::StatementInvalid) do
        Racefree.retry(attempts: 2) do
          tries += 1
          Account.connection.execute("DO $$BEGIN RAISE SQLSTATE '#{sqlstate}'; END$$")
        end
      end
      assert_equal [sqlstate, times], [Racefree.sqlstate(error), tries]
    end
  end

  def test_a_transaction_that_is_open
    Account.transaction do
      Racefree.retry { pay(1) }
      raise ActiveRecord::Rollback
    end
    assert_equal 100, Account.find(1).balance
  end

  def test_lost_connections
    id = SecureRandom.uuid
    tries = 0
    work = lambda do
      tries += 1
      pay(10, request_id: id)
      kill(Account.connection.select_value("SELECT pg_backend_pid()")) if tries == 1
      Account.connection.execute("SELECT 1")
    end
    assert_raises(ActiveRecord::ActiveRecordError) { Racefree.retry(&work) }
    Account.connection.reconnect!
    tries = 0
    Racefree.retry(lost: true, &work)
    assert_equal [2, 1], [tries, Payment.count]
    assert_sound
  end

  def kill(pid)
    connection = PG.connect(dbname: NAME)
    connection.exec("SELECT pg_terminate_backend(#{pid})")
    sleep 0.1
    connection.close
  end

  def test_many_at_once
    Array.new(6) do |i|
      Thread.new do
        ActiveRecord::Base.connection_pool.with_connection do
          10.times do
            Racefree.retry(attempts: 50, isolation: :repeatable_read) do
              Account.transfer(from: 1 + i % 3, to: 1 + (i + 1) % 3, amount: 1, journal: JOURNAL)
            end
          end
        end
      end
    end.each(&:join)
    assert_equal 60, Payment.count
    assert_sound
  end
end
