/*-------------------------------------------------------------------------
 *
 * writes.c
 *	  What racefree is writing just now, for the guards that let nothing else
 *	  pass.
 *
 * The balances and entries of a guarded journal are written by racefree only.
 * A trigger that is fired after each row was written decides by what is said
 * here: the engine says, around the one statement that writes, which rows it
 * expects, and the guard compares the row that is stored with that.  SQL has no
 * access to it.
 *
 * User code can run during that statement: other triggers, checks of domains,
 * policies.  It gains nothing:
 *
 *	- A row counts only if it was written by the expected command.  Each row
 *	  version carries the number of the command that wrote it.  PostgreSQL gives
 *	  our statement a number of its own, and every statement that runs within
 *	  it, in whatever subtransaction, a higher one.  So a nested statement is
 *	  refused even if it writes the expected values.
 *	- It counts only in the tables that we have named, or below them: a rule can
 *	  make of our statement one about another table, with the same number.
 *	- What is compared is the row version that our statement has stored, whatever
 *	  BEFORE triggers made of it.  It cannot be changed afterwards without
 *	  another UPDATE, which the guard sees, too.
 *	- Each expected row counts once.  It is known by its place, so that several
 *	  guards of one table can ask for it.
 *	- Nested calls of racefree say what they write themselves, and then what was
 *	  expected before is expected again.  An error ends the expectation of every
 *	  call that it ends, by PG_FINALLY, before a handler of the user's runs.
 *
 * Where a rule puts another statement in front of ours, ours does not have the
 * expected number, and is refused.  Rows of foreign tables, and of access
 * methods whose rows do not say which command wrote them, are refused, too.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "utils/lsyscache.h"

#include "ledger/writes.h"
#include "run/run.h"

/* The statement that runs, or NULL. */
static const Writes *writes_now = NULL;

/*
 * Begin to expect what the next verb writes.  WRITES_EXPECT() calls
 * writes_end() in a PG_FINALLY block, and runs no other verb before.
 */
void
writes_begin(Writes *writes, const Target *table, WritesExpected expected,
			 void *arg)
{
	writes->outer = unconstify(Writes *, writes_now);
	writes->table = table;
	/* The number is unused, so SPI gives it to the statement that comes. */
	writes->command = run_next_command();
	writes->expected = expected;
	writes->arg = arg;
	writes_now = writes;
}

/* End it, and expect what was expected before. */
void
writes_end(const Writes *writes)
{
	Assert(writes_now == writes);
	writes_now = writes->outer;
}

/* The row version that the write has made, or deleted. */
static HeapTuple
writes_version(const WrittenRow *row)
{
	return row->after != NULL ? row->after : row->before;
}

/* Count the row as the expected one; false if another row was it. */
bool
writes_count(WrittenOnce *once, const WrittenRow *row)
{
	Oid relid = RelationGetRelid(row->rel);
	ItemPointer place = &writes_version(row)->t_self;

	if (!OidIsValid(once->relid))
	{
		once->relid = relid;
		once->place = *place;
	}
	return once->relid == relid && ItemPointerEquals(&once->place, place);
}

/*
 * The number that a column of the table has where the row is.  Partitions and
 * children can have the columns in another order.
 */
static AttrNumber
writes_attnum(const Target *table, const WrittenRow *row, AttrNumber attnum)
{
	Oid relid = RelationGetRelid(row->rel);

	if (relid == RelationGetRelid(target_relation(table)))
		return attnum;
	attnum = get_attnum(relid, NameStr(target_column(table, attnum)->attname));
	if (attnum <= 0)
		elog(ERROR, "table with OID %u lacks a column of its parent", relid);
	return attnum;
}

/* A column of one version of the row, by its number in the table. */
Datum
writes_column(const Target *table, const WrittenRow *row, HeapTuple version,
			  AttrNumber attnum, bool *isnull)
{
	return heap_getattr(version, writes_attnum(table, row, attnum),
						RelationGetDescr(row->rel), isnull);
}

/* Return true if that column of the table is the guarded one that changed. */
bool
writes_is_column(const Target *table, const WrittenRow *row, AttrNumber attnum)
{
	return writes_attnum(table, row, attnum) == row->column;
}

/* Return true if the command wrote the row version, or deleted it. */
static bool
writes_wrote(CommandId command, const WrittenRow *row)
{
	HeapTupleHeader header = writes_version(row)->t_data;

	/* Only rows of heaps say which command wrote them. */
	if (row->rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return false;
	if (row->after == NULL)
		return TransactionIdIsCurrentTransactionId(
				   HeapTupleHeaderGetUpdateXid(header)) &&
			   HeapTupleHeaderGetCmax(header) == command;
	return TransactionIdIsCurrentTransactionId(
			   HeapTupleHeaderGetXmin(header)) &&
		   HeapTupleHeaderGetCmin(header) == command;
}

/* Tell whether racefree is writing the row just now. */
WrittenBy
writes_judge(const WrittenRow *row)
{
	const Writes *now = writes_now;
	Oid relid = RelationGetRelid(row->rel);

	if (now == NULL || !writes_wrote(now->command, row))
		return WRITTEN_BY_OTHERS;
	if (relid != RelationGetRelid(target_relation(now->table)) &&
		!list_member_oid(target_tree(now->table), relid))
		return WRITTEN_BY_OTHERS;
	return now->expected(row, now->arg) ? WRITTEN_BY_US : WRITTEN_OVER;
}
