/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Settings that hold for a moment.
 *
 * They are changed as SET LOCAL does within a function that has a SET clause:
 * an error restores them when the (sub)transaction aborts.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "base/settings.h"

/* Begin to change settings. */
int
settings_begin(void)
{
	return NewGUCNestLevel();
}

/* Change a setting until settings_end(), or until an error. */
void
settings_set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Restore the settings as they were at settings_begin(). */
void
settings_end(int level)
{
	AtEOXact_GUC(true, level);
}
