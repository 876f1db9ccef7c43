/*-------------------------------------------------------------------------
 *
 * keylock.h
 *	  Locks on keys of which there may be no row yet.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_KEYLOCK_H
#define RACEFREE_KEYLOCK_H

#include "args.h"

extern void keylock_acquire(const Target *target, const ColumnValues *key);

#endif /* RACEFREE_KEYLOCK_H */
