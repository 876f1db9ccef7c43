/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  The text of the statements that racefree runs.
 *
 * All names are quoted and schema-qualified, all operators qualified, all
 * values parameters: a statement means the same under any search_path.  It
 * names its columns, so that the result's layout is known.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "run/arbiter.h"
#include "run/rows.h"
#include "run/statements.h"

/* Declare the next parameter.  Domains are checked where a value is stored. */
int
statement_add_param(Statement *stmt, Oid type)
{
	stmt->types[stmt->nparams++] = getBaseType(type);
	return stmt->nparams;
}

/* A column's name, quoted. */
const char *
statement_column(const Statement *stmt, AttrNumber attnum)
{
	return quote_identifier(
		NameStr(target_column(stmt->target, attnum)->attname));
}

/* The table's name, qualified and quoted. */
void
statement_append_table(Statement *stmt)
{
	Relation rel = target_relation(stmt->target);
	char *schema = get_namespace_name(RelationGetNamespace(rel));

	appendStringInfoString(
		&stmt->text,
		quote_qualified_identifier(schema, RelationGetRelationName(rel)));
}

/* All live columns, in order, each with the prefix. */
static void
append_columns(Statement *stmt, const char *prefix)
{
	TupleDesc tupdesc = RelationGetDescr(target_relation(stmt->target));
	bool any = false;

	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		if (target_column(stmt->target, attnum)->attisdropped)
			continue;
		appendStringInfo(&stmt->text, "%s%s%s", any ? ", " : "", prefix,
						 statement_column(stmt, attnum));
		any = true;
	}
	/* A table need not have columns, but RETURNING must name something. */
	if (!any)
		appendStringInfoString(&stmt->text, "NULL");
}

/* The columns that the statement gives. */
static void
append_result(Statement *stmt, const StatementSpec *spec, const char *prefix)
{
	if (spec->result == NULL)
	{
		append_columns(stmt, prefix);
		return;
	}
	for (int i = 0; i < spec->result->ncolumns; i++)
		appendStringInfo(&stmt->text, "%s%s%s", i > 0 ? ", " : "", prefix,
						 statement_column(stmt, spec->result->attnums[i]));
	if (spec->result->ncolumns == 0)
		appendStringInfoString(&stmt->text, "NULL");
}

/* COLLATE "schema"."collation", where the column has one. */
static void
append_collation(Statement *stmt, AttrNumber attnum)
{
	Oid collation = target_column(stmt->target, attnum)->attcollation;

	if (OidIsValid(collation))
		appendStringInfo(&stmt->text, " COLLATE %s",
						 target_collation_name(collation));
}

/* OPERATOR(schema.=) */
static void
append_operator(Statement *stmt, Oid operator)
{
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(&stmt->text, "OPERATOR(%s.%s)",
					 quote_identifier(get_namespace_name(form->oprnamespace)),
					 NameStr(form->oprname));
	ReleaseSysCache(tuple);
}

/*
 * A column or value of a column's type, cast to the base type if that is a
 * domain and the operator takes any array, enum or range: the parser does not
 * look behind a domain there.  Without a domain nothing is to be cast.
 */
static const char *
polymorphic_operand(Statement *stmt, AttrNumber attnum, const char *operand)
{
	Oid type = target_column(stmt->target, attnum)->atttypid;
	Oid base = getBaseType(type);

	if (type == base)
		return operand;
	/* Not character[], which would be read as character(1)[]. */
	return psprintf("%s::%s", operand,
					format_type_extended(base, -1,
										 FORMAT_TYPE_TYPEMOD_GIVEN |
											 FORMAT_TYPE_FORCE_QUALIFY));
}

/* Does the operator take arrays, enums or ranges of any type? */
static bool
is_polymorphic(Oid operator)
{
	Oid left;
	Oid right;

	op_input_types(operator, & left, &right);
	return IsPolymorphicType(left);
}

/*
 * column OPERATOR(schema.=) value COLLATE "schema"."collation"
 *
 * The value is of the column's type, or of its base type.
 */
