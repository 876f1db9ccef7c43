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

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/settings.h"
#include "run/plans.h"

/* So many statements are kept for one table. */
#define PLANS_PER_TABLE 64

/* So many rows are fetched at once in a scan. */
#define FETCH_SIZE 1000

/* Above this many tables, forget those whose plans are all invalid. */
#define TABLES_BEFORE_SWEEP 256

/*
 * What tells a statement from others on the same table.  It is compared byte by
 * byte, so it is zeroed before it is filled in.
 */
typedef struct PlanKey
{
	const SqlQuery *query;
	int16 kind;
	int16 strength;
	int16 wait;
	int16 size;		  /* of the rows of values, or 0 */
	int16 table_size; /* of the table, where there are rows of values */
	bool by_index;
	bool whole;	   /* does it give all live columns? */
	int16 nkey;	   /* columns of the key, negative where it is NULL */
	int16 ndata;   /* columns of the data, negative where not always given */
	int16 nresult; /* columns to give, unless all */
	int16 nquery;  /* columns that the query can name, which may be invalid */
	AttrNumber columns[FLEXIBLE_ARRAY_MEMBER]; /* all of these, in this order */
} PlanKey;

typedef struct PlanEntry
{
	dlist_node node; /* in PlanTable.plans, or in retired */
	SPIPlanPtr plan;
	int running;	/* how often now */
	int generation; /* of a plan by an index that was made in advance, or 0 */
	uint64 names;	/* the names in its text, as of this time */
	Size size;		/* of the key */
	PlanKey key;
} PlanEntry;

typedef struct PlanTable
{
	Oid relid; /* hash key */
	int nplans;
	dlist_head plans; /* last used first */
} PlanTable;

/*
 * Count the changes of collations and of types, the names of which stand in the
 * statements: types only where a column is of a domain, since a value may be
 * cast to its base type.
 */
static uint64 collations_changed = 0;
static uint64 types_changed = 0;

static HTAB *tables = NULL;
static dlist_head retired = DLIST_STATIC_INIT(retired);

static void plan_at_xact_end(XactEvent event, void *arg);
static void plan_names_changed(Datum arg, SysCacheIdentifier cacheid,
							   uint32 hashvalue);

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
	CacheRegisterSyscacheCallback(COLLOID, plan_names_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, plan_names_changed, (Datum) 0);
}

/*
 * Syscache callback: a collation or type was altered, perhaps renamed or moved
 * to another schema.  Core does not take plans for invalid then, but reads
 * their text again when the search_path changes, and would not find the old
 * name.
 */
static void
plan_names_changed(Datum arg, SysCacheIdentifier cacheid, uint32 hashvalue)
{
	if (cacheid == COLLOID)
		collations_changed++;
	else
		types_changed++;
}

/* What tells whether the names in the table's statements are what they were. */
static uint64
plan_names(const Target *target)
{
	return collations_changed +
		   (target_has_domains(target) ? types_changed : 0);
}

static void
plan_free(PlanEntry *entry)
{
	SPI_freeplan(entry->plan);
	pfree(entry);
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
		plan_free(
			dlist_container(PlanEntry, node, dlist_pop_head_node(&retired)));
	}
}

static CachedPlanSource *
plan_source(SPIPlanPtr plan)
{
	return linitial(SPI_plan_get_plan_sources(plan));
}

/*
 * Is the plan still the one that was made in advance?  Core may have made it
 * anew meanwhile, or may make it anew when it is run, because the search_path
 * is another one: that does not prefer indexes.
 */
static bool
plan_is_as_made(const PlanEntry *entry)
{
	CachedPlanSource *source = plan_source(entry->plan);

	return entry->generation == source->generation &&
		   (source->search_path == NULL ||
			search_path_is_current(source->search_path));
}

/* Can a plan of this table be run as it is? */
static bool
plan_is_good(const Target *target, const PlanEntry *entry)
{
	return SPI_plan_is_valid(entry->plan) &&
		   entry->names == plan_names(target) &&
		   (entry->generation == 0 || plan_is_as_made(entry));
}

