/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  The kinds of statements that the verbs run, and their texts.
 *
 * A new kind is a function that writes its text, and a row of the table at the
 * end.  A statement names its columns, so that the result's layout is known.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "run/arbiter.h"
#include "run/rows_private.h"
#include "run/statements.h"
#include "table/columns.h"
#include "table/indexes.h"

/* ----------
 * One row
 * ----------
 */

/* SELECT a, b, c FROM schema.table */
static void
append_select(Statement *stmt, const ColumnValues *result)
{
	sql_append(stmt, "SELECT ");
	sql_append_columns(stmt, result, "");
	sql_append(stmt, " FROM ");
	sql_append_table(stmt);
}

/* RETURNING a, b, c */
static void
append_returning(Statement *stmt, const ColumnValues *result,
				 const char *prefix)
{
	sql_append(stmt, " RETURNING ");
	sql_append_columns(stmt, result, prefix);
}

/* WHERE a = $1 AND b IS NOT DISTINCT FROM NULL; nothing for the empty key. */
static void
append_where(Statement *stmt, const ColumnValues *key)
{
	bool partitioned = target_relation(stmt->target)->rd_rel->relkind ==
					   RELKIND_PARTITIONED_TABLE;

	for (int i = 0; i < key->ncolumns; i++)
	{
		AttrNumber attnum = key->attnums[i];
		const char *name = sql_column(stmt, attnum);
		Oid type = getBaseType(target_column(stmt->target, attnum)->atttypid);

		sql_append(stmt, i == 0 ? " WHERE " : " AND ");
		/* A type without equality is no key, not even to ask for NULL. */
		(void) columns_type(stmt->target, attnum, 0);
		if (key->nulls[i])
			sql_append_is_null(stmt, name);
		else if (partitioned)
			sql_append_sure_equality(stmt, attnum, name, sql_param(stmt, type),
									 type);
		else
			sql_append_equality(stmt, attnum, name, sql_param(stmt, type),
								type);
	}
}

/*
 * SELECT a, b, c FROM schema.table WHERE a = $1 AND b IS NOT DISTINCT FROM NULL
 *		[ FOR NO KEY UPDATE ]
 */
static void
build_look(Statement *stmt, const StatementSpec *spec)
{
	append_select(stmt, NULL);
	append_where(stmt, spec->key);
	if (spec->kind == STMT_LOCK)
		sql_append(stmt, " FOR NO KEY UPDATE");
}

/*
 * SELECT FROM schema.table WHERE a = $1 AND b IS NOT DISTINCT FROM NULL
 */
static void
build_exists(Statement *stmt, const StatementSpec *spec)
{
	sql_append(stmt, "SELECT FROM ");
	sql_append_table(stmt);
	append_where(stmt, spec->key);
}

/* (a, b) VALUES ($1, $2) */
static void
append_insert_values(Statement *stmt, const ColumnValues *data)
{
	for (int i = 0; i < data->ncolumns; i++)
		appendStringInfo(&stmt->text, "%s%s", i == 0 ? " (" : ", ",
						 sql_column(stmt, data->attnums[i]));
	for (int i = 0; i < data->ncolumns; i++)
	{
		Oid type = target_column(stmt->target, data->attnums[i])->atttypid;

		appendStringInfo(&stmt->text, "%s%s", i == 0 ? ") VALUES (" : ", ",
						 sql_param(stmt, type));
	}
	sql_append(stmt, data->ncolumns == 0 ? " DEFAULT VALUES" : ")");
}

/*
 * INSERT INTO schema.table (a, b) VALUES ($1, $2)
 *		[ ON CONFLICT (a) DO NOTHING ] RETURNING a, b, c
 */
static void
build_insert(Statement *stmt, const StatementSpec *spec)
{
	sql_append(stmt, "INSERT INTO ");
	sql_append_table(stmt);
	append_insert_values(stmt, spec->data);
	if (spec->kind == STMT_INSERT_OR_YIELD)
		(void) arbiter_clause(stmt->target, &stmt->text, spec->key);
	append_returning(stmt, NULL, "");
}

/*
 * UPDATE schema.table SET b = $1 WHERE a = $2 RETURNING a, b, c
 */