void
statement_append_equality(Statement *stmt, AttrNumber attnum,
						  const char *column, const char *value, Oid value_type)
{
	Oid eq_opr = target_column_type(stmt->target, attnum, 0)->eq_opr;

	if (is_polymorphic(eq_opr))
	{
		appendStringInfo(&stmt->text, "%s ",
						 polymorphic_operand(stmt, attnum, column));
		append_operator(stmt, eq_opr);
		appendStringInfo(&stmt->text, " %s",
						 polymorphic_operand(stmt, attnum, value));
	}
	else
		generate_operator_clause(&stmt->text, column,
								 target_column(stmt->target, attnum)->atttypid,
								 eq_opr, value, value_type);
	append_collation(stmt, attnum);
}

/*
 * column = value, in such a form that no row is missed where the type's hash
 * does not agree with its equality: a hash join would miss some, and so would
 * the choice of a partition by hash.  (column = value) IS TRUE lends itself to
 * neither.
 */
static void
append_sure_equality(Statement *stmt, AttrNumber attnum, const char *column,
					 const char *value, Oid value_type)
{
	bool misleads = target_hash_misleads(stmt->target, attnum);

	if (misleads)
		appendStringInfoChar(&stmt->text, '(');
	statement_append_equality(stmt, attnum, column, value, value_type);
	if (misleads)
		appendStringInfoString(&stmt->text, ") IS TRUE");
}

/*
 * value IS NOT DISTINCT FROM NULL
 *
 * For a composite type, IS NULL would also find a row of NULLs, which is
 * another value.
 */
static void
append_is_null(Statement *stmt, const char *value)
{
	appendStringInfo(&stmt->text, "%s IS NOT DISTINCT FROM NULL", value);
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
		const char *name = statement_column(stmt, attnum);
		Oid type = getBaseType(target_column(stmt->target, attnum)->atttypid);

		appendStringInfoString(&stmt->text, i == 0 ? " WHERE " : " AND ");
		/* A type without equality is no key, not even to ask for NULL. */
		(void) target_column_type(stmt->target, attnum, 0);
		if (key->nulls[i])
			append_is_null(stmt, name);
		else
		{
			const char *value = psprintf("$%d",
										 statement_add_param(stmt, type));

			if (partitioned)
				append_sure_equality(stmt, attnum, name, value, type);
			else
				statement_append_equality(stmt, attnum, name, value, type);
		}
	}
}

/*
 * SELECT a, b, c FROM schema.table WHERE a = $1 AND b IS NOT DISTINCT FROM NULL
 *		[ FOR NO KEY UPDATE ]
 */
static void
build_select(Statement *stmt, const ColumnValues *key, bool lock)
{
	appendStringInfoString(&stmt->text, "SELECT ");
	append_columns(stmt, "");
	appendStringInfoString(&stmt->text, " FROM ");
	statement_append_table(stmt);
	append_where(stmt, key);
	if (lock)
		appendStringInfoString(&stmt->text, " FOR NO KEY UPDATE");
}

/*
 * SELECT FROM schema.table WHERE a = $1 AND b IS NOT DISTINCT FROM NULL
 */
static void
build_exists(Statement *stmt, const ColumnValues *key)
{
	appendStringInfoString(&stmt->text, "SELECT FROM ");
	statement_append_table(stmt);
	append_where(stmt, key);
}

/*
 * INSERT INTO schema.table (a, b) VALUES ($1, $2)
 *		[ ON CONFLICT (a) DO NOTHING ] RETURNING a, b, c
 */
static void
build_insert(Statement *stmt, const ColumnValues *key, const ColumnValues *data,
			 bool yield)
{
	appendStringInfoString(&stmt->text, "INSERT INTO ");
	statement_append_table(stmt);
	if (data->ncolumns == 0)
		appendStringInfoString(&stmt->text, " DEFAULT VALUES");
	else
	{
		for (int i = 0; i < data->ncolumns; i++)
			appendStringInfo(&stmt->text, "%s%s", i == 0 ? " (" : ", ",
							 statement_column(stmt, data->attnums[i]));
		appendStringInfoString(&stmt->text, ") VALUES (");
		for (int i = 0; i < data->ncolumns; i++)
		{
			Oid type = target_column(stmt->target, data->attnums[i])->atttypid;

			appendStringInfo(&stmt->text, "%s$%d", i == 0 ? "" : ", ",
							 statement_add_param(stmt, type));
		}
		appendStringInfoChar(&stmt->text, ')');
	}
	if (yield)
		(void) arbiter_clause(stmt->target, &stmt->text, key);
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_columns(stmt, "");
}

