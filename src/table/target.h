/*-------------------------------------------------------------------------
 *
 * target.h
 *	  The table that a call is about, and what is kept of it from call to call.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_TARGET_H
#define RACEFREE_TARGET_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

#include "table/own_triggers.h"
#include "table/spread.h"

/* A call's handle on an open and locked table. */
typedef struct Target Target;

/* Start to listen for invalidations; when the module loads. */
extern void target_init(void);

/* Opening, locking, closing */

/* Open the table with that row type, locked until the transaction ends. */
extern Target *target_open(Oid row_type, LOCKMODE lockmode);
/* The same for the table itself. */
extern Target *target_open_table(Oid relid, LOCKMODE lockmode);
/* Lock the table more strongly; plans are fetched after this. */
extern void target_lock(Target *target, LOCKMODE lockmode);
/* End the use of the table; its locks stay. */
extern void target_close(Target *target);
/* The open table itself. */
extern Relation target_relation(const Target *target);

/* Keeping things with the table, known by the address of their owner */

/* Until the table changes. */
extern void **target_keep(const Target *target, const void *owner,
						  MemoryContext *context);
/* Until the table is forgotten. */
extern void **target_keep_through_changes(const Target *target,
										  const void *owner,
										  MemoryContext *context);
/* Say which thing that is kept through changes the caller is using. */
extern void target_use(const Target *target, const void *thing);
/* True if the thing is used by way of another handle. */
extern bool target_is_used_elsewhere(const Target *target, const void *thing);
/* True if the table has not changed since it was opened. */
extern bool target_is_current(const Target *target);

/* The tree that the table is in */

/* The table under whose OID keys are locked. */
extern Oid target_lock_root(const Target *target);
/* True if that table has several parents. */
extern bool target_has_several_parents(const Target *target);
/* Keep the root what it is until the transaction ends. */
extern void target_hold_root(Target *target);
/* The OIDs of the table and of all below it. */
extern const List *target_tree(const Target *target);

/* Columns, and what else is known of every table */

/* A column by its number. */
extern Form_pg_attribute target_column(const Target *target, AttrNumber attnum);
/* True if the row type has columns that were dropped. */
extern bool target_has_dropped_columns(const Target *target);
/* True if any column is of a domain. */
extern bool target_has_domains(const Target *target);
/* True if code of the user's can run during an INSERT. */
extern bool target_runs_user_code_on_insert(const Target *target);
/* True if rows fire a trigger of our own. */
extern bool target_fires(const Target *target, OwnTrigger which);
/* What Citus makes of it; SPREAD_NOT, most likely. */
extern const Spread *target_spread(const Target *target);
/* The same of the table that it is a shard of, if it is one. */
extern const Spread *target_shard_of(const Target *target);
/* The order of magnitude of the table's size. */
extern int target_size(const Target *target);

#endif /* RACEFREE_TARGET_H */
