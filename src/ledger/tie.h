/*-------------------------------------------------------------------------
 *
 * tie.h
 *	  The accounts that a journal belongs to, as its guard names them.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_TIE_H
#define RACEFREE_TIE_H

#include "utils/reltrigger.h"

#include "table/target.h"

extern bool tie_is_guard(const Trigger *trigger);
extern char *tie_arguments(const Target *accounts, AttrNumber id_attnum,
						   AttrNumber balance_attnum);
extern char *tie_guard_arguments(const Target *journal);
extern void tie_check(const Target *journal, const Target *accounts,
					  AttrNumber id_attnum, AttrNumber balance_attnum);

#endif /* RACEFREE_TIE_H */