/*
 * UPDATE schema.table SET b = $1 WHERE a = $2 RETURNING a, b, c
 */
static void
build_update(Statement *stmt, const ColumnValues *key, const ColumnValues *data)
{
	appendStringInfoString(&stmt->text, "UPDATE ");
	statement_append_table(stmt);
	for (int i = 0; i < data->ncolumns; i++)
	{
		AttrNumber attnum = data->attnums[i];
		Oid type = target_column(stmt->target, attnum)->atttypid;

		appendStringInfo(&stmt->text, "%s%s = $%d", i == 0 ? " SET " : ", ",
						 statement_column(stmt, attnum),
						 statement_add_param(stmt, type));
	}
	append_where(stmt, key);
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_columns(stmt, "");
}

/*
 * UPDATE schema.table SET b = b::type OPERATOR(pg_catalog.+) $1
 *		WHERE a = $2 [ AND b::numeric OPERATOR(pg_catalog.>=) $3 ]
 *		RETURNING a, b, c
 *
 * The bound is on the old value.
 */
static void
build_add(Statement *stmt, const ColumnValues *key, const ColumnValues *data,
		  StatementKind kind)
{
	Oid type = getBaseType(
		target_column(stmt->target, data->attnums[0])->atttypid);
	const char *name = statement_column(stmt, data->attnums[0]);

	appendStringInfoString(&stmt->text, "UPDATE ");
	statement_append_table(stmt);
	appendStringInfo(&stmt->text, " SET %s = %s::%s OPERATOR(pg_catalog.+) $%d",
					 name, name, format_type_be_qualified(type),
					 statement_add_param(stmt, type));
	append_where(stmt, key);
	if (kind != STMT_ADD)
		appendStringInfo(
			&stmt->text,
			" AND %s::pg_catalog.numeric OPERATOR(pg_catalog.%s) $%d", name,
			kind == STMT_ADD_ABOVE ? ">=" : "<=",
			statement_add_param(stmt, NUMERICOID));
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_columns(stmt, "");
}

/* column COLLATE "schema"."collation" USING OPERATOR(schema.<) */
static void
append_order(Statement *stmt, AttrNumber attnum, const char *prefix)
{
	TypeCacheEntry *type = target_column_type(stmt->target, attnum,
											  TYPECACHE_LT_OPR);

	const char *column = psprintf("%s%s", prefix,
								  statement_column(stmt, attnum));

	if (is_polymorphic(type->lt_opr))
		column = polymorphic_operand(stmt, attnum, column);
	appendStringInfoString(&stmt->text, column);
	append_collation(stmt, attnum);
	appendStringInfoString(&stmt->text, " USING ");
	append_operator(stmt, type->lt_opr);
}

/*
 * ORDER BY a USING OPERATOR(schema.<), b USING OPERATOR(schema.<)
 *
 * Rows are locked in the order of their primary key, by whatever column they
 * are found, so that all calls lock them in one order.  Without a primary key,
 * it is that of their ids.
 */
static void
append_lock_order(Statement *stmt, AttrNumber id_attnum, const char *prefix)
{
	const AttrNumber *columns;
	int ncolumns = target_primary_key(stmt->target, &columns);

	appendStringInfoString(&stmt->text, " ORDER BY ");
	if (ncolumns == 0)
		append_order(stmt, id_attnum, prefix);
	for (int i = 0; i < ncolumns; i++)
	{
		if (i > 0)
			appendStringInfoString(&stmt->text, ", ");
		append_order(stmt, columns[i], prefix);
	}
}

