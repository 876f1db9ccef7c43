/*-------------------------------------------------------------------------
 *
 * usercode.c
 *	  Whether code of the user's can run when a row is inserted or updated.
 *
 * Such code can call racefree again, and create the row that the INSERT is
 * about to create, or change balances that a transfer has changed.  If it
 * cannot run, the caller need not look at the rows again afterwards.
 *
 * The answer depends on the table's relcache entry and on the constraints of
 * domains, so it is good until these are invalidated.  In doubt it is true:
 * then the caller looks again, which costs a statement.
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
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "table/own_triggers.h"
#include "table/usercode.h"

/*
 * Return true if values of the type are handled without code of the user's, as
 * those of core's base types are.  A domain has checks, a composite type, array
 * or range can be made of domains, and xml may come from a query.
 */
static bool
usercode_not_in_type(Oid type)
{
	if (type == CSTRINGOID || type == ANYENUMOID)
		return true;
	return type < FirstNormalObjectId && type != XMLOID &&
		   get_typtype(type) == TYPTYPE_BASE;
}

/* Return true for numbers and lengths of time. */
static bool
usercode_type_is_number(Oid type)
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

/*
 * Return true for functions that look at nothing but NULLs, or at the bounds of
 * their argument, and so are harmless for values of any type.
 */
static bool
usercode_looks_at_form(Oid function)
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
 * Return true if a volatile function of core runs no code of the user's.  Some
 * run a statement that they are given as text, or the expressions of an index
 * that they are given by name.  A function that takes nothing but numbers, such
 * as random(), cannot; nor can those of sequences.
 */
static bool
usercode_not_in_volatile(Form_pg_proc form)
{
	if (form->oid == F_NEXTVAL || form->oid == F_CURRVAL)
		return true;
	for (int i = 0; i < form->pronargs; i++)
	{
		if (!usercode_type_is_number(form->proargtypes.values[i]))
			return false;
	}
	return true;
}

/*
 * Return true if the function can run code of the user's.  A function of core
 * that takes and returns values of core's base types cannot, unless it has side
 * effects.  For check_functions_in_node().
 */
static bool
usercode_in_function(Oid function, void *context)
{
	HeapTuple tuple;
	Form_pg_proc form;
	bool harmless;

	/* Functions of extensions count as user code: nothing is known of them. */
	if (function >= FirstNormalObjectId || function_reads_any_type(function))
		return true;
	if (usercode_looks_at_form(function))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	/* A function of core that is gone cannot be told to be harmless. */
	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	harmless = usercode_not_in_type(form->prorettype);
	for (int i = 0; i < form->pronargs && harmless; i++)
		harmless = usercode_not_in_type(form->proargtypes.values[i]);
	if (form->provolatile == PROVOLATILE_VOLATILE)
		harmless = harmless && usercode_not_in_volatile(form);
	ReleaseSysCache(tuple);
	return !harmless;
}

/*
 * Return true if the expression can run code of the user's.  It cannot if all
 * its nodes are of a kind that does no more than to call functions, and these
 * are harmless.
 */
static bool
usercode_in_expression(Node *node, void *context)
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
			if (!usercode_not_in_type(exprType(node)))
				return true;
			break;
		default:
			return true;
	}
	return check_functions_in_node(node, usercode_in_function, context) ||
		   expression_tree_walker(node, usercode_in_expression, context);
}

/*
 * Return true if the constraints of the type, if it is a domain, can run code
 * of the user's.  The type cache holds the constraints until the memory context
 * is deleted that they were asked for in.
 */
static bool
usercode_in_domain(Oid type)
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

		result |= usercode_in_expression((Node *) constraint->check_expr, NULL);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}

/* Return true if the event fires the trigger, which is not of a constraint. */
static bool
usercode_is_fired(const Trigger *trigger, int16 event)
{
	return (trigger->tgtype & event) != 0 && !trigger->tgisinternal &&
		   trigger->tgenabled != TRIGGER_DISABLED;
}

/* Return true if one of the triggers, which are a copy, runs such code. */
static bool
usercode_in_fired_triggers(const TriggerDesc *triggers, int16 event)
{
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (usercode_is_fired(trigger, event) &&
			!own_triggers_is_harmless(trigger))
			return true;
	}
	return false;
}

/*
 * Return true if an INSERT or UPDATE, given as TRIGGER_TYPE_*, fires triggers
 * other than those of constraints, and than the guards that are our own.  To
 * look up their functions can free the relcache entry's triggers.
 */
bool
usercode_in_triggers(Relation rel, int16 event)
{
	const TriggerDesc *trigdesc = rel->trigdesc;
	TriggerDesc *triggers;
	bool fired = false;
	bool result;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
		fired |= usercode_is_fired(&trigdesc->triggers[i], event);
	if (!fired)
		return false;
	triggers = CopyTriggerDesc(rel->trigdesc);
	result = usercode_in_fired_triggers(triggers, event);
	FreeTriggerDesc(triggers);
	return result;
}

