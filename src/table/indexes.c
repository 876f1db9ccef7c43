/*-------------------------------------------------------------------------
 *
 * indexes.c
 *	  What a table's indexes tell about it: its primary key, which columns are
 *	  unique, and by which columns rows are found.
 *
 * It is found out when it is first asked for, and true until the table changes,
 * which the creation of an index and its end do as well.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "catalog/pg_index.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "table/indexes.h"

/* What is found out about a table's indexes, until the table changes. */
typedef struct IndexFacts
{
	AttrNumber *primary_key; /* in the order of its index */
	int primary_key_length;	 /* 0 if there is none */
	Bitmapset *unique;		 /* columns that are unique by themselves, always */
	List *unique_keys;		 /* Bitmapsets: the columns of each unique index */
	Bitmapset *found_by;	 /* columns that come first in an index */
} IndexFacts;

/* The address by which the table's entry knows the facts. */
static const char indexes_owner[] = "indexes";

/*
 * Return true if equal values of the table's column always conflict in column
 * "i" of this index.  They do if the index uses the column's own equality, or
 * one that is coarser.
 */
bool
indexes_agree(const Target *target, Relation index, int i)
{
	AttrNumber attnum = index->rd_index->indkey.values[i];
	Form_pg_attribute att = target_column(target, attnum);
	TypeCacheEntry *type;
	Oid equality;

	Assert(i >= 0 && i < index->rd_index->indnkeyatts);
	type = lookup_type_cache(att->atttypid, TYPECACHE_EQ_OPR);
	equality = get_opfamily_member(index->rd_opfamily[i],
								   index->rd_opcintype[i],
								   index->rd_opcintype[i],
								   BTEqualStrategyNumber);
	if (equality != type->eq_opr)
		return false;

	/*
	 * Values that are equal under a deterministic collation have the same
	 * bytes, and so are equal under any collation that the index may have.
	 */
	return !OidIsValid(att->attcollation) ||
		   att->attcollation == index->rd_indcollation[i] ||
		   get_collation_isdeterministic(att->attcollation);
}

/* Return true if the index has all rows in which this column is not NULL. */
static bool
indexes_has_all_values(Relation index, AttrNumber column)
{
	List *predicate = RelationGetIndexPredicate(index);
	NullTest *test;

	if (predicate == NIL)
		return true;
	test = linitial(predicate);
	return list_length(predicate) == 1 && IsA(test, NullTest) &&
		   test->nulltesttype == IS_NOT_NULL && !test->argisrow &&
		   IsA(test->arg, Var) && ((Var *) test->arg)->varattno == column;
}

/*
 * The columns of an index of which no two rows have the same values at any
 * time; NULL if there can be such rows, or if it is not over columns alone.
 */
static Bitmapset *
indexes_unique_columns(const Target *target, Relation index)
{
	Form_pg_index form = index->rd_index;
	Bitmapset *columns = NULL;

	/*
	 * There can be duplicates until a deferred check, and outside of the
	 * predicate of a partial index.
	 */
	if (!form->indisunique || !form->indisvalid || !form->indimmediate ||
		RelationGetIndexPredicate(index) != NIL)
		return NULL;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber column = form->indkey.values[i];

		if (column <= 0 || !indexes_agree(target, index, i))
			return NULL;
		columns = bms_add_member(columns, column);
	}
	return columns;
}

