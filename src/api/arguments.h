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
 * Arguments by their numbers, for which each entry point has an enum, ARG_...
 * "argument" is the name in SQL, for errors.
 */

/* Arguments that must not be NULL */

/* Report an error if the argument is NULL. */
extern void arguments_require(FunctionCallInfo fcinfo, int argno,
							  const char *argument);
/* A boolean that must not be NULL. */
extern bool arguments_get_flag(FunctionCallInfo fcinfo, int argno,
							   const char *argument);

/* Arguments that may be NULL, and then are NULL in C */

extern Numeric arguments_get_numeric(FunctionCallInfo fcinfo, int argno);
extern const char *arguments_get_name(FunctionCallInfo fcinfo, int argno);
extern char *arguments_get_text(FunctionCallInfo fcinfo, int argno);
extern Jsonb *arguments_get_jsonb(FunctionCallInfo fcinfo, int argno);
extern ArrayType *arguments_get_array(FunctionCallInfo fcinfo, int argno);

/* Words */

/* The elements of an array. */
extern void arguments_deconstruct(ArrayType *array, Datum **elements,
								  bool **nulls, int *n);

/* The position of a word in a list of words; any other word is an error. */
extern int arguments_choose(const char *argument, const char *word,
							const char *const *words, int nwords);

/* Results */

/* Form a result record of a type that is kept with the table. */
extern Datum arguments_form_record(const Target *target, const void *owner,
								   TupleDesc (*build)(Oid row_type),
								   Datum *values, bool *nulls);

#endif /* RACEFREE_ARGUMENTS_H */