/*
 * SELECT a, b, c FROM schema.table WHERE a = $1 OR a = $2
 *		ORDER BY a USING OPERATOR(schema.<) FOR NO KEY UPDATE
 */
static void
build_lock_pair(Statement *stmt, const ColumnValues *key)
{
	AttrNumber attnum = key->attnums[0];
	Oid type = getBaseType(target_column(stmt->target, attnum)->atttypid);

	appendStringInfoString(&stmt->text, "SELECT ");
	append_columns(stmt, "");
	appendStringInfoString(&stmt->text, " FROM ");
	statement_append_table(stmt);
	for (int i = 0; i < 2; i++)
	{
		appendStringInfoString(&stmt->text, i == 0 ? " WHERE " : " OR ");
		statement_append_equality(stmt, attnum, statement_column(stmt, attnum),
								  psprintf("$%d",
										   statement_add_param(stmt, type)),
								  type);
	}
	append_lock_order(stmt, attnum, "");
	appendStringInfoString(&stmt->text, " FOR NO KEY UPDATE");
}

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

/*
 * SELECT a, b, c FROM schema.table
 *		WHERE a OPERATOR(schema.=) ANY ($1 COLLATE "schema"."collation")
 *		ORDER BY a USING OPERATOR(schema.<)
 *		FOR NO KEY UPDATE [ NOWAIT | SKIP LOCKED ]
 */
static void
build_lock_ids(Statement *stmt, const StatementSpec *spec)
{
	AttrNumber attnum = spec->key->attnums[0];
	Form_pg_attribute att = target_column(stmt->target, attnum);
	TypeCacheEntry *type = target_column_type(stmt->target, attnum, 0);
	const char *column = statement_column(stmt, attnum);

	appendStringInfoString(&stmt->text, "SELECT ");
	append_columns(stmt, "");
	appendStringInfoString(&stmt->text, " FROM ");
	statement_append_table(stmt);
	if (is_polymorphic(type->eq_opr))
		column = polymorphic_operand(stmt, attnum, column);
	appendStringInfo(&stmt->text, " WHERE %s ", column);
	append_operator(stmt, type->eq_opr);
	appendStringInfo(&stmt->text, " ANY ($%d",
					 statement_add_param(stmt, get_array_type(getBaseType(
												   att->atttypid))));
	append_collation(stmt, attnum);
	appendStringInfoChar(&stmt->text, ')');
	append_lock_order(stmt, attnum, "");
	appendStringInfoString(&stmt->text, strength_clause(spec->strength));
	appendStringInfoString(&stmt->text, wait_clause(spec->wait));
}

/*
 * SELECT pg_catalog.sum(b::pg_catalog.numeric) FROM schema.table WHERE a = $1
 */
static void
build_sum(Statement *stmt, const ColumnValues *key, const ColumnValues *data)
{
	appendStringInfo(&stmt->text,
					 "SELECT pg_catalog.sum(%s::pg_catalog.numeric) FROM ",
					 statement_column(stmt, data->attnums[0]));
	statement_append_table(stmt);
	append_where(stmt, key);
}

/*
 * SELECT b, c FROM schema.table [ ORDER BY a USING OPERATOR(schema.<) ]
 */
static void
build_scan(Statement *stmt, const StatementSpec *spec)
{
	appendStringInfoString(&stmt->text, "SELECT ");
	append_result(stmt, spec, "");
	appendStringInfoString(&stmt->text, " FROM ");
	statement_append_table(stmt);
	for (int i = 0; i < spec->key->ncolumns; i++)
	{
		appendStringInfoString(&stmt->text, i == 0 ? " ORDER BY " : ", ");
		append_order(stmt, spec->key->attnums[i], "");
	}
}

/* ----------
 * Statements over many rows of values
 *
 * The table is "t", the rows are "r".  Those of one statement have NULLs in
 * the same columns of their keys.
 * ----------
 */

static void
append_batch(Statement *stmt)
{
	appendStringInfoString(&stmt->text, ROWS_RELATION " r");
}

