/*-------------------------------------------------------------------------
 *
 * target.c
 *	  The table that a call is about.
 *
 * A Target is one call's handle on an open and locked table; it lives in the
 * memory context that was current at target_open().
 *
 * What is worth keeping of a table from call to call hangs on a
 * TargetCacheEntry, in two parts.  The TargetInfo, in a memory context of its
 * own, holds what is true until the table changes.  An invalidation only marks
 * the TargetInfo; the next target_open() builds a new one.  The rest, such as
 * plans that can outlive a change, lives as long as the entry.
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

#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "lib/ilist.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/locks.h"
#include "table/target.h"
#include "table/tree.h"
#include "table/usercode.h"

/* With this many tables, forget those that were invalidated, say dropped. */
#define TARGETS_BEFORE_SWEEP 256

/* What another room keeps with a table. */
typedef struct TargetKept
{
	slist_node node;
	const void *owner; /* an address that belongs to the room */
	void *value;	   /* NULL until the room sets it */
} TargetKept;

typedef struct TargetCacheEntry TargetCacheEntry;

/* What is true of a table until it changes. */
typedef struct TargetInfo
{
	TargetCacheEntry *entry; /* of which table; NULL while it is built */
	MemoryContext context;	 /* holds this struct and what it points to */
	bool valid;				 /* false: build another one at the next use */
	bool minds_others;		 /* changes of any other table invalidate it */
	List *tree;				 /* changes of these do; NIL until asked for */
	bool dropped_columns;	 /* there are some */
	bool domains;			 /* a column is of a domain */
	bool insert_code;		 /* an INSERT can run code of the user's */
	int own_triggers;		 /* of OwnTrigger: what rows fire */
	Oid lock_root;			 /* table under which keys are locked */
	bool several_parents;	 /* that table has more than one */
	Spread spread;			 /* what Citus makes of it */
	Spread shard_of;		 /* and of the table that it is a shard of */
	slist_head kept;		 /* what other rooms keep, of TargetKept */
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
	slist_head kept;	   /* that, of TargetKept */
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
	const void *used; /* of what is kept through changes, or NULL */
} TargetPin;

/* All pins of the session, in the order in which the handles were opened. */
static TargetPin *target_pins;
static int target_npins = 0;
static int target_max_pins = 16;

/* What is kept of tables, by their OID. */
static HTAB *targets = NULL;

/* Counts the calls of the two callbacks that invalidate. */
static uint64 target_invalidations = 0;

static void target_invalidate(Datum arg, Oid relid);
static void target_invalidate_domains(Datum arg, SysCacheIdentifier cache,
									  uint32 hash);
static void target_release_pins(ResourceReleasePhase phase, bool is_commit,
								bool is_top_level, void *arg);
static TargetInfo *target_build(Relation rel);

/*
 * Start to listen for invalidations, and for the end of resource owners.
 * Called once, when the module loads.
 */
void
target_init(void)
{
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(TargetCacheEntry);
	targets = hash_create("racefree targets", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	target_pins = MemoryContextAlloc(TopMemoryContext,
									 target_max_pins * sizeof(TargetPin));
	CacheRegisterRelcacheCallback(target_invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, target_invalidate_domains,
								  (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, target_invalidate_domains,
								  (Datum) 0);
	RegisterResourceReleaseCallback(target_release_pins, NULL);
}

/*
 * Syscache callback for constraints and types.  ALTER DOMAIN invalidates no
 * table, but changes what runs when a row is stored: the constraints of a
 * column's domain, or its default.  Every new table has a new type, so types
 * matter only to tables with domains.
 */
static void
target_invalidate_domains(Datum arg, SysCacheIdentifier cache, uint32 hash)
{
	HASH_SEQ_STATUS status;
	TargetCacheEntry *entry;

	target_invalidations++;
	hash_seq_init(&status, targets);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->info->domains ||
			(cache == CONSTROID && entry->info->minds_others))
			entry->info->valid = false;
	}
}

/*
 * Relcache callback; InvalidOid means every table.  A column's type may have
 * parts that are relations themselves, and a table may have ancestors, which
 * are not all known: for such a table, every invalidation counts.  Nothing is
 * freed here, since callers up the stack may be using it.
 */