/* Take one index into account. */
static void
indexes_look_at(const Target *target, Relation index, IndexFacts *facts)
{
	Form_pg_index form = index->rd_index;
	AttrNumber column = form->indkey.values[0];
	Bitmapset *unique = indexes_unique_columns(target, index);
	int member;

	if (form->indisprimary)
	{
		Size size = sizeof(AttrNumber) * form->indnkeyatts;

		/*
		 * REINDEX CONCURRENTLY puts another index in the place of the primary
		 * key's, and may do so after we have looked at the old one and before
		 * we look at the new one: then two are the primary key's, with the
		 * same columns.
		 */
		Assert(form->indisunique &&
			   (facts->primary_key == NULL ||
				facts->primary_key_length == form->indnkeyatts));
		facts->primary_key_length = form->indnkeyatts;
		facts->primary_key = palloc(size);
		memcpy(facts->primary_key, form->indkey.values, size);
	}
	/* Other columns than the first serve only together with it. */
	if (column > 0 && form->indisvalid &&
		indexes_has_all_values(index, column) &&
		indexes_agree(target, index, 0))
		facts->found_by = bms_add_member(facts->found_by, column);
	if (unique == NULL)
		return;
	facts->unique_keys = lappend(facts->unique_keys, unique);
	if (bms_get_singleton_member(unique, &member))
		facts->unique = bms_add_member(facts->unique, member);
}

/* Look at all indexes of the table; the facts are in the current context. */
static IndexFacts *
indexes_look_at_all(const Target *target)
{
	IndexFacts *facts = palloc0(sizeof(IndexFacts));
	List *indexes = RelationGetIndexList(target_relation(target));
	ListCell *lc;

	foreach(lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		indexes_look_at(target, index, facts);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return facts;
}

/*
 * What is known of the table's indexes.  The table is locked, so no other
 * session can drop an index of it; of one that is created concurrently, the
 * next handle tells.
 */
static const IndexFacts *
indexes_facts(const Target *target)
{
	MemoryContext context;
	void **kept = target_keep(target, indexes_owner, &context);

	if (*kept == NULL)
	{
		MemoryContext facts_context;
		MemoryContext old;
		IndexFacts *facts;

		/* An error leaves nothing half-made with the table. */
		facts_context = AllocSetContextCreate(CurrentMemoryContext,
											  "racefree indexes",
											  ALLOCSET_SMALL_SIZES);
		old = MemoryContextSwitchTo(facts_context);
		facts = indexes_look_at_all(target);
		MemoryContextSwitchTo(old);
		MemoryContextSetParent(facts_context, context);
		*kept = facts;
	}
	return *kept;
}

/* The columns of the primary key, in its own order, and their number. */
int
indexes_primary_key(const Target *target, const AttrNumber **columns)
{
	const IndexFacts *facts = indexes_facts(target);

	*columns = facts->primary_key;
	return facts->primary_key_length;
}

/*
 * Return true if rows that are locked in the order of this column, whose values
 * are unique, are locked in the order of the primary key.
 */
bool
indexes_in_key_order(const Target *target, AttrNumber attnum)
{
	const IndexFacts *facts = indexes_facts(target);

	return facts->primary_key_length == 0 || facts->primary_key[0] == attnum;
}

/*
 * Return true if no two rows of this very table can have the same value in the
 * column.  Inheritance children may have rows with that value.
 */
bool
indexes_unique(const Target *target, AttrNumber attnum)
{
	return bms_is_member(attnum, indexes_facts(target)->unique);
}

/*
 * Return true if no two rows of this very table can have the same values in
 * these columns.  Where "nulls" says that a value is NULL, the column does not
 * count, since most unique indexes hold NULLs distinct.
 */
bool
indexes_unique_key(const Target *target, int ncolumns,
				   const AttrNumber *attnums, const bool *nulls)
{
	ListCell *lc;

	Assert(ncolumns >= 0);
	foreach(lc, indexes_facts(target)->unique_keys)
	{
		int covered = 0;

		for (int i = 0; i < ncolumns; i++)
			covered += !nulls[i] && bms_is_member(attnums[i], lfirst(lc));
		if (covered == bms_num_members(lfirst(lc)))
			return true;
	}
	return false;
}

/* Return true if an index finds rows by a value of the column alone. */
bool
indexes_find_by(const Target *target, AttrNumber attnum)
{
	return bms_is_member(attnum, indexes_facts(target)->found_by);
}
