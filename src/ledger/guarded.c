/*-------------------------------------------------------------------------
 *
 * guarded.c
 *	  Guarded journals: balances and entries that only racefree writes.
 *
 * CREATE TRIGGER balance_guard AFTER INSERT OR UPDATE OR DELETE
 *		ON schema.accounts FOR EACH ROW EXECUTE FUNCTION schema.balance_guard(
 *			'journal=schema.journal', 'id_column=id', 'columns=balance')
 * CREATE TRIGGER balance_guard_truncate BEFORE TRUNCATE ON schema.accounts
 *		FOR EACH STATEMENT EXECUTE FUNCTION schema.balance_guard()
 * CREATE TRIGGER entry_guard AFTER INSERT ON schema.journal
 *		FOR EACH ROW EXECUTE FUNCTION schema.entry_guard()
 * CREATE TRIGGER hold_guard AFTER INSERT OR UPDATE OR DELETE
 *		ON schema.journal_holds FOR EACH ROW
 *		EXECUTE FUNCTION schema.hold_guard()
 * CREATE TRIGGER hold_guard_truncate BEFORE TRUNCATE ON schema.journal_holds
 *		FOR EACH STATEMENT EXECUTE FUNCTION schema.hold_guard()
 *
 * The rows are looked at after they were written, since only then it is known
 * what is in them, whatever BEFORE triggers did.  What racefree writes just now
 * is in writes.c; all else must leave the columns of an account as they are, and
 * its id where one of them is not zero.  Accounts come and go with zeros.
 *
 * A transfer of guarded balances must be booked in a journal that guards them:
 * otherwise a call without the journal would not be bound by its rules.
 *
 * The journal is named in the arguments, as its accounts are in those of its own
 * guard, so that pg_dump dumps it.  When it is dropped, or renamed, its guard of
 * the accounts stays and refuses, until the accounts' owner decides: whoever
 * owns only the journal cannot open the accounts.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "ledger/guarded.h"
#include "ledger/guarded_arguments.h"
#include "ledger/writes.h"

/* ----------
 * For transfers
 * ----------
 */

/* The address by which the table's entry knows what is kept. */
static const char guarded_owner[] = "balance guards";

/* The guards of the accounts' rows that are enabled, as BalanceGuards. */
static List *
read_balance_guards(Relation rel)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	List *guards = NIL;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];
		BalanceGuard *guard;

		if (!guarded_arguments_is_guard(trigger) ||
			trigger->tgenabled == TRIGGER_DISABLED)
			continue;
		guard = palloc(sizeof(BalanceGuard));
		guarded_arguments_read(trigger, rel, guard);
		guards = lappend(guards, guard);
	}
	FreeTriggerDesc(triggers);
	return guards;
}

/* The same, read once for each state of the table. */
static List *
get_balance_guards(const Target *accounts)
{
	MemoryContext context;
	void **kept = target_keep(accounts, guarded_owner, &context);

	if (*kept == NULL)
	{
		/* What an error leaves behind goes with the table's entry. */
		MemoryContext old = MemoryContextSwitchTo(context);

		*kept = read_balance_guards(target_relation(accounts));
		MemoryContextSwitchTo(old);
	}
	return *kept;
}

/* A hint: which journal to name, or what to do if it is not there. */
static int
hint_journal(const BalanceGuard *guard)
{
	if (OidIsValid(guarded_arguments_journal(guard)))
		return errhint("Use transfer() and the like, with this journal.");
	return errhint("There is no such journal. If it was renamed, call "
				   "alter_journal() for it with '{\"guarded\": true}'. If it "
				   "was dropped, the owner of the table can drop the trigger "
				   "\"%s\", too.",
				   guard->trigger);
}

/*
 * Return true if the journal may guard the accounts.  The arguments name it, and
 * whoever may create tables in its schema could create another one of that name
 * after it was dropped, with no rules.  So it must belong to a role that could as
 * well take the guard away.
 */
static bool
is_trusted(Relation journal, Relation accounts)
{
	return has_privs_of_role(journal->rd_rel->relowner,
							 accounts->rd_rel->relowner);
}

/* Report that the journal, which the guard names, is another role's. */
pg_noreturn static void
error_not_trusted(Relation journal, Relation accounts)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" cannot guard balances of table \"%s\"",
					RelationGetRelationName(journal),
					RelationGetRelationName(accounts)),
			 errdetail("Its owner does not have the privileges of the table's "
					   "owner."),
			 errhint("Let both belong to one role.")));
}