/* Throw a plan away: now, or if it may be running, when nobody can be. */
static void
plan_retire(PlanTable *table, PlanEntry *entry)
{
	dlist_delete(&entry->node);
	table->nplans--;
	if (entry->running > 0)
		dlist_push_tail(&retired, &entry->node);
	else
		plan_free(entry);
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
 * Is the statement's plan made when it is prepared?  If it is to go by an
 * index, it is the same for all values.  Tables of which each child has a plan
 * of its own, and those with row security, are planned as core sees fit.
 */
static bool
plan_in_advance(const Target *target, const StatementSpec *spec)
{
	return spec->by_index && target_is_simple(target);
}

/*
 * Prepare a statement.  This is the only place that does.
 */
static SPIPlanPtr
plan_prepare(const Target *target, const StatementSpec *spec)
{
	Statement stmt;
	SPIPlanPtr plan;

	check_no_instead_rule(target_relation(target),
						  statement_info(spec->kind)->command);
	statement_build(&stmt, target, spec);
	plan = SPI_prepare_cursor(stmt.text.data, stmt.nparams, stmt.types,
							  plan_in_advance(target, spec)
								  ? CURSOR_OPT_GENERIC_PLAN
								  : 0);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s for \"%s\"",
			 SPI_result_code_string(SPI_result), stmt.text.data);
	pfree(stmt.text.data);
	pfree(stmt.types);
	return plan;
}

/* The room that the key of a statement takes. */
static Size
plan_key_size(int ncolumns)
{
	return offsetof(PlanKey, columns) + sizeof(AttrNumber) * ncolumns;
}

/* Append the columns to a key, which says in its fixed part how many. */
static int16
plan_key_append(PlanKey *key, int *n, const ColumnValues *columns,
				const bool *negate)
{
	if (columns == NULL)
		return 0;
	for (int i = 0; i < columns->ncolumns; i++)
		key->columns[(*n)++] = negate != NULL && negate[i]
								   ? -columns->attnums[i]
								   : columns->attnums[i];
	return columns->ncolumns;
}

/* The key of a statement, in the current memory context. */
static PlanKey *
plan_make_key(const Target *target, const StatementSpec *spec, Size *size)
{
	int most = spec->key->ncolumns + (spec->data ? spec->data->ncolumns : 0) +
			   (spec->result ? spec->result->ncolumns : 0) +
			   (spec->query ? spec->query->ncolumns : 0);
	PlanKey *key = palloc0(plan_key_size(most));
	int n = 0;

	key->kind = spec->kind;
	key->strength = spec->strength;
	key->wait = spec->wait;
	key->size = spec->size;
	/* What was planned for a small table does not serve a large one. */
	key->table_size = spec->size > 0 ? target_size(target) : 0;
	key->by_index = spec->by_index;
	key->whole = spec->result == NULL;
	key->query = spec->query;
	key->nkey = plan_key_append(key, &n, spec->key, spec->key->nulls);
	key->ndata = plan_key_append(key, &n, spec->data, spec->partial);
	key->nresult = plan_key_append(key, &n, spec->result, NULL);
	key->nquery = spec->query ? spec->query->ncolumns : 0;
	for (int i = 0; i < key->nquery; i++)
		key->columns[n++] = spec->columns[i];
	Assert(n == most);
	*size = plan_key_size(n);
	return key;
}

/* The kept plan with that key, if it is still good. */
static PlanEntry *
plan_find(const Target *target, PlanTable *table, const PlanKey *key, Size size)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &table->plans)
	{
		PlanEntry *entry = dlist_container(PlanEntry, node, iter.cur);

		if (entry->size != size || memcmp(&entry->key, key, size) != 0)
			continue;
		if (plan_is_good(target, entry))
		{
			dlist_move_head(&table->plans, &entry->node);
			return entry;
		}
		plan_retire(table, entry);
		break;
	}
	return NULL;
}

