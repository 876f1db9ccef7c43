/*-------------------------------------------------------------------------
 *
 * racefree.c
 *	  Module entry: says that this is a PostgreSQL module and wakes the rooms
 *	  that listen for cache invalidations and transaction ends.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"
#include "run/plans.h"
#include "table/target.h"

RACEFREE_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	target_init();
	plan_init();
}
