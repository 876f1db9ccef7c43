/*-------------------------------------------------------------------------
 *
 * plans.c
 *	  The statements that racefree runs, prepared once and kept.
 *
 * A plan belongs to a table, a kind of statement and the columns that take
 * part, NULLs in the key apart (they read IS NULL, so that an index serves).
 * The plan cache of core replans when statistics or roles change; when the
 * table itself changes, the text may be wrong too (a renamed column), so an
 * invalid plan is thrown away and built from the catalogs again.
 *
 * All names are quoted and schema-qualified, all operators qualified, all
 * values parameters: a statement means the same under any search_path.  It
 * names its columns, so that the result's layout is known.
 *
 * Plans live until the session ends or they fall out of their table's list,
 * which is kept in order of last use.  A plan that is thrown away may still
 * be running further up the stack (a trigger can call us), so it is freed
 * when the transaction ends.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "errors.h"
#include "plans.h"

/* So many statements are kept for one table. */
#define PLANS_PER_TABLE 64

/* Above this many tables, forget those whose plans are all invalid. */
#define TABLES_BEFORE_SWEEP 256

typedef struct PlanEntry
{
	dlist_node node; /* in PlanTable.plans, or in retired */
	SPIPlanPtr plan;
	int nshape;
	int16 shape[FLEXIBLE_ARRAY_MEMBER];
} PlanEntry;

typedef struct PlanTable
{
	Oid relid; /* hash key */
	int nplans;
	dlist_head plans; /* last used first */
} PlanTable;

static HTAB *tables = NULL;
static dlist_head retired = DLIST_STATIC_INIT(retired);

static void plan_at_xact_end(XactEvent event, void *arg);

/* Prepare to keep plans.  Called once, when the module loads. */
void
plan_init(void)
{
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(PlanTable);
	tables = hash_create("racefree plans", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	RegisterXactCallback(plan_at_xact_end, NULL);
}

/* Free the plans that nobody can be running any more. */
static void
plan_at_xact_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (!dlist_is_empty(&retired))
	{
		PlanEntry *entry;

		entry = dlist_container(PlanEntry, node, dlist_pop_head_node(&retired));
		SPI_freeplan(entry->plan);
		pfree(entry);
	}
}

static void
plan_retire(PlanTable *table, PlanEntry *entry)
{
	dlist_delete(&entry->node);
	dlist_push_tail(&retired, &entry->node);
	table->nplans--;
}

/* Forget the tables of which no plan is valid, say because they are gone. */
static void
plan_sweep(void)
{
	HASH_SEQ_STATUS status;
	PlanTable *table;

	hash_seq_init(&status, tables);
	while ((table = hash_seq_search(&status)) != NULL)
	{
		dlist_mutable_iter iter;

		dlist_foreach_modify(iter, &table->plans)
		{
			PlanEntry *entry = dlist_container(PlanEntry, node, iter.cur);

			if (!SPI_plan_is_valid(entry->plan))
				plan_retire(table, entry);
		}
		if (table->nplans == 0)
			hash_search(tables, &table->relid, HASH_REMOVE, NULL);
	}
}

/* The plans of a table, an empty list where there is none yet. */
static PlanTable *
plan_table(Oid relid)
{
	PlanTable *table;
	bool found;

	table = hash_search(tables, &relid, HASH_FIND, NULL);
	if (table != NULL)
		return table;

	if (hash_get_num_entries(tables) >= TABLES_BEFORE_SWEEP)
		plan_sweep();
	table = hash_search(tables, &relid, HASH_ENTER, &found);
	table->nplans = 0;
	dlist_init(&table->plans);
	return table;
}

/* ----------
 * The text of a statement, and the types of its parameters
 * ----------
 */

typedef struct Statement
{
	const Target *target;
	StringInfoData text;
	int nparams;
	Oid *types;
} Statement;

/* Declare the next parameter.  Domains are checked where a value is stored. */
static int
add_param(Statement *stmt, Oid type)
{
	stmt->types[stmt->nparams++] = getBaseType(type);
	return stmt->nparams;
}

static const char *
column_name(Statement *stmt, AttrNumber attnum)
{
	return quote_identifier(
		NameStr(target_column(stmt->target, attnum)->attname));
}

static void
append_table(Statement *stmt)
{
	Relation rel = target_relation(stmt->target);
	char *schema = get_namespace_name(RelationGetNamespace(rel));

	appendStringInfoString(
		&stmt->text,
		quote_qualified_identifier(schema, RelationGetRelationName(rel)));
}