static void
build_update(Statement *stmt, const StatementSpec *spec)
{
	const ColumnValues *data = spec->data;

	Assert(data->ncolumns > 0);
	sql_append(stmt, "UPDATE ");
	sql_append_table(stmt);
	for (int i = 0; i < data->ncolumns; i++)
	{
		AttrNumber attnum = data->attnums[i];
		Oid type = target_column(stmt->target, attnum)->atttypid;

		appendStringInfo(&stmt->text, "%s%s = %s", i == 0 ? " SET " : ", ",
						 sql_column(stmt, attnum), sql_param(stmt, type));
	}
	append_where(stmt, spec->key);
	append_returning(stmt, NULL, "");
}

/* DELETE FROM schema.table WHERE a = $1 RETURNING a, b, c */
static void
build_delete(Statement *stmt, const StatementSpec *spec)
{
	sql_append(stmt, "DELETE FROM ");
	sql_append_table(stmt);
	append_where(stmt, spec->key);
	append_returning(stmt, NULL, "");
}

/*
 * UPDATE schema.table SET b = b::type OPERATOR(pg_catalog.+) $1
 *		WHERE a = $2 [ AND b::numeric OPERATOR(pg_catalog.>=) $3 ]
 *		RETURNING a, b, c
 *
 * The bound is on the old value.
 */
static void
build_add(Statement *stmt, const StatementSpec *spec)
{
	AttrNumber attnum = spec->data->attnums[0];
	Oid type = getBaseType(target_column(stmt->target, attnum)->atttypid);
	const char *name = sql_column(stmt, attnum);

	Assert(spec->data->ncolumns == 1);
	sql_append(stmt, "UPDATE ");
	sql_append_table(stmt);
	appendStringInfo(&stmt->text, " SET %s = %s::%s OPERATOR(pg_catalog.+) %s",
					 name, name, format_type_be_qualified(type),
					 sql_param(stmt, type));
	append_where(stmt, spec->key);
	if (spec->kind != STMT_ADD)
		appendStringInfo(
			&stmt->text,
			" AND %s::pg_catalog.numeric OPERATOR(pg_catalog.%s) %s", name,
			spec->kind == STMT_ADD_ABOVE ? ">=" : "<=",
			sql_param(stmt, NUMERICOID));
	append_returning(stmt, NULL, "");
}

/*
 * SELECT pg_catalog.sum(b::pg_catalog.numeric) FROM schema.table WHERE a = $1
 */
static void
build_sum(Statement *stmt, const StatementSpec *spec)
{
	appendStringInfo(&stmt->text,
					 "SELECT pg_catalog.sum(%s::pg_catalog.numeric) FROM ",
					 sql_column(stmt, spec->data->attnums[0]));
	sql_append_table(stmt);
	append_where(stmt, spec->key);
}

/* ----------
 * Rows by their ids, and all rows
 * ----------
 */

/*
 * ORDER BY a USING OPERATOR(schema.<), b USING OPERATOR(schema.<)
 *
 * Rows are locked in the order of their primary key, by whatever column they
 * are found: two calls that lock the same rows in different orders could wait
 * for each other, a deadlock.  Without a primary key, it is the order of ids.
 */
static void
append_lock_order(Statement *stmt, AttrNumber id_attnum, const char *prefix)
{
	const AttrNumber *columns;
	int ncolumns = indexes_primary_key(stmt->target, &columns);

	sql_append(stmt, " ORDER BY ");
	if (ncolumns == 0)
		sql_append_order(stmt, id_attnum, prefix);
	for (int i = 0; i < ncolumns; i++)
	{
		if (i > 0)
			sql_append(stmt, ", ");
		sql_append_order(stmt, columns[i], prefix);
	}
}

/*
 * SELECT a, b, c FROM schema.table WHERE a = $1 OR a = $2
 *		ORDER BY a USING OPERATOR(schema.<) FOR NO KEY UPDATE
 */
static void
build_lock_pair(Statement *stmt, const StatementSpec *spec)
{
	AttrNumber attnum = spec->key->attnums[0];
	Oid type = getBaseType(target_column(stmt->target, attnum)->atttypid);

	Assert(spec->key->ncolumns == 2 && spec->key->attnums[1] == attnum);
	append_select(stmt, NULL);
	for (int i = 0; i < 2; i++)
	{
		sql_append(stmt, i == 0 ? " WHERE " : " OR ");
		sql_append_equality(stmt, attnum, sql_column(stmt, attnum),
							sql_param(stmt, type), type);
	}
	append_lock_order(stmt, attnum, "");
	sql_append(stmt, " FOR NO KEY UPDATE");
}

