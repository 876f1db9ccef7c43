/*-------------------------------------------------------------------------
 *
 * plans.h
 *	  The statements that racefree runs, prepared once and kept.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_PLANS_H
#define RACEFREE_PLANS_H

#include "args.h"
#include "utils/snapshot.h"

typedef enum PlanKind
{
	PLAN_LOOK,			  /* SELECT by key */
	PLAN_LOCK,			  /* SELECT by key FOR NO KEY UPDATE */
	PLAN_INSERT,		  /* INSERT, conflicts are errors */
	PLAN_INSERT_OR_YIELD, /* INSERT ON CONFLICT DO NOTHING */
	PLAN_UPDATE,		  /* UPDATE by key */
	PLAN_ADD,			  /* UPDATE by key, adding to a column */
	PLAN_ADD_ABOVE,		  /* same, if the old value is not below a bound */
	PLAN_ADD_BELOW		  /* same, if the old value is not above a bound */
} PlanKind;

extern void plan_init(void);

extern uint64 plan_run(const Target *target, PlanKind kind,
					   const ColumnValues *key, const ColumnValues *data,
					   Snapshot snapshot);
extern uint64 plan_run_bounded(const Target *target, PlanKind kind,
							   const ColumnValues *key,
							   const ColumnValues *data, Datum bound);

#endif /* RACEFREE_PLANS_H */
