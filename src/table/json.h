/*-------------------------------------------------------------------------
 *
 * json.h
 *	  JSON objects to typed values in column order, and rows to JSON objects.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_JSON_H
#define RACEFREE_JSON_H

#include "utils/jsonb.h"

#include "table/values.h"

/* The columns that an object names; their values are not converted yet. */
extern ColumnValues *json_columns(const Target *target, Jsonb *object,
								  const char *argument);
/* Convert the values of what json_columns() made of the same object. */
extern void json_convert(const Target *target, Jsonb *object,
						 ColumnValues *columns);
/* The same for one of many objects, with memory to be reset for what is left. */
extern void json_convert_apart(const Target *target, Jsonb *object,
							   ColumnValues *columns, MemoryContext scratch);
/* A row of the table as a JSON object. */
extern Datum json_from_row(const Target *target, Datum row);

/* Report an error if JSON of any kind is a string that holds JSON. */
extern void json_check_encoded_once(Jsonb *json, const char *argument);
/* For ereport() where another kind of JSON is wanted: the detail says what it is. */
extern int json_errdetail_found(Jsonb *json);
/* The same of an element or field. */
extern int json_errdetail_found_value(JsonbValue *value);

#endif /* RACEFREE_JSON_H */
