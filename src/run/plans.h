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

#include "run/statements.h"
#include "run/view.h"

/* Former names, for callers that do without the verbs. */
#define STMT_BATCH_LOOK			   STMT_MANY_LOOK
#define STMT_BATCH_PROBE		   STMT_MANY_PROBE
#define STMT_BATCH_LOCK			   STMT_MANY_LOCK
#define STMT_BATCH_LOCK_KEYS	   STMT_MANY_LOCK_KEYS
#define STMT_BATCH_LOCK_IDS		   STMT_MANY_LOCK_IDS
#define STMT_BATCH_INSERT		   STMT_MANY_INSERT
#define STMT_BATCH_INSERT_OR_YIELD STMT_MANY_INSERT_OR_YIELD
#define STMT_BATCH_UPDATE		   STMT_MANY_UPDATE

extern void plan_init(void);

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
extern uint64 plan_lock_ids(const Target *target, AttrNumber id_attnum,
							LockClauseStrength strength, LockWaitPolicy wait,
							Datum ids);
extern int plan_batch_size(uint32 nrows);
extern uint64 plan_run_batch(const Target *target, const StatementSpec *spec,
							 View view, long limit);
extern uint64 plan_write_batch(const Target *target, const StatementSpec *spec,
							   int *turn, long limit);
extern uint64 plan_read(const Target *target, const StatementSpec *spec,
						Datum *values);
extern void plan_scan(const Target *target, const StatementSpec *spec,
					  void (*take)(uint64 nrows, void *), void *arg);

#endif /* RACEFREE_PLANS_H */