/* All live columns, in order. */
static void
append_columns(Statement *stmt)
{
	TupleDesc tupdesc = RelationGetDescr(target_relation(stmt->target));
	bool any = false;

	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		if (target_column(stmt->target, attnum)->attisdropped)
			continue;
		appendStringInfo(&stmt->text, "%s%s", any ? ", " : "",
						 column_name(stmt, attnum));
		any = true;
	}
	/* A table need not have columns, but RETURNING must name something. */
	if (!any)
		appendStringInfoString(&stmt->text, "NULL");
}

static void
append_collation(Statement *stmt, Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char *schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	schema = get_namespace_name(form->collnamespace);
	appendStringInfo(&stmt->text, " COLLATE %s",
					 quote_qualified_identifier(schema,
												NameStr(form->collname)));
	ReleaseSysCache(tuple);
}

/* column OPERATOR(schema.=) $n COLLATE "schema"."collation" */
static void
append_equality(Statement *stmt, AttrNumber attnum)
{
	Form_pg_attribute att = target_column(stmt->target, attnum);
	Oid type = getBaseType(att->atttypid);
	char param[16];

	snprintf(param, sizeof(param), "$%d", add_param(stmt, type));
	generate_operator_clause(
		&stmt->text, column_name(stmt, attnum), att->atttypid,
		target_column_type(stmt->target, attnum, 0)->eq_opr, param, type);
	if (OidIsValid(att->attcollation))
		append_collation(stmt, att->attcollation);
}

/* WHERE a = $1 AND b IS NULL; nothing for the empty key. */
static void
append_where(Statement *stmt, const ColumnValues *key)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		AttrNumber attnum = key->attnums[i];

		appendStringInfoString(&stmt->text, i == 0 ? " WHERE " : " AND ");
		/* A type without equality is no key, not even to ask for NULL. */
		(void) target_column_type(stmt->target, attnum, 0);
		if (key->nulls[i])
			appendStringInfo(&stmt->text, "%s IS NULL",
							 column_name(stmt, attnum));
		else
			append_equality(stmt, attnum);
	}
}

/*
 * SELECT a, b, c FROM schema.table WHERE a = $1 AND b IS NULL
 *		[ FOR NO KEY UPDATE ]
 */
static void
build_select(Statement *stmt, const ColumnValues *key, bool lock)
{
	appendStringInfoString(&stmt->text, "SELECT ");
	append_columns(stmt);
	appendStringInfoString(&stmt->text, " FROM ");
	append_table(stmt);
	append_where(stmt, key);
	if (lock)
		appendStringInfoString(&stmt->text, " FOR NO KEY UPDATE");
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
	append_table(stmt);
	if (data->ncolumns == 0)
		appendStringInfoString(&stmt->text, " DEFAULT VALUES");
	else
	{
		for (int i = 0; i < data->ncolumns; i++)
			appendStringInfo(&stmt->text, "%s%s", i == 0 ? " (" : ", ",
							 column_name(stmt, data->attnums[i]));
		appendStringInfoString(&stmt->text, ") VALUES (");
		for (int i = 0; i < data->ncolumns; i++)
		{
			Oid type = target_column(stmt->target, data->attnums[i])->atttypid;

			appendStringInfo(&stmt->text, "%s$%d", i == 0 ? "" : ", ",
							 add_param(stmt, type));
		}
		appendStringInfoChar(&stmt->text, ')');
	}
	if (yield)
		(void) target_conflict_clause(stmt->target, &stmt->text, key->ncolumns,
									  key->attnums, key->nulls);
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_columns(stmt);
}

/*
 * UPDATE schema.table SET b = $1 WHERE a = $2 RETURNING a, b, c
 */
