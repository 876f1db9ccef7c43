/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Settings that are changed for some statements.
 *
 * They are changed as a function's SET clause does it: until settings_end(),
 * or, after an error, until the (sub)transaction is rolled back.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "base/settings.h"

/* Begin to change settings: the result is for settings_end(). */
int
settings_begin(void)
{
	return NewGUCNestLevel();
}

/* Change a setting, as the current user may do. */
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