/* FOR NO KEY UPDATE */
static const char *
strength_clause(LockClauseStrength strength)
{
	switch (strength)
	{
		case LCS_FORUPDATE:
			return " FOR UPDATE";
		case LCS_FORNOKEYUPDATE:
			return " FOR NO KEY UPDATE";
		case LCS_FORSHARE:
			return " FOR SHARE";
		case LCS_FORKEYSHARE:
			return " FOR KEY SHARE";
		default:
			elog(ERROR, "unrecognized lock strength: %d", (int) strength);
	}
}

/* NOWAIT or SKIP LOCKED */
static const char *
wait_clause(LockWaitPolicy wait)
{
	switch (wait)
	{
		case LockWaitError:
			return " NOWAIT";
		case LockWaitSkip:
			return " SKIP LOCKED";
		default:
			return "";
	}
}

/* WHERE a OPERATOR(schema.=) ANY ($1 COLLATE "schema"."collation") */
static void
append_where_any(Statement *stmt, AttrNumber attnum)
{
	Oid type = getBaseType(target_column(stmt->target, attnum)->atttypid);

	sql_append(stmt, " WHERE ");
	sql_append_any(stmt, attnum, sql_column(stmt, attnum),
				   sql_param(stmt, get_array_type(type)));
}

/*
 * SELECT a, b, c FROM schema.table WHERE a ... ANY (...)
 *		ORDER BY a USING OPERATOR(schema.<)
 *		FOR NO KEY UPDATE [ NOWAIT | SKIP LOCKED ]
 */
static void
build_lock_ids(Statement *stmt, const StatementSpec *spec)
{
	AttrNumber attnum = spec->key->attnums[0];

	append_select(stmt, NULL);
	append_where_any(stmt, attnum);
	append_lock_order(stmt, attnum, "");
	sql_append(stmt, strength_clause(spec->strength));
	sql_append(stmt, wait_clause(spec->wait));
}

/* SELECT xmin FROM schema.table WHERE a ... ANY (...) */
static void
build_xmins(Statement *stmt, const StatementSpec *spec)
{
	sql_append(stmt, "SELECT xmin FROM ");
	sql_append_table(stmt);
	append_where_any(stmt, spec->key->attnums[0]);
}

/*
 * SELECT schema.lock_keys_here($2), pg_catalog.count(*) FROM schema.table
 *		WHERE a = $1 AND ctid OPERATOR(pg_catalog.=) '(0,1)'
 *
 * The table and the column lead Citus to a node, which runs all of this.  The
 * aggregate sees to it that the function is called once, whatever rows there are;
 * the last condition, that one row at most is read.  The planner, here or there,
 * cannot tell that it does not matter.
 */
static void
build_lock_keys(Statement *stmt, const StatementSpec *spec)
{
	int nroute = spec->key->ncolumns;

	Assert(nroute <= 1);
	sql_append(stmt, "SELECT ");
	sql_append_function(stmt, "lock_keys_here");
	appendStringInfo(&stmt->text, "($%d), pg_catalog.count(*) FROM ",
					 nroute + 1);
	sql_append_table(stmt);
	append_where(stmt, spec->key);
	sql_append(stmt, nroute > 0 ? " AND " : " WHERE ");
	sql_append(stmt, "ctid OPERATOR(pg_catalog.=) '(0,1)'::pg_catalog.tid");
	(void) sql_param(stmt, JSONBOID);
}

/*
 * SELECT b, c FROM schema.table [ ORDER BY a USING OPERATOR(schema.<) ]
 */
static void
build_scan(Statement *stmt, const StatementSpec *spec)
{
	append_select(stmt, spec->result);
	for (int i = 0; i < spec->key->ncolumns; i++)
	{
		sql_append(stmt, i == 0 ? " ORDER BY " : ", ");
		sql_append_order(stmt, spec->key->attnums[i], "");
	}
}

/* ----------
 * Statements over many rows of values
 *
 * The table is "t", the rows are "r".  Those of one statement have NULLs in
 * the same columns of their keys.
 *
 * The texts shown are those over rows that are stored.  Rows given as arrays are
 * "r" just so.  Where they are given singly, there is no "r": its columns are
 * parameters, and nothing is ordered.
 * ----------
 */

/* Return true if the rows of values have the column of bits. */
static bool
rows_have_flags(const StatementSpec *spec)
{
	for (int i = 0; spec->partial != NULL && i < spec->data->ncolumns; i++)
	{
		if (spec->partial[i])
			return true;
	}
	return false;
}

/*
 * The value of a row in a column, of which rows.h names the kind: r.k1 or, where
 * each row is given by itself, $2.
 */
