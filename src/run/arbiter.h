/*-------------------------------------------------------------------------
 *
 * arbiter.h
 *	  ON CONFLICT: which unique indexes detect writers that take no key lock,
 *	  and how an INSERT meets them.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ARBITER_H
#define RACEFREE_ARBITER_H

#include "lib/stringinfo.h"

#include "table/values.h"

/* The protocol */

/*
 * The protocol by which a caller that holds a key's lock creates the row, or
 * yields to a row of a writer that did not take the lock.  It goes in rounds,
 * each of which looks for the row with a snapshot that was taken after the lock
 * was granted, and then tries to insert:
 *
 *		Yields yields = arbiter_begin(target, true);
 *
 *		for (;;)
 *		{
 *			if (the row is there)
 *				return it;
 *			if (arbiter_gave_up(&yields))
 *				report that the INSERT was suppressed;
 *			if (run_insert(target, key, values, arbiter_yields(&yields)) ...)
 *				return the new row;
 *			arbiter_again(&yields, target, key);
 *		}
 *
 * The first INSERTs have the clause ON CONFLICT, and do nothing if another
 * session has inserted the key first: the next round finds its row.  Without a
 * limit there would be no end where no round finds a row although each INSERT
 * meets one: it is deleted again each time, or hidden by row security, or in
 * conflict only because a trigger rewrites the key.  So the last INSERT comes
 * without the clause and reports the conflict.  If even that one gives no row
 * and the look after it finds none, a trigger has suppressed the INSERT.
 */
typedef struct Yields
{
	int round; /* counted from 0 */
	int max;   /* how many INSERTs may yield before the last one */
} Yields;

/* Begin; without "may_yield", the first INSERT is the last. */
extern Yields arbiter_begin(const Target *target, bool may_yield);
/* Return true if the last INSERT was tried before. */
extern bool arbiter_gave_up(const Yields *yields);
/* Return true if the INSERT of this round is one that yields. */
extern bool arbiter_yields(const Yields *yields);
/* Go on to the next round after an INSERT that did not create the row. */
extern void arbiter_again(Yields *yields, const Target *target,
						  const ColumnValues *key);

/* The clause */

/* Append ON CONFLICT for an INSERT with this key; false if there is none. */
extern bool arbiter_clause(const Target *target, StringInfo buf,
						   const ColumnValues *key);

#endif /* RACEFREE_ARBITER_H */
