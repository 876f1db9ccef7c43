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

#define ERRCODE_RACEFREE_INSUFFICIENT_FUNDS \
	MAKE_SQLSTATE('R', 'F', '0', '0', '1')
#define ERRCODE_RACEFREE_ACCOUNT_NOT_FOUND \
	MAKE_SQLSTATE('R', 'F', '0', '0', '2')
#define ERRCODE_RACEFREE_REQUEST_DIFFERS MAKE_SQLSTATE('R', 'F', '0', '0', '3')
#define ERRCODE_RACEFREE_LIMIT_EXCEEDED	 MAKE_SQLSTATE('R', 'F', '0', '0', '4')
#define ERRCODE_RACEFREE_ACCOUNTS_DIFFER MAKE_SQLSTATE('R', 'F', '0', '0', '5')
#define ERRCODE_RACEFREE_OVER_REVERSED	 MAKE_SQLSTATE('R', 'F', '0', '0', '6')
#define ERRCODE_RACEFREE_ENTRY_NOT_FOUND MAKE_SQLSTATE('R', 'F', '0', '0', '7')

pg_noreturn extern void error_null_argument(const char *argument);
pg_noreturn extern void error_needs_journal(const char *argument);
pg_noreturn extern void error_undefined_column(Relation rel,
											   const char *column);
pg_noreturn extern void error_no_equality(Oid type);
pg_noreturn extern void error_several_rows(Relation rel, const char *key);
pg_noreturn extern void error_update_denied(Relation rel, const char *key);
pg_noreturn extern void error_key_changed(Relation rel, const char *column);
pg_noreturn extern void error_created_twice(Relation rel, const char *key);
pg_noreturn extern void error_insert_suppressed(Relation rel);
pg_noreturn extern void error_rewritten(Relation rel);
pg_noreturn extern void error_serialization(Relation rel);

#endif /* RACEFREE_ERRORS_H */