static const char *
rows_value(const StatementSpec *spec, char kind, int number)
{
	int place = 1 + number;

	if (kind == 'n')
		return spec->carrier == ROWS_SINGLY ? "$1" : "r.n";
	if (kind == 'g' && spec->carrier != ROWS_SINGLY)
		return "r.g";
	if (spec->carrier != ROWS_SINGLY)
		return psprintf("r.%c%d", kind, number);
	if (kind != 'k')
		place += spec->key->ncolumns;
	if (kind != 'k' && kind != 'd' && spec->data != NULL)
		place += spec->data->ncolumns;
	return psprintf("$%d", place);
}

/* Declare a parameter for a column of the rows of values. */
static void
rows_declare(Statement *stmt, const StatementSpec *spec, Oid type)
{
	(void) sql_param(stmt, spec->carrier == ROWS_ARRAYS ? rows_array_type(type)
														: type);
}

/* The same for a column of the table. */
static void
rows_declare_columns(Statement *stmt, const StatementSpec *spec, int ncolumns,
					 const AttrNumber *attnums)
{
	for (int i = 0; i < ncolumns; i++)
		rows_declare(stmt, spec,
					 target_column(stmt->target, attnums[i])->atttypid);
}

/*
 * Declare a parameter for each column of the rows of values, in the order in
 * which rooms add the columns.
 */
static void
rows_declare_all(Statement *stmt, const StatementSpec *spec)
{
	const AttrNumber *columns;
	int ncolumns;

	rows_declare(stmt, spec, INT4OID);
	rows_declare_columns(stmt, spec, spec->key->ncolumns, spec->key->attnums);
	if (spec->data != NULL)
		rows_declare_columns(stmt, spec, spec->data->ncolumns,
							 spec->data->attnums);
	if (rows_have_flags(spec))
		rows_declare(stmt, spec, BYTEAOID);
	if (spec->kind == STMT_MANY_LOCK)
	{
		ncolumns = indexes_primary_key(stmt->target, &columns);
		rows_declare_columns(stmt, spec, ncolumns, columns);
	}
}

/* Append names of columns of the rows of values. */
static void
rows_append_names(Statement *stmt, char kind, int ncolumns)
{
	for (int i = 0; i < ncolumns; i++)
		appendStringInfo(&stmt->text, ", %c%d", kind, i + 1);
}

/*
 * racefree_batch r
 *
 * or, where the rows are given as arrays,
 *
 * ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) r(n, k1)
 */
static void
append_rows(Statement *stmt, const StatementSpec *spec)
{
	const AttrNumber *columns;

	Assert(spec->carrier != ROWS_SINGLY);
	if (spec->carrier == ROWS_STORED)
	{
		sql_append(stmt, ROWS_RELATION " r");
		return;
	}
	sql_append(stmt, "ROWS FROM (");
	for (int i = 0; i < stmt->nparams; i++)
		appendStringInfo(&stmt->text, "%spg_catalog.unnest($%d)",
						 i == 0 ? "" : ", ", i + 1);
	sql_append(stmt, ") r(n");
	rows_append_names(stmt, 'k', spec->key->ncolumns);
	if (spec->data != NULL)
		rows_append_names(stmt, 'd', spec->data->ncolumns);
	if (rows_have_flags(spec))
		sql_append(stmt, ", g");
	if (spec->kind == STMT_MANY_LOCK)
		rows_append_names(stmt, 'p',
						  indexes_primary_key(stmt->target, &columns));
	sql_append(stmt, ")");
}

/*
 * t.a = r.k1
 *
 * Of a value that is given by itself, Citus finds the shard, but not behind
 * IS TRUE.
 */
static void
append_rows_equality(Statement *stmt, const StatementSpec *spec,
					 AttrNumber attnum, const char *value)
{
	Oid type = target_column(stmt->target, attnum)->atttypid;
	const char *name = psprintf("t.%s", sql_column(stmt, attnum));

	if (spec->carrier == ROWS_SINGLY)
		sql_append_equality(stmt, attnum, name, value, getBaseType(type));
	else if (spec->carrier == ROWS_ARRAYS)
		sql_append_sure_equality(stmt, attnum, name, value, getBaseType(type));
	else
		sql_append_sure_equality(stmt, attnum, name, value, type);
}

