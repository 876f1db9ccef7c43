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

#include "run/statements.h"

/* So often a row is looked for that is replaced while we wait for its lock. */
#define LOCK_ATTEMPTS 3

/* Which rows a statement sees. */
typedef struct PlanView
{
	bool latest; /* all that was committed by now, whatever the isolation */
	Snapshot snapshot; /* or by that snapshot, if it is not NULL */
	CommandId before;  /* of our own, what was done before this command */
} PlanView;

/* What a statement of the user's own would see at this point. */
#define VIEW_OWN ((PlanView){false, NULL, InvalidCommandId})
/* That, and what others have committed after the transaction's snapshot. */
#define VIEW_LATEST ((PlanView){true, NULL, InvalidCommandId})
/* What that snapshot shows of others, and all that we have done. */
#define VIEW_AT(snapshot) ((PlanView){true, snapshot, InvalidCommandId})
/* The same, without what we have done since that command. */
#define VIEW_BEFORE(snapshot, command) ((PlanView){true, snapshot, command})

extern void plan_init(void);
extern CommandId plan_next_command(void);
extern Snapshot plan_take_snapshot(void);
extern void plan_release_snapshot(Snapshot snapshot);

extern uint64 plan_run(const Target *target, StatementKind kind,
					   const ColumnValues *key, const ColumnValues *data,
					   PlanView view);
extern uint64 plan_probe(const Target *target, const ColumnValues *key,
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