/*
 * Return true if the column's DEFAULT, or the expression that generates it, can
 * run code of the user's.  The caller looks at the column's own domain.
 */
static bool
usercode_in_default(Relation rel, Form_pg_attribute att)
{
	Node *expression = build_column_default(rel, att->attnum);

	/* The outermost coercion is to the column's own domain: see above. */
	if (expression != NULL && IsA(expression, CoerceToDomain) &&
		((CoerceToDomain *) expression)->resulttype == att->atttypid)
		expression = (Node *) ((CoerceToDomain *) expression)->arg;
	return usercode_in_expression(expression, NULL);
}

/*
 * Return true if the checks of domains, generated columns, or, if asked for,
 * DEFAULTs can run code of the user's.
 */
static bool
usercode_in_columns(Relation rel, bool defaults)
{
	TupleDesc tupdesc = RelationGetDescr(rel);

	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attnum - 1);

		if (att->attisdropped)
			continue;
		if (usercode_in_domain(att->atttypid) ||
			((defaults || att->attgenerated != '\0') &&
			 usercode_in_default(rel, att)))
			return true;
	}
	return false;
}

/* Return true if the table's CHECK constraints can run code of the user's. */
static bool
usercode_in_checks(Relation rel)
{
	TupleConstr *constraints = RelationGetDescr(rel)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (usercode_in_expression(stringToNode(constraints->check[i].ccbin),
								   NULL))
			return true;
	}
	return false;
}

/*
 * Return true if the expressions and predicates of indexes can run code of the
 * user's.  If the table is a partition that is not locked, an index may have
 * been dropped concurrently.
 */
static bool
usercode_in_indexes(Relation rel)
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
			usercode_in_expression((Node *) RelationGetIndexExpressions(index),
								   NULL) ||
			usercode_in_expression((Node *) RelationGetIndexPredicate(index),
								   NULL);
		RelationClose(index);
	}
	list_free(indexes);
	return result;
}

/*
 * Return true if the policies of row-level security can run code of the user's,
 * for whichever role.  The table must be locked: an invalidation frees policies
 * that have changed, and could come while they are looked at.
 */
bool
usercode_in_policies(Relation rel)
{
	ListCell *lc;

	Assert(CheckRelationLockedByMe(rel, AccessShareLock, true));
	if (rel->rd_rsdesc == NULL)
		return false;
	foreach(lc, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(lc);

		if (usercode_in_expression((Node *) policy->qual, NULL) ||
			usercode_in_expression((Node *) policy->with_check_qual, NULL))
			return true;
	}
	return false;
}

/*
 * Return true if the expressions of the partition key can run code of the
 * user's.
 */
static bool
usercode_in_routing(Relation rel)
{
	PartitionKey key = RelationGetPartitionKey(rel);

	return key != NULL && usercode_in_expression((Node *) key->partexprs, NULL);
}

/*
 * Return true if code of the user's can run while a row is inserted into this
 * table, or routed through it from the table above.  Row-level security, and
 * the tables above and below, are left out.  The table need not be locked.
 */
bool
usercode_on_insert_here(Relation rel)
{
	return rel->rd_rules != NULL ||
		   usercode_in_triggers(rel, TRIGGER_TYPE_INSERT) ||
		   usercode_in_columns(rel, true) || usercode_in_checks(rel) ||
		   usercode_in_indexes(rel) || usercode_in_routing(rel);
}

/*
 * Return true if code of the user's can run while a row is inserted into this
 * open table.  A partitioned table's partitions may have such code, and may be
 * created concurrently.  A partition has bounds, which can be expressions of
 * its ancestors' keys; these would have to be locked to be looked at.
 */
bool
usercode_on_insert(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		   rel->rd_rel->relispartition || usercode_on_insert_here(rel) ||
		   usercode_in_policies(rel);
}

/* The OIDs of the foreign keys that pass an UPDATE of this table on. */
static List *
usercode_cascading_constraints(Relation rel)
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

/* Add the columns of this table that the foreign key refers to. */
static Bitmapset *
usercode_add_referred_columns(Bitmapset *columns, Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool isnull;
	Datum keys;

	/* The foreign key may have been dropped concurrently. */
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

	foreach(lc, usercode_cascading_constraints(rel))
		columns = usercode_add_referred_columns(columns, lfirst_oid(lc));
	return columns;
}

/*
 * Return true if code of the user's can run while a row of this open table is
 * updated.  For partitions, children and remote servers, the same holds as for
 * an INSERT.
 */
bool
usercode_on_update(Relation rel)
{
	return rel->rd_rel->relkind != RELKIND_RELATION ||
		   rel->rd_rel->relispartition || rel->rd_rel->relhassubclass ||
		   rel->rd_rules != NULL ||
		   usercode_in_triggers(rel, TRIGGER_TYPE_UPDATE) ||
		   usercode_in_columns(rel, false) || usercode_in_checks(rel) ||
		   usercode_in_indexes(rel) || usercode_in_policies(rel);
}