/* WHERE t.a = r.k1 AND t.b IS NOT DISTINCT FROM NULL */
static void
append_rows_where(Statement *stmt, const StatementSpec *spec)
{
	const ColumnValues *key = spec->key;

	for (int i = 0; i < key->ncolumns; i++)
	{
		AttrNumber attnum = key->attnums[i];

		sql_append(stmt, i == 0 ? " WHERE " : " AND ");
		/* A type without equality is no key, not even to ask for NULL. */
		(void) columns_type(stmt->target, attnum, 0);
		if (key->nulls[i])
			sql_append_is_null(stmt,
							   psprintf("t.%s", sql_column(stmt, attnum)));
		else
			append_rows_equality(stmt, spec, attnum,
								 rows_value(spec, 'k', i + 1));
	}
}

/* SELECT t.a, t.b, t.c, r.n FROM racefree_batch r, schema.table t */
static void
append_rows_select(Statement *stmt, const StatementSpec *spec)
{
	sql_append(stmt, "SELECT ");
	sql_append_columns(stmt, spec->result, "t.");
	appendStringInfo(&stmt->text, ", %s FROM ", rows_value(spec, 'n', 0));
	if (spec->carrier != ROWS_SINGLY)
	{
		append_rows(stmt, spec);
		sql_append(stmt, ", ");
	}
	sql_append_table(stmt);
	sql_append(stmt, " t");
}

/*
 * SELECT ... WHERE t.a = r.k1 AND t.b IS NOT DISTINCT FROM NULL
 */
static void
build_many_look(Statement *stmt, const StatementSpec *spec)
{
	append_rows_select(stmt, spec);
	append_rows_where(stmt, spec);
}

/*
 * SELECT t.a, t.b, r.n FROM racefree_batch r,
 *		LATERAL (SELECT t.a, t.b FROM schema.table t WHERE t.a = r.k1 OFFSET 0) t
 *
 * OFFSET keeps the planner from pulling up the subquery and joining with the
 * whole table.  By its costs, that is cheaper than one index scan for each row
 * until the table is much larger than the number of rows.  (Citus takes no such
 * subquery.)
 */
static void
build_many_probe(Statement *stmt, const StatementSpec *spec)
{
	Assert(spec->key->ncolumns == 1 && spec->by_index);
	if (spec->carrier != ROWS_STORED)
	{
		build_many_look(stmt, spec);
		return;
	}
	sql_append(stmt, "SELECT ");
	sql_append_columns(stmt, spec->result, "t.");
	sql_append(stmt, ", r.n FROM " ROWS_RELATION " r, LATERAL (SELECT ");
	sql_append_columns(stmt, spec->result, "t.");
	sql_append(stmt, " FROM ");
	sql_append_table(stmt);
	sql_append(stmt, " t");
	append_rows_where(stmt, spec);
	sql_append(stmt, " OFFSET 0) t");
}

/*
 * SELECT ... WHERE t.a = r.k1 ORDER BY t.id USING OPERATOR(schema.<)
 *		FOR NO KEY UPDATE OF t
 */
static void
build_many_lock_ids(Statement *stmt, const StatementSpec *spec)
{
	Assert(spec->key->ncolumns == 1);
	append_rows_select(stmt, spec);
	append_rows_where(stmt, spec);
	if (spec->carrier != ROWS_SINGLY)
		append_lock_order(stmt, spec->key->attnums[0], "t.");
	sql_append(stmt, " FOR NO KEY UPDATE OF t");
}

/*
 * SELECT ... WHERE t.a = r.k1 AND t.b IS NOT DISTINCT FROM NULL
 *		ORDER BY r.n FOR NO KEY UPDATE OF t
 */
static void
build_many_lock_keys(Statement *stmt, const StatementSpec *spec)
{
	append_rows_select(stmt, spec);
	append_rows_where(stmt, spec);
	if (spec->carrier != ROWS_SINGLY)
		sql_append(stmt, " ORDER BY r.n");
	sql_append(stmt, " FOR NO KEY UPDATE OF t");
}

/* AND (t.a = r.k1 OR t.a IS NOT DISTINCT FROM NULL AND r.k1 IS NOT ...) */
static void
append_rows_still_match(Statement *stmt, const StatementSpec *spec,
						AttrNumber attnum, const char *value)
{
	const char *name = psprintf("t.%s", sql_column(stmt, attnum));
	Oid type = target_column(stmt->target, attnum)->atttypid;

	sql_append(stmt, " AND (");
	sql_append_equality(stmt, attnum, name, value,
						spec->carrier == ROWS_STORED ? type
													 : getBaseType(type));
	sql_append(stmt, " OR ");
	sql_append_is_null(stmt, name);
	sql_append(stmt, " AND ");
	sql_append_is_null(stmt, value);
	sql_append(stmt, ")");
}