/* Keep a plan that was just prepared. */
static PlanEntry *
plan_keep(PlanTable *table, SPIPlanPtr plan, const PlanKey *key, Size size)
{
	PlanEntry *entry;

	entry = MemoryContextAlloc(TopMemoryContext,
							   offsetof(PlanEntry, key) + size);
	entry->plan = plan;
	entry->running = 0;
	entry->generation = 0;
	entry->size = size;
	memcpy(&entry->key, key, size);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");

	dlist_push_head(&table->plans, &entry->node);
	if (++table->nplans > PLANS_PER_TABLE)
		plan_retire(table, dlist_tail_element(PlanEntry, node, &table->plans));
	return entry;
}

/*
 * While this lasts, plans are made that use indexes where there are any, and no
 * time is spent on compiling them.  A plan that was made when a table was empty
 * would go on to read all of it when it is not, until statistics are gathered.
 * An error ends it, too.
 */
static int
prefer_indexes(void)
{
	int level = settings_begin();

	settings_set("enable_seqscan", "off");
	settings_set("jit", "off");
	return level;
}

/*
 * Make a plan that goes by an index, and keep it for all executions.  The
 * planner can run code of the user's, which can call us: the entry is not freed
 * meanwhile.
 */
static void
plan_make(PlanEntry *entry)
{
	entry->running++;
	PG_TRY();
	{
		int level = prefer_indexes();
		CachedPlan *plan = SPI_plan_get_cached_plan(entry->plan);

		settings_end(level);
		if (plan == NULL)
			elog(ERROR, "could not plan a statement in advance");
		ReleaseCachedPlan(plan, CurrentResourceOwner);
		entry->generation = plan_source(entry->plan)->generation;
	}
	PG_FINALLY();
	{
		entry->running--;
	}
	PG_END_TRY();
}

static PlanEntry *
plan_fetch(const Target *target, const StatementSpec *spec)
{
	Oid relid = RelationGetRelid(target_relation(target));
	Size size;
	PlanKey *key = plan_make_key(target, spec, &size);
	PlanEntry *entry = plan_find(target, plan_table(relid), key, size);

	if (entry == NULL)
	{
		uint64 names = plan_names(target);
		SPIPlanPtr plan = plan_prepare(target, spec);

		/* Preparing may have run code that swept the tables. */
		entry = plan_keep(plan_table(relid), plan, key, size);
		entry->names = names;
		if (plan_in_advance(target, spec))
			plan_make(entry);
	}
	pfree(key);
	return entry;
}

/* Add values that the statement takes, in the order of its text. */
static int
plan_add_params(const ColumnValues *columns, bool skip_nulls, int n,
				Datum *values, char *nulls)
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

static void
check_result(const StatementSpec *spec, int result)
{
	const StatementInfo *info = statement_info(spec->kind);
	int expected = info->command == CMD_SELECT	 ? SPI_OK_SELECT
				   : info->command == CMD_INSERT ? SPI_OK_INSERT_RETURNING
												 : SPI_OK_UPDATE_RETURNING;

	if (result != expected)
		elog(ERROR, "SPI returned %s for statement \"%s\"",
			 SPI_result_code_string(result), info->name);
}

/* Run a plan, which is not freed meanwhile, and return what SPI says. */
static int
plan_run_entry(PlanEntry *entry, Datum *values, const char *nulls,
			   Snapshot snapshot, bool read_only, long limit)
{
	int result;

	entry->running++;
	PG_TRY();
	{
		result = SPI_execute_snapshot(entry->plan, values, nulls, snapshot,
									  InvalidSnapshot, read_only, true, limit);
	}
	PG_FINALLY();
	{
		entry->running--;
	}
	PG_END_TRY();
	return result;
}

/* Run the statement.  "limit" is the number of rows wanted, 0 for all. */
static uint64
plan_execute(const Target *target, const StatementSpec *spec, Datum *values,
			 const char *nulls, View view, long limit)
{
	PlanEntry *entry = plan_fetch(target, spec);
	Snapshot snapshot = view.snapshot;
	bool as_it_is = view.before != InvalidCommandId;
	bool prefer = spec->by_index && entry->generation == 0;
	int level = prefer ? prefer_indexes() : 0;
	int result;

	if (view.latest && snapshot == NULL)
		snapshot = GetLatestSnapshot();
	/* Read-only, SPI does not let the snapshot see our latest commands. */
	if (as_it_is)
		snapshot->curcid = view.before;
	result = plan_run_entry(entry, values, nulls, snapshot, as_it_is, limit);
	if (prefer)
		settings_end(level);
	check_result(spec, result);
	return SPI_processed;
}

