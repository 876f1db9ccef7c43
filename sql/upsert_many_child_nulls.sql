-- A primary key is the parent's alone: in a child, its columns can be NULL, and
-- their values come again.  From 18 on they cannot be NULL there: then 0 stands
-- for NULL here.
SELECT current_setting('server_version_num')::integer < 180000 AS null_in_children \gset
CREATE TABLE mcn (a integer, b integer, k text, v text);
CREATE TABLE mcn_child () INHERITS (mcn);
ALTER TABLE mcn ADD PRIMARY KEY (a, b);
\set none 0
\if :null_in_children
ALTER TABLE mcn_child ALTER a DROP NOT NULL, ALTER b DROP NOT NULL;
\set none NULL
\endif
INSERT INTO mcn VALUES (1, 1, 'p', 'old'), (2, 2, 'q', 'old'), (3, 3, NULL, 'old');
INSERT INTO mcn_child VALUES (:none, :none, 'c', 'old'), (1, :none, 'd', 'old'), (1, 1, 'e', 'old');
SELECT ordinality, nullif((object).a, 0) AS a, nullif((object).b, 0) AS b, (object).k, (object).v, created
  FROM update_or_create_many(NULL::mcn, '[{"k": "c", "v": "x"}, {"k": "q", "v": "x"}, {"k": "d", "v": "x"}, {"k": "e", "v": "x"}, {"k": "p"}]', '{k}');
SELECT ordinality, nullif((object).a, 0) AS a, (object).k, (object).v, created
  FROM update_or_create_many(NULL::mcn, '[{"k": "c"}, {"k": null, "v": "x"}]', '{k}');
SELECT tableoid::regclass, nullif(a, 0) AS a, nullif(b, 0) AS b, k, v FROM mcn ORDER BY k;
DROP TABLE mcn_child, mcn;