/*
 * SELECT ... WHERE t.id = r.p1
 *		AND (t.a = r.k1 OR t.a IS NOT DISTINCT FROM NULL
 *						   AND r.k1 IS NOT DISTINCT FROM NULL)
 *		ORDER BY t.id USING OPERATOR(schema.<) FOR NO KEY UPDATE OF t
 *
 * The rows were found before, and come with their primary keys, in whose order
 * lock_rows() and transfer() lock, too.  So rows with NULLs in different columns
 * of their keys are locked by one statement and in one order.  Without a primary
 * key, rows are found by their keys again.
 */
static void
build_many_lock(Statement *stmt, const StatementSpec *spec)
{
	const ColumnValues *key = spec->key;
	const AttrNumber *columns;
	int ncolumns = indexes_primary_key(stmt->target, &columns);

	if (ncolumns == 0)
	{
		build_many_lock_keys(stmt, spec);
		return;
	}
	append_rows_select(stmt, spec);
	for (int i = 0; i < ncolumns; i++)
	{
		sql_append(stmt, i == 0 ? " WHERE " : " AND ");
		append_rows_equality(stmt, spec, columns[i],
							 rows_value(spec, 'p', i + 1));
	}
	for (int i = 0; i < key->ncolumns; i++)
		append_rows_still_match(stmt, spec, key->attnums[i],
								rows_value(spec, 'k', i + 1));
	if (spec->carrier != ROWS_SINGLY)
		append_lock_order(stmt, InvalidAttrNumber, "t.");
	sql_append(stmt, " FOR NO KEY UPDATE OF t");
}

/* (a, b) [ OVERRIDING SYSTEM VALUE ] */
static void
append_insert_columns(Statement *stmt, const StatementSpec *spec)
{
	const ColumnValues *key = spec->key;
	const ColumnValues *data = spec->data;
	const char *sep = " (";

	for (int i = 0; i < key->ncolumns; i++, sep = ", ")
		appendStringInfo(&stmt->text, "%s%s", sep,
						 sql_column(stmt, key->attnums[i]));
	for (int i = 0; i < data->ncolumns; i++, sep = ", ")
		appendStringInfo(&stmt->text, "%s%s", sep,
						 sql_column(stmt, data->attnums[i]));
	if (key->ncolumns + data->ncolumns > 0)
		sql_append(stmt, ")");
	if (spec->kind == STMT_MANY_INSERT_OVERRIDING)
		sql_append(stmt, " OVERRIDING SYSTEM VALUE");
}

/* r.k1, r.d1 */
static void
append_insert_values_of_rows(Statement *stmt, const StatementSpec *spec)
{
	const char *sep = "";

	for (int i = 0; i < spec->key->ncolumns; i++, sep = ", ")
		appendStringInfo(&stmt->text, "%s%s", sep,
						 rows_value(spec, 'k', i + 1));
	for (int i = 0; i < spec->data->ncolumns; i++, sep = ", ")
		appendStringInfo(&stmt->text, "%s%s", sep,
						 rows_value(spec, 'd', i + 1));
}

/*
 * INSERT INTO schema.table (a, b) [ OVERRIDING SYSTEM VALUE ]
 *		SELECT r.k1, r.d1 FROM racefree_batch r WHERE r.n OPERATOR(pg_catalog.>=) $1
 *		[ ON CONFLICT (a) DO NOTHING ] RETURNING a, b, c
 *
 * The rows go in, and come back, in the order in which they were added.  The
 * condition is that of rows_append_turn().  Where rows are given singly, it is
 *
 * INSERT INTO schema.table (a, b) [ OVERRIDING SYSTEM VALUE ] VALUES ($2, $3)
 *		[ ON CONFLICT (a) DO NOTHING ] RETURNING a, b, c
 */
static void
build_many_insert(Statement *stmt, const StatementSpec *spec)
{
	sql_append(stmt, "INSERT INTO ");
	sql_append_table(stmt);
	append_insert_columns(stmt, spec);
	Assert(spec->carrier != ROWS_ARRAYS);
	if (spec->carrier == ROWS_STORED)
	{
		sql_append(stmt, " SELECT ");
		append_insert_values_of_rows(stmt, spec);
		sql_append(stmt, " FROM " ROWS_RELATION " r WHERE ");
		rows_append_turn(stmt);
	}
	else if (spec->key->ncolumns + spec->data->ncolumns == 0)
		sql_append(stmt, " DEFAULT VALUES");
	else
	{
		sql_append(stmt, " VALUES (");
		append_insert_values_of_rows(stmt, spec);
		sql_append(stmt, ")");
	}
	if (spec->kind == STMT_MANY_INSERT_OR_YIELD)
		(void) arbiter_clause(stmt->target, &stmt->text, spec->key);
	append_returning(stmt, spec->result, "");
}

