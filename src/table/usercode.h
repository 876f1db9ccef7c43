/*-------------------------------------------------------------------------
 *
 * usercode.h
 *	  Whether code of the user's can run when a row is inserted or updated.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_USERCODE_H
#define RACEFREE_USERCODE_H

#include "utils/rel.h"

/* Parts of a table */

/* True if an INSERT or UPDATE fires triggers but constraints' and our own. */
extern bool usercode_in_triggers(Relation rel, int16 event);
/* True if row-level security runs such code; the table must be locked. */
extern bool usercode_in_policies(Relation rel);

/* Statements */

/* True if an INSERT into the table can run such code. */
extern bool usercode_on_insert(Relation rel);
/* The same without policies, and for a partition that need not be locked. */
extern bool usercode_on_insert_here(Relation rel);
/* True if an UPDATE of the table can run such code. */
extern bool usercode_on_update(Relation rel);
/* The columns of which foreign keys pass an UPDATE on to other tables. */
extern Bitmapset *usercode_cascaded_columns(Relation rel);

#endif /* RACEFREE_USERCODE_H */
