/*-------------------------------------------------------------------------
 *
 * defaults.c
 *	  DEFAULTs of columns, for rows that do not give a value for them.
 *
 * An INSERT of many rows names the same columns for all of them.  A row that
 * does not give one of these gets the value of its DEFAULT, once for each row
 * and column, as COPY computes it for columns that it is not given.
 *
 * DEFAULTs can run code of the user's, which sees what a statement of its own
 * would see at the time of defaults_begin().
 *
 * Values are allocated in the memory context that is current when they are
 * asked for; all else goes with defaults_end(), or with the memory context that
 * was current at defaults_begin().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "table/defaults.h"

/* What is known of a column's DEFAULT. */
typedef struct ColumnDefault
{
	bool prepared;
	ExprState *expr; /* NULL if there is none */
} ColumnDefault;

struct Defaults
{
	const Target *target;
	EState *estate;
	ColumnDefault *columns; /* by number, from 1 */
};

/*
 * Begin to evaluate DEFAULTs of a table.  They see what was done before, as the
 * INSERT that follows does.
 */
Defaults *
defaults_begin(const Target *target)
{
	int natts = RelationGetNumberOfAttributes(target_relation(target));
	Defaults *defaults = palloc(sizeof(Defaults));

	defaults->target = target;
	defaults->estate = CreateExecutorState();
	defaults->columns = palloc0(sizeof(ColumnDefault) * (natts + 1));
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	return defaults;
}

/* End it, and free what it took.  An error ends it, too. */
void
defaults_end(Defaults *defaults)
{
	PopActiveSnapshot();
	FreeExecutorState(defaults->estate);
	pfree(defaults->columns);
	pfree(defaults);
}

/* Return true if an INSERT must not give a value for the column. */
static bool
defaults_are_generated(Form_pg_attribute att)
{
	return att->attgenerated != '\0' ||
		   att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
}

/*
 * Prepare the expression of the column's DEFAULT.  A column that has none is
 * NULL, which its domain may not allow.
 */
static void
defaults_prepare(Defaults *defaults, ColumnDefault *column,
				 Form_pg_attribute att)
{
	Node *node = build_column_default(target_relation(defaults->target),
									  att->attnum);

	if (node != NULL)
		column->expr = ExecPrepareExpr((Expr *) node, defaults->estate);
	else if (getBaseType(att->atttypid) != att->atttypid)
		domain_check((Datum) 0, true, att->atttypid, NULL, NULL);
	column->prepared = true;
}

/* Evaluate the DEFAULT of a column for one row. */
Datum
defaults_value(Defaults *defaults, AttrNumber attnum, bool *isnull)
{
	/* Core reports the error for a value that is given all the same. */
	if (defaults_are_generated(target_column(defaults->target, attnum)))
	{
		*isnull = true;
		return (Datum) 0;
	}
	return defaults_draw(defaults, attnum, isnull);
}

/*
 * The same for an INSERT that overrides system values: also of an identity
 * column that is always generated.
 */
Datum
defaults_draw(Defaults *defaults, AttrNumber attnum, bool *isnull)
{
	Form_pg_attribute att = target_column(defaults->target, attnum);
	ColumnDefault *column = &defaults->columns[attnum];
	ExprContext *econtext = GetPerTupleExprContext(defaults->estate);
	Datum value;

	*isnull = true;
	if (att->attgenerated != '\0')
		return (Datum) 0;
	if (!column->prepared)
		defaults_prepare(defaults, column, att);
	if (column->expr == NULL)
		return (Datum) 0;
	value = ExecEvalExprSwitchContext(column->expr, econtext, isnull);
	if (!*isnull)
		value = datumCopy(value, att->attbyval, att->attlen);
	ResetExprContext(econtext);
	return value;
}
