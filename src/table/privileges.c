/*-------------------------------------------------------------------------
 *
 * privileges.c
 *	  What the current user may do with a table.
 *
 * Statements check the privileges that they need when they run.  What is
 * checked here comes before: a role that may not run the statement must not be
 * able to hold up others by a lock, or to use up a sequence.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "miscadmin.h"

#include "table/privileges.h"

/* Report that the current user lacks a privilege on the table, as core does. */
static void
privileges_error(const Target *target)
{
	Relation rel = target_relation(target);

	aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(rel->rd_rel->relkind),
				   RelationGetRelationName(rel));
}

/*
 * Return true if the current user holds one privilege on the table: SELECT on
 * all columns, others on one at least, as the statements of ours that use them
 * need it.
 */
static bool
privileges_are_held(const Target *target, AclMode one)
{
	Oid relid = RelationGetRelid(target_relation(target));
	AclMaskHow how = one == ACL_SELECT ? ACLMASK_ALL : ACLMASK_ANY;

	return pg_class_aclcheck(relid, GetUserId(), one) == ACLCHECK_OK ||
		   pg_attribute_aclcheck_all(relid, GetUserId(), one, how) ==
			   ACLCHECK_OK;
}

/* Check that the current user holds these privileges on the table. */
void
privileges_check(const Target *target, AclMode mode)
{
	/* One by one, since a mask would be satisfied by any of them. */
	for (AclMode one = 1; one <= mode; one <<= 1)
	{
		if ((mode & one) != 0 && !privileges_are_held(target, one))
			privileges_error(target);
	}
}

/* Return true if the current user may UPDATE a column of the table at least. */
bool
privileges_may_update(const Target *target)
{
	return privileges_are_held(target, ACL_UPDATE);
}

/*
 * Return true if the current user has the privilege on each of these columns,
 * or on the whole table.
 */
static bool
privileges_on_columns(const Target *target, AclMode mode,
					  const AttrNumber *attnums, int n)
{
	Oid relid = RelationGetRelid(target_relation(target));

	if (pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK)
		return true;
	Assert(n >= 0);
	for (int i = 0; i < n; i++)
	{
		if (pg_attribute_aclcheck(relid, attnums[i], GetUserId(), mode) !=
			ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * Check that the current user may INSERT into these columns, given as two
 * lists, as core checks it when the INSERT runs.  Before the INSERT, the caller
 * locks keys and evaluates DEFAULTs, which a role that may only read must not
 * cause: it would hold up other sessions and use up sequences.
 */
void
privileges_check_insert(const Target *target, const AttrNumber *key, int nkey,
						const AttrNumber *data, int ndata)
{
	/* An INSERT of DEFAULT VALUES names no column. */
	if (nkey + ndata == 0)
		privileges_check(target, ACL_INSERT);
	else if (!privileges_on_columns(target, ACL_INSERT, key, nkey) ||
			 !privileges_on_columns(target, ACL_INSERT, data, ndata))
		privileges_error(target);
}

/* Check that the current user may SELECT these columns. */
void
privileges_check_select(const Target *target, int ncolumns,
						const AttrNumber *columns)
{
	if (!privileges_on_columns(target, ACL_SELECT, columns, ncolumns))
		privileges_error(target);
}

/*
 * Return true if the current user may SELECT from the table as a whole: what is
 * granted on columns does not include system columns.
 */
bool
privileges_may_select_all(const Target *target)
{
	return pg_class_aclcheck(RelationGetRelid(target_relation(target)),
							 GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* Check that the transaction may write to the table, as core does. */
void
privileges_check_writable(const Target *target, const char *command)
{
	/* A read-only transaction may write to its session's temporary tables. */
	if (!target_relation(target)->rd_islocaltemp)
		PreventCommandIfReadOnly(command);
}
