/*-------------------------------------------------------------------------
 *
 * privileges.h
 *	  What the current user may do with a table.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_PRIVILEGES_H
#define RACEFREE_PRIVILEGES_H

#include "utils/acl.h"

#include "table/target.h"

/*
 * Check privileges on the table: SELECT on all columns, others on one at least.
 */
extern void privileges_check(const Target *target, AclMode mode);
/* Check that the user may INSERT into these columns, given as two lists. */
extern void privileges_check_insert(const Target *target, const AttrNumber *key,
									int nkey, const AttrNumber *data,
									int ndata);
/* Check that the user may SELECT these columns. */
extern void privileges_check_select(const Target *target, int ncolumns,
									const AttrNumber *columns);

/* Return true if the user may UPDATE a column of the table at least. */
extern bool privileges_may_update(const Target *target);
/* Return true if the user may SELECT all of the table, system columns too. */
extern bool privileges_may_select_all(const Target *target);

/* Check that the transaction may write to the table; "command" is for errors. */
extern void privileges_check_writable(const Target *target,
									  const char *command);

#endif /* RACEFREE_PRIVILEGES_H */
