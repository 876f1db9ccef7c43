/*-------------------------------------------------------------------------
 *
 * plans.c
 *	  The plans of the statements that the verbs run, kept per table.
 *
 * A plan belongs to a table, a kind of statement and the columns that take
 * part, NULLs in the key apart (they read IS NULL, so that an index serves).
 * The plan cache of core replans when statistics or roles change; when the
 * table itself changes, the text may be wrong too (a renamed column), so an
 * invalid plan is thrown away and built from the catalogs again.
 *
 * The plans hang on what table/target.h keeps of the table: in a list in the
 * order of last use, of which the last one falls out.  They are freed with the
 * list when the table is forgotten, which is not while a handle on it is open.
 *
 * A plan that is thrown away may still be running in a call further up the stack
 * (a trigger can call us on the same table).  Each call says by its handle which
 * plan it has fetched last, and that one is not freed before it has fetched
 * another one or closed its handle.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "utils/inval.h"
#include "utils/plancache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/settings.h"
#include "run/plans.h"
#include "table/traits.h"

/* How many plans are kept of one table. */
#define PLANS_PER_TABLE 64

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
	bool whole;	   /* true if it gives all live columns */
	int16 nkey;	   /* columns of the key, negative where it is NULL */
	int16 ndata;   /* columns of the data, negative where not always given */
	int16 nresult; /* columns to give, unless all */
	int16 nquery;  /* columns that the query can name, which may be invalid */
	AttrNumber columns[FLEXIBLE_ARRAY_MEMBER]; /* all of these, in this order */
} PlanKey;

StaticAssertDecl(NUM_STATEMENT_KINDS <= PG_INT16_MAX &&
					 MaxTupleAttributeNumber <= PG_INT16_MAX,
				 "kinds and numbers of columns are 16 bits wide");

typedef struct PlanEntry
{
	dlist_node node; /* in PlanList.plans, or in retired */
	SPIPlanPtr plan;
	int generation; /* of a plan that was made in advance, or 0 */
	uint64 names;	/* plan_names() when its text was written */
	Size size;		/* of the key */
	PlanKey key;
} PlanEntry;

/* The plans of a table. */
typedef struct PlanList
{
	MemoryContext context; /* holds all this */
	MemoryContextCallback callback;
	int nplans;
	dlist_head plans;	/* last used first */
	dlist_head retired; /* that may be running */
} PlanList;

/* The address by which the table's entry knows the list. */
static const char plans_owner[] = "plans";

/*
 * Count the changes of collations and of types, the names of which stand in the
 * statements: types only where a column is of a domain, since a value may be
 * cast to its base type.
 */
static uint64 collations_changed = 0;
static uint64 types_changed = 0;

static void plan_names_changed(Datum arg, SysCacheIdentifier cacheid,
							   uint32 hashvalue);

