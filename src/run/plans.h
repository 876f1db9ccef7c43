/*-------------------------------------------------------------------------
 *
 * plans.h
 *	  The plans of the statements that the verbs run, kept per table.
 *
 * For this storey only.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_PLANS_H
#define RACEFREE_PLANS_H

#include "executor/spi.h"

#include "run/statements.h"

/* Start to listen for invalidations.  Called once, when the module loads. */
extern void plan_init(void);

/* The plan of a statement, kept or made. */
extern SPIPlanPtr plan_fetch(const Target *target, const StatementSpec *spec);
/* Return true if such a plan is not made anew when it is run. */
extern bool plan_is_made_in_advance(const Target *target,
									const StatementSpec *spec);
/* Let plans be made that use indexes; the result is for settings_end(). */
extern int plan_prefer_indexes(void);

#endif /* RACEFREE_PLANS_H */
