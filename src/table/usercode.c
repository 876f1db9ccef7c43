/*-------------------------------------------------------------------------
 *
 * usercode.c
 *	  Whether code of the user's takes part when a row is inserted or updated.
 *
 * Such code can call racefree again, and create the row that the INSERT is
 * about to create, or change balances that a transfer has changed.  Where it
 * cannot take part, nothing has to be looked at afterwards.
 *
 * The answer goes by what the table's relcache entry holds, and by the
 * constraints of domains, so it lasts until these are invalidated.  In doubt it
 * is yes, which costs a look.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/sysattr.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "table/usercode.h"

/*
 * Can a value of the type be handled without code of the user's?  Those of
 * core's base types can.  A domain has checks, a composite, array or range can
 * be made of domains, and what is xml may come from a query.
 */
static bool
type_is_harmless(Oid type)
{
	if (type == CSTRINGOID || type == ANYENUMOID)
		return true;
	return type < FirstNormalObjectId && type != XMLOID &&
		   get_typtype(type) == TYPTYPE_BASE;
}

/* Is it a number, or a length of time? */
static bool
type_is_number(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
		case INTERVALOID:
			return true;
		default:
			return false;
	}
}

/* Does it look at nothing but NULLs, or at the bounds of what it is given? */
static bool
function_looks_at_form(Oid function)
{
	switch (function)
	{
		case F_NUM_NULLS:
		case F_NUM_NONNULLS:
		case F_CARDINALITY:
		case F_ARRAY_LENGTH:
		case F_ARRAY_NDIMS:
		case F_ARRAY_LOWER:
		case F_ARRAY_UPPER:
		case F_ISEMPTY_ANYRANGE:
			return true;
		default:
			return false;
	}
}

/*
 * A volatile function of core can run a statement that it is given as text, or
 * the expressions of an index that it is given by name.  One that takes nothing
 * but numbers, such as random(), cannot; nor can those of sequences.
 */
static bool
volatile_is_harmless(Form_pg_proc form)
{
	if (form->oid == F_NEXTVAL || form->oid == F_CURRVAL)
		return true;
	for (int i = 0; i < form->pronargs; i++)
	{
		if (!type_is_number(form->proargtypes.values[i]))
			return false;
	}
	return true;
}

/*
 * Can the function run code of the user's?  One of core that takes and gives
 * values of core's base types cannot, unless it has effects.
 */
static bool
function_is_user_code(Oid function, void *context)
{
	HeapTuple tuple;
	Form_pg_proc form;
	bool harmless;

	if (function >= FirstNormalObjectId || function_reads_any_type(function))
		return true;
	if (function_looks_at_form(function))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	harmless = type_is_harmless(form->prorettype);
	for (int i = 0; i < form->pronargs && harmless; i++)
		harmless = type_is_harmless(form->proargtypes.values[i]);
	if (form->provolatile == PROVOLATILE_VOLATILE)
		harmless = harmless && volatile_is_harmless(form);
	ReleaseSysCache(tuple);
	return !harmless;
}

/*
 * Can the expression run code of the user's?  It cannot if all its nodes are
 * known to do no more than to call functions, and these are harmless.
 */
static bool
expression_runs_user_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_Const:
		case T_Var:
		case T_CoerceToDomainValue:
		case T_FuncExpr:
		case T_NamedArgExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CollateExpr:
		case T_CoerceViaIO:
		case T_ArrayExpr:
		case T_ArrayCoerceExpr:
		case T_SQLValueFunction:
		case T_NextValueExpr:
			break;
		case T_MinMaxExpr:
			if (!type_is_harmless(exprType(node)))
				return true;
			break;
		default:
			return true;
	}
	return check_functions_in_node(node, function_is_user_code, context) ||
		   expression_tree_walker(node, expression_runs_user_code, context);
}

/*
 * Do the constraints of the type, if that is a domain?  The type cache lets go
 * of them with the memory that they were asked for in.
 */
static bool
domain_runs_user_code(Oid type)
{
	MemoryContext context;
	MemoryContext old;
	DomainConstraintRef domain;
	ListCell *lc;
	bool result = false;

	if (getBaseType(type) == type)
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext, "racefree domain",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	InitDomainConstraintRef(type, &domain, context, false);
	foreach(lc, domain.constraints)
	{
		DomainConstraintState *constraint = lfirst(lc);

		result |= expression_runs_user_code((Node *) constraint->check_expr,
											NULL);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}

/*
 * Does an INSERT or UPDATE, which is a TRIGGER_TYPE_*, fire triggers other than
 * those of constraints?
 */
bool
usercode_in_triggers(Relation rel, int16 event)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers;
		 i++)
	{
		Trigger *trigger = &rel->trigdesc->triggers[i];

		if ((trigger->tgtype & event) != 0 && !trigger->tgisinternal &&
			trigger->tgenabled != TRIGGER_DISABLED)
			return true;
	}
	return false;
}

/*
 * Does the column's DEFAULT, or the expression that generates it?  The column's
 * own domain is looked into elsewhere.
 */
static bool
default_runs_user_code(Relation rel, Form_pg_attribute att)
{
	Node *expression = build_column_default(rel, att->attnum);

	if (expression != NULL && IsA(expression, CoerceToDomain) &&
		((CoerceToDomain *) expression)->resulttype == att->atttypid)
		expression = (Node *) ((CoerceToDomain *) expression)->arg;
	return expression_runs_user_code(expression, NULL);
}