/* Start to listen for invalidations.  Called once, when the module loads. */
void
plan_init(void)
{
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

/* A number that changes when a name in the table's statements may have. */
static uint64
plan_names(const Target *target)
{
	return collations_changed +
		   (target_has_domains(target) ? types_changed : 0);
}

/* Free a plan, which no call is running. */
static void
plan_free(PlanEntry *entry)
{
	SPI_freeplan(entry->plan);
	pfree(entry);
}

/* Free the plans of a list. */
static void
plan_free_all(dlist_head *plans)
{
	while (!dlist_is_empty(plans))
		plan_free(dlist_container(PlanEntry, node, dlist_pop_head_node(plans)));
}

/* Memory context callback: the table is forgotten. */
static void
plan_list_gone(void *arg)
{
	PlanList *list = arg;

	plan_free_all(&list->plans);
	plan_free_all(&list->retired);
}

/*
 * The plans of a table, an empty list at first.  It stays in place until the
 * caller closes its handle.
 */
static PlanList *
plan_list(const Target *target)
{
	MemoryContext context;
	void **kept = target_keep_through_changes(target, plans_owner, &context);
	PlanList *list = *kept;

	if (list != NULL)
		return list;
	list = MemoryContextAllocZero(context, sizeof(PlanList));
	list->context = context;
	dlist_init(&list->plans);
	dlist_init(&list->retired);
	list->callback.func = plan_list_gone;
	list->callback.arg = list;
	MemoryContextRegisterResetCallback(context, &list->callback);
	*kept = list;
	return list;
}

/* What core keeps of a plan. */
static CachedPlanSource *
plan_source(SPIPlanPtr plan)
{
	return linitial(SPI_plan_get_plan_sources(plan));
}

/*
 * Return true if the plan is still the one that was made in advance.
 *
 * Core makes a plan anew when an object that it depends on has changed, and
 * when it is run under another search_path than it was made under; it counts
 * that as a generation.  We have then no say in it: such a plan may read the
 * whole table, although plan_make() had made one that goes by an index, and
 * would go on to do so for the rest of the session.  So it is thrown away, and
 * so is one that core is about to make anew.
 */
static bool
plan_is_as_made(const PlanEntry *entry)
{
	CachedPlanSource *source = plan_source(entry->plan);

	return entry->generation == source->generation &&
		   (source->search_path == NULL ||
			search_path_is_current(source->search_path));
}

/* Return true if a plan of this table can be run as it is. */
static bool
plan_is_good(const Target *target, const PlanEntry *entry)
{
	return SPI_plan_is_valid(entry->plan) &&
		   entry->names == plan_names(target) &&
		   (entry->generation == 0 || plan_is_as_made(entry));
}

/* Throw a plan away, but free none that a call up the stack may be running. */
static void
plan_retire(const Target *target, PlanList *list, PlanEntry *entry)
{
	dlist_delete(&entry->node);
	list->nplans--;
	if (target_is_used_elsewhere(target, entry))
		dlist_push_tail(&list->retired, &entry->node);
	else
		plan_free(entry);
}

/* Free the plans that were running when they were thrown away, and are not. */
static void
plan_free_retired(const Target *target, PlanList *list)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &list->retired)
	{
		PlanEntry *entry = dlist_container(PlanEntry, node, iter.cur);

		if (target_is_used_elsewhere(target, entry))
			continue;
		dlist_delete(&entry->node);
		plan_free(entry);
	}
}

/*
 * Report an error if a rule of the table replaces the command: what the
 * statement returns would then say nothing about the table.
 */
static void
plan_check_no_instead_rule(Relation rel, CmdType command)
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
 * Return true if the statement's plan is made when it is prepared, once for all
 * values: if it is to go by an index.  Not for tables of which each child has a
 * plan of its own, and those with row security, which core plans as it sees fit,
 * nor for those of Citus, which finds the shard of a value when it plans.
 */
bool
plan_is_made_in_advance(const Target *target, const StatementSpec *spec)
{
	return spec->by_index && traits_is_simple(target) &&
		   target_spread(target)->kind == SPREAD_NOT;
}

/* Prepare a statement.  This is the only place that does. */
static SPIPlanPtr
plan_prepare(const Target *target, const StatementSpec *spec)
{
	Statement stmt;
	SPIPlanPtr plan;

	plan_check_no_instead_rule(target_relation(target),
							   statement_info(spec->kind)->command);
	statement_build(&stmt, target, spec);
	plan = SPI_prepare_cursor(stmt.text.data, stmt.nparams, stmt.types,
							  plan_is_made_in_advance(target, spec)
								  ? CURSOR_OPT_GENERIC_PLAN
								  : 0);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s for \"%s\"",
			 SPI_result_code_string(SPI_result), stmt.text.data);
	pfree(stmt.text.data);
	pfree(stmt.types);
	return plan;
}

/* The size of a key with that many columns. */
static Size
plan_key_size(int ncolumns)
{
	return offsetof(PlanKey, columns) + sizeof(AttrNumber) * ncolumns;
}

