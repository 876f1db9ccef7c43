# frozen_string_literal: true

# get_or_create and its kin.

require "help"

new_database(
  "racefree_rails_upserts", "CREATE TYPE mood AS ENUM ('good', 'bad')", <<~SQL
    CREATE TABLE things (id bigserial PRIMARY KEY, name text, status int NOT NULL DEFAULT 0, price numeric(12,2),
      at timestamp, at_tz timestamptz, day date, clock time, lasts interval, token uuid, more jsonb, plain json, tags text[],
      numbers int[], raw bytea, mood mood, span int4range, address inet, score float8, active boolean DEFAULT true,
      secret_digest text, made_by text DEFAULT 'the server', owner_id bigint, created_at timestamp NOT NULL,
      updated_at timestamp NOT NULL)
  SQL
)

class Record < ActiveRecord::Base
  self.abstract_class = true
  extend Racefree::Model
end

class Owner < ActiveRecord::Base
  self.table_name = "things"
  attribute :lasts, :interval
  has_many :things
end

class Thing < Record
  alias_attribute :title, :name
  attribute :lasts, :interval
  attribute :token, default: -> { SecureRandom.uuid }
  statuses = { open: 0, paid: 1 }
  ActiveRecord.version.segments.first < 7 ? enum(status: statuses) : enum(:status, statuses)
  attr_reader :secret

  def secret=(value)
    self.secret_digest = value.reverse
  end
end

class Shape < Record
  connection.execute("CREATE TABLE shapes (id serial PRIMARY KEY, type text, name text, gone_at timestamp)")
  default_scope { where(gone_at: nil) }
end

class Circle < Shape; end

