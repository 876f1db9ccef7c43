/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  The pieces that the text of a statement is put together from.
 *
 * All names are quoted and schema-qualified, all operators qualified, all
 * values parameters: a statement means the same under any search_path.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_operator.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "run/sql.h"
#include "table/columns.h"

/* ----------
 * The statement
 * ----------
 */

/* Begin the text of a statement with that many parameters at most. */
void
sql_begin(Statement *stmt, const Target *target, int max_params)
{
	stmt->target = target;
	stmt->nparams = 0;
	stmt->max_params = max_params;
	stmt->types = palloc(sizeof(Oid) * (max_params + 1));
	initStringInfo(&stmt->text);
}

/* Append text as it is. */
void
sql_append(Statement *stmt, const char *text)
{
	appendStringInfoString(&stmt->text, text);
}

/*
 * Declare the next parameter, and return its text: $1, $2 ...  It is of the
 * type's base type: the checks of a domain are made where a value is stored.
 */
const char *
sql_param(Statement *stmt, Oid type)
{
	Assert(stmt->nparams < stmt->max_params);
	stmt->types[stmt->nparams++] = getBaseType(type);
	return psprintf("$%d", stmt->nparams);
}

/* ----------
 * Names
 * ----------
 */

/* Append the table's name, qualified and quoted. */
void
sql_append_table(Statement *stmt)
{
	Relation rel = target_relation(stmt->target);
	char *schema = get_namespace_name(RelationGetNamespace(rel));

	sql_append(stmt, quote_qualified_identifier(schema,
												RelationGetRelationName(rel)));
}

/* A column's name, quoted. */
const char *
sql_column(const Statement *stmt, AttrNumber attnum)
{
	Assert(AttributeNumberIsValid(attnum));
	return quote_identifier(
		NameStr(target_column(stmt->target, attnum)->attname));
}

/* Append a column to a list. */
static void
sql_append_column(Statement *stmt, AttrNumber attnum, const char *prefix,
				  bool first)
{
	appendStringInfo(&stmt->text, "%s%s%s", first ? "" : ", ", prefix,
					 sql_column(stmt, attnum));
}

/*
 * Append the name of a function of this extension, qualified and quoted.  When
 * the extension is moved to another schema, plans that call its functions become
 * invalid.
 */
void
sql_append_function(Statement *stmt, const char *name)
{
	Relation rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	char *schema;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("racefree"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "could not find extension \"racefree\"");
	schema = get_namespace_name(
		((Form_pg_extension) GETSTRUCT(tuple))->extnamespace);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	sql_append(stmt, quote_qualified_identifier(schema, name));
}

/*
 * Append columns, each with the prefix, or all live ones, in order.  If there
 * is none, append NULL, since RETURNING must name something.
 */
void
sql_append_columns(Statement *stmt, const ColumnValues *columns,
				   const char *prefix)
{
	int natts = RelationGetNumberOfAttributes(target_relation(stmt->target));
	int n = 0;

	for (int i = 0; columns != NULL && i < columns->ncolumns; i++)
		sql_append_column(stmt, columns->attnums[i], prefix, n++ == 0);
	for (AttrNumber attnum = 1; columns == NULL && attnum <= natts; attnum++)
	{
		if (!target_column(stmt->target, attnum)->attisdropped)
			sql_append_column(stmt, attnum, prefix, n++ == 0);
	}
	if (n == 0)
		sql_append(stmt, "NULL");
}

/* ----------
 * Expressions
 * ----------
 */

/* Append COLLATE "schema"."collation", if the column has one. */
static void
sql_append_collation(Statement *stmt, AttrNumber attnum)
{
	Oid collation = target_column(stmt->target, attnum)->attcollation;

	if (OidIsValid(collation))
		appendStringInfo(&stmt->text, " COLLATE %s",
						 columns_collation_name(collation));
}

/* Append OPERATOR(schema.=). */
static void
sql_append_operator(Statement *stmt, Oid operator)
{
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(&stmt->text, "OPERATOR(%s.%s)",
					 quote_identifier(get_namespace_name(form->oprnamespace)),
					 NameStr(form->oprname));
	ReleaseSysCache(tuple);
}