static void
target_invalidate(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	TargetCacheEntry *entry;

	target_invalidations++;
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

/* Return true if a handle uses what the entry holds. */
static bool
target_entry_is_pinned(const TargetCacheEntry *entry)
{
	for (int i = target_npins - 1; i >= 0; i--)
	{
		if (target_pins[i].info->entry == entry)
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
	if (target_npins == target_max_pins)
	{
		target_pins = repalloc(target_pins,
							   2 * target_max_pins * sizeof(TargetPin));
		target_max_pins *= 2;
	}
	pin = &target_pins[target_npins++];
	pin->target = target;
	pin->info = info;
	pin->owner = CurrentResourceOwner;
	pin->used = NULL;
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
	/* Only what was replaced is freed: the next call uses the current one. */
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
	/* Once, and when core has let go of all that the owner held. */
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
		if (entry->info->valid || target_entry_is_pinned(entry))
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

	/* Do not forget this very table, of which plans may still be good. */
	if (hash_search(targets, &relid, HASH_FIND, NULL) == NULL &&
		hash_get_num_entries(targets) >= TARGETS_BEFORE_SWEEP)
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
	/* If a call up the stack uses the old one, its last pin frees it. */
	if (old != NULL && !target_info_is_pinned(old))
		MemoryContextDelete(old->context);
	return info;
}

/*
 * What is kept of the open table, built anew if the table may have changed.
 *
 * The table must be locked already.  Taking the lock processes the
 * invalidations of all changes that were committed before the lock was
 * granted.  If we looked first and locked then, a change that another session
 * committed while we waited for the lock would go unnoticed: we would, say,
 * take a key for unique whose index was dropped, and create a second row.
 */
static TargetInfo *
target_look_up(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	TargetCacheEntry *entry = hash_search(targets, &relid, HASH_FIND, NULL);
	uint64 before = target_invalidations;
	TargetInfo *info;

	Assert(CheckRelationLockedByMe(rel, AccessShareLock, true));
	if (entry != NULL && entry->info->valid)
		return entry->info;

	/*
	 * Catalog look-ups may process invalidations, and with them replace the
	 * entry: build first, then enter.  An invalidation in between found no info
	 * to mark, so what was built may be out of date: build again at the next
	 * use.
	 */
	info = target_build(rel);
	info->valid = before == target_invalidations;
	return target_enter(relid, info);
}

/* Lock and open a relation, which must be one that holds rows. */
static Relation
target_open_relation(Oid relid, LOCKMODE lockmode)
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
			error_not_table(RelationGetRelationName(rel), rel->rd_rel->relkind);
	}
}

/* Lock and open the table that has the row type. */
static Relation
target_open_row_type(Oid row_type, LOCKMODE lockmode)
{
	Oid relid = get_typ_typrelid(row_type);

	if (!OidIsValid(relid) &&
		!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(row_type)))
		error_undefined_type(row_type, true);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("type %s is not the row type of a table",
						format_type_be(row_type)),
				 errhint("Pass a null value of the table's row type, such as "
						 "NULL::my_table.")));

	return target_open_relation(relid, lockmode);
}

/* A handle on an open table. */
static Target *
target_make(Relation rel)
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
 * transaction ends.  The handle is in the current memory context.
 */
Target *
target_open(Oid row_type, LOCKMODE lockmode)
{
	return target_make(target_open_row_type(row_type, lockmode));
}

/* The same for the table itself. */
Target *
target_open_table(Oid relid, LOCKMODE lockmode)
{
	return target_make(target_open_relation(relid, lockmode));
}

/*
 * End a call's use of the table; its lock stays until the transaction ends.
 * The handle's memory stays until its context is reset.
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
 * Lock the table more strongly than it was opened.  Another session may have
 * created a trigger or an index since the table was opened, or while we waited
 * for the lock: the handle tells of it from now on.  The columns are as they
 * were, since the table was locked already.
 *
 * A caller locks first and fetches plans then, since a plan is checked against
 * the catalogs only when it is fetched.  If the caller fetched a plan and then
 * waited here for a session that creates a unique index on the key, it would
 * run the INSERT that was made for a table without that index: the INSERT would
 * fail with a unique violation instead of yielding to the other row.  Once the
 * lock is held, no change that conflicts with it can be committed.
 */
void
target_lock(Target *target, LOCKMODE lockmode)
{
	Assert(target->npins > 0);
	locks_acquire_table(RelationGetRelid(target->rel), lockmode);
	if (!target->info->valid)
		target_pin(target, target_look_up(target->rel));
}

/*
 * Say that the caller is using something that a room keeps through changes,
 * such as a plan, until it says so of another thing or closes its handle.  An
 * error ends the use, too.
 */
void
target_use(const Target *target, const void *thing)
{
	int i = target_npins - 1;

	/* Handles that were opened later can still be open, but few are. */
	while (i >= 0 && target_pins[i].target != target)
		i--;
	Assert(i >= 0);
	target_pins[i].used = thing;
}

/*
 * Return true if the thing is used by way of another handle.  A call further up
 * the stack is then running it, and it must not be freed.
 */
bool
target_is_used_elsewhere(const Target *target, const void *thing)
{
	for (int i = target_npins - 1; i >= 0; i--)
	{
		if (target_pins[i].used == thing && target_pins[i].target != target)
			return true;
	}
	return false;
}

/*
 * Return true if the type has parts, whose definition can change apart from the
 * type itself.
 */
