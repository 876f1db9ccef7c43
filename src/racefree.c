/*-------------------------------------------------------------------------
 *
 * racefree.c
 *	  Entry point of the module: the magic block, and what is registered when
 *	  the module is loaded.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"
#include "base/early_release.h"
#include "run/run.h"
#include "table/target.h"

RACEFREE_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * Called when a session loads the module: settings are defined, and what is kept
 * of tables, statements and transactions is registered for invalidations and for
 * the end of transactions.
 */
void
_PG_init(void)
{
	early_release_init();
	target_init();
	run_init();
}
