/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  racefree's own SQLSTATEs, and the reports that several rooms make.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ERRORS_H
#define RACEFREE_ERRORS_H

#include "utils/rel.h"

#include "base/compat.h"

/* SQLSTATEs of racefree's own, of class RF */

#define ERRCODE_RACEFREE_INSUFFICIENT_FUNDS \
	MAKE_SQLSTATE('R', 'F', '0', '0', '1')
#define ERRCODE_RACEFREE_ACCOUNT_NOT_FOUND \
	MAKE_SQLSTATE('R', 'F', '0', '0', '2')
#define ERRCODE_RACEFREE_REQUEST_DIFFERS MAKE_SQLSTATE('R', 'F', '0', '0', '3')
#define ERRCODE_RACEFREE_LIMIT_EXCEEDED	 MAKE_SQLSTATE('R', 'F', '0', '0', '4')
#define ERRCODE_RACEFREE_ACCOUNTS_DIFFER MAKE_SQLSTATE('R', 'F', '0', '0', '5')
#define ERRCODE_RACEFREE_OVER_REVERSED	 MAKE_SQLSTATE('R', 'F', '0', '0', '6')
#define ERRCODE_RACEFREE_ENTRY_NOT_FOUND MAKE_SQLSTATE('R', 'F', '0', '0', '7')
#define ERRCODE_RACEFREE_ACCOUNT_CLOSED	 MAKE_SQLSTATE('R', 'F', '0', '0', '8')
#define ERRCODE_RACEFREE_HOLD_NOT_FOUND	 MAKE_SQLSTATE('R', 'F', '0', '0', '9')
#define ERRCODE_RACEFREE_HOLD_SETTLED	 MAKE_SQLSTATE('R', 'F', '0', '1', '0')
#define ERRCODE_RACEFREE_HOLD_EXPIRED	 MAKE_SQLSTATE('R', 'F', '0', '1', '1')
#define ERRCODE_RACEFREE_OVER_POSTED	 MAKE_SQLSTATE('R', 'F', '0', '1', '2')

/* Arguments */

/* A required argument is NULL. */
pg_noreturn extern void error_null_argument(const char *argument);
/* An element of an array is. */
pg_noreturn extern void error_null_element(const char *argument);
/* An array has not as many elements as another one. */
pg_noreturn extern void error_element_count(const char *argument, int nelements,
											const char *other, int nothers);
/* An argument needs a journal. */
pg_noreturn extern void error_needs_journal(const char *argument);
/* A trigger function was called in another way. */
pg_noreturn extern void error_not_trigger(const char *function);
/* A trigger must fire at such events instead. */
pg_noreturn extern void error_trigger_event(const char *trigger,
											const char *event);

/* Tables, columns and types */

/* A relation is not a table. */
pg_noreturn extern void error_not_table(const char *relation, char relkind);
/* A type does not exist, say the row type of a table that was dropped. */
pg_noreturn extern void error_undefined_type(Oid type, bool is_row_type);
/* A column does not exist. */
pg_noreturn extern void error_undefined_column(Relation rel,
											   const char *column);
/* A type has no equality. */
pg_noreturn extern void error_no_equality(Oid type);

/* Rows that a statement finds, creates or updates */

/* Several rows match the key. */
pg_noreturn extern void error_several_rows(Relation rel, const char *key);
/* Row-level security forbids to update the row. */
pg_noreturn extern void error_update_denied(Relation rel, const char *key);
/* The row was created with another key. */
pg_noreturn extern void error_key_changed(Relation rel, const char *column);
/* Other code created a row with the key, too. */
pg_noreturn extern void error_created_twice(Relation rel, const char *key);
/* The INSERT was suppressed. */
pg_noreturn extern void error_insert_suppressed(Relation rel);
/* A rule rewrites the statement. */
pg_noreturn extern void error_rewritten(Relation rel);
/* The transaction's snapshot does not see a concurrent change. */
pg_noreturn extern void error_serialization(Relation rel);

#endif /* RACEFREE_ERRORS_H */