/*
 * Are rows found by this key with an index, whatever statistics say?  A plan
 * that core made when the table was small would go on to read all of it when
 * it is large, until the table is analyzed.
 */
static bool
key_has_index(const Target *target, const ColumnValues *key)
{
	if (!target_is_simple(target))
		return false;
	if (key->ncolumns == 1)
		return !key->nulls[0] && target_has_index(target, key->attnums[0]);
	return target_is_unique_key(target, key->ncolumns, key->attnums,
								key->nulls);
}

/* Run a statement whose parameters are data, key and value. */
static uint64
plan_run_with(const Target *target, StatementSpec *spec, View view)
{
	const StatementInfo *info = statement_info(spec->kind);
	int ndata = spec->data ? spec->data->ncolumns : 0;
	int max_params = spec->key->ncolumns + ndata + 1;
	Datum *values = palloc(sizeof(Datum) * max_params);
	char *nulls = palloc(max_params);
	uint64 nrows;
	int n = 0;

	if (info->takes & STMT_TAKES_DATA)
		n = plan_add_params(spec->data, false, n, values, nulls);
	if (info->takes & STMT_TAKES_KEY)
	{
		n = plan_add_params(spec->key, true, n, values, nulls);
		spec->by_index |= key_has_index(target, spec->key);
	}
	if (info->takes & STMT_TAKES_VALUE)
	{
		values[n] = spec->value;
		nulls[n++] = ' ';
	}
	nrows = plan_execute(target, spec, values, nulls, view, info->limit);
	pfree(nulls);
	pfree(values);
	return nrows;
}

/*
 * Run a statement and return the number of rows it gave, at most 2, or 3 of
 * STMT_LOCK_PAIR: the rows are in SPI_tuptable, all live columns of the table
 * in order.
 *
 * The caller is connected to SPI and has the table open, locked as strongly
 * as the statement needs.  "data" is NULL for the SELECTs.
 */
uint64
plan_run(const Target *target, StatementKind kind, const ColumnValues *key,
		 const ColumnValues *data, View view)
{
	StatementSpec spec = {.kind = kind, .key = key, .data = data};

	return plan_run_with(target, &spec, view);
}

/*
 * The same for a SELECT by a key of one column that has an index in each table
 * of the tree: whatever the tree is like, it does not read the whole table.
 */
uint64
plan_probe(const Target *target, const ColumnValues *key, View view)
{
	StatementSpec spec = {.kind = STMT_LOOK,
						  .key = key,
						  .by_index = target_has_index(target,
													   key->attnums[0])};

	return plan_run_with(target, &spec, view);
}

/*
 * Run one of the statements that add to a column.  The bound on the old value
 * is numeric; STMT_ADD has none.
 */
uint64
plan_run_bounded(const Target *target, StatementKind kind,
				 const ColumnValues *key, const ColumnValues *data, Datum bound)
{
	StatementSpec spec = {.kind = kind,
						  .key = key,
						  .data = data,
						  .value = bound};

	return plan_run_with(target, &spec, VIEW_OWN);
}

/*
 * Add up a column over the rows that match the key: the sum, as numeric, is in
 * SPI_tuptable, or NULL if there are none.
 */
void
plan_sum(const Target *target, const ColumnValues *key,
		 const ColumnValues *column, View view)
{
	StatementSpec spec = {.kind = STMT_SUM,
						  .key = key,
						  .data = column,
						  .by_index = target_has_index(target,
													   key->attnums[0])};

	(void) plan_execute(target, &spec, key->values, " ", view, 0);
}

/*
 * Lock the rows whose id is in the array, in order, and return their
 * number: all of them are in SPI_tuptable.  The array's elements are of the
 * id column's base type.
 */
