/*-------------------------------------------------------------------------
 *
 * target.c
 *	  The table that a call is about.
 *
 * A Target is one call's handle on an open and locked table; it lives in the
 * memory context that was current at target_open().
 *
 * What is worth keeping of a table from call to call hangs on a
 * TargetCacheEntry, in two parts.  The TargetInfo, in a memory context of its own, holds what is
 * true until the table changes.  An invalidation only marks the TargetInfo; the
 * next target_open() builds a new one.  The rest, such as plans that can outlive
 * a change, lives as long as the entry.
 *
 * A call further up the stack may still use what an inner call wants to replace
 * (a trigger can call us on the same table).  So each handle pins its
 * TargetInfo, and with that the entry, and neither is freed while a pin names
 * it.  A pin ends with target_close() or, after an error, with the resource
 * owner that was current at target_open(): the same one that holds the relcache
 * reference of the open table.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/locks.h"
#include "table/target.h"
#include "table/usercode.h"

/* Above this many tables, forget those that were invalidated, say dropped. */
#define TARGETS_BEFORE_SWEEP 256

/* What is found out when it is asked for. */
typedef enum Answer
{
	ANSWER_UNKNOWN,
	ANSWER_NO,
	ANSWER_YES
} Answer;

/* What another room keeps with a table. */
typedef struct KeptItem
{
	slist_node node;
	const void *owner;
	void *value;
} KeptItem;

typedef struct TargetCacheEntry TargetCacheEntry;

typedef struct TargetInfo
{
	TargetCacheEntry *entry;   /* of which table; NULL while it is built */
	bool valid;				   /* false: rebuild at next use */
	bool minds_others;		   /* do others' invalidations matter? */
	bool dropped_columns;	   /* are there any? */
	bool user_code;			   /* does an INSERT run any? */
	bool domains;			   /* is any column of a domain? */
	Answer update_code;		   /* does an UPDATE? */
	Bitmapset *cascaded;	   /* columns of which an UPDATE is passed on */
	Answer tree_code;		   /* an INSERT in any partition? */
	Oid lock_root;			   /* table under which keys are locked */
	bool several_parents;	   /* has that table more than one? */
	Bitmapset *unique_columns; /* each unique by itself, at all times */
	Bitmapset *index_columns;  /* each the first of an index that finds by it */
	Bitmapset *unhashed_columns; /* equal values may differ in their hash */
	List *unique_keys;			 /* Bitmapsets: columns of each unique index */
	AttrNumber *primary_key;	 /* in the order of its index */
	int primary_key_length;		 /* 0 if there is none */
	slist_head kept;			 /* what other rooms keep, of KeptItem */
	int least_lasting;			 /* how long rows last, at least ... */
	int most_lasting;			 /* and at most; 0 until known */
	List *tree;			   /* the tables that this was seen of, if several */
	MemoryContext context; /* holds this struct and what it points to */
} TargetInfo;

/*
 * What is kept of a table.  The entry stays when the table changes, and with it
 * its address, until target_sweep() finds that the table was invalidated and no
 * call has it open.
 */
struct TargetCacheEntry
{
	Oid relid;			   /* hash key */
	TargetInfo *info;	   /* the current one, never NULL */
	MemoryContext context; /* of what is kept through changes, or NULL */
	slist_head kept;	   /* that, of KeptItem */
};

struct Target
{
	Relation rel;
	TargetInfo *info;
	int npins;	   /* how many pins are its own */
	Oid lock_root; /* of the tree that was held, if any */
};

/*
 * A handle's use of a TargetInfo.  A handle has a second pin if target_lock()
 * found that the table had changed: what the caller was given before stays
 * valid, too.
 */
typedef struct TargetPin
{
	const Target *target; /* to compare, not to follow */
	TargetInfo *info;
	ResourceOwner owner;
} TargetPin;

/* All pins of the session, in the order in which the handles were opened. */
static TargetPin *target_pins = NULL;
static int target_npins = 0;
static int target_max_pins = 0;

static HTAB *targets = NULL;

/* Counts the invalidations that tables were told of. */
static uint64 invalidations = 0;

static void target_invalidate(Datum arg, Oid relid);
static void target_invalidate_domains(Datum arg, int cache, uint32 hash);
static void target_release_pins(ResourceReleasePhase phase, bool is_commit,
								bool is_top_level, void *arg);
static TargetInfo *target_build(Relation rel);
static void look_at_indexes(Relation rel, TargetInfo *info);
static Oid single_parent(Oid relid, bool *several);

/*
 * Start to listen for invalidations, and for the end of resource owners.  Called
 * once, when the module loads.
 */