/* WHERE t.a = r.k1 AND t.b IS NOT DISTINCT FROM NULL */
static void
append_batch_where(Statement *stmt, const ColumnValues *key)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		AttrNumber attnum = key->attnums[i];
		const char *name = psprintf("t.%s", statement_column(stmt, attnum));

		appendStringInfoString(&stmt->text, i == 0 ? " WHERE " : " AND ");
		/* A type without equality is no key, not even to ask for NULL. */
		(void) target_column_type(stmt->target, attnum, 0);
		if (key->nulls[i])
			append_is_null(stmt, name);
		else
			append_sure_equality(stmt, attnum, name, psprintf("r.k%d", i + 1),
								 target_column(stmt->target, attnum)->atttypid);
	}
}

/* SELECT t.a, t.b, t.c, r.n FROM racefree_batch r, schema.table t */
static void
append_batch_select(Statement *stmt, const StatementSpec *spec)
{
	appendStringInfoString(&stmt->text, "SELECT ");
	append_result(stmt, spec, "t.");
	appendStringInfoString(&stmt->text, ", r.n FROM ");
	append_batch(stmt);
	appendStringInfoString(&stmt->text, ", ");
	statement_append_table(stmt);
	appendStringInfoString(&stmt->text, " t");
}

/*
 * SELECT ... WHERE t.a = r.k1 AND t.b IS NOT DISTINCT FROM NULL
 */
static void
build_batch_look(Statement *stmt, const StatementSpec *spec)
{
	append_batch_select(stmt, spec);
	append_batch_where(stmt, spec->key);
}

/*
 * SELECT t.a, t.b, r.n FROM racefree_batch r,
 *		LATERAL (SELECT t.a, t.b FROM schema.table t WHERE t.a = r.k1 OFFSET 0) t
 *
 * OFFSET keeps the planner from joining with the whole table: by its costs
 * that looks cheaper than so many probes of an index, until the table is much
 * larger than memory likes.
 */
static void
build_batch_probe(Statement *stmt, const StatementSpec *spec)
{
	appendStringInfoString(&stmt->text, "SELECT ");
	append_result(stmt, spec, "t.");
	appendStringInfoString(&stmt->text, ", r.n FROM ");
	append_batch(stmt);
	appendStringInfoString(&stmt->text, ", LATERAL (SELECT ");
	append_result(stmt, spec, "t.");
	appendStringInfoString(&stmt->text, " FROM ");
	statement_append_table(stmt);
	appendStringInfoString(&stmt->text, " t");
	append_batch_where(stmt, spec->key);
	appendStringInfoString(&stmt->text, " OFFSET 0) t");
}

/*
 * SELECT ... WHERE t.a = r.k1 ORDER BY t.id USING OPERATOR(schema.<)
 *		FOR NO KEY UPDATE OF t
 */
static void
build_batch_lock_ids(Statement *stmt, const StatementSpec *spec)
{
	append_batch_select(stmt, spec);
	append_batch_where(stmt, spec->key);
	append_lock_order(stmt, spec->key->attnums[0], "t.");
	appendStringInfoString(&stmt->text, " FOR NO KEY UPDATE OF t");
}

/*
 * SELECT ... WHERE t.id = r.p1
 *		AND (t.a = r.k1 OR t.a IS NOT DISTINCT FROM NULL
 *						   AND r.k1 IS NOT DISTINCT FROM NULL)
 *		ORDER BY t.id USING OPERATOR(schema.<) FOR NO KEY UPDATE OF t
 *
 * The rows were found before; their primary keys give the order in which
 * lock_rows() and transfer() lock, too, whatever NULLs are in their keys.
 * Where there is no primary key, or it is NULL in a row of a child, they are
 * found by their keys again:
 *
 * SELECT ... WHERE t.a = r.k1 AND t.b IS NOT DISTINCT FROM NULL
 *		ORDER BY r.n FOR NO KEY UPDATE OF t
 */
