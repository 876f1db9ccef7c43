/*-------------------------------------------------------------------------
 *
 * traits.c
 *	  What a statement on a table can do besides what it says: because of
 *	  triggers, rules and policies, of partitions and children, and of code of
 *	  the user's.
 *
 * Most of it is read from the relcache entry of the open table, which is
 * current as of the last lock that was taken.  The rest is found out when it is
 * first asked for, and kept until the table changes.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/bitmapset.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "table/indexes.h"
#include "table/traits.h"
#include "table/usercode.h"

/* What is found out when it is asked for. */
typedef enum Answer
{
	ANSWER_UNKNOWN,
	ANSWER_NO,
	ANSWER_YES
} Answer;

/* What is found out about a table, until the table changes. */
typedef struct Traits
{
	Answer update_code;	 /* whether an UPDATE runs code of the user's */
	Bitmapset *cascaded; /* columns of which an UPDATE is passed on */
	Answer tree_code;	 /* whether an INSERT does, in any partition */
	int least_lasting;	 /* how long rows last, at least ... */
	int most_lasting;	 /* and at most; 0 until known */
} Traits;

/* The address by which the table's entry knows its traits. */
static const char traits_owner[] = "traits";

/* What is kept of the table's traits, and the memory context that keeps it. */
static Traits *
traits_of(const Target *target, MemoryContext *context)
{
	void **kept = target_keep(target, traits_owner, context);

	if (*kept == NULL)
		*kept = MemoryContextAllocZero(*context, sizeof(Traits));
	return *kept;
}

static Form_pg_class
traits_class(const Target *target)
{
	return target_relation(target)->rd_rel;
}

/* ----------
 * UPDATEs
 * ----------
 */

/*
 * Return true if an UPDATE does what it says and nothing else.  It may do more
 * if the table has triggers or rules, or where it can have some that are not
 * seen here: on a partition, a child, or a remote server.
 */
bool
traits_updates_are_plain(const Target *target)
{
	Relation rel = target_relation(target);

	return rel->rd_rel->relkind == RELKIND_RELATION &&
		   !rel->rd_rel->relhassubclass && rel->rd_rules == NULL &&
		   !usercode_in_triggers(rel, TRIGGER_TYPE_UPDATE);
}

/*
 * Return true if the only trigger that can suppress the UPDATE of a row is
 * core's own, which suppresses UPDATEs that change nothing.  A partition or
 * child may have others.
 */
bool
traits_suppress_redundant_updates(const Target *target)
{
	TriggerDesc *trigdesc = target_relation(target)->trigdesc;
	Form_pg_class form = traits_class(target);
	bool found = false;

	if (form->relkind != RELKIND_RELATION || form->relhassubclass)
		return false;
	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &trigdesc->triggers[i];

		if (!TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								  TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_UPDATE) ||
			trigger->tgenabled == TRIGGER_DISABLED)
			continue;
		if (trigger->tgfoid != F_SUPPRESS_REDUNDANT_UPDATES_TRIGGER)
			return false;
		found = true;
	}
	return found;
}

/*
 * Return true if an UPDATE can move rows of the table, to or from another
 * partition.
 */
bool
traits_rows_can_move(const Target *target)
{
	return traits_class(target)->relkind == RELKIND_PARTITIONED_TABLE ||
		   traits_class(target)->relispartition;
}

/*
 * Return true if code of the user's can run during an UPDATE that sets this
 * column.
 */
bool
traits_update_runs_code(const Target *target, AttrNumber attnum)
{
	MemoryContext context;
	Traits *traits = traits_of(target, &context);

	/* A child can come while rows of the table are changed. */
	if (traits_class(target)->relhassubclass)
		return true;
	if (traits->update_code == ANSWER_UNKNOWN)
	{
		Relation rel = target_relation(target);
		bool answer = usercode_on_update(rel);
		Bitmapset *cascaded = usercode_cascaded_columns(rel);
		MemoryContext old = MemoryContextSwitchTo(context);

		traits->cascaded = bms_copy(cascaded);
		MemoryContextSwitchTo(old);
		bms_free(cascaded);
		traits->update_code = answer ? ANSWER_YES : ANSWER_NO;
	}
	return traits->update_code == ANSWER_YES ||
		   bms_is_member(attnum, traits->cascaded);
}

/* Return true if code of the user's can run during a DELETE. */
bool
traits_delete_runs_code(const Target *target)
{
	Relation rel = target_relation(target);

	return rel->rd_rel->relkind != RELKIND_RELATION ||
		   rel->rd_rel->relhassubclass || rel->rd_rules != NULL ||
		   usercode_in_triggers(rel, TRIGGER_TYPE_DELETE) ||
		   usercode_in_policies(rel);
}

/* ----------
 * INSERTs
 * ----------
 */

/*
 * Return true if an INSERT can store another row than it says, because of
 * BEFORE ROW triggers, or because the row goes into another table.
 */
bool
traits_may_divert_inserts(const Target *target)
{
	Relation rel = target_relation(target);

	return rel->rd_rel->relkind != RELKIND_RELATION ||
		   (rel->trigdesc != NULL && rel->trigdesc->trig_insert_before_row);
}