/* Report that a transfer of guarded balances must be booked in the journal. */
pg_noreturn static void
error_needs_guarding_journal(Relation accounts, const BalanceGuard *guard)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("balances of table \"%s\" change with entries of a journal "
					"that guards them only",
					RelationGetRelationName(accounts)),
			 errdetail("They are guarded by journal %s.",
					   quote_qualified_identifier(guard->schema,
												  guard->journal)),
			 hint_journal(guard)));
}

/*
 * Report an error if the guard knows of held amounts that the journal does not
 * know: it would let them be spent.
 */
static void
check_knows_held(const Accounts *accounts, const Journal *journal,
				 const BalanceGuard *guard)
{
	ListCell *lc;

	foreach(lc, guard->columns)
	{
		Relation rel = target_relation(accounts->table);
		AttrNumber attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));

		if (journal == NULL || attnum == accounts->balance.attnum ||
			(accounts->has_held && attnum == accounts->held.attnum))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal \"%s\" does not know what is held in column "
						"\"%s\" of table \"%s\"",
						journal_table_name(journal), (char *) lfirst(lc),
						RelationGetRelationName(rel)),
				 errdetail("Journal %s guards it.",
						   quote_qualified_identifier(guard->schema,
													  guard->journal)),
				 errhint("Use that journal.")));
	}
}

/*
 * Report an error unless the table of holds, if there is one, is guarded as the
 * balances are: whoever makes a hold of his own could post it.
 */
static void
check_holds_are_guarded(const Target *accounts, const Journal *journal,
						const Holds *holds)
{
	Relation rel;

	if (holds == NULL)
		return;
	rel = target_relation(holds->table);
	if (!target_fires(holds->table, OWN_HOLD_GUARD))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\", which has the holds of journal \"%s\", "
						"is not guarded",
						RelationGetRelationName(rel),
						journal_table_name(journal)),
				 errhint("Call alter_journal() for the journal with "
						 "'{\"guarded\": true}'.")));
	if (!is_trusted(rel, target_relation(accounts)))
		error_not_trusted(rel, target_relation(accounts));
}

/*
 * Return true if the balances are guarded.  Then the journal, which may be
 * NULL, must be one that guards them, and its holds, which may be NULL, too,
 * must be guarded.  The tables are locked, so that their triggers stay what they
 * are.
 */
bool
guarded_check(const Accounts *accounts, const Journal *journal,
			  const Holds *holds)
{
	const char *balance = NameStr(
		target_column(accounts->table, accounts->balance.attnum)->attname);
	Relation rel = target_relation(accounts->table);
	const BalanceGuard *first = NULL;
	ListCell *lc;

	if (!target_fires(accounts->table, OWN_BALANCE_GUARD))
		return false;
	foreach(lc, get_balance_guards(accounts->table))
	{
		const BalanceGuard *guard = lfirst(lc);

		if (!guarded_arguments_has_name(guard->columns, balance))
			continue;
		check_knows_held(accounts, journal, guard);
		if (journal != NULL &&
			guarded_arguments_names_journal(guard,
											target_relation(journal->table)))
		{
			if (!is_trusted(target_relation(journal->table), rel))
				error_not_trusted(target_relation(journal->table), rel);
			check_holds_are_guarded(accounts->table, journal, holds);
			return true;
		}
		if (first == NULL)
			first = guard;
	}
	if (first != NULL)
		error_needs_guarding_journal(rel, first);
	return false;
}

/* Return true if the entries are guarded. */
bool
guarded_entries(const Journal *journal)
{
	return target_fires(journal->table, OWN_ENTRY_GUARD);
}

/* Report that something else was stored than racefree has written. */
pg_noreturn static void
error_written_over(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("a row of table \"%s\" was not stored as racefree has "
					"written it",
					RelationGetRelationName(rel)),
			 errhint("A trigger on the table, or the type of a column, seems "
					 "to change it."),
			 errtable(rel)));
}

/* ----------
 * The guard of balances
 * ----------
 */

/* A guard of balances, and where its columns are in the table. */
typedef struct FiredGuard
{
	BalanceGuard guard;
	AttrNumber id;
	int ncolumns;
	AttrNumber *columns;
} FiredGuard;

