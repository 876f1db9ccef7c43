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

#include "statements.h"

/* Which rows a statement sees. */
typedef struct PlanView
{
	bool latest; /* all that was committed by now, whatever the isolation */
	CommandId before; /* of our own, what was done before this command */
} PlanView;

/* What a statement of the user's own would see at this point. */
#define VIEW_OWN ((PlanView){false, InvalidCommandId})
/* That, and what others have committed after the transaction's snapshot. */
#define VIEW_LATEST ((PlanView){true, InvalidCommandId})
/* The latest, without what we have done since that command. */
#define VIEW_LATEST_BEFORE(command) ((PlanView){true, command})

extern void plan_init(void);
extern CommandId plan_next_command(void);

extern uint64 plan_run(const Target *target, StatementKind kind,
					   const ColumnValues *key, const ColumnValues *data,
					   PlanView view);
extern uint64 plan_run_bounded(const Target *target, StatementKind kind,
							   const ColumnValues *key,
							   const ColumnValues *data, Datum bound);
extern void plan_sum(const Target *target, const ColumnValues *key,
					 const ColumnValues *column, PlanView view);
extern uint64 plan_lock_ids(const Target *target, AttrNumber id_attnum,
							LockClauseStrength strength, LockWaitPolicy wait,
							Datum ids);
extern int plan_batch_size(uint32 nrows);
extern uint64 plan_run_batch(const Target *target, const StatementSpec *spec,
							 PlanView view, long limit);
extern uint64 plan_write_batch(const Target *target, const StatementSpec *spec,
							   int *turn, long limit);
extern uint64 plan_read(const Target *target, const StatementSpec *spec,
						Datum *values);
extern void plan_scan(const Target *target, const StatementSpec *spec,
					  void (*take)(HeapTuple, TupleDesc, void *), void *arg);

#endif /* RACEFREE_PLANS_H */
