/*-------------------------------------------------------------------------
 *
 * target.h
 *	  The table that a call is about: its columns, their types and equality,
 *	  and its keys.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_TARGET_H
#define RACEFREE_TARGET_H

#include "access/attnum.h"
#include "access/htup.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "storage/lockdefs.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/typcache.h"

typedef struct Target Target;
extern void target_init(void);

extern Target *target_open(Oid row_type, LOCKMODE lockmode);
extern Target *target_open_table(Oid relid, LOCKMODE lockmode);
extern void target_close(Target *target);
extern void target_lock(Target *target, LOCKMODE lockmode);

extern Relation target_relation(const Target *target);
extern Oid target_lock_root(const Target *target);
extern void target_hold_root(Target *target);
extern bool target_has_several_parents(const Target *target);
extern bool target_updates_are_plain(const Target *target);
extern bool target_suppresses_redundant_updates(const Target *target);
extern bool target_has_row_security(const Target *target);
extern bool target_rows_can_move(const Target *target);
extern bool target_may_divert_inserts(const Target *target);
extern bool target_in_use_elsewhere(const Target *target);
extern void **target_keep(const Target *target, const void *owner,
						  MemoryContext *context);
extern void **target_keep_through_changes(const Target *target,
										  const void *owner,
										  MemoryContext *context);
extern bool target_has_dropped_columns(const Target *target);
extern bool target_outlasts(const Target *target, const Target *other);
extern bool target_runs_user_code_on_insert(const Target *target);
extern bool target_runs_user_code_on_update(const Target *target,
											AttrNumber attnum);
extern bool target_ran_user_code_on_insert(const Target *target);

extern Form_pg_attribute target_column(const Target *target, AttrNumber attnum);
extern AttrNumber target_find_column(const Target *target, const char *name);
extern AttrNumber target_find_column_by_bytes(const Target *target,
											  const char *name, int len);
extern int target_primary_key(const Target *target, const AttrNumber **columns);
extern bool target_locks_by(const Target *target, AttrNumber attnum);
extern void target_check_privileges(const Target *target, AclMode mode);
extern void target_check_insert(const Target *target, const AttrNumber *key,
								int nkey, const AttrNumber *data, int ndata);
extern void target_check_readable(const Target *target, int ncolumns,
								  const AttrNumber *columns);
extern bool target_has_length(const Target *target, AttrNumber attnum);
extern bool target_has_index(const Target *target, AttrNumber attnum);
extern bool target_is_unique(const Target *target, AttrNumber attnum);
extern bool target_may_duplicate_key(const Target *target, int nkeys,
									 const AttrNumber *keys, const bool *nulls);
extern bool target_is_unique_key(const Target *target, int ncolumns,
								 const AttrNumber *attnums, const bool *nulls);
extern bool target_is_simple(const Target *target);
extern int target_size(const Target *target);
extern char *target_collation_name(Oid collation);
extern TypeCacheEntry *target_column_type(const Target *target,
										  AttrNumber attnum, int flags);

extern bool target_has_domains(const Target *target);
extern bool target_hash_misleads(const Target *target, AttrNumber attnum);
extern bool target_has_hash(const Target *target, AttrNumber attnum);
extern bool target_index_agrees(const Target *target, Relation index, int i);

#endif /* RACEFREE_TARGET_H */
