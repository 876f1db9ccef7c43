/*-------------------------------------------------------------------------
 *
 * racefree.c
 *	  Entry point of the module: the magic block, and the registration of
 *	  callbacks.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"
#include "run/run.h"
#include "table/target.h"

RACEFREE_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * Called when a session loads the module.  What is kept of tables and
 * statements is registered for invalidations, and for the end of transactions.
 */
void
_PG_init(void)
{
	target_init();
	run_init();
}
