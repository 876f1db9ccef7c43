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

/* Former names, for callers that do without the verbs. */
#include "run/view.h"

#define STMT_BATCH_LOOK		STMT_MANY_LOOK
#define STMT_BATCH_PROBE	STMT_MANY_PROBE
#define STMT_BATCH_LOCK_IDS STMT_MANY_LOCK_IDS
#define STMT_BATCH_INSERT	STMT_MANY_INSERT
#define STMT_BATCH_UPDATE	STMT_MANY_UPDATE

extern uint64 plan_run(const Target *target, StatementKind kind,
					   const ColumnValues *key, const ColumnValues *data,
					   View view);
extern uint64 plan_probe(const Target *target, const ColumnValues *key,
						 View view);
extern uint64 plan_run_bounded(const Target *target, StatementKind kind,
							   const ColumnValues *key,
							   const ColumnValues *data, Datum bound);
extern void plan_sum(const Target *target, const ColumnValues *key,
					 const ColumnValues *column, View view);
extern int plan_batch_size(uint32 nrows);
extern uint64 plan_run_batch(const Target *target, const StatementSpec *spec,
							 View view, long limit);
extern uint64 plan_write_batch(const Target *target, const StatementSpec *spec,
							   int *turn, long limit);

#endif /* RACEFREE_PLANS_H */
