/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Reports that several rooms make, so that one cause has one wording and
 *	  one SQLSTATE.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/heap.h"
#include "utils/builtins.h"

#include "base/errors.h"

/* A required argument is NULL. */
void
error_null_argument(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" must not be null", argument)));
}

/* An argument says what to book, but not where. */
void
error_needs_journal(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" needs a journal", argument),
			 errhint("Name the table that transfers are booked in with "
					 "\"journal\".")));
}

/* No live user column of the table has that name. */
void
error_undefined_column(Relation rel, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" does not exist",
					column, RelationGetRelationName(rel)),
			 SystemAttributeByName(column) != NULL
				 ? errdetail("System columns cannot be named here.")
				 : 0));
}

/* Rows cannot be found by a value of this type. */
void
error_no_equality(Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("could not identify an equality operator for type %s",
					format_type_be(type)),
			 errhint("Rows cannot be found by a column of this type.")));
}

/* Several rows match a key: which one is meant, nobody can say. */
void
error_several_rows(Relation rel, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("more than one row of table \"%s\" matches the key",
					RelationGetRelationName(rel)),
			 errdetail("%s is not unique.", key)));
}

/* Row-level security shows the row, but forbids to change it. */
void
error_update_denied(Relation rel, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("row-level security policy for table \"%s\" does not "
					"allow the matching row to be updated",
					RelationGetRelationName(rel)),
			 errdetail("%s is visible, but not for update.", key)));
}

/*
 * The row that was created does not have the key that was asked for, so the
 * next call would create another one.
 */
void
error_key_changed(Relation rel, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("column \"%s\" of the row created in table \"%s\" "
					"differs from the key",
					column, RelationGetRelationName(rel)),
			 errhint("A trigger on the table seems to change the column.  "
					 "Give the key as the trigger would write it.")));
}

/*
 * After an INSERT of ours there are several rows with the key: code that ran
 * during the INSERT created one, too.
 */
void
error_created_twice(Relation rel, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("more than one row of table \"%s\" matches the key after "
					"the insert",
					RelationGetRelationName(rel)),
			 errdetail("%s is not unique.", key),
			 errhint("A trigger, default or check of the table seems to create "
					 "such a row, too.  Create that row first, or create a "
					 "unique index on the key.")));
}

/* The row was neither created nor is it to be found. */
void
error_insert_suppressed(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("could not create the row in table \"%s\": the insert "
					"was suppressed",
					RelationGetRelationName(rel)),
			 errhint("A trigger on the table seems to suppress the insert.")));
}

/* A rule turned the statement into another one: its result says nothing. */
void
error_rewritten(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot use table \"%s\": a rule rewrites the statement",
					RelationGetRelationName(rel)),
			 errhint("Use a trigger instead of a rule.")));
}

/*
 * Another transaction made or changed a row that this transaction's snapshot
 * cannot see.
 */
void
error_serialization(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("A concurrent transaction created or changed the row "
					   "of table \"%s\" that matches the key.",
					   RelationGetRelationName(rel)),
			 errhint("The transaction might succeed if retried.")));
}
