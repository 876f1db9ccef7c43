-- What the report needs besides the tables of all benchmarks.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- Ids of accounts for a batch, at random: odd ones who pay, even ones who are
-- paid, so that nobody pays himself.
CREATE FUNCTION bench.some_accounts(size integer, side integer)
RETURNS bigint[]
LANGUAGE sql VOLATILE AS $$
    SELECT array_agg(2 * floor(random() * number)::bigint + side)
    FROM generate_series(1, size), (SELECT count(*) / 2 FROM bench.accounts) AS a (number)
$$;

CREATE FUNCTION bench.some_requests(size integer)
RETURNS uuid[]
LANGUAGE sql VOLATILE AS $$
    SELECT array_agg(gen_random_uuid()) FROM generate_series(1, size)
$$;
