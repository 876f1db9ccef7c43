/*-------------------------------------------------------------------------
 *
 * usercode.c
 *	  Whether code of the user's takes part when a row is inserted.
 *
 * Such code can call racefree again, and create the row that the INSERT is
 * about to create.  Where it cannot take part, nothing has to be looked at
 * after the INSERT.
 *
 * The answer goes by what the table's relcache entry holds, so it lasts until
 * that is invalidated.  In doubt it is yes, which costs a look.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "usercode.h"

/*
 * Can the function run code of the user's?  Those of core cannot, apart from
 * the few that run a statement or check a domain.  Neither can a function in C
 * that has no effects, such as an operator that an extension brings.
 */
static bool
function_is_user_code(Oid function, void *context)
{
	HeapTuple tuple;
	Form_pg_proc form;
	bool harmless;

	switch (function)
	{
		case F_QUERY_TO_XML:
		case F_QUERY_TO_XMLSCHEMA:
		case F_QUERY_TO_XML_AND_XMLSCHEMA:
		case F_CURSOR_TO_XML:
		case F_ARRAY_IN:
		case F_DOMAIN_IN:
		case F_RECORD_IN:
			return true;
		default:
			break;
	}
	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	harmless = form->prolang == ClanguageId &&
			   form->provolatile != PROVOLATILE_VOLATILE;
	ReleaseSysCache(tuple);
	return !harmless;
}

static bool
expression_runs_user_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	/* What is behind a domain or a query is not looked into. */
	if (IsA(node, CoerceToDomain) || IsA(node, SubLink) || IsA(node, Query) ||
		check_functions_in_node(node, function_is_user_code, context))
		return true;
	return expression_tree_walker(node, expression_runs_user_code, context);
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

/* DEFAULTs, generated columns, and the checks of domains. */
static bool
columns_run_user_code(Relation rel)
{
	TupleDesc tupdesc = RelationGetDescr(rel);

	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attnum - 1);

		if (att->attisdropped)
			continue;
		if (getBaseType(att->atttypid) != att->atttypid ||
			expression_runs_user_code(build_column_default(rel, attnum), NULL))
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

static bool
indexes_run_user_code(Relation rel)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;
	bool result = false;

	foreach(lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		result |=
			expression_runs_user_code((Node *) RelationGetIndexExpressions(
										  index),
									  NULL) ||
			expression_runs_user_code((Node *) RelationGetIndexPredicate(index),
									  NULL);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return result;
}

/* Row-level security, for whomever it applies to. */
static bool
policies_run_user_code(Relation rel)
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

/*
 * Can code of the user's run while a row is inserted into this open table?  Of
 * a partitioned table the partitions may have such code, and may come later; to
 * know a partition's bounds, its ancestors would have to be locked.
 */
bool
usercode_on_insert(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		   rel->rd_rel->relispartition || rel->rd_rules != NULL ||
		   usercode_in_triggers(rel, TRIGGER_TYPE_INSERT) ||
		   columns_run_user_code(rel) || checks_run_user_code(rel) ||
		   indexes_run_user_code(rel) || policies_run_user_code(rel);
}
