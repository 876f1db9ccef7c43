/*-------------------------------------------------------------------------
 *
 * arbiter.c
 *	  ON CONFLICT: which unique indexes detect writers that take no key lock,
 *	  and how an INSERT meets them.
 *
 * The indexes are read from the catalogs' caches at each call, which is once for
 * a plan.  What is allocated is in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "run/arbiter.h"
#include "table/indexes.h"
#include "table/traits.h"

/*
 * How many INSERTs yield to a row of another session that is gone again when we
 * look for it.  Then the INSERT runs without ON CONFLICT and raises
 * unique_violation.
 */
#define MAX_YIELDS 3

/* Return true if the key has the column, with a value that the index compares. */
static bool
key_covers_column(Relation index, AttrNumber attnum, int nkeys,
				  const AttrNumber *keys, const bool *nulls)
{
	for (int k = 0; k < nkeys; k++)
	{
		if (keys[k] == attnum)
			return !nulls[k] || index->rd_index->indnullsnotdistinct;
	}
	return false;
}

/* Return true if the key has all columns that the index's expressions use. */
static bool
key_covers_expressions(Relation index, int nkeys, const AttrNumber *keys,
					   const bool *nulls)
{
	Bitmapset *columns = NULL;
	int column = -1;

	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &columns);
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		if (!key_covers_column(index,
							   column + FirstLowInvalidHeapAttributeNumber,
							   nkeys, keys, nulls))
			return false;
	}
	return true;
}

/*
 * Return true if inserting a second row with this key always conflicts in this
 * unique index.  (A partial one may hold neither of the rows, and then no
 * conflict is found.)
 */
static bool
index_covers_key(const Target *target, Relation index, int nkeys,
				 const AttrNumber *keys, const bool *nulls)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisunique || !form->indisvalid || !form->indimmediate ||
		index->rd_rel->relam != BTREE_AM_OID)
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber attnum = form->indkey.values[i];

		if (attnum == InvalidAttrNumber)
			continue;
		if (!key_covers_column(index, attnum, nkeys, keys, nulls) ||
			!indexes_agree(target, index, i))
			return false;
	}
	return key_covers_expressions(index, nkeys, keys, nulls);
}

/* The columns of an index that infers by columns; NULL if it has others. */
static Bitmapset *
index_plain_columns(Relation index)
{
	Bitmapset *columns = NULL;

	if (RelationGetIndexExpressions(index) != NIL)
		return NULL;
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
		columns = bms_add_member(columns, index->rd_index->indkey.values[i]);
	return columns;
}

/* A table's unique indexes and exclusion constraints, as a key needs them. */
typedef struct Arbiters
{
	int covering;	  /* how many cover the key */
	List *plain;	  /* column sets of those without a predicate */
	List *deferrable; /* column sets of the deferrable ones */
	bool any_deferrable;
} Arbiters;

static void
examine_index(const Target *target, Relation index, int nkeys,
			  const AttrNumber *keys, const bool *nulls, Arbiters *arbiters)
{
	Form_pg_index form = index->rd_index;

	if ((form->indisunique || form->indisexclusion) && !form->indimmediate)
	{
		arbiters->any_deferrable = true;
		arbiters->deferrable = lappend(arbiters->deferrable,
									   index_plain_columns(index));
	}
	if (!index_covers_key(target, index, nkeys, keys, nulls))
		return;
	arbiters->covering++;
	if (RelationGetIndexExpressions(index) == NIL &&
		RelationGetIndexPredicate(index) == NIL)
		arbiters->plain = lappend(arbiters->plain, index_plain_columns(index));
}

/* Columns from which core would not infer a deferrable constraint as well. */
static Bitmapset *
choose_inference(const Arbiters *arbiters)
{
	ListCell *plain;
	ListCell *deferrable;

	foreach(plain, arbiters->plain)
	{
		bool ambiguous = false;

		foreach(deferrable, arbiters->deferrable)
			ambiguous |= bms_equal(lfirst(plain), lfirst(deferrable));
		if (!ambiguous)
			return lfirst(plain);
	}
	return NULL;
}

/* Return true if the index is a deferrable unique or exclusion constraint's. */
static bool
index_is_deferrable(Oid index)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	result = (form->indisunique || form->indisexclusion) && !form->indimmediate;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Return true if a partition has a deferrable constraint of its own.  With
 * "attached", only constraints count whose index is part of an index of the
 * partitioned table: CREATE INDEX there attaches an index that it finds in a
 * partition, even if that is deferrable.  A session that has a plan already
 * learns of a later constraint when the plan is made anew.
 */
