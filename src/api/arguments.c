/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  Arguments of SQL functions that several entry points read alike.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "base/errors.h"

/* Report an error if the argument is NULL. */
void
arguments_require(FunctionCallInfo fcinfo, int argno, const char *argument)
{
	if (PG_ARGISNULL(argno))
		error_null_argument(argument);
}

/* A boolean that must not be NULL. */
bool
arguments_get_flag(FunctionCallInfo fcinfo, int argno, const char *argument)
{
	arguments_require(fcinfo, argno, argument);
	return PG_GETARG_BOOL(argno);
}

/* A numeric, or NULL. */
Numeric
arguments_get_numeric(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_NUMERIC(argno);
}

/* A name, as a C string, or NULL. */
const char *
arguments_get_name(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : NameStr(*PG_GETARG_NAME(argno));
}

/* A text, as a C string, or NULL. */
char *
arguments_get_text(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL
							   : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/* A jsonb, or NULL. */
Jsonb *
arguments_get_jsonb(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_JSONB_P(argno);
}

/* An array, or NULL. */
ArrayType *
arguments_get_array(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_ARRAYTYPE_P(argno);
}

/* The elements of an array, in the current memory context. */
void
arguments_deconstruct(ArrayType *array, Datum **elements, bool **nulls, int *n)
{
	Oid type = ARR_ELEMTYPE(array);
	int16 typlen;
	bool typbyval;
	char typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type, typlen, typbyval, typalign, elements, nulls,
					  n);
}

/* The position of a word in a list of words, or an error naming them. */
int
arguments_choose(const char *argument, const char *word,
				 const char *const *words, int nwords)
{
	StringInfoData list;

	for (int i = 0; i < nwords; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	initStringInfo(&list);
	for (int i = 0; i < nwords; i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: \"%s\"", argument, word),
			 errhint("It must be one of %s.", list.data)));
}

/*
 * Form a function's result record in the current memory context.  The record's
 * type is kept with the table, known by "owner", since get_call_result_type()
 * would work it out anew for each statement.
 */
Datum
arguments_form_record(const Target *target, const void *owner,
					  TupleDesc (*build)(Oid row_type), Datum *values,
					  bool *nulls)
{
	MemoryContext context;
	void **kept = target_keep(target, owner, &context);

	if (*kept == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		*kept = BlessTupleDesc(build(target_relation(target)->rd_rel->reltype));
		MemoryContextSwitchTo(old);
	}
	return HeapTupleGetDatum(heap_form_tuple(*kept, values, nulls));
}
