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

#include "utils/snapshot.h"

#include "statements.h"

extern void plan_init(void);

extern uint64 plan_run(const Target *target, StatementKind kind,
					   const ColumnValues *key, const ColumnValues *data,
					   Snapshot snapshot);
extern uint64 plan_run_bounded(const Target *target, StatementKind kind,
							   const ColumnValues *key,
							   const ColumnValues *data, Datum bound);
extern uint64 plan_lock_ids(const Target *target, AttrNumber id_attnum,
							LockClauseStrength strength, LockWaitPolicy wait,
							Datum ids);
extern uint64 plan_run_batch(const Target *target, const StatementSpec *spec,
							 Snapshot snapshot, long limit);

#endif /* RACEFREE_PLANS_H */
