/*-------------------------------------------------------------------------
 *
 * holds_write.h
 *	  Writing to the table of open holds.
 *
 * The payers of the holds are locked.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_HOLDS_WRITE_H
#define RACEFREE_HOLDS_WRITE_H

#include "ledger/holds.h"

/* Insert holds that were made; n is one at least, as below. */
extern void holds_insert(const Holds *holds, const Hold *const *all, int n);
/* Store what is left of holds. */
extern void holds_update(const Holds *holds, const Hold *const *all, int n);
/* Delete holds of which nothing is left. */
extern void holds_delete(const Holds *holds, const Hold *const *all, int n);

#endif /* RACEFREE_HOLDS_WRITE_H */