void
target_init(void)
{
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(TargetCacheEntry);
	targets = hash_create("racefree targets", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(target_invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, target_invalidate_domains,
								  (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, target_invalidate_domains,
								  (Datum) 0);
	RegisterResourceReleaseCallback(target_release_pins, NULL);
}

/*
 * Syscache callback for constraints and types: ALTER DOMAIN changes what
 * storing a row runs, its constraints or its default, and invalidates no
 * table.  Every new table has a new type, so types matter to tables with
 * domains alone.
 */
static void
target_invalidate_domains(Datum arg, int cache, uint32 hash)
{
	HASH_SEQ_STATUS status;
	TargetCacheEntry *entry;

	invalidations++;
	hash_seq_init(&status, targets);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->info->domains ||
			(cache == CONSTROID && entry->info->minds_others))
			entry->info->valid = false;
	}
}

/*
 * Relcache callback: InvalidOid means every table.  A column's type may have
 * parts that are relations themselves, and a table may have ancestors, so
 * such tables mind every invalidation.  Nothing is freed here.
 */
static void
target_invalidate(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	TargetCacheEntry *entry;

	invalidations++;
	hash_seq_init(&status, targets);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || entry->relid == relid ||
			entry->info->minds_others ||
			list_member_oid(entry->info->tree, relid))
			entry->info->valid = false;
	}
}

/* Return true if a handle uses the info. */
static bool
target_info_is_pinned(const TargetInfo *info)
{
	for (int i = target_npins - 1; i >= 0; i--)
	{
		if (target_pins[i].info == info)
			return true;
	}
	return false;
}

/* Return true if a handle, but not this one, uses what the entry holds. */
static bool
target_entry_is_pinned(const TargetCacheEntry *entry, const Target *except)
{
	for (int i = target_npins - 1; i >= 0; i--)
	{
		if (target_pins[i].info->entry == entry &&
			target_pins[i].target != except)
			return true;
	}
	return false;
}

/* Let the handle use this info, until target_close() or an error. */
static void
target_pin(Target *target, TargetInfo *info)
{
	TargetPin *pin;

	Assert(CurrentResourceOwner != NULL && info->entry->info == info);
	if (target_pins == NULL)
	{
		target_max_pins = 16;
		target_pins = MemoryContextAlloc(TopMemoryContext,
										 target_max_pins * sizeof(TargetPin));
	}
	else if (target_npins == target_max_pins)
	{
		target_pins = repalloc(target_pins,
							   2 * target_max_pins * sizeof(TargetPin));
		target_max_pins *= 2;
	}
	pin = &target_pins[target_npins++];
	pin->target = target;
	pin->info = info;
	pin->owner = CurrentResourceOwner;
	target->info = info;
	target->npins++;
}

/* End a pin.  An info that was replaced is freed with its last pin. */
static void
target_unpin(int i)
{
	TargetInfo *info = target_pins[i].info;

	Assert(i >= 0 && i < target_npins);
	target_npins--;
	if (i < target_npins)
		memmove(&target_pins[i], &target_pins[i + 1],
				(target_npins - i) * sizeof(TargetPin));
	if (info->entry->info != info && !target_info_is_pinned(info))
		MemoryContextDelete(info->context);
}

/*
 * Resource owner callback: end the pins of the owner that is released, which is
 * the current one while callbacks run.  After an error these are the pins of
 * the calls that it ended, whose handles' memory may be gone.
 */
static void
target_release_pins(ResourceReleasePhase phase, bool is_commit,
					bool is_top_level, void *arg)
{
	/* By this phase core has let go of the plans that the owner used. */
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;
	for (int i = target_npins - 1; i >= 0; i--)
	{
		if (target_pins[i].owner != CurrentResourceOwner)
			continue;
		if (is_commit)
			elog(WARNING, "racefree: table with OID %u was not closed",
				 target_pins[i].info->entry->relid);
		target_unpin(i);
	}
}

/*
 * Forget the tables that were invalidated since their last use, and that no
 * call has open.
 */
static void
target_sweep(void)
{
	HASH_SEQ_STATUS status;
	TargetCacheEntry *entry;

	hash_seq_init(&status, targets);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->info->valid || target_entry_is_pinned(entry, NULL))
			continue;
		MemoryContextDelete(entry->info->context);
		if (entry->context != NULL)
			MemoryContextDelete(entry->context);
		hash_search(targets, &entry->relid, HASH_REMOVE, NULL);
	}
}

