/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  Arguments of SQL functions that several entry points read alike.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ARGUMENTS_H
#define RACEFREE_ARGUMENTS_H

#include "fmgr.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "table/values.h"

/*
 * An argument by its number: those that may be NULL are NULL then, of those
 * that must not be, NULL is an error which names the argument.
 */
extern void arguments_require(FunctionCallInfo fcinfo, int argno,
							  const char *argument);
extern Numeric arguments_get_numeric(FunctionCallInfo fcinfo, int argno);
extern const char *arguments_get_name(FunctionCallInfo fcinfo, int argno);
extern char *arguments_get_text(FunctionCallInfo fcinfo, int argno);
extern Jsonb *arguments_get_jsonb(FunctionCallInfo fcinfo, int argno);
extern ArrayType *arguments_get_array(FunctionCallInfo fcinfo, int argno);
extern bool arguments_get_flag(FunctionCallInfo fcinfo, int argno,
							   const char *argument);

/* The position of a word in a list of words; any other word is an error. */
extern int arguments_choose(const char *argument, const char *word,
							const char *const *words, int nwords);
/* Check that no column is named both in the key and in another argument. */
extern void arguments_check_disjoint(const Target *target,
									 const ColumnValues *key,
									 const ColumnValues *other,
									 const char *argument);

/* Form a result record of a type that is kept with the table. */
extern Datum arguments_form_record(const Target *target, const void *owner,
								   TupleDesc (*build)(Oid row_type),
								   Datum *values, bool *nulls);

#endif /* RACEFREE_ARGUMENTS_H */