/* DEFAULTs if asked for, generated columns, and the checks of domains. */
static bool
columns_run_user_code(Relation rel, bool defaults)
{
	TupleDesc tupdesc = RelationGetDescr(rel);

	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attnum - 1);

		if (att->attisdropped)
			continue;
		if (domain_runs_user_code(att->atttypid) ||
			((defaults || att->attgenerated != '\0') &&
			 default_runs_user_code(rel, att)))
			return true;
	}
	return false;
}

static bool
checks_run_user_code(Relation rel)
{
	TupleConstr *constraints = RelationGetDescr(rel)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (expression_runs_user_code(stringToNode(constraints->check[i].ccbin),
									  NULL))
			return true;
	}
	return false;
}

/* Of a partition that is not locked, an index may be gone. */
static bool
indexes_run_user_code(Relation rel)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;
	bool result = false;

	foreach(lc, indexes)
	{
		Relation index = RelationIdGetRelation(lfirst_oid(lc));

		if (!RelationIsValid(index))
			continue;
		result |=
			expression_runs_user_code((Node *) RelationGetIndexExpressions(
										  index),
									  NULL) ||
			expression_runs_user_code((Node *) RelationGetIndexPredicate(index),
									  NULL);
		RelationClose(index);
	}
	list_free(indexes);
	return result;
}

/*
 * Does row-level security, for whomever it applies to?  The table must be
 * locked, since its policies are freed when they change.
 */
bool
usercode_in_policies(Relation rel)
{
	ListCell *lc;

	if (rel->rd_rsdesc == NULL)
		return false;
	foreach(lc, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(lc);

		if (expression_runs_user_code((Node *) policy->qual, NULL) ||
			expression_runs_user_code((Node *) policy->with_check_qual, NULL))
			return true;
	}
	return false;
}

/* By which expressions does a row go into a partition? */
static bool
routing_runs_user_code(Relation rel)
{
	PartitionKey key = RelationGetPartitionKey(rel);

	return key != NULL &&
		   expression_runs_user_code((Node *) key->partexprs, NULL);
}

/*
 * Can code of the user's run while a row is inserted into this table, or goes
 * through it on its way from the table above?  Row-level security is left out,
 * as is what is above and below.  The table need not be locked.
 */
bool
usercode_on_insert_here(Relation rel)
{
	return rel->rd_rules != NULL ||
		   usercode_in_triggers(rel, TRIGGER_TYPE_INSERT) ||
		   columns_run_user_code(rel, true) || checks_run_user_code(rel) ||
		   indexes_run_user_code(rel) || routing_runs_user_code(rel);
}

/*
 * Can code of the user's run while a row is inserted into this open table?  Of
 * a partitioned table the partitions may have such code, and may come later; to
 * know a partition's bounds, its ancestors would have to be locked.
 */
bool
usercode_on_insert(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		   rel->rd_rel->relispartition || usercode_on_insert_here(rel) ||
		   usercode_in_policies(rel);
}

/* The constraints of foreign keys that pass an UPDATE on. */
static List *
cascading_constraints(Relation rel)
{
	List *constraints = NIL;

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers;
		 i++)
	{
		Trigger *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgfoid == F_RI_FKEY_CASCADE_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_UPD)
			constraints = lappend_oid(constraints, trigger->tgconstraint);
	}
	return constraints;
}

/* Add the columns that the foreign key refers to. */
static Bitmapset *
add_referred_columns(Bitmapset *columns, Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool isnull;
	Datum keys;

	/* It may have been dropped a moment ago. */
	if (!HeapTupleIsValid(tuple))
		return columns;
	keys = SysCacheGetAttr(CONSTROID, tuple, Anum_pg_constraint_confkey,
						   &isnull);
	if (!isnull)
	{
		ArrayType *array = DatumGetArrayTypeP(keys);
		int16 *attnums = (int16 *) ARR_DATA_PTR(array);

		for (int i = 0; i < ARR_DIMS(array)[0]; i++)
			columns = bms_add_member(columns, attnums[i]);
	}
	ReleaseSysCache(tuple);
	return columns;
}

/*
 * The columns of which a foreign key, with ON UPDATE CASCADE and the like,
 * passes an UPDATE on to another table, which can have triggers.  The set is in
 * the current memory context.
 */
Bitmapset *
usercode_cascaded_columns(Relation rel)
{
	Bitmapset *columns = NULL;
	ListCell *lc;

	foreach(lc, cascading_constraints(rel))
		columns = add_referred_columns(columns, lfirst_oid(lc));
	return columns;
}

/*
 * Can code of the user's run while a row of this open table is updated?  Of
 * partitions, children and remote servers the same holds as for an INSERT.
 */
bool
usercode_on_update(Relation rel)
{
	return rel->rd_rel->relkind != RELKIND_RELATION ||
		   rel->rd_rel->relispartition || rel->rd_rel->relhassubclass ||
		   rel->rd_rules != NULL ||
		   usercode_in_triggers(rel, TRIGGER_TYPE_UPDATE) ||
		   columns_run_user_code(rel, false) || checks_run_user_code(rel) ||
		   indexes_run_user_code(rel) || usercode_in_policies(rel);
}
