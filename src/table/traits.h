/*-------------------------------------------------------------------------
 *
 * traits.h
 *	  What a statement on a table can do besides what it says.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_TRAITS_H
#define RACEFREE_TRAITS_H

#include "table/target.h"

/* UPDATEs */

/* True if an UPDATE does what it says and nothing else. */
extern bool traits_updates_are_plain(const Target *target);
/* True if UPDATEs that change nothing are suppressed, and no others. */
extern bool traits_suppress_redundant_updates(const Target *target);
/* True if an UPDATE can move rows to or from another partition. */
extern bool traits_rows_can_move(const Target *target);
/* True if code of the user's can run during an UPDATE of the column. */
extern bool traits_update_runs_code(const Target *target, AttrNumber attnum);
/* True if such code can run during a DELETE. */
extern bool traits_delete_runs_code(const Target *target);

/* INSERTs */

/* True if an INSERT can store another row than it says. */
extern bool traits_may_divert_inserts(const Target *target);
/* True if code of the user's can have run during an INSERT that ended. */
extern bool traits_insert_ran_code(const Target *target);
/* True if such code can have created another row with the key. */
extern bool traits_may_duplicate_key(const Target *target, int nkeys,
									 const AttrNumber *keys, const bool *nulls);

/* Any statement */

/* True if row security policies apply to the current user. */
extern bool traits_has_row_security(const Target *target);
/* True if a statement is planned for this very table, alike for all roles. */
extern bool traits_is_simple(const Target *target);
/* True if rows can still be there when those of the other table are gone. */
extern bool traits_outlasts(const Target *target, const Target *other);

#endif /* RACEFREE_TRAITS_H */