#ifdef USE_ASSERT_CHECKING
/* Return true if the columns are in ascending order, as lists of them are. */
static bool
plan_columns_are_sorted(const ColumnValues *columns)
{
	for (int i = 1; columns != NULL && i < columns->ncolumns; i++)
	{
		if (columns->attnums[i] < columns->attnums[i - 1])
			return false;
	}
	return true;
}
#endif

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

	/* Else there would be two plans for the same columns. */
	Assert(plan_columns_are_sorted(spec->key) &&
		   plan_columns_are_sorted(spec->data));
	key->kind = spec->kind;
	key->strength = spec->strength;
	key->wait = spec->wait;
	key->size = spec->size;
	/* A join that is best for a small table is not for a large one. */
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
	/* Nothing was written beyond what was allocated. */
	Assert(n == most);
	*size = plan_key_size(n);
	return key;
}

/* The kept plan with that key, if it is still good. */
static PlanEntry *
plan_find(const Target *target, PlanList *list, const PlanKey *key, Size size)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &list->plans)
	{
		PlanEntry *entry = dlist_container(PlanEntry, node, iter.cur);

		if (entry->size != size || memcmp(&entry->key, key, size) != 0)
			continue;
		if (plan_is_good(target, entry))
		{
			dlist_move_head(&list->plans, &entry->node);
			return entry;
		}
		plan_retire(target, list, entry);
		break;
	}
	return NULL;
}

/* Keep a plan that was just prepared. */
static PlanEntry *
plan_keep(const Target *target, PlanList *list, SPIPlanPtr plan,
		  const PlanKey *key, Size size)
{
	PlanEntry *entry = MemoryContextAlloc(list->context,
										  offsetof(PlanEntry, key) + size);

	entry->plan = plan;
	entry->generation = 0;
	entry->size = size;
	memcpy(&entry->key, key, size);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");

	dlist_push_head(&list->plans, &entry->node);
	if (++list->nplans > PLANS_PER_TABLE)
		plan_retire(target, list,
					dlist_tail_element(PlanEntry, node, &list->plans));
	return entry;
}

/*
 * Until settings_end(), let plans be made that use indexes where there are any,
 * and spend no time on compiling them.  An error ends it, too.
 *
 * Core keeps a plan that serves all values until the table's statistics change.
 * If it was made when the table was empty or small, it reads all of it, and
 * each call of a session would go on to read all of a table that has grown
 * large, until the next ANALYZE.  The settings are not confined to our own
 * statement: where it is planned as it runs, what triggers and policies run
 * meanwhile is planned by them, too.
 */
int
plan_prefer_indexes(void)
{
	int level = settings_begin();

	settings_set("enable_seqscan", "off");
	settings_set("jit", "off");
	return level;
}

/* Make a plan that goes by an index, and keep it for all executions. */
static void
plan_make(PlanEntry *entry)
{
	int level = plan_prefer_indexes();
	CachedPlan *plan = SPI_plan_get_cached_plan(entry->plan);

	settings_end(level);
	if (plan == NULL)
		elog(ERROR, "could not plan a statement in advance");
	ReleaseCachedPlan(plan, CurrentResourceOwner);
	entry->generation = plan_source(entry->plan)->generation;
	Assert(entry->generation > 0);
}

/*
 * The plan of a statement, kept or made.  It is not freed until the caller
 * fetches another one by the same handle, or closes it.
 */
SPIPlanPtr
plan_fetch(const Target *target, const StatementSpec *spec)
{
	PlanList *list = plan_list(target);
	Size size;
	PlanKey *key = plan_make_key(target, spec, &size);
	PlanEntry *entry;

	plan_free_retired(target, list);
	entry = plan_find(target, list, key, size);
	if (entry == NULL)
	{
		uint64 names = plan_names(target);
		SPIPlanPtr plan = plan_prepare(target, spec);

		entry = plan_keep(target, list, plan, key, size);
		entry->names = names;
	}
	/* Planning, too, can run code of the user's, which can call us. */
	target_use(target, entry);
	/* An error may have ended an earlier call before its plan was made. */
	if (entry->generation == 0 && plan_is_made_in_advance(target, spec))
		plan_make(entry);
	pfree(key);
	return entry->plan;
}