class Upserts < Minitest::Test
  def test_creates_once
    first, created = Thing.get_or_create({ name: "a" }, { price: BigDecimal("1.50") })
    assert created
    assert_instance_of Thing, first
    assert_predicate first, :persisted?
    refute_predicate first, :changed?
    assert_equal [BigDecimal("1.50"), "the server"], [first.price, first.made_by]
    again, created = Thing.get_or_create({ name: "a" }, { price: 2 })
    refute created
    assert_equal [first, BigDecimal("1.50")], [again, again.price]
    first.update!(price: 3)
    assert_equal 3, Thing.find(first.id).price
  end

  def test_nil_is_a_value
    one, = Thing.get_or_create({ name: nil, price: 7 })
    other, created = Thing.get_or_create({ name: nil, price: 7 })
    refute created
    assert_equal one, other
  end

  TIME = Time.utc(2024, 2, 29, 1, 2, 3, 456_789)
  VALUES = {
    status: "paid", price: BigDecimal("12.30"), at: TIME, at_tz: TIME, day: Date.new(2024, 2, 29),
    lasts: 2.days + 3.seconds, token: SecureRandom.uuid, more: { "deep" => [1, 2.5, nil, "ä\"\\"], "text" => "x" },
    tags: ["a", nil, "b,c", "{"], numbers: [1, nil], raw: "\x00\xff'".b, mood: "bad", span: 1...5,
    address: IPAddr.new("10.0.0.0/8"), score: 0.1, active: false
  }.freeze

  def test_every_type_comes_back
    thing, created = Thing.get_or_create(VALUES.merge(name: "types"))
    assert created
    VALUES.each { |name, value| assert_equal value, thing[name], name }
    # As a key they find it; a time has all its digits.
    again, created = Thing.get_or_create(VALUES.merge(name: "types"))
    refute created
    assert_equal thing, again
    # What Active Record itself writes is the same.
    written = Thing.create!(VALUES.merge(name: "written"))
    assert_equal [written, false], Thing.get_or_create(VALUES.merge(name: "written"))
  end

  def test_clocks
    thing, = Thing.get_or_create({ name: "clock" }, { clock: "01:02:03.456789", plain: { "a" => [1] } })
    assert_equal [Thing.create!(clock: "01:02:03.456789").clock, { "a" => [1] }], [thing.clock, thing.plain]
  end

  def test_times_in_local_time
    settings = ActiveRecord.respond_to?(:default_timezone=) ? ActiveRecord : ActiveRecord::Base
    settings.default_timezone = :local
    ActiveRecord::Base.connection.reconnect!
    thing, = Thing.get_or_create({ name: "local", at: TIME, at_tz: TIME })
    written = Thing.create!(name: "written in local time", at: TIME, at_tz: TIME)
    assert_equal [TIME, written.reload.at_tz], [thing.at, thing.at_tz]
    assert_equal thing, Thing.find_by!(at: TIME, at_tz: TIME, name: "local")
  ensure
    settings.default_timezone = :utc
    ActiveRecord::Base.connection.reconnect!
  end

  def test_a_new_row_is_as_active_record_makes_it
    new, = Thing.get_or_create({ title: "defaults" }, { secret: "abc", active: nil })
    assert_equal ["defaults", "cba", nil], [new.title, new.secret_digest, new.active]
    assert_match(/\A\h{8}-/, new.token)
    assert_in_delta Time.now, new.created_at, 10
    again, = Thing.get_or_create({ name: "defaults" })
    assert_equal [new.token, new.updated_at], [again.token, again.updated_at]
    updated, created = Thing.update_or_create({ name: "defaults" }, { price: 3 })
    refute created
    assert_equal [new.token, 3, new.created_at], [updated.token, updated.price, updated.created_at]
    assert_operator updated.updated_at, :>, new.updated_at
  end

  def test_update
    assert Thing.update_or_create({ name: "u" }, { price: 1 }, { price: 5 }).last
    thing, created = Thing.update_or_create({ name: "u" }, { price: 1, status: :paid }, { price: 5 })
    assert_equal [1, "paid", false], [thing.price, thing.status, created]
    renamed, created = Thing.update_or_create({ name: "u" }, { name: "v" })
    assert_equal [thing, "v", false], [renamed, renamed.name, created]
    bob, created = Thing.update_or_create({ name: "no such" }, { name: "Bob" })
    assert_equal ["Bob", true], [bob.name, created]
  end

  def test_many
    rows = [{ name: "m1", price: 1 }, { title: "m2" }, { name: "m1", price: 9 }]
    first, second, third = Thing.get_or_create_many(rows, [:name])
    assert_equal [true, true, false], [first, second, third].map(&:last)
    assert_equal first.first, third.first
    assert_equal [1, "m2"], [first.first.price, second.first.name]
    refute_equal first.first.token, second.first.token
    again = Thing.update_or_create_many(rows.drop(1), ["name"])
    assert_equal [[second.first, false], [first.first, false]], again
    assert_equal 9, first.first.reload.price
    assert_equal [], Thing.get_or_create_many([], :name)
  end

  def test_the_query_cache_is_passed
    Thing.cache do
      assert_equal 0, Thing.where(name: "cached").count
      assert_equal [true, false], Array.new(2) { Thing.get_or_create({ name: "cached" }).last }
      assert_equal 1, Thing.where(name: "cached").count
    end
  end

  def test_scopes
    owner = Owner.find(Thing.get_or_create({ name: "owner" }).first.id)
    mine, = owner.things.get_or_create({ name: "x" })
    assert_equal [owner.id, "x"], [mine.owner_id, mine.name]
    assert_equal [[mine, false]], owner.things.get_or_create_many([{ name: "x" }], [:name])
    assert_equal [mine.id], Thing.where(owner_id: owner.id).ids
    assert_raises(ArgumentError) { Thing.where("price > 1").get_or_create({ name: "x" }) }
    assert_raises(ArgumentError) { Thing.where(price: [1, 2]).get_or_create({ name: "x" }) }
    gone = Shape.create!(name: "round", gone_at: TIME)
    there, created = Shape.get_or_create({ name: "round" })
    assert_equal [true, false], [created, there == gone]
    circle, created = Circle.get_or_create({ name: "round" })
    assert_equal [true, "Circle", Circle], [created, circle.type, circle.class]
    assert_equal [circle, false], Circle.get_or_create({ name: "round" })
  end

  def test_errors
    2.times { Thing.create!(name: "twice") }
    error = assert_raises(Racefree::SeveralRows) { Thing.get_or_create({ name: "twice" }) }
    assert_kind_of ActiveRecord::StatementInvalid, error
    assert_equal ["21000", "21000"], [error.sqlstate, Racefree.sqlstate(error)]
    assert_match(/twice/, error.detail)
    id = Thing.first.id
    assert_raises(ActiveRecord::RecordNotUnique) { Thing.get_or_create({ name: "y" }, { id: id }) }
    error = assert_raises(ActiveRecord::StatementInvalid) { Thing.get_or_create({ name: "y" }, { name: "z" }) }
    assert_equal "42701", Racefree.sqlstate(error)
    assert_raises(ActiveModel::UnknownAttributeError) { Thing.get_or_create({ naem: "y" }) }
    assert_raises(ActiveModel::UnknownAttributeError) { Thing.get_or_create({ name: "y" }, { naem: 1 }) }
    assert_raises(ActiveModel::UnknownAttributeError) { Thing.get_or_create_many([], [:naem]) }
    assert_raises(ArgumentError) { Record.get_or_create({}) }
  end

  def test_many_at_once_make_one_row
    made = Array.new(10) do
      Thread.new do
        Array.new(10) { |i| ActiveRecord::Base.connection_pool.with_connection { Thing.get_or_create({ name: "burst #{i}" }) } }
      end
    end.flat_map(&:value)
    assert_equal [100, 10, 10], [made.size, made.map(&:first).uniq.size, made.count(&:last)]
  end

  def test_extension_elsewhere
    Thing.connection.execute('CREATE SCHEMA "Ext 1"; DROP EXTENSION racefree; CREATE EXTENSION racefree SCHEMA "Ext 1"')
    Racefree.schema = "Ext 1"
    assert Thing.get_or_create({ name: "elsewhere" }).last
  ensure
    Racefree.schema = nil
    Thing.connection.execute("DROP EXTENSION racefree; CREATE EXTENSION racefree")
  end
end