/* Make this info the current one of its table. */
static TargetInfo *
target_enter(Oid relid, TargetInfo *info)
{
	TargetCacheEntry *entry;
	TargetInfo *old = NULL;
	bool found;

	if (hash_get_num_entries(targets) >= TARGETS_BEFORE_SWEEP)
		target_sweep();
	entry = hash_search(targets, &relid, HASH_ENTER, &found);
	if (found)
		old = entry->info;
	else
	{
		entry->context = NULL;
		slist_init(&entry->kept);
	}
	entry->info = info;
	info->entry = entry;
	if (old != NULL && !target_info_is_pinned(old))
		MemoryContextDelete(old->context);
	return info;
}

/*
 * What is kept of the open table, built anew if it may have changed.  The table
 * was locked before, so this is checked against every change that was committed
 * when the lock was granted.
 */
static TargetInfo *
target_look_up(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	TargetCacheEntry *entry = hash_search(targets, &relid, HASH_FIND, NULL);
	uint64 before = invalidations;
	TargetInfo *info;

	if (entry != NULL && entry->info->valid)
		return entry->info;

	/*
	 * Catalog look-ups may invalidate: build first, then enter.  What was
	 * invalidated in between was not marked, since it was not entered: build
	 * again at the next use.
	 */
	info = target_build(rel);
	info->valid = before == invalidations;
	return target_enter(relid, info);
}

/* Open a relation, which must be one that holds rows. */
static Relation
open_table(Oid relid, LOCKMODE lockmode)
{
	Relation rel;

	locks_acquire_table(relid, lockmode);
	rel = try_relation_open(relid, NoLock);

	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
			return rel;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a table",
							RelationGetRelationName(rel)),
					 errdetail_relkind_not_supported(rel->rd_rel->relkind),
					 errhint("Name the table that holds the rows.")));
	}
	return NULL; /* keep the compiler quiet */
}

/* The table behind a row type, or an error that says what to pass instead. */
static Relation
target_open_relation(Oid row_type, LOCKMODE lockmode)
{
	Oid relid = get_typ_typrelid(row_type);

	if (!OidIsValid(relid) &&
		!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(row_type)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type with OID %u does not exist", row_type),
				 errdetail("The table was dropped after the statement was "
						   "prepared."),
				 errhint("Prepare the statement again; in PL/pgSQL, use "
						 "EXECUTE.")));
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("type %s is not the row type of a table",
						format_type_be(row_type)),
				 errhint("Pass a null value of the table's row type, such as "
						 "NULL::my_table.")));

	return open_table(relid, lockmode);
}

/* A handle on an open table. */
static Target *
make_target(Relation rel)
{
	TargetInfo *info = target_look_up(rel);
	Target *target = palloc(sizeof(Target));

	target->rel = rel;
	target->npins = 0;
	target->lock_root = InvalidOid;
	target_pin(target, info);
	return target;
}

/*
 * Open the table whose row type this is, locked in the given mode until the
 * transaction ends.
 */
Target *
target_open(Oid row_type, LOCKMODE lockmode)
{
	return make_target(target_open_relation(row_type, lockmode));
}

/* The same for the table itself. */
Target *
target_open_table(Oid relid, LOCKMODE lockmode)
{
	return make_target(open_table(relid, lockmode));
}

/*
 * End a call's use of the table; its lock stays until the transaction ends.  The
 * handle's memory stays until its context is reset.
 */
void
target_close(Target *target)
{
	Assert(target->npins > 0);
	for (int i = target_npins - 1; target->npins > 0; i--)
	{
		Assert(i >= 0);
		if (target_pins[i].target != target)
			continue;
		target->npins--;
		target_unpin(i);
	}
	relation_close(target->rel, NoLock);
}

/*
 * Lock the table more strongly than it was opened.  The columns are as they
 * were, but another session may have created a trigger or an index since then:
 * the handle tells of that from now on.
 *
 * Plans are fetched after this: a plan is checked only when it is fetched, so
 * with a plan that was fetched before, the caller would run the old statement
 * on a table that another session altered while the caller waited for the lock.
 */
void
target_lock(Target *target, LOCKMODE lockmode)
{
	locks_acquire_table(RelationGetRelid(target->rel), lockmode);
	if (!target->info->valid)
		target_pin(target, target_look_up(target->rel));
}

/*
 * Return true if another handle on the table is open.  A call further up the
 * stack, or the caller itself, may then be running a plan that is kept with the
 * table.
 */
bool
target_in_use_elsewhere(const Target *target)
{
	return target_entry_is_pinned(target->info->entry, target);
}

/* Does the type have parts, whose definition can change apart from it? */
static bool
type_is_nested(Oid type)
{
	Oid base = getBaseType(type);

	return base != type || type_is_rowtype(base) ||
		   OidIsValid(get_element_type(base));
}