/* Report that a column which the guard names is not there. */
pg_noreturn static void
error_guarded_column(const BalanceGuard *guard, Relation rel, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("trigger \"%s\" guards column \"%s\", which table \"%s\" "
					"does not have",
					guard->trigger, name, RelationGetRelationName(rel)),
			 errhint("If the column was renamed, let the guard of journal %s "
					 "name it, and call alter_journal() for that journal with "
					 "'{\"guarded\": true}'.",
					 quote_qualified_identifier(guard->schema,
												guard->journal))));
}

/* A column that the guard names. */
static AttrNumber
guarded_column(const BalanceGuard *guard, Relation rel, const char *name)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), name);

	if (attnum <= 0)
		error_guarded_column(guard, rel, name);
	return attnum;
}

/* The guard that was fired; read once for each statement that fires it. */
static const FiredGuard *
get_fired_guard(const TriggerData *trigger, FmgrInfo *flinfo)
{
	MemoryContext old;
	FiredGuard *fired = flinfo->fn_extra;
	Relation rel = trigger->tg_relation;
	ListCell *lc;

	if (fired != NULL)
		return fired;
	old = MemoryContextSwitchTo(flinfo->fn_mcxt);
	fired = palloc0(sizeof(FiredGuard));
	guarded_arguments_read(trigger->tg_trigger, rel, &fired->guard);
	fired->id = guarded_column(&fired->guard, rel, fired->guard.id_column);
	fired->columns = palloc(sizeof(AttrNumber) *
							list_length(fired->guard.columns));
	foreach(lc, fired->guard.columns)
		fired->columns[fired->ncolumns++] = guarded_column(&fired->guard, rel,
														   lfirst(lc));
	MemoryContextSwitchTo(old);
	flinfo->fn_extra = fired;
	return fired;
}

/* Report that a row must not be written like that. */
pg_noreturn static void
error_guarded_balance(const FiredGuard *fired, Relation rel,
					  const char *message, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg(message, column, RelationGetRelationName(rel)),
			 errdetail("It is guarded by journal %s.",
					   quote_qualified_identifier(fired->guard.schema,
												  fired->guard.journal)),
			 hint_journal(&fired->guard),
			 errtable(rel)));
}

/* Return true if the row has a zero in the column, which holds money. */
static bool
is_zero(Relation rel, HeapTuple row, AttrNumber attnum)
{
	TupleDesc desc = RelationGetDescr(rel);
	Oid type = getBaseType(TupleDescAttr(desc, attnum - 1)->atttypid);
	bool isnull;
	Datum value = heap_getattr(row, attnum, desc, &isnull);

	return !isnull && money_is_type(type) &&
		   money_compare(money_read(type, value), int64_to_numeric(0)) == 0;
}

/* Return true if both rows have the same in the column, bit by bit. */
static bool
is_same(Relation rel, HeapTuple a, HeapTuple b, AttrNumber attnum)
{
	TupleDesc desc = RelationGetDescr(rel);
	Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
	bool null_a;
	bool null_b;
	Datum value_a = heap_getattr(a, attnum, desc, &null_a);
	Datum value_b = heap_getattr(b, attnum, desc, &null_b);

	if (null_a || null_b)
		return null_a && null_b;
	return datum_image_eq(value_a, value_b, att->attbyval, att->attlen);
}

/* The first guarded column of a row that is not zero; invalid if all are. */
static AttrNumber
find_money(const FiredGuard *fired, Relation rel, HeapTuple row)
{
	for (int i = 0; i < fired->ncolumns; i++)
	{
		if (!is_zero(rel, row, fired->columns[i]))
			return fired->columns[i];
	}
	return InvalidAttrNumber;
}

/* The column's name. */
static const char *
column_name(Relation rel, AttrNumber attnum)
{
	return NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
}

/* Check a row that was inserted or deleted: it must be empty. */
static void
check_empty(const FiredGuard *fired, Relation rel, HeapTuple row,
			const char *message)
{
	AttrNumber money = find_money(fired, rel, row);

	if (money != InvalidAttrNumber)
		error_guarded_balance(fired, rel, message, column_name(rel, money));
}

/* Check a column that was changed. */
static void
check_changed(const FiredGuard *fired, const WrittenRow *row)
{
	WrittenBy writer = writes_judge(row);

	if (writer == WRITTEN_OVER)
		error_written_over(row->rel);
	if (writer == WRITTEN_BY_OTHERS)
		error_guarded_balance(fired, row->rel,
							  gettext_noop("column \"%s\" of table \"%s\" "
										   "is changed by racefree only"),
							  column_name(row->rel, row->column));
}

