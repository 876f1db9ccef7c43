/*-------------------------------------------------------------------------
 *
 * arbiter.h
 *	  Which unique indexes judge a race with writers that do not call us.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ARBITER_H
#define RACEFREE_ARBITER_H

#include "lib/stringinfo.h"

#include "target.h"

extern bool arbiter_clause(const Target *target, StringInfo buf, int nkeys,
						   const AttrNumber *keys, const bool *nulls);

#endif /* RACEFREE_ARBITER_H */