static bool
any_partition_defers(Relation rel, bool attached)
{
	List *partitions;
	ListCell *partition;
	bool result = false;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	partitions = find_all_inheritors(RelationGetRelid(rel), AccessShareLock,
									 NULL);
	foreach(partition, partitions)
	{
		Relation child = table_open(lfirst_oid(partition), NoLock);
		List *indexes = RelationGetIndexList(child);
		ListCell *index;

		foreach(index, indexes)
			result |= index_is_deferrable(lfirst_oid(index)) &&
					  (!attached || get_rel_relispartition(lfirst_oid(index)));
		list_free(indexes);
		table_close(child, NoLock);
	}
	list_free(partitions);
	return result;
}

static void
append_inference(const Target *target, StringInfo buf, Bitmapset *columns)
{
	int column = -1;

	for (int i = 0; (column = bms_next_member(columns, column)) >= 0; i++)
	{
		Form_pg_attribute att = target_column(target, column);

		appendStringInfo(buf, "%s%s", i == 0 ? " ON CONFLICT (" : ", ",
						 quote_identifier(NameStr(att->attname)));
	}
	appendStringInfoString(buf, ") DO NOTHING");
}

/*
 * Append the clause that lets an INSERT with this key yield to a row that has
 * the key already.  If no unique index covers the key, append nothing and return
 * false.
 *
 * One covering index over plain columns is named by its columns:
 *		ON CONFLICT (a, b) DO NOTHING
 * Several, or one over expressions or with a predicate (which could not be
 * repeated here independently of the search_path), take the general form:
 *		ON CONFLICT DO NOTHING
 * Core accepts the general form only if no unique or exclusion constraint is
 * deferrable, in the partition that the row goes to, either.  It also yields to
 * a row that has another key.  That is harmless: the caller looks by key, finds
 * no row, and inserts again without the clause.
 */
bool
arbiter_clause(const Target *target, StringInfo buf, const ColumnValues *key)
{
	Relation rel = target_relation(target);
	Arbiters arbiters = {0};
	Bitmapset *inference;
	List *indexes;
	ListCell *lc;

	/* Core refuses ON CONFLICT where a rule could rewrite the statement. */
	if (rel->rd_rules != NULL)
		return false;

	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		examine_index(target, index, key->ncolumns, key->attnums, key->nulls,
					  &arbiters);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);

	inference = choose_inference(&arbiters);
	if (arbiters.covering > 0 && any_partition_defers(rel, inference != NULL))
		return false;
	if (inference != NULL &&
		(arbiters.covering == 1 || arbiters.any_deferrable ||
		 rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE))
		append_inference(target, buf, inference);
	else if (arbiters.covering > 0 && !arbiters.any_deferrable)
		appendStringInfoString(buf, " ON CONFLICT DO NOTHING");
	else
		return false;
	return true;
}

/* Return true if an INSERT with this key yields to a row that has it already. */
static bool
arbiter_can_yield(const Target *target, const ColumnValues *key)
{
	StringInfoData clause;

	initStringInfo(&clause);
	return arbiter_clause(target, &clause, key);
}

/* ----------
 * The protocol
 * ----------
 */

/*
 * Begin to look and insert.  Triggers that may divert the INSERT should not be
 * fired more often than it takes to find that out, so then the first INSERT
 * yields and the second is the last.
 */
Yields
arbiter_begin(const Target *target, bool may_yield)
{
	Yields yields = {0};

	if (may_yield)
		yields.max = traits_may_divert_inserts(target) ? 1 : MAX_YIELDS;
	return yields;
}

/* Return true if the last INSERT was tried before. */
bool
arbiter_gave_up(const Yields *yields)
{
	return yields->round > yields->max;
}

/* Return true if the INSERT of this round is one that yields. */
bool
arbiter_yields(const Yields *yields)
{
	Assert(!arbiter_gave_up(yields));
	return yields->round < yields->max;
}

/*
 * Go on to the next round.  If no unique index covers the key, ON CONFLICT
 * cannot have been what stopped the INSERT, and without the clause it would be
 * stopped again: do not insert once more, only look.
 */
void
arbiter_again(Yields *yields, const Target *target, const ColumnValues *key)
{
	Assert(!arbiter_gave_up(yields));
	if (!arbiter_can_yield(target, key))
		yields->round = yields->max;
	yields->round++;
}
