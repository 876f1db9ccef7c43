# frozen_string_literal: true

# What the tests share: databases, and results as TAP.

require "minitest/autorun"
require "racefree"

# Not UTC.
ENV["TZ"] = ENV["PGTZ"] = "Asia/Kolkata"

# Each result, as a line of TAP as well.
module Tap
  class Reporter < Minitest::AbstractReporter
    def start
      @lines = []
    end

    def record(result)
      said = "#{@lines.size + 1} - #{result.class_name}##{result.name}"
      @lines << if result.skipped? then "ok #{said} # SKIP #{result.failure.message}"
                else "#{'not ' unless result.passed?}ok #{said}"
                end
    end

    def report
      name = "#{File.basename($PROGRAM_NAME)}.tap"
      File.write(File.join(ENV.fetch("RACEFREE_TAP"), name), [*@lines, "1..#{@lines.size}", ""].join("\n"))
    end
  end
end

Minitest.extensions << "racefree_tap"
def Minitest.plugin_racefree_tap_init(_options)
  reporter << Tap::Reporter.new if ENV["RACEFREE_TAP"]
end

# The rest is in PGHOST and the like.
def config(database, **options)
  { adapter: "postgresql", database: database, pool: 20, **options }
end

# A new database, which Active Record is connected to.
def new_database(name, *statements, extension: true)
  connection = PG.connect(dbname: "postgres")
  connection.exec("SET client_min_messages = warning")
  connection.exec("DROP DATABASE IF EXISTS #{name} WITH (FORCE)")
  connection.exec("CREATE DATABASE #{name}")
  # A test that fails may leave locks to the next.
  connection.exec("ALTER DATABASE #{name} SET lock_timeout = '10s'")
  connection.close

  ActiveRecord::Base.establish_connection(config(name))
  ActiveRecord::Base.connection.execute("CREATE EXTENSION racefree") if extension
  statements.each { |statement| ActiveRecord::Base.connection.execute(statement) }
end

def sql_value(sql)
  ActiveRecord::Base.uncached { ActiveRecord::Base.connection.select_value(sql) }
end