/* FROM racefree_batch r WHERE t.a = r.k1 AND the condition of turns */
static void
append_rows_of_write(Statement *stmt, const StatementSpec *spec,
					 const char *from)
{
	if (spec->carrier != ROWS_SINGLY)
	{
		sql_append(stmt, from);
		append_rows(stmt, spec);
	}
	append_rows_where(stmt, spec);
	if (spec->carrier != ROWS_STORED)
		return;
	sql_append(stmt, spec->key->ncolumns > 0 ? " AND " : " WHERE ");
	rows_append_turn(stmt);
}

/* RETURNING t.a, t.b, r.n */
static void
append_returning_number(Statement *stmt, const StatementSpec *spec)
{
	append_returning(stmt, spec->result, "t.");
	appendStringInfo(&stmt->text, ", %s", rows_value(spec, 'n', 0));
}

/*
 * UPDATE schema.table t
 *		SET b = r.d1, c = CASE WHEN pg_catalog.get_bit(r.g, 1)
 *			OPERATOR(pg_catalog.=) 1 THEN r.d2 ELSE t.c END
 *		FROM racefree_batch r WHERE t.a = r.k1
 *		AND r.n OPERATOR(pg_catalog.>=) $1 RETURNING t.a, t.b, t.c, r.n
 *
 * The last condition is that of rows_append_turn().
 */
static void
build_many_update(Statement *stmt, const StatementSpec *spec)
{
	const ColumnValues *data = spec->data;

	sql_append(stmt, "UPDATE ");
	sql_append_table(stmt);
	sql_append(stmt, " t");
	for (int i = 0; i < data->ncolumns; i++)
	{
		const char *name = sql_column(stmt, data->attnums[i]);

		sql_append(stmt, i == 0 ? " SET " : ", ");
		if (spec->partial != NULL && spec->partial[i])
			appendStringInfo(&stmt->text,
							 "%s = CASE WHEN pg_catalog.get_bit(%s, %d)"
							 " OPERATOR(pg_catalog.=) 1 THEN %s"
							 " ELSE t.%s END",
							 name, rows_value(spec, 'g', 1), i,
							 rows_value(spec, 'd', i + 1), name);
		else
			appendStringInfo(&stmt->text, "%s = %s", name,
							 rows_value(spec, 'd', i + 1));
	}
	append_rows_of_write(stmt, spec, " FROM ");
	append_returning_number(stmt, spec);
}

/*
 * DELETE FROM schema.table t USING racefree_batch r WHERE t.a = r.k1
 *		AND r.n OPERATOR(pg_catalog.>=) $1 RETURNING t.a, r.n
 *
 * The last condition is that of rows_append_turn().
 */
static void
build_many_delete(Statement *stmt, const StatementSpec *spec)
{
	Assert(spec->key->ncolumns > 0);
	sql_append(stmt, "DELETE FROM ");
	sql_append_table(stmt);
	sql_append(stmt, " t");
	append_rows_of_write(stmt, spec, " USING ");
	append_returning_number(stmt, spec);
}

/* ----------
 * The kinds
 * ----------
 */

/* A query of another room's. */
static void
build_query(Statement *stmt, const StatementSpec *spec)
{
	spec->query->write(stmt, spec->columns);
	Assert(stmt->nparams == spec->query->nparams);
}

/*
 * Where one row is expected, the limit is two, and two rows say that several
 * have the key; callers that count rows can tell a few apart.
 */