static bool
target_type_is_nested(Oid type)
{
	Oid base = getBaseType(type);

	return base != type || type_is_rowtype(base) ||
		   OidIsValid(get_element_type(base));
}

/* Collect what the columns' types tell about the table. */
static void
target_look_at_columns(TargetInfo *info, TupleDesc tupdesc)
{
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped)
		{
			info->dropped_columns = true;
			continue;
		}
		if (target_type_is_nested(att->atttypid))
			info->minds_others = true;
		if (getBaseType(att->atttypid) != att->atttypid)
			info->domains = true;
	}
}

/* Collect what has to be known of a table whenever it is opened. */
static TargetInfo *
target_build(Relation rel)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree target",
												  ALLOCSET_SMALL_SIZES);
	TargetInfo *info = MemoryContextAllocZero(context, sizeof(TargetInfo));

	info->context = context;
	info->lock_root = tree_find_root(RelationGetRelid(rel),
									 &info->several_parents);
	/* That an ancestor has got a parent, its own invalidations tell. */
	info->minds_others = info->lock_root != RelationGetRelid(rel);
	target_look_at_columns(info, RelationGetDescr(rel));
	info->insert_code = usercode_on_insert(rel);
	info->own_triggers = own_triggers_fired(rel);
	info->spread = spread_of(rel);
	info->shard_of = spread_of_shard(rel);
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

/*
 * Return true if the table whose OID target_lock_root() gives has several
 * parents, with which it cannot share its locks.
 */
bool
target_has_several_parents(const Target *target)
{
	return target->info->several_parents;
}

/*
 * The table under whose OID keys are locked.  Until target_hold_root(), another
 * session can still change it.
 */
Oid
target_lock_root(const Target *target)
{
	return OidIsValid(target->lock_root) ? target->lock_root
										 : target->info->lock_root;
}

/*
 * Hold the table's ancestors until the transaction ends, before keys are
 * locked, so that every session locks a key under the same root; see
 * tree_hold_root().
 */
void
target_hold_root(Target *target)
{
	Oid relid = RelationGetRelid(target->rel);

	/* The table itself is locked, so it gets no parent. */
	if (target->info->lock_root != relid)
		target->lock_root = tree_hold_root(relid);
}

/*
 * The OIDs of the table and of its partitions and children, of all levels.
 * These are not locked, so some may be gone.  From now on, a change of one of
 * them counts as a change of the table; and while they are looked for, that of
 * any.
 */
const List *
target_tree(const Target *target)
{
	TargetInfo *info = target->info;
	bool minds_others = info->minds_others;
	MemoryContext old;
	List *tree;

	if (info->tree != NIL)
		return info->tree;
	/* Which tables are in the tree is not known yet. */
	info->minds_others = true;
	tree = find_all_inheritors(RelationGetRelid(target->rel), NoLock, NULL);
	old = MemoryContextSwitchTo(info->context);
	info->tree = list_copy(tree);
	MemoryContextSwitchTo(old);
	info->minds_others = minds_others;
	list_free(tree);
	return info->tree;
}

/* What the owner keeps in the list, NULL before it sets something. */
static void **
target_find_kept(slist_head *kept, const void *owner, MemoryContext context)
{
	TargetKept *item;
	slist_iter iter;

	slist_foreach(iter, kept)
	{
		item = slist_container(TargetKept, node, iter.cur);
		if (item->owner == owner)
			return &item->value;
	}
	item = MemoryContextAllocZero(context, sizeof(TargetKept));
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

/* Return true if nothing has invalidated what the handle knows of the table. */
bool
target_is_current(const Target *target)
{
	return target->info->valid;
}

/*
 * Return true if code of the user's can run during an INSERT, and create rows
 * of its own.  This was found out when the table was opened, or locked again:
 * after the INSERT it could be too late, since such code can remove itself.
 */
bool
target_runs_user_code_on_insert(const Target *target)
{
	return target->info->insert_code;
}

/* Return true if rows of the table fire a trigger of our own. */
bool
target_fires(const Target *target, OwnTrigger which)
{
	return (target->info->own_triggers & which) != 0;
}

/* What Citus makes of the table. */
const Spread *
target_spread(const Target *target)
{
	return &target->info->spread;
}

/* What Citus makes of the table that this one is a shard of. */
const Spread *
target_shard_of(const Target *target)
{
	return &target->info->shard_of;
}

/* Return true if any column is of a domain. */
bool
target_has_domains(const Target *target)
{
	return target->info->domains;
}

/* A column of the table, by its number; it may be one that was dropped. */
Form_pg_attribute
target_column(const Target *target, AttrNumber attnum)
{
	TupleDesc tupdesc = RelationGetDescr(target->rel);

	Assert(attnum >= 1 && attnum <= tupdesc->natts);
	return TupleDescAttr(tupdesc, attnum - 1);
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