static void
build_batch_lock(Statement *stmt, const StatementSpec *spec)
{
	const ColumnValues *key = spec->key;
	const AttrNumber *columns = NULL;
	int ncolumns = spec->kind == STMT_BATCH_LOCK
					   ? target_primary_key(stmt->target, &columns)
					   : 0;

	append_batch_select(stmt, spec);
	if (ncolumns == 0)
		append_batch_where(stmt, key);
	for (int i = 0; i < ncolumns; i++)
	{
		appendStringInfoString(&stmt->text, i == 0 ? " WHERE " : " AND ");
		append_sure_equality(stmt, columns[i],
							 psprintf("t.%s",
									  statement_column(stmt, columns[i])),
							 psprintf("r.p%d", i + 1),
							 target_column(stmt->target, columns[i])->atttypid);
	}
	for (int i = 0; ncolumns > 0 && i < key->ncolumns; i++)
	{
		const char *name = psprintf("t.%s",
									statement_column(stmt, key->attnums[i]));

		appendStringInfoString(&stmt->text, " AND (");
		statement_append_equality(
			stmt, key->attnums[i], name, psprintf("r.k%d", i + 1),
			target_column(stmt->target, key->attnums[i])->atttypid);
		appendStringInfoString(&stmt->text, " OR ");
		append_is_null(stmt, name);
		appendStringInfoString(&stmt->text, " AND ");
		append_is_null(stmt, psprintf("r.k%d", i + 1));
		appendStringInfoChar(&stmt->text, ')');
	}

	if (ncolumns == 0)
		appendStringInfoString(&stmt->text, " ORDER BY r.n");
	else
		append_lock_order(stmt, InvalidAttrNumber, "t.");
	appendStringInfoString(&stmt->text, " FOR NO KEY UPDATE OF t");
}

/*
 * INSERT INTO schema.table (a, b) SELECT r.k1, r.d1 FROM racefree_batch r
 *		WHERE r.n OPERATOR(pg_catalog.>=) $1
 *		[ ON CONFLICT (a) DO NOTHING ] RETURNING a, b, c
 *
 * The rows go in, and come back, in the order in which the groups were
 * registered.  The condition holds for all of them; it is there so that the
 * fetching of $1 tells which row it is the turn of.
 */
static void
build_batch_insert(Statement *stmt, const StatementSpec *spec, bool yield)
{
	const ColumnValues *key = spec->key;
	const ColumnValues *data = spec->data;
	int ncolumns = key->ncolumns + data->ncolumns;

	appendStringInfoString(&stmt->text, "INSERT INTO ");
	statement_append_table(stmt);
	for (int i = 0; i < ncolumns; i++)
		appendStringInfo(
			&stmt->text, "%s%s", i == 0 ? " (" : ", ",
			statement_column(stmt, i < key->ncolumns
									   ? key->attnums[i]
									   : data->attnums[i - key->ncolumns]));
	appendStringInfoString(&stmt->text,
						   ncolumns > 0 ? ") SELECT " : " SELECT ");
	for (int i = 0; i < ncolumns; i++)
	{
		bool is_key = i < key->ncolumns;

		appendStringInfo(&stmt->text, "%sr.%c%d", i == 0 ? "" : ", ",
						 is_key ? 'k' : 'd',
						 (is_key ? i : i - key->ncolumns) + 1);
	}
	appendStringInfoString(&stmt->text, " FROM ");
	append_batch(stmt);
	appendStringInfo(&stmt->text, " WHERE r.n OPERATOR(pg_catalog.>=) $%d",
					 statement_add_param(stmt, INT4OID));
	if (yield)
		(void) arbiter_clause(stmt->target, &stmt->text, key);
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_result(stmt, spec, "");
}

/*
 * UPDATE schema.table t
 *		SET b = r.d1, c = CASE WHEN pg_catalog.get_bit(r.g, 1)
 *			OPERATOR(pg_catalog.=) 1 THEN r.d2 ELSE t.c END
 *		FROM racefree_batch r WHERE t.a = r.k1
 *		AND r.n OPERATOR(pg_catalog.>=) $1 RETURNING t.a, t.b, t.c, r.n
 *
 * The last condition is as in the INSERT.
 */
