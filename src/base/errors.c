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
#include "catalog/pg_class.h"
#include "utils/builtins.h"

#include "base/errors.h"

/* ----------
 * Arguments
 * ----------
 */

/* Report that a required argument is NULL. */
void
error_null_argument(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" must not be null", argument)));
}

/* Report that an array argument has a NULL among its elements. */
void
error_null_element(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" must not contain nulls", argument)));
}

/* Report that an array argument has more or fewer elements than another one. */
void
error_element_count(const char *argument, int nelements, const char *other,
					int nothers)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" must have as many elements as \"%s\"",
					argument, other),
			 errdetail("It has %d, and \"%s\" has %d.",
					   nelements, other, nothers)));
}

/* Report that an argument is about what is booked, but no journal is given. */
void
error_needs_journal(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" needs a journal", argument),
			 errhint("Name the table that transfers are booked in with "
					 "\"journal\".")));
}

/* Report that a trigger function was called in another way. */
void
error_not_trigger(const char *function)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"%s\" was not called by trigger manager",
					function)));
}

/* Report that a trigger fires at another time than its function can be of use. */
void
error_trigger_event(const char *trigger, const char *event)
{
	ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					errmsg("trigger \"%s\" must be %s", trigger, event)));
}

/* ----------
 * Tables, columns and types
 * ----------
 */

/*
 * Report that a relation is of a kind that holds no rows of its own.  "relkind"
 * is zero if the relation was dropped concurrently.
 */
void
error_not_table(const char *relation, char relkind)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is not a table", relation),
			 relkind != '\0' ? errdetail_relkind_not_supported(relkind) : 0,
			 errhint("Name the table that holds the rows.")));
}

/*
 * Report that a type does not exist.  If it was to be the row type of a table,
 * a prepared statement holds its OID.
 */
void
error_undefined_type(Oid type, bool is_row_type)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("type with OID %u does not exist", type),
			 is_row_type
				 ? errdetail("The table was dropped after the statement was "
							 "prepared.")
				 : 0,
			 is_row_type
				 ? errhint("Prepare the statement again; in PL/pgSQL, use "
						   "EXECUTE.")
				 : 0));
}

/* Report that no live user column of the table has that name. */
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

/* Report that rows cannot be found by a value of this type. */
void
error_no_equality(Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("could not identify an equality operator for type %s",
					format_type_be(type)),
			 errhint("Rows cannot be found by a column of this type.")));
}

/* ----------
 * Rows that a statement finds, creates or updates
 * ----------
 */

/* Report that several rows match a key, which should name one. */
void
error_several_rows(Relation rel, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("more than one row of table \"%s\" matches the key",
					RelationGetRelationName(rel)),
			 errdetail("%s is not unique.", key)));
}

/* Report that row-level security shows the row, but forbids to change it. */
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
 * Report that the row that was created does not have the key that was asked
 * for, so that the next call would create another one.
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
 * Report that there are several rows with the key after the INSERT, since code
 * that ran during the INSERT created one, too.
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

/* Report that the INSERT did not create a row, and that there is none. */
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

/*
 * Report that a rule would turn the statement into another one, whose result
 * says nothing about the table.
 */
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
 * Report that a concurrent transaction created or changed a row that this
 * transaction's snapshot does not see.
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