static void
build_update(Statement *stmt, const ColumnValues *key, const ColumnValues *data)
{
	appendStringInfoString(&stmt->text, "UPDATE ");
	append_table(stmt);
	for (int i = 0; i < data->ncolumns; i++)
	{
		AttrNumber attnum = data->attnums[i];
		Oid type = target_column(stmt->target, attnum)->atttypid;

		appendStringInfo(&stmt->text, "%s%s = $%d", i == 0 ? " SET " : ", ",
						 column_name(stmt, attnum), add_param(stmt, type));
	}
	append_where(stmt, key);
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_columns(stmt);
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
		  PlanKind kind)
{
	Oid type = getBaseType(
		target_column(stmt->target, data->attnums[0])->atttypid);
	const char *name = column_name(stmt, data->attnums[0]);

	appendStringInfoString(&stmt->text, "UPDATE ");
	append_table(stmt);
	appendStringInfo(&stmt->text, " SET %s = %s::%s OPERATOR(pg_catalog.+) $%d",
					 name, name, format_type_be_qualified(type),
					 add_param(stmt, type));
	append_where(stmt, key);
	if (kind != PLAN_ADD)
		appendStringInfo(
			&stmt->text,
			" AND %s::pg_catalog.numeric OPERATOR(pg_catalog.%s) $%d", name,
			kind == PLAN_ADD_ABOVE ? ">=" : "<=", add_param(stmt, NUMERICOID));
	appendStringInfoString(&stmt->text, " RETURNING ");
	append_columns(stmt);
}

/*
 * Refuse a table of which a rule turns the command into something else: what
 * the statement would return then says nothing about the table.
 */
static void
check_no_instead_rule(Relation rel, CmdType command)
{
	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		RewriteRule *rule = rel->rd_rules->rules[i];

		if (rule->event == command && rule->isInstead &&
			rule->enabled != RULE_DISABLED)
			error_rewritten(rel);
	}
}

/*
 * Prepare a statement.  This is the only place that does.
 */
static SPIPlanPtr
plan_prepare(const Target *target, PlanKind kind, const ColumnValues *key,
			 const ColumnValues *data)
{
	int max_params = key->ncolumns + (data ? data->ncolumns : 0) + 1;
	Statement stmt;
	SPIPlanPtr plan;

	stmt.target = target;
	stmt.nparams = 0;
	stmt.types = palloc(sizeof(Oid) * max_params);
	initStringInfo(&stmt.text);

	switch (kind)
	{
		case PLAN_LOOK:
		case PLAN_LOCK:
			build_select(&stmt, key, kind == PLAN_LOCK);
			break;
		case PLAN_INSERT:
		case PLAN_INSERT_OR_YIELD:
			check_no_instead_rule(target_relation(target), CMD_INSERT);
			build_insert(&stmt, key, data, kind == PLAN_INSERT_OR_YIELD);
			break;
		case PLAN_UPDATE:
			check_no_instead_rule(target_relation(target), CMD_UPDATE);
			build_update(&stmt, key, data);
			break;
		case PLAN_ADD:
		case PLAN_ADD_ABOVE:
		case PLAN_ADD_BELOW:
			check_no_instead_rule(target_relation(target), CMD_UPDATE);
			build_add(&stmt, key, data, kind);
			break;
	}

	plan = SPI_prepare(stmt.text.data, stmt.nparams, stmt.types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s for \"%s\"",
			 SPI_result_code_string(SPI_result), stmt.text.data);
	pfree(stmt.text.data);
	pfree(stmt.types);
	return plan;
}

/* ----------
 * Fetching and running
 * ----------
 */

/*
 * What tells this statement from others on the same table, as numbers: the
 * kind, the key's columns (negative where they are asked to be NULL), the
 * data's columns.  Zero ends the key.
 */
static int16 *
plan_shape(PlanKind kind, const ColumnValues *key, const ColumnValues *data,
		   int *nshape)
{
	int ndata = data ? data->ncolumns : 0;
	int16 *shape = palloc(sizeof(int16) * (key->ncolumns + ndata + 2));
	int n = 0;

	shape[n++] = kind;
	for (int i = 0; i < key->ncolumns; i++)
		shape[n++] = key->nulls[i] ? -key->attnums[i] : key->attnums[i];
	shape[n++] = 0;
	for (int i = 0; i < ndata; i++)
		shape[n++] = data->attnums[i];
	*nshape = n;
	return shape;
}

/* The kept plan of that shape, if it is still valid. */
static SPIPlanPtr
plan_find(PlanTable *table, const int16 *shape, int nshape)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &table->plans)
	{
		PlanEntry *entry = dlist_container(PlanEntry, node, iter.cur);

		if (entry->nshape != nshape ||
			memcmp(entry->shape, shape, sizeof(int16) * nshape) != 0)
			continue;
		if (SPI_plan_is_valid(entry->plan))
		{
			dlist_move_head(&table->plans, &entry->node);
			return entry->plan;
		}
		plan_retire(table, entry);
		break;
	}
	return NULL;
}