/*
 * Do equal values of the type under this collation have equal hashes?  Core
 * hashes a name by its bytes, but compares it by the collation, in which names
 * of different bytes are equal if it is not deterministic.
 */
static bool
hash_agrees(Oid type, Oid collation)
{
	Oid base = getBaseType(type);
	bool agrees = true;
	TupleDesc tupdesc;

	if (base == NAMEOID)
		return !OidIsValid(collation) ||
			   get_collation_isdeterministic(collation);
	if (OidIsValid(get_element_type(base)))
		return hash_agrees(get_element_type(base), collation);
	if (type_is_multirange(base))
		base = get_multirange_range(base);
	if (type_is_range(base))
		return hash_agrees(get_range_subtype(base), get_range_collation(base));
	if (!type_is_rowtype(base) || base == RECORDOID)
		return true;

	tupdesc = lookup_rowtype_tupdesc(base, -1);
	for (int i = 0; i < tupdesc->natts && agrees; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		agrees = att->attisdropped ||
				 hash_agrees(att->atttypid, att->attcollation);
	}
	ReleaseTupleDesc(tupdesc);
	return agrees;
}

/* The only parent of a table, or InvalidOid. */
static Oid
single_parent(Oid relid, bool *several)
{
	Relation inherits = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid parent = InvalidOid;
	int nparents = 0;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
		nparents++;
	}
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	*several = nparents > 1;
	return nparents == 1 ? parent : InvalidOid;
}

/*
 * The table under whose OID keys are locked: the root of the partition or
 * inheritance tree, so that all tables of the tree share their locks.  A table
 * with several parents is the root of its own tree.
 */
static Oid
find_lock_root(Oid relid, bool *several_parents)
{
	Oid parent;

	while (OidIsValid(parent = single_parent(relid, several_parents)))
		relid = parent;
	return relid;
}

/* Collect what is kept of a table. */
static TargetInfo *
target_build(Relation rel)
{
	TupleDesc tupdesc = RelationGetDescr(rel);
	MemoryContext context;
	MemoryContext old;
	TargetInfo *info;

	context = AllocSetContextCreate(CurrentMemoryContext, "racefree target",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	info = palloc0(sizeof(TargetInfo));
	info->context = context;
	info->valid = true;

	info->lock_root = find_lock_root(RelationGetRelid(rel),
									 &info->several_parents);
	/* Whether an ancestor has got a parent, its own invalidations tell. */
	info->minds_others = info->lock_root != RelationGetRelid(rel);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped)
			info->dropped_columns = true;
		else if (type_is_nested(att->atttypid))
			info->minds_others = true;
		if (!att->attisdropped && getBaseType(att->atttypid) != att->atttypid)
			info->domains = true;
		if (!att->attisdropped &&
			!hash_agrees(att->atttypid, att->attcollation))
			info->unhashed_columns = bms_add_member(info->unhashed_columns,
													att->attnum);
	}

	look_at_indexes(rel, info);

	MemoryContextSwitchTo(old);
	info->user_code = usercode_on_insert(rel);
	/* Nothing can fail from here on: keep it for the session. */
	MemoryContextSetParent(context, CacheMemoryContext);
	return info;
}

/* The open table itself, for its name, columns and triggers. */
Relation
target_relation(const Target *target)
{
	return target->rel;
}

/* Return true if the table's row type has columns that were dropped. */
bool
target_has_dropped_columns(const Target *target)
{
	return target->info->dropped_columns;
}

/* Does that table have parents that it cannot share its locks with? */
bool
target_has_several_parents(const Target *target)
{
	return target->info->several_parents;
}

/* The table under whose OID keys are locked. */
Oid
target_lock_root(const Target *target)
{
	return OidIsValid(target->lock_root) ? target->lock_root
										 : target->info->lock_root;
}

/*
 * Hold the table's ancestors until the transaction ends, before keys are
 * locked.  An ancestor that got a parent of its own meanwhile would give
 * another session another root, and with that another lock for the same key:
 * both sessions would create the row.  ALTER TABLE ... INHERIT now waits.
 */
void
target_hold_root(Target *target)
{
	Oid root = RelationGetRelid(target->rel);
	bool several_parents;
	Oid parent;

	/* The table itself is locked, so it gets no parent. */
	if (target->info->lock_root == root)
		return;
	while (OidIsValid(parent = single_parent(root, &several_parents)))
	{
		/* Once locked, the parent keeps the parents that it has. */
		locks_acquire_table(parent, AccessShareLock);
		root = parent;
	}
	target->lock_root = root;
}