uint64
plan_lock_ids(const Target *target, AttrNumber id_attnum,
			  LockClauseStrength strength, LockWaitPolicy wait, Datum ids)
{
	bool isnull = false;
	ColumnValues id = {1, &id_attnum, NULL, &isnull};
	StatementSpec spec = {.kind = STMT_LOCK_IDS,
						  .key = &id,
						  .strength = strength,
						  .wait = wait,
						  .by_index = key_has_index(target, &id)};

	return plan_execute(target, &spec, &ids, " ", VIEW_OWN, 0);
}

/*
 * The order of magnitude of a batch, since the best plan depends on it; never
 * 0, which is a statement of one row.
 */
int
plan_batch_size(uint32 nrows)
{
	int size = 1;

	for (; nrows > 1; nrows /= 8)
		size++;
	return size;
}

/*
 * Run a statement over the rows that are registered, and return the number
 * of rows it gave, at most "limit" if that is not 0.  The rows are in
 * SPI_tuptable: all live columns in order, or those of spec->result, then the
 * number of the registered row.
 */
uint64
plan_run_batch(const Target *target, const StatementSpec *spec, View view,
			   long limit)
{
	return plan_execute(target, spec, NULL, NULL, view, limit);
}

/* The statement asks for its parameter once for each row: count the rows. */
static ParamExternData *
count_turns(ParamListInfo params, int id, bool speculative,
			ParamExternData *workspace)
{
	int *turn = params->paramFetchArg;

	if (!speculative)
		(*turn)++;
	workspace->value = Int32GetDatum(0);
	workspace->isnull = false;
	workspace->pflags = 0;
	workspace->ptype = INT4OID;
	return workspace;
}

/*
 * Run an INSERT or UPDATE over the groups that are registered, and return the
 * number of rows it gave: they are in SPI_tuptable, all live columns in order,
 * then, of an UPDATE, the number of the group.  While it runs, "turn" is the
 * number of the row that was fetched last, counted from 1: of an INSERT, the
 * one whose turn it is; of an UPDATE too, if its plan goes by these rows.
 */
uint64
plan_write_batch(const Target *target, const StatementSpec *spec, int *turn,
				 long limit)
{
	PlanEntry *entry = plan_fetch(target, spec);
	SPIExecuteOptions options = {0};
	int result;

	*turn = 0;
	options.params = makeParamList(1);
	options.params->paramFetch = count_turns;
	options.params->paramFetchArg = turn;
	options.tcount = limit;
	entry->running++;
	PG_TRY();
	{
		result = SPI_execute_plan_extended(entry->plan, &options);
	}
	PG_FINALLY();
	{
		entry->running--;
	}
	PG_END_TRY();
	check_result(spec, result);
	return SPI_processed;
}

/*
 * Run a SELECT as the query that called us would: nothing is written, and the
 * snapshot is that of the query, so that several such statements see the same.
 * The rows are in SPI_tuptable.
 */
uint64
plan_read(const Target *target, const StatementSpec *spec, Datum *values)
{
	PlanEntry *entry = plan_fetch(target, spec);

	check_result(spec,
				 plan_run_entry(entry, values, NULL, InvalidSnapshot, true, 0));
	return SPI_processed;
}

/* Give the rows of a portal to the function, and close the portal. */
static void
plan_fetch_all(Portal portal, void (*take)(uint64 nrows, void *), void *arg)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree scan",
												  ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		if (SPI_processed == 0)
			break;
		old = MemoryContextSwitchTo(scratch);
		take(SPI_processed, arg);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(portal);
	MemoryContextDelete(scratch);
}

/*
 * The same for a SELECT of many rows: they are given to the function some at a
 * time, in SPI_tuptable.  It runs in a memory context that is then reset.
 */
void
plan_scan(const Target *target, const StatementSpec *spec,
		  void (*take)(uint64 nrows, void *), void *arg)
{
	PlanEntry *entry = plan_fetch(target, spec);

	entry->running++;
	PG_TRY();
	{
		plan_fetch_all(SPI_cursor_open(NULL, entry->plan, NULL, NULL, true),
					   take, arg);
	}
	PG_FINALLY();
	{
		entry->running--;
	}
	PG_END_TRY();
}
