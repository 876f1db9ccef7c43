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

#include "table/values.h"

extern bool arbiter_clause(const Target *target, StringInfo buf,
						   const ColumnValues *key);
extern bool arbiter_can_yield(const Target *target, const ColumnValues *key);
extern int arbiter_max_yields(const Target *target);

#endif /* RACEFREE_ARBITER_H */