/*
 * A column or value of a column's type, as an operand of an operator that takes
 * any array, enum or range.  Cast a domain to its base type: the parser does not
 * look behind a domain there.
 */
static const char *
sql_polymorphic_operand(Statement *stmt, AttrNumber attnum, const char *operand)
{
	Oid type = target_column(stmt->target, attnum)->atttypid;
	Oid base = getBaseType(type);

	if (type == base)
		return operand;
	/* Not character[], which would be read as character(1)[]. */
	return psprintf("%s::%s", operand,
					format_type_extended(base, -1,
										 FORMAT_TYPE_TYPEMOD_GIVEN |
											 FORMAT_TYPE_FORCE_QUALIFY));
}

/* Return true if the operator takes arrays, enums or ranges of any type. */
static bool
sql_is_polymorphic(Oid operator)
{
	Oid left;
	Oid right;

	op_input_types(operator, & left, &right);
	return IsPolymorphicType(left);
}

/*
 * column OPERATOR(schema.=) value COLLATE "schema"."collation"
 *
 * The value is of the column's type, or of its base type.
 */
void
sql_append_equality(Statement *stmt, AttrNumber attnum, const char *column,
					const char *value, Oid value_type)
{
	Oid eq_opr = columns_type(stmt->target, attnum, 0)->eq_opr;

	if (sql_is_polymorphic(eq_opr))
	{
		appendStringInfo(&stmt->text, "%s ",
						 sql_polymorphic_operand(stmt, attnum, column));
		sql_append_operator(stmt, eq_opr);
		appendStringInfo(&stmt->text, " %s",
						 sql_polymorphic_operand(stmt, attnum, value));
	}
	else
		generate_operator_clause(&stmt->text, column,
								 target_column(stmt->target, attnum)->atttypid,
								 eq_opr, value, value_type);
	sql_append_collation(stmt, attnum);
}

/*
 * column OPERATOR(schema.=) ANY (array COLLATE "schema"."collation")
 *
 * The array's elements are of the column's base type.
 */
void
sql_append_any(Statement *stmt, AttrNumber attnum, const char *column,
			   const char *array)
{
	Oid eq_opr = columns_type(stmt->target, attnum, 0)->eq_opr;

	if (sql_is_polymorphic(eq_opr))
		column = sql_polymorphic_operand(stmt, attnum, column);
	appendStringInfo(&stmt->text, "%s ", column);
	sql_append_operator(stmt, eq_opr);
	appendStringInfo(&stmt->text, " ANY (%s", array);
	sql_append_collation(stmt, attnum);
	sql_append(stmt, ")");
}

/*
 * (column = value) IS TRUE, where the type's hash does not agree with its
 * equality; column = value otherwise.
 *
 * A hash join would miss rows that are equal and have other hashes, and so
 * would the choice of a partition by hash.  The planner uses neither for
 * IS TRUE.
 */
void
sql_append_sure_equality(Statement *stmt, AttrNumber attnum, const char *column,
						 const char *value, Oid value_type)
{
	bool misleads = columns_hash_misleads(stmt->target, attnum);

	if (misleads)
		appendStringInfoChar(&stmt->text, '(');
	sql_append_equality(stmt, attnum, column, value, value_type);
	if (misleads)
		sql_append(stmt, ") IS TRUE");
}

/*
 * value IS NOT DISTINCT FROM NULL
 *
 * For a composite type, IS NULL would also find a row of NULLs, which is
 * another value.
 */
void
sql_append_is_null(Statement *stmt, const char *value)
{
	appendStringInfo(&stmt->text, "%s IS NOT DISTINCT FROM NULL", value);
}

/* prefix.column COLLATE "schema"."collation" USING OPERATOR(schema.<) */
void
sql_append_order(Statement *stmt, AttrNumber attnum, const char *prefix)
{
	TypeCacheEntry *type = columns_type(stmt->target, attnum, TYPECACHE_LT_OPR);
	const char *column = psprintf("%s%s", prefix, sql_column(stmt, attnum));

	if (sql_is_polymorphic(type->lt_opr))
		column = sql_polymorphic_operand(stmt, attnum, column);
	sql_append(stmt, column);
	sql_append_collation(stmt, attnum);
	sql_append(stmt, " USING ");
	sql_append_operator(stmt, type->lt_opr);
}
