/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  The only place that knows PostgreSQL's major versions.
 *
 * Every supported major builds from the same source; what differs between
 * them is given one name here.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_COMPAT_H
#define RACEFREE_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "racefree needs PostgreSQL 15 or later"
#endif

/* PostgreSQL 16 moves VARSIZE() and the like out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 18 spells the attribute as a prefix and drops the old macro. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* PostgreSQL 18 lets a module tell its name and version. */
#if PG_VERSION_NUM >= 180000
#define RACEFREE_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "racefree", .version = "0.4")
#else
#define RACEFREE_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* PostgreSQL 16 has one function for objects of all kinds. */
#if PG_VERSION_NUM >= 160000
#define owns_relation(relid, role) \
	object_ownercheck(RelationRelationId, relid, role)
#else
#define owns_relation(relid, role) pg_class_ownercheck(relid, role)
#endif

/* PostgreSQL 17 can be asked for stronger modes as well. */
#if PG_VERSION_NUM >= 170000
#define lock_held_by_me(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define lock_held_by_me(tag, mode) LockHeldByMe(tag, mode)
#endif

/* PostgreSQL 16 lets foreign tables have triggers on TRUNCATE. */
#if PG_VERSION_NUM >= 160000
#define can_guard_truncate(relkind) true
#else
#define can_guard_truncate(relkind) ((relkind) != RELKIND_FOREIGN_TABLE)
#endif

/* PostgreSQL 17 names the function that tells whether a search_path holds. */
#if PG_VERSION_NUM >= 170000
#define search_path_is_current(path) SearchPathMatchesCurrentEnvironment(path)
#else
#define search_path_is_current(path) OverrideSearchPathMatchesCurrent(path)
#endif

/* PostgreSQL 16 has a function that reads text as a type that it is named. */
#if PG_VERSION_NUM >= 160000
#define function_reads_any_type(oid) ((oid) == F_PG_INPUT_IS_VALID)
#else
#define function_reads_any_type(oid) false
#endif

/* PostgreSQL 17 can be given the memory for what reads JSON. */
#if PG_VERSION_NUM >= 170000
#define json_lexer(text, length, encoding) \
	makeJsonLexContextCstringLen(NULL, text, length, encoding, false)
#else
#define json_lexer(text, length, encoding)                                   \
	makeJsonLexContextCstringLen(unconstify(char *, text), length, encoding, \
								 false)
#endif

/*
 * A place where tests hold a session, in servers that have injection points:
 * PostgreSQL 17 and later, if built with --enable-injection-points.  Elsewhere
 * it is nothing.
 */
#if PG_VERSION_NUM >= 180000
#include "utils/injection_point.h"
#define racefree_injection_point(name) INJECTION_POINT(name, NULL)
#elif PG_VERSION_NUM >= 170000
#include "utils/injection_point.h"
#define racefree_injection_point(name) INJECTION_POINT(name)
#else
#define racefree_injection_point(name) ((void) 0)
#endif

/* PostgreSQL 17 renames the variables of the transaction manager. */
#if PG_VERSION_NUM >= 170000
#define transam_variables() TransamVariables
#else
#define transam_variables() ShmemVariableCache
#endif

/* Minor versions of 2025 tell "none" from "not known yet". */
#ifdef SYNC_STANDBY_DEFINED
#define has_no_sync_standbys()          \
	((WalSndCtl->sync_standbys_status & \
	  (SYNC_STANDBY_INIT | SYNC_STANDBY_DEFINED)) == SYNC_STANDBY_INIT)
#else
#define has_no_sync_standbys() (!WalSndCtl->sync_standbys_defined)
#endif

/* PostgreSQL 19 wants to be told when a descriptor has all its columns. */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(tupdesc) ((void) (tupdesc))
#endif

/* PostgreSQL 19 gives the number of a system cache a type. */
#if PG_VERSION_NUM < 190000
typedef int SysCacheIdentifier;
#endif

#endif /* RACEFREE_COMPAT_H */
