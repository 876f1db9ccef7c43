/*-------------------------------------------------------------------------
 *
 * request_ids.c
 *	  The types of request ids, and when two ids name the same request.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "ledger/request_ids.h"
#include "table/ids.h"
#include "table/values.h"

/* Return true for the type of the extension citext, which only ignores case. */
static bool
is_citext(Oid type)
{
	Oid extension = getExtensionOfObject(TypeRelationId, type);
	char *name = OidIsValid(extension) ? get_extension_name(extension) : NULL;

	return name != NULL && strcmp(name, "citext") == 0;
}

/*
 * Request ids of this type must tell requests apart: of two that differ in what
 * the type cuts or rounds, the second would be taken for the first, and not be
 * made.
 */
void
request_ids_check_type(Oid type)
{
	Oid base = getBaseType(type);

	if (!ids_type_keeps_text(base) && !is_citext(base))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("request ids cannot be of type %s",
						format_type_be(type)),
				 errdetail("The type may not keep all that it is given."),
				 errhint("Use uuid, text, varchar, char, citext, smallint, "
						 "integer, bigint, numeric or bytea.")));
}

/* Return true if nothing is left of an id whose text was not empty. */
bool
request_ids_is_empty(Oid base_type, Datum value)
{
	text *bytes = (text *) DatumGetPointer(value);

	if (base_type == BPCHAROID)
		return bpchartruelen(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)) == 0;
	return base_type == BYTEAOID && VARSIZE_ANY_EXHDR(bytes) == 0;
}

/*
 * Return true if two ids that are equal for their type are also written alike:
 * -0 and 0 are equal, but not the same id; nor are 30 days and 1 month.  Types
 * that keep what they are given decide themselves what is equal.
 */
bool
request_ids_are_same(Oid base_type, Datum a, Datum b)
{
	return ids_type_keeps_text(base_type) ||
		   strcmp(values_print_exactly(base_type, a),
				  values_print_exactly(base_type, b)) == 0 ||
		   is_citext(base_type);
}