/*
 * Return true if code of the user's, or of a remote server, can run in that
 * partition.
 */
static bool
traits_partition_runs_code(Oid relid)
{
	Relation rel = RelationIdGetRelation(relid);
	bool result;

	/* Nothing locks the partition: it may have been dropped concurrently. */
	if (!RelationIsValid(rel))
		return false;
	result = rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE ||
			 usercode_on_insert_here(rel);
	RelationClose(rel);
	return result;
}

/* The same for all tables of the tree, as they are now. */
static bool
traits_tree_runs_code(const Target *target)
{
	ListCell *lc;

	if (usercode_in_policies(target_relation(target)))
		return true;
	foreach(lc, target_tree(target))
	{
		if (traits_partition_runs_code(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * Return true if code of the user's can have run during an INSERT that this
 * call has run.
 *
 * Before the INSERT, the partitions of a table are not locked, so they could
 * get a trigger concurrently.  After it, the partition that the row went into
 * is locked, and every change that was committed before that lock was granted
 * has invalidated what is kept.  If anything has, the answer is true: the
 * trigger could be gone again.
 */
bool
traits_insert_ran_code(const Target *target)
{
	Form_pg_class form = traits_class(target);
	MemoryContext context;
	Traits *traits;

	if (form->relkind == RELKIND_FOREIGN_TABLE)
		return true;
	if (form->relkind != RELKIND_PARTITIONED_TABLE || form->relispartition)
		return target_runs_user_code_on_insert(target);
	traits = traits_of(target, &context);
	Assert(CheckRelationLockedByMe(target_relation(target), RowExclusiveLock,
								   true));
	if (traits->tree_code == ANSWER_UNKNOWN && target_is_current(target))
		traits->tree_code = traits_tree_runs_code(target) ? ANSWER_YES
														  : ANSWER_NO;
	return traits->tree_code == ANSWER_YES || !target_is_current(target);
}

/*
 * Return true if code of the user's that runs during an INSERT of a row with
 * this key can create another one.  A unique index refuses it, but does not see
 * the rows of inheritance children.
 */
bool
traits_may_duplicate_key(const Target *target, int nkeys,
						 const AttrNumber *keys, const bool *nulls)
{
	Form_pg_class form = traits_class(target);

	return target_runs_user_code_on_insert(target) &&
		   ((form->relkind == RELKIND_RELATION && form->relhassubclass) ||
			!indexes_unique_key(target, nkeys, keys, nulls));
}

/* ----------
 * Any statement
 * ----------
 */

/* Return true if row security policies apply to the current user. */
bool
traits_has_row_security(const Target *target)
{
	return traits_class(target)->relrowsecurity &&
		   check_enable_rls(RelationGetRelid(target_relation(target)),
							InvalidOid, true) == RLS_ENABLED;
}

/*
 * Return true if an UPDATE or SELECT is planned for this very table, and for
 * every role alike.
 */
bool
traits_is_simple(const Target *target)
{
	Form_pg_class form = traits_class(target);

	return form->relkind == RELKIND_RELATION && !form->relhassubclass &&
		   !form->relrowsecurity;
}

/* How long rows of such a table last: the more the longer, never 0. */
static int
traits_lasting(char persistence)
{
	switch (persistence)
	{
		case RELPERSISTENCE_TEMP:
			return 1;
		case RELPERSISTENCE_UNLOGGED:
			return 2;
		default:
			return 3;
	}
}

/* Take into account how long rows of that partition or child last. */
static void
traits_add_lasting(Traits *traits, Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	/* Nothing locks the table: it may have been dropped concurrently. */
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (form->relkind != RELKIND_PARTITIONED_TABLE)
	{
		int length = traits_lasting(form->relpersistence);

		if (traits->most_lasting == 0 || length < traits->least_lasting)
			traits->least_lasting = length;
		if (length > traits->most_lasting)
			traits->most_lasting = length;
	}
	ReleaseSysCache(tuple);
}

/* How long rows last in the table, or in the tables of its tree. */
static const Traits *
traits_find_lasting(const Target *target)
{
	MemoryContext context;
	Traits *traits = traits_of(target, &context);
	Form_pg_class form = traits_class(target);
	ListCell *lc;

	if (traits->most_lasting != 0)
		return traits;
	if (form->relhassubclass)
	{
		foreach(lc, target_tree(target))
			traits_add_lasting(traits, lfirst_oid(lc));
	}
	/* None of them holds rows. */
	if (traits->most_lasting == 0)
		traits->least_lasting = traits->most_lasting = traits_lasting(
			form->relpersistence);
	Assert(traits->least_lasting > 0 &&
		   traits->least_lasting <= traits->most_lasting);
	return traits;
}

/*
 * Return true if rows can still be there, after a crash or in another session,
 * when those of the other table are gone.
 */
bool
traits_outlasts(const Target *target, const Target *other)
{
	return traits_find_lasting(target)->most_lasting >
		   traits_find_lasting(other)->least_lasting;
}