/*
 * Does an UPDATE of ours do what it says and nothing else?  Not if triggers or
 * rules can have their say, nor where they can be out of sight: on a
 * partition, a child, or a remote server.
 */
bool
target_updates_are_plain(const Target *target)
{
	Relation rel = target->rel;

	return rel->rd_rel->relkind == RELKIND_RELATION &&
		   !rel->rd_rel->relhassubclass && rel->rd_rules == NULL &&
		   !usercode_in_triggers(rel, TRIGGER_TYPE_UPDATE);
}

/*
 * True if the only trigger that could suppress the UPDATE of a row is core's
 * own, which suppresses UPDATEs that change nothing.  A partition or child may
 * have others.
 */
bool
target_suppresses_redundant_updates(const Target *target)
{
	TriggerDesc *trigdesc = target->rel->trigdesc;
	Form_pg_class form = target->rel->rd_rel;
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

/* Do row security policies apply to the current user? */
bool
target_has_row_security(const Target *target)
{
	return target->rel->rd_rel->relrowsecurity &&
		   check_enable_rls(RelationGetRelid(target->rel), InvalidOid, true) ==
			   RLS_ENABLED;
}

/* Can an UPDATE move rows of the table, to or from another partition? */
bool
target_rows_can_move(const Target *target)
{
	return target->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		   target->rel->rd_rel->relispartition;
}

/* Can it be that an INSERT of ours ends in another row than it says? */
bool
target_may_divert_inserts(const Target *target)
{
	Relation rel = target->rel;

	return rel->rd_rel->relkind != RELKIND_RELATION ||
		   (rel->trigdesc != NULL && rel->trigdesc->trig_insert_before_row);
}

/* What the owner keeps in the list, NULL before it sets something. */
static void **
target_find_kept(slist_head *kept, const void *owner, MemoryContext context)
{
	KeptItem *item;
	slist_iter iter;

	slist_foreach(iter, kept)
	{
		item = slist_container(KeptItem, node, iter.cur);
		if (item->owner == owner)
			return &item->value;
	}
	item = MemoryContextAllocZero(context, sizeof(KeptItem));
	item->owner = owner;
	slist_push_head(kept, &item->node);
	return &item->value;
}

/*
 * What another room keeps with the table until the table changes: NULL before
 * it sets something, which must live in the memory context.  The room is known
 * by the address "owner".  All of it stays in place until the caller closes its
 * handle.
 */
void **
target_keep(const Target *target, const void *owner, MemoryContext *context)
{
	TargetInfo *info = target->info;

	*context = info->context;
	return target_find_kept(&info->kept, owner, info->context);
}

/*
 * The same for what another room keeps when the table changes: the room has to
 * check itself whether that is still true.  It stays in place as long as any
 * handle on the table is open.  A room that has to let go of something else
 * with it registers a callback on the memory context, which goes when the table
 * is forgotten; the callback must not look into catalogs.
 */
void **
target_keep_through_changes(const Target *target, const void *owner,
							MemoryContext *context)
{
	TargetCacheEntry *entry = target->info->entry;

	if (entry->context == NULL)
		entry->context = AllocSetContextCreate(CacheMemoryContext,
											   "racefree table",
											   ALLOCSET_SMALL_SIZES);
	*context = entry->context;
	return target_find_kept(&entry->kept, owner, entry->context);
}

/* How long rows of such a table last: the more the longer, never 0. */
static int
lasting(char persistence)
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
look_at_lasting(TargetInfo *info, Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	/* It may have been dropped a moment ago. */
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (form->relkind != RELKIND_PARTITIONED_TABLE)
	{
		int length = lasting(form->relpersistence);

		if (info->most_lasting == 0 || length < info->least_lasting)
			info->least_lasting = length;
		if (length > info->most_lasting)
			info->most_lasting = length;
	}
	ReleaseSysCache(tuple);
}

/*
 * How long rows last in the tables of a partition or inheritance tree.  They
 * can change apart from the root, so it minds their invalidations from now on;
 * and while it looks, all.
 */
static void
look_at_tree(TargetInfo *info, Oid root)
{
	bool minds_others = info->minds_others;
	List *tree;
	MemoryContext old;
	ListCell *lc;

	info->minds_others = true;
	tree = find_all_inheritors(root, NoLock, NULL);
	old = MemoryContextSwitchTo(info->context);
	info->tree = list_copy(tree);
	MemoryContextSwitchTo(old);
	foreach(lc, tree)
		look_at_lasting(info, lfirst_oid(lc));
	info->minds_others = minds_others;
}

/* How long rows of the table last. */
static void
find_lasting(const Target *target)
{
	TargetInfo *info = target->info;
	Form_pg_class form = target->rel->rd_rel;

	if (info->most_lasting != 0)
		return;
	if (form->relhassubclass)
		look_at_tree(info, RelationGetRelid(target->rel));
	if (info->most_lasting == 0)
		info->least_lasting = info->most_lasting = lasting(
			form->relpersistence);
}

/*
 * Can it be that rows are still there after a crash, or in another session,
 * when those of the other table are gone?
 */
bool
target_outlasts(const Target *target, const Target *other)
{
	find_lasting(target);
	find_lasting(other);
	return target->info->most_lasting > other->info->least_lasting;
}

/*
 * Can code of the user's run during an INSERT, and create rows of its own?
 */
bool
target_runs_user_code_on_insert(const Target *target)
{
	return target->info->user_code;
}

/*
 * The same for an UPDATE of ours that sets this column.  It is found out when
 * it is asked for the first time, since few tables are.
 */
bool
target_runs_user_code_on_update(const Target *target, AttrNumber attnum)
{
	TargetInfo *info = target->info;

	/* A child can come while rows of the table are changed. */
	if (target->rel->rd_rel->relhassubclass)
		return true;
	if (info->update_code == ANSWER_UNKNOWN)
	{
		bool answer = usercode_on_update(target->rel);
		MemoryContext old = MemoryContextSwitchTo(info->context);

		info->cascaded = usercode_cascaded_columns(target->rel);
		MemoryContextSwitchTo(old);
		info->update_code = answer ? ANSWER_YES : ANSWER_NO;
	}
	return info->update_code == ANSWER_YES ||
		   bms_is_member(attnum, info->cascaded);
}

/* Can code of the user's, or of a remote server, run in that partition? */
static bool
partition_runs_user_code(Oid relid)
{
	Relation rel = RelationIdGetRelation(relid);
	bool result;

	/* It may have been dropped a moment ago. */
	if (!RelationIsValid(rel))
		return false;
	result = rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE ||
			 usercode_on_insert_here(rel);
	RelationClose(rel);
	return result;
}

/* The same for all tables of the tree, as they are by now. */
static bool
tree_runs_user_code(const Target *target)
{
	TargetInfo *info = target->info;
	ListCell *lc;

	if (usercode_in_policies(target->rel))
		return true;
	if (info->tree == NIL)
		look_at_tree(info, RelationGetRelid(target->rel));
	foreach(lc, info->tree)
	{
		if (partition_runs_user_code(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * Can code of the user's have run during an INSERT of ours, which was run
 * before?  The partition that the row went into is locked: what was changed
 * there, we have heard of.  If anything was, the answer is yes.
 */
bool
target_ran_user_code_on_insert(const Target *target)
{
	Form_pg_class form = target->rel->rd_rel;
	TargetInfo *info = target->info;

	if (form->relkind == RELKIND_FOREIGN_TABLE)
		return true;
	if (form->relkind != RELKIND_PARTITIONED_TABLE || form->relispartition)
		return info->user_code;
	if (info->tree_code == ANSWER_UNKNOWN && info->valid)
		info->tree_code = tree_runs_user_code(target) ? ANSWER_YES : ANSWER_NO;
	return info->tree_code == ANSWER_YES || !info->valid;
}

Form_pg_attribute
target_column(const Target *target, AttrNumber attnum)
{
	return TupleDescAttr(RelationGetDescr(target->rel), attnum - 1);
}

/*
 * The number of the live user column whose name is these bytes; an error if
 * there is none.
 */
AttrNumber
target_find_column_by_bytes(const Target *target, const char *name, int len)
{
	TupleDesc tupdesc = RelationGetDescr(target->rel);

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped && len < NAMEDATALEN &&
			strncmp(NameStr(att->attname), name, len) == 0 &&
			NameStr(att->attname)[len] == '\0')
			return att->attnum;
	}
	error_undefined_column(target->rel, pnstrdup(name, len));
}

/* The same for a name that ends with a zero byte. */
AttrNumber
target_find_column(const Target *target, const char *name)
{
	return target_find_column_by_bytes(target, name, strlen(name));
}

/* The columns of the primary key, in its own order, and their number. */
int
target_primary_key(const Target *target, const AttrNumber **columns)
{
	*columns = target->info->primary_key;
	return target->info->primary_key_length;
}

/*
 * True if rows that are locked in the order of this column, whose values are
 * unique, are locked in the order of the primary key.
 */
bool
target_locks_by(const Target *target, AttrNumber attnum)
{
	return target->info->primary_key_length == 0 ||
		   target->info->primary_key[0] == attnum;
}

static void
error_no_privilege(const Target *target)
{
	aclcheck_error(ACLCHECK_NO_PRIV,
				   get_relkind_objtype(target->rel->rd_rel->relkind),
				   RelationGetRelationName(target->rel));
}

/*
 * Check that the current user holds these privileges on the table: of SELECT
 * on all columns, of the others on one at least, as the statements of ours
 * that use them need it.
 */
void
target_check_privileges(const Target *target, AclMode mode)
{
	Oid relid = RelationGetRelid(target->rel);
	Oid role = GetUserId();

	for (AclMode one = 1; one <= mode; one <<= 1)
	{
		AclResult result;

		if ((mode & one) == 0)
			continue;
		result = pg_class_aclcheck(relid, role, one);
		if (result != ACLCHECK_OK)
			result = pg_attribute_aclcheck_all(relid, role, one,
											   one == ACL_SELECT ? ACLMASK_ALL
																 : ACLMASK_ANY);
		if (result != ACLCHECK_OK)
			error_no_privilege(target);
	}
}

/* May the current user do this with these columns, or with all of them? */
static bool
may_use_columns(const Target *target, AclMode mode, const AttrNumber *attnums,
				int n)
{
	Oid relid = RelationGetRelid(target->rel);

	if (pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < n; i++)
	{
		if (pg_attribute_aclcheck(relid, attnums[i], GetUserId(), mode) !=
			ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * Check that the current user may INSERT into these columns, given as two
 * lists, as core checks it when the INSERT runs.  Before that, the caller locks
 * keys and evaluates DEFAULTs, which somebody who may only read must not cause:
 * it would hold up others and use up sequences.
 */
void
target_check_insert(const Target *target, const AttrNumber *key, int nkey,
					const AttrNumber *data, int ndata)
{
	if (nkey + ndata == 0)
		target_check_privileges(target, ACL_INSERT);
	else if (!may_use_columns(target, ACL_INSERT, key, nkey) ||
			 !may_use_columns(target, ACL_INSERT, data, ndata))
		error_no_privilege(target);
}

/* Check that the current user may SELECT these columns. */
void
target_check_readable(const Target *target, int ncolumns,
					  const AttrNumber *columns)
{
	if (!may_use_columns(target, ACL_SELECT, columns, ncolumns))
		error_no_privilege(target);
}

/* Can no two rows have the same value in the column? */
bool
target_is_unique(const Target *target, AttrNumber attnum)
{
	return bms_is_member(attnum, target->info->unique_columns);
}

/*
 * Can code of the user's that runs during an INSERT of a row with this key
 * create another one?  A unique index refuses it, but does not see the rows of
 * inheritance children.
 */
bool
target_may_duplicate_key(const Target *target, int nkeys,
						 const AttrNumber *keys, const bool *nulls)
{
	Form_pg_class form = target->rel->rd_rel;

	return target->info->user_code &&
		   ((form->relkind == RELKIND_RELATION && form->relhassubclass) ||
			!target_is_unique_key(target, nkeys, keys, nulls));
}

/* Has the column's type a modifier, such as a length? */
bool
target_has_length(const Target *target, AttrNumber attnum)
{
	int32 typmod = target_column(target, attnum)->atttypmod;

	(void) getBaseTypeAndTypmod(target_column(target, attnum)->atttypid,
								&typmod);
	return typmod >= 0;
}

/* Can rows be found by a value of the column alone with an index? */
bool
target_has_index(const Target *target, AttrNumber attnum)
{
	return bms_is_member(attnum, target->info->index_columns);
}

/*
 * Can no two rows of this very table have the same values in these columns?
 * Where "nulls" says that a value is NULL, the column does not count, since
 * most unique indexes hold NULLs distinct.
 */
bool
target_is_unique_key(const Target *target, int ncolumns,
					 const AttrNumber *attnums, const bool *nulls)
{
	ListCell *lc;

	foreach(lc, target->info->unique_keys)
	{
		int covered = 0;

		for (int i = 0; i < ncolumns; i++)
			covered += !nulls[i] && bms_is_member(attnums[i], lfirst(lc));
		if (covered == bms_num_members(lfirst(lc)))
			return true;
	}
	return false;
}

/*
 * Is an UPDATE or SELECT of ours planned for this very table, and for every
 * role alike?
 */
bool
target_is_simple(const Target *target)
{
	Form_pg_class form = target->rel->rd_rel;

	return form->relkind == RELKIND_RELATION && !form->relhassubclass &&
		   !form->relrowsecurity;
}

/*
 * The order of magnitude of the table's size now.  Plans over many rows depend
 * on it.  Of a table that is not stored here as one, nothing is known.
 */
int
target_size(const Target *target)
{
	BlockNumber nblocks;
	int size = 0;

	if (!RELKIND_HAS_STORAGE(target->rel->rd_rel->relkind))
		return 0;
	for (nblocks = RelationGetNumberOfBlocks(target->rel); nblocks > 0;
		 nblocks /= 8)
		size++;
	return size;
}

/* A collation's name, quoted and schema-qualified. */
char *
target_collation_name(Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * The type cache's entry for a column's type, with the default equality
 * operator and what else the flags ask for.  A type without equality is an
 * error, since no row can be found by it.
 */
TypeCacheEntry *
target_column_type(const Target *target, AttrNumber attnum, int flags)
{
	Form_pg_attribute att = target_column(target, attnum);
	TypeCacheEntry *type;

	type = lookup_type_cache(att->atttypid, flags | TYPECACHE_EQ_OPR);
	if (!OidIsValid(type->eq_opr))
		error_no_equality(att->atttypid);
	return type;
}

/* Is any column of a domain? */
bool
target_has_domains(const Target *target)
{
	return target->info->domains;
}

/* Has the column's type a hash that equal values do not share? */
bool
target_hash_misleads(const Target *target, AttrNumber attnum)
{
	return bms_is_member(attnum, target->info->unhashed_columns);
}

/*
 * Has the column's type a hash, hash_extended_proc of the type cache, that
 * values share which are equal under the column's collation?
 */
bool
target_has_hash(const Target *target, AttrNumber attnum)
{
	TypeCacheEntry *type = target_column_type(target, attnum,
											  TYPECACHE_HASH_EXTENDED_PROC);

	return OidIsValid(type->hash_extended_proc) &&
		   !target_hash_misleads(target, attnum);
}

/*
 * Do equal values of the column always conflict in this index column?  They
 * do if the index uses the column's own equality, or one that is coarser.
 */
bool
target_index_agrees(const Target *target, Relation index, int i)
{
	AttrNumber attnum = index->rd_index->indkey.values[i];
	Form_pg_attribute att = target_column(target, attnum);
	TypeCacheEntry *type;
	Oid equality;

	type = lookup_type_cache(att->atttypid, TYPECACHE_EQ_OPR);
	equality = get_opfamily_member(index->rd_opfamily[i],
								   index->rd_opcintype[i],
								   index->rd_opcintype[i],
								   BTEqualStrategyNumber);
	if (equality != type->eq_opr)
		return false;
	return !OidIsValid(att->attcollation) ||
		   att->attcollation == index->rd_indcollation[i] ||
		   get_collation_isdeterministic(att->attcollation);
}

/* Has the index all rows in which this column is not NULL? */
static bool
index_has_all_values(Relation index, AttrNumber column)
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
unique_index_columns(const Target *target, Relation index)
{
	Form_pg_index form = index->rd_index;
	Bitmapset *columns = NULL;

	if (!form->indisunique || !form->indisvalid || !form->indimmediate ||
		RelationGetIndexPredicate(index) != NIL)
		return NULL;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber column = form->indkey.values[i];

		if (column <= 0 || !target_index_agrees(target, index, i))
			return NULL;
		columns = bms_add_member(columns, column);
	}
	return columns;
}

static void
look_at_index(const Target *target, Relation index)
{
	TargetInfo *info = target->info;
	Form_pg_index form = index->rd_index;
	AttrNumber column = form->indkey.values[0];
	Bitmapset *unique = unique_index_columns(target, index);
	int member;

	if (form->indisprimary)
	{
		Size size = sizeof(AttrNumber) * form->indnkeyatts;

		info->primary_key_length = form->indnkeyatts;
		info->primary_key = palloc(size);
		memcpy(info->primary_key, form->indkey.values, size);
	}
	if (column > 0 && form->indisvalid && index_has_all_values(index, column) &&
		target_index_agrees(target, index, 0))
		info->index_columns = bms_add_member(info->index_columns, column);
	if (unique == NULL)
		return;
	info->unique_keys = lappend(info->unique_keys, unique);
	if (bms_get_singleton_member(unique, &member))
		info->unique_columns = bms_add_member(info->unique_columns, member);
}

/* Find the primary key, and what the indexes tell of columns. */
static void
look_at_indexes(Relation rel, TargetInfo *info)
{
	Target target = {.rel = rel, .info = info};
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	foreach(lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		look_at_index(&target, index);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
}