/* Check a row that was updated. */
static void
check_updated(const FiredGuard *fired, Relation rel, HeapTuple before,
			  HeapTuple after)
{
	for (int i = 0; i < fired->ncolumns; i++)
	{
		WrittenRow row = {rel, before, after, fired->columns[i]};

		if (!is_same(rel, before, after, fired->columns[i]))
			check_changed(fired, &row);
	}
	/* The money of one account would become that of another. */
	if (!is_same(rel, before, after, fired->id) &&
		(find_money(fired, rel, before) != InvalidAttrNumber ||
		 find_money(fired, rel, after) != InvalidAttrNumber))
		error_guarded_balance(fired, rel,
							  gettext_noop("column \"%s\" of table \"%s\" can "
										   "be changed only while the balance "
										   "is zero"),
							  column_name(rel, fired->id));
}

/* Report that accounts cannot be truncated. */
pg_noreturn static void
error_guarded_truncate(Relation rel)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("table \"%s\" cannot be truncated: its balances are "
						   "guarded by a journal",
						   RelationGetRelationName(rel)),
					errhint("DELETE accounts whose balance is zero.")));
}

/* Report an error unless the account's row may be written like that. */
void
guarded_check_account(TriggerData *trigger, FmgrInfo *flinfo)
{
	Relation rel = trigger->tg_relation;
	const FiredGuard *fired;

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		error_guarded_truncate(rel);
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event))
		error_trigger_event(trigger->tg_trigger->tgname,
							"AFTER ... FOR EACH ROW, or BEFORE TRUNCATE");
	fired = get_fired_guard(trigger, flinfo);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		check_updated(fired, rel, trigger->tg_trigtuple, trigger->tg_newtuple);
	else if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		check_empty(fired, rel, trigger->tg_trigtuple,
					gettext_noop("an account must begin with zero in column "
								 "\"%s\" of table \"%s\""));
	else
		check_empty(fired, rel, trigger->tg_trigtuple,
					gettext_noop("an account can be deleted only with zero in "
								 "column \"%s\" of table \"%s\""));
}

/* ----------
 * The guard of entries
 * ----------
 */

/* Report an error unless racefree is writing the entry. */
void
guarded_check_entry(const TriggerData *trigger)
{
	WrittenRow row = {.rel = trigger->tg_relation,
					  .after = trigger->tg_trigtuple};
	WrittenBy writer;

	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		error_trigger_event(trigger->tg_trigger->tgname,
							"AFTER INSERT ... FOR EACH ROW");
	writer = writes_judge(&row);
	if (writer == WRITTEN_OVER)
		error_written_over(row.rel);
	if (writer == WRITTEN_BY_OTHERS)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("entries of journal \"%s\" are inserted by racefree "
						"only",
						RelationGetRelationName(row.rel)),
				 errhint("Use transfer() and the like."),
				 errtable(row.rel)));
}

/* ----------
 * The guard of open holds
 * ----------
 */

/* Report that a hold must not be written like that. */
pg_noreturn static void
error_guarded_hold(Relation rel)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("holds in table \"%s\" are changed by racefree only",
						   RelationGetRelationName(rel)),
					errhint("Use hold_transfer(), post_transfer() and "
							"void_transfer()."),
					errtable(rel)));
}

/* Report an error unless racefree is writing the hold. */
void
guarded_check_hold(const TriggerData *trigger)
{
	TriggerEvent event = trigger->tg_event;
	WrittenRow row = {.rel = trigger->tg_relation};
	WrittenBy writer;

	if (TRIGGER_FIRED_BY_TRUNCATE(event))
		error_guarded_hold(row.rel);
	if (!TRIGGER_FIRED_FOR_ROW(event) || !TRIGGER_FIRED_AFTER(event))
		error_trigger_event(trigger->tg_trigger->tgname,
							"AFTER ... FOR EACH ROW, or BEFORE TRUNCATE");
	if (TRIGGER_FIRED_BY_INSERT(event))
		row.after = trigger->tg_trigtuple;
	else
		row.before = trigger->tg_trigtuple;
	if (TRIGGER_FIRED_BY_UPDATE(event))
		row.after = trigger->tg_newtuple;
	writer = writes_judge(&row);
	if (writer == WRITTEN_OVER)
		error_written_over(row.rel);
	if (writer == WRITTEN_BY_OTHERS)
		error_guarded_hold(row.rel);
}