static const StatementInfo statement_kinds[] = {
	[STMT_LOOK] = {"look", CMD_SELECT, build_look, STMT_TAKES_KEY, 2},
	[STMT_LOCK] = {"lock", CMD_SELECT, build_look, STMT_TAKES_KEY, 2},
	[STMT_LOCK_PAIR] = {"lock pair", CMD_SELECT, build_lock_pair,
						STMT_TAKES_KEY, 3},
	[STMT_EXISTS] = {"exists", CMD_SELECT, build_exists, STMT_TAKES_KEY, 8},
	[STMT_INSERT] = {"insert", CMD_INSERT, build_insert, STMT_TAKES_DATA, 2},
	[STMT_INSERT_OR_YIELD] = {"insert or yield", CMD_INSERT, build_insert,
							  STMT_TAKES_DATA, 2},
	[STMT_UPDATE] = {"update", CMD_UPDATE, build_update,
					 STMT_TAKES_DATA | STMT_TAKES_KEY, 2},
	[STMT_DELETE] = {"delete", CMD_DELETE, build_delete, STMT_TAKES_KEY, 2},
	[STMT_ADD] = {"add", CMD_UPDATE, build_add,
				  STMT_TAKES_DATA | STMT_TAKES_KEY, 2},
	[STMT_ADD_ABOVE] = {"add above", CMD_UPDATE, build_add,
						STMT_TAKES_DATA | STMT_TAKES_KEY | STMT_TAKES_VALUE, 2},
	[STMT_ADD_BELOW] = {"add below", CMD_UPDATE, build_add,
						STMT_TAKES_DATA | STMT_TAKES_KEY | STMT_TAKES_VALUE, 2},
	[STMT_LOCK_IDS] = {"lock ids", CMD_SELECT, build_lock_ids, STMT_TAKES_VALUE,
					   0},
	[STMT_XMINS] = {"xmins", CMD_SELECT, build_xmins, STMT_TAKES_VALUE, 0},
	[STMT_SUM] = {"sum", CMD_SELECT, build_sum, STMT_TAKES_KEY, 0},
	[STMT_SCAN] = {"scan", CMD_SELECT, build_scan, 0, 0},
	[STMT_LOCK_KEYS] = {"lock keys", CMD_SELECT, build_lock_keys,
						STMT_TAKES_KEY | STMT_TAKES_VALUE, 0},
	[STMT_QUERY] = {"query", CMD_SELECT, build_query, 0, 0},
	[STMT_MANY_LOOK] = {"look many", CMD_SELECT, build_many_look, 0,
						STMT_ROWS_AND_ONE},
	[STMT_MANY_COUNT] = {"count many", CMD_SELECT, build_many_look, 0, 0},
	[STMT_MANY_PROBE] = {"probe many", CMD_SELECT, build_many_probe, 0,
						 STMT_ROWS_AND_ONE},
	[STMT_MANY_LOCK] = {"lock many", CMD_SELECT, build_many_lock, 0,
						STMT_ROWS_AND_ONE},
	[STMT_MANY_LOCK_KEYS] = {"lock many keys", CMD_SELECT, build_many_lock_keys,
							 0, STMT_ROWS_AND_ONE},
	[STMT_MANY_LOCK_IDS] = {"lock many ids", CMD_SELECT, build_many_lock_ids, 0,
							STMT_ROWS_AND_ONE},
	[STMT_MANY_INSERT] = {"insert many", CMD_INSERT, build_many_insert,
						  STMT_TAKES_TURN, 0},
	[STMT_MANY_INSERT_OR_YIELD] = {"insert or yield many", CMD_INSERT,
								   build_many_insert, STMT_TAKES_TURN, 0},
	[STMT_MANY_INSERT_OVERRIDING] = {"insert overriding many", CMD_INSERT,
									 build_many_insert, STMT_TAKES_TURN, 0},
	[STMT_MANY_UPDATE] = {"update many", CMD_UPDATE, build_many_update,
						  STMT_TAKES_TURN, STMT_ROWS_AND_ONE},
	[STMT_MANY_DELETE] = {"delete many", CMD_DELETE, build_many_delete,
						  STMT_TAKES_TURN, STMT_ROWS_AND_ONE},
};

StaticAssertDecl(lengthof(statement_kinds) == NUM_STATEMENT_KINDS,
				 "each kind of statement has its row");

/* The kind's row of the table. */
const StatementInfo *
statement_info(StatementKind kind)
{
	Assert(kind < NUM_STATEMENT_KINDS);
	return &statement_kinds[kind];
}

/* Write the statement's text. */
void
statement_build(Statement *stmt, const Target *target,
				const StatementSpec *spec)
{
	int max_params = spec->key->ncolumns + 1;

	if (spec->data != NULL)
		max_params += spec->data->ncolumns;
	if (spec->query != NULL)
		max_params += spec->query->nparams;
	if (spec->carrier != ROWS_STORED)
		max_params += 1 + INDEX_MAX_KEYS;
	sql_begin(stmt, target, max_params);
	if (spec->carrier != ROWS_STORED)
		rows_declare_all(stmt, spec);
	statement_info(spec->kind)->build(stmt, spec);
}