static void
build_batch_update(Statement *stmt, const StatementSpec *spec)
{
	const ColumnValues *data = spec->data;

	appendStringInfoString(&stmt->text, "UPDATE ");
	statement_append_table(stmt);
	appendStringInfoString(&stmt->text, " t");
	for (int i = 0; i < data->ncolumns; i++)
	{
		const char *name = statement_column(stmt, data->attnums[i]);

		appendStringInfoString(&stmt->text, i == 0 ? " SET " : ", ");
		if (spec->partial != NULL && spec->partial[i])
			appendStringInfo(&stmt->text,
							 "%s = CASE WHEN pg_catalog.get_bit(r.g, %d)"
							 " OPERATOR(pg_catalog.=) 1 THEN r.d%d"
							 " ELSE t.%s END",
							 name, i, i + 1, name);
		else
			appendStringInfo(&stmt->text, "%s = r.d%d", name, i + 1);
	}
	appendStringInfoString(&stmt->text, " FROM ");
	append_batch(stmt);
	append_batch_where(stmt, spec->key);
	appendStringInfo(&stmt->text, "%sr.n OPERATOR(pg_catalog.>=) $%d",
					 spec->key->ncolumns > 0 ? " AND " : " WHERE ",
					 statement_add_param(stmt, INT4OID));
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_result(stmt, spec, "t.");
	appendStringInfoString(&stmt->text, ", r.n");
}

/* The statements over many rows. */
static void
build_batch(Statement *stmt, const StatementSpec *spec)
{
	switch (spec->kind)
	{
		case STMT_BATCH_LOOK:
			build_batch_look(stmt, spec);
			break;
		case STMT_BATCH_PROBE:
			build_batch_probe(stmt, spec);
			break;
		case STMT_BATCH_LOCK:
		case STMT_BATCH_LOCK_KEYS:
			build_batch_lock(stmt, spec);
			break;
		case STMT_BATCH_LOCK_IDS:
			build_batch_lock_ids(stmt, spec);
			break;
		case STMT_BATCH_INSERT:
		case STMT_BATCH_INSERT_OR_YIELD:
			build_batch_insert(stmt, spec,
							   spec->kind == STMT_BATCH_INSERT_OR_YIELD);
			break;
		case STMT_BATCH_UPDATE:
			build_batch_update(stmt, spec);
			break;
		default:
			elog(ERROR, "unrecognized statement: %d", (int) spec->kind);
	}
}

/*
 * Write the statement.
 */
void
statement_build(Statement *stmt, const Target *target,
				const StatementSpec *spec)
{
	const ColumnValues *key = spec->key;
	const ColumnValues *data = spec->data;
	int max_params = key->ncolumns + (data ? data->ncolumns : 0) + 4 +
					 (spec->query ? spec->query->nparams : 0);

	stmt->target = target;
	stmt->nparams = 0;
	stmt->types = palloc(sizeof(Oid) * max_params);
	initStringInfo(&stmt->text);

	switch (spec->kind)
	{
		case STMT_LOOK:
		case STMT_LOCK:
			build_select(stmt, key, spec->kind == STMT_LOCK);
			break;
		case STMT_LOCK_PAIR:
			build_lock_pair(stmt, key);
			break;
		case STMT_EXISTS:
			build_exists(stmt, key);
			break;
		case STMT_INSERT:
		case STMT_INSERT_OR_YIELD:
			build_insert(stmt, key, data, spec->kind == STMT_INSERT_OR_YIELD);
			break;
		case STMT_UPDATE:
			build_update(stmt, key, data);
			break;
		case STMT_ADD:
		case STMT_ADD_ABOVE:
		case STMT_ADD_BELOW:
			build_add(stmt, key, data, spec->kind);
			break;
		case STMT_LOCK_IDS:
			build_lock_ids(stmt, spec);
			break;
		case STMT_SUM:
			build_sum(stmt, key, data);
			break;
		case STMT_SCAN:
			build_scan(stmt, spec);
			break;
		case STMT_QUERY:
			spec->query->write(stmt, spec->columns);
			Assert(stmt->nparams == spec->query->nparams);
			break;
		default:
			build_batch(stmt, spec);
			break;
	}
}