/* Keep a plan that was just prepared. */
static void
plan_keep(PlanTable *table, SPIPlanPtr plan, const int16 *shape, int nshape)
{
	PlanEntry *entry;

	entry = MemoryContextAlloc(TopMemoryContext, offsetof(PlanEntry, shape) +
													 sizeof(int16) * nshape);
	entry->plan = plan;
	entry->nshape = nshape;
	memcpy(entry->shape, shape, sizeof(int16) * nshape);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");

	dlist_push_head(&table->plans, &entry->node);
	if (++table->nplans > PLANS_PER_TABLE)
		plan_retire(table, dlist_tail_element(PlanEntry, node, &table->plans));
}

static SPIPlanPtr
plan_fetch(const Target *target, PlanKind kind, const ColumnValues *key,
		   const ColumnValues *data)
{
	Oid relid = RelationGetRelid(target_relation(target));
	int nshape;
	int16 *shape = plan_shape(kind, key, data, &nshape);
	SPIPlanPtr plan = plan_find(plan_table(relid), shape, nshape);

	if (plan == NULL)
	{
		plan = plan_prepare(target, kind, key, data);
		/* Preparing may have run code that swept the tables. */
		plan_keep(plan_table(relid), plan, shape, nshape);
	}
	pfree(shape);
	return plan;
}

/* Add the values that the statement takes, in the order of its text. */
static int
bind(const ColumnValues *columns, bool skip_nulls, int n, Datum *values,
	 char *nulls)
{
	for (int i = 0; i < columns->ncolumns; i++)
	{
		if (skip_nulls && columns->nulls[i])
			continue;
		values[n] = columns->values[i];
		nulls[n++] = columns->nulls[i] ? 'n' : ' ';
	}
	return n;
}

static int
expected_result(PlanKind kind)
{
	switch (kind)
	{
		case PLAN_LOOK:
		case PLAN_LOCK:
			return SPI_OK_SELECT;
		case PLAN_INSERT:
		case PLAN_INSERT_OR_YIELD:
			return SPI_OK_INSERT_RETURNING;
		default:
			return SPI_OK_UPDATE_RETURNING;
	}
}

static uint64
plan_execute(const Target *target, PlanKind kind, const ColumnValues *key,
			 const ColumnValues *data, Datum bound, Snapshot snapshot)
{
	int max_params = key->ncolumns + (data ? data->ncolumns : 0) + 1;
	Datum *values = palloc(sizeof(Datum) * max_params);
	char *nulls = palloc(max_params);
	int n = 0;
	int result;

	if (data != NULL)
		n = bind(data, false, n, values, nulls);
	if (kind != PLAN_INSERT && kind != PLAN_INSERT_OR_YIELD)
		n = bind(key, true, n, values, nulls);
	if (kind == PLAN_ADD_ABOVE || kind == PLAN_ADD_BELOW)
	{
		values[n] = bound;
		nulls[n++] = ' ';
	}

	/* One row is what everybody wants; a second one tells of more. */
	result = SPI_execute_snapshot(plan_fetch(target, kind, key, data), values,
								  nulls, snapshot, InvalidSnapshot, false, true,
								  2);
	if (result != expected_result(kind))
		elog(ERROR, "SPI_execute_snapshot returned %s",
			 SPI_result_code_string(result));
	pfree(nulls);
	pfree(values);
	return SPI_processed;
}

/*
 * Run a statement and return the number of rows it gave, at most 2: the rows
 * are in SPI_tuptable, all live columns of the table in order.
 *
 * The caller is connected to SPI and has the table open, locked as strongly
 * as the statement needs.  "data" is NULL for the SELECTs.  With
 * InvalidSnapshot the statement sees what a statement of the user's own would
 * see at this point; otherwise it sees the given snapshot.
 */
uint64
plan_run(const Target *target, PlanKind kind, const ColumnValues *key,
		 const ColumnValues *data, Snapshot snapshot)
{
	return plan_execute(target, kind, key, data, (Datum) 0, snapshot);
}

/*
 * Run one of the statements that add to a column.  The bound on the old value
 * is numeric; PLAN_ADD has none.
 */
uint64
plan_run_bounded(const Target *target, PlanKind kind, const ColumnValues *key,
				 const ColumnValues *data, Datum bound)
{
	return plan_execute(target, kind, key, data, bound, InvalidSnapshot);
}
