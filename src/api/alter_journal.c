/*-------------------------------------------------------------------------
 *
 * alter_journal.c
 *	  alter_journal(): change the rules of a journal.
 *
 * What the call allocates lives in the caller's memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "base/compat.h"
#include "ledger/beside.h"
#include "ledger/guarded.h"
#include "ledger/guarded_tree.h"
#include "ledger/holds.h"
#include "ledger/journal_rules.h"
#include "run/run.h"
#include "table/columns.h"
#include "table/json.h"

PG_FUNCTION_INFO_V1(alter_journal);

/* Arguments */
enum
{
	ARG_JOURNAL,
	ARG_RULES
};

/* The rules that an object gives. */
typedef struct GivenRules
{
	bool given[NUM_GUARD_KEYS];
	GuardRules rules; /* NULL for those that it takes away */
	bool begin;		  /* it is to be a guarded journal; a new guard, too */
	bool end;		  /* it is not to be one any more */
} GivenRules;

/* ----------
 * Reading the rules
 * ----------
 */

/* Report that a rule cannot have such a value. */
pg_noreturn static void
error_rule_value(GuardKey rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("rule \"%s\" must be %s or null", guard_key_name(rule),
					rule == GUARD_OPENING	   ? "a number"
					: rule == GUARD_MUST_MATCH ? "an array of names"
					: rule == GUARD_HOLDS	   ? "a name with its schema"
											   : "a name")));
}

/* A string of JSON, which does not end with a zero byte. */
static char *
json_string(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* The names that an array has, as the rule has them. */
static char *
read_match(const JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue element;
	List *names = NIL;

	if (value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
		error_rule_value(GUARD_MUST_MATCH);
	it = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		if (element.type != jbvString)
			error_rule_value(GUARD_MUST_MATCH);
		names = lappend(names, json_string(&element));
	}
	return guard_arguments_print_names(names);
}

/* A value, which is not null, as the rule has it. */
static char *
read_rule_value(GuardKey rule, const JsonbValue *value)
{
	if (rule == GUARD_MUST_MATCH)
		return read_match(value);
	if (rule == GUARD_OPENING)
	{
		if (value->type != jbvNumeric)
			error_rule_value(rule);
		return journal_rules_print_opening(value->val.numeric);
	}
	if (value->type != jbvString ||
		(rule == GUARD_HOLDS && !holds_is_name(json_string(value))))
		error_rule_value(rule);
	return json_string(value);
}

/* What there is besides the rules that the guard's arguments have. */
#define RULE_GUARDED NUM_GUARD_KEYS

/* The rule of that name, or RULE_GUARDED. */
static int
read_rule_name(const JsonbValue *name)
{
	const char *names[NUM_GUARD_KEYS - GUARD_FIRST_RULE + 1];

	for (int rule = GUARD_FIRST_RULE; rule < NUM_GUARD_KEYS; rule++)
		names[rule - GUARD_FIRST_RULE] = guard_key_name(rule);
	names[RULE_GUARDED - GUARD_FIRST_RULE] = "guarded";
	return GUARD_FIRST_RULE +
		   arguments_choose("rule", json_string(name), names, lengthof(names));
}

/* Read whether it is to be a guarded journal; null is no. */
static void
read_guarded(const JsonbValue *value, GivenRules *given)
{
	if (value->type != jbvBool && value->type != jbvNull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rule \"%s\" must be true, false or null", "guarded")));
	given->begin = value->type == jbvBool && value->val.boolean;
	given->end = !given->begin;
}

/* Read one of the rules that the object gives. */
static void
read_given_rule(int rule, const JsonbValue *value, GivenRules *given)
{
	if (rule == RULE_GUARDED)
	{
		read_guarded(value, given);
		return;
	}
	given->given[rule] = true;
	if (value->type != jbvNull)
		given->rules.values[rule] = read_rule_value(rule, value);
}

/* Read the rules that the object gives. */
static void
read_given_rules(Jsonb *object, GivenRules *given)
{
	JsonbIterator *it;
	JsonbValue name;
	JsonbValue value;

	memset(given, 0, sizeof(GivenRules));
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"%s\" must be a JSON object",
							   "rules"),
						json_errdetail_found(object)));
	it = JsonbIteratorInit(&object->root);
	(void) JsonbIteratorNext(&it, &name, false);
	while (JsonbIteratorNext(&it, &name, true) == WJB_KEY)
	{
		int rule = read_rule_name(&name);

		(void) JsonbIteratorNext(&it, &value, true);
		read_given_rule(rule, &value, given);
	}
}

/* ----------
 * alter_journal
 * ----------
 */

/* A role that may not must not be able to block others. */
static void
check_owner(Oid relid)
{
	if (!owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

/* Check the columns that are named, if the journal says of which table. */
static void
check_columns(const GivenRules *given, const Target *accounts,
			  const char *balance_column)
{
	AttrNumber balance = InvalidAttrNumber;

	if (balance_column != NULL)
		balance = get_attnum(RelationGetRelid(target_relation(accounts)),
							 balance_column);
	journal_rules_check(&given->rules, accounts, balance);
}

/* How the accounts are locked: the columns are looked at, or guarded. */
static LOCKMODE
accounts_lock(const GivenRules *given)
{
	if (given->end)
		return GUARDED_END_LOCK;
	return given->begin ? GUARDED_BEGIN_LOCK : AccessShareLock;
}

/*
 * Lock the accounts, and then the journal, as transfers do, and check the rules
 * that are given.
 */
static void
lock_and_check(const Journal *journal, const GivenRules *given)
{
	const char *balance_column;
	Oid relid = guard_accounts(journal->table, &balance_column);
	Target *accounts = NULL;

	if (OidIsValid(relid) && (given->begin || given->end))
		check_owner(relid);
	if (OidIsValid(relid))
		accounts = target_open_table(relid, accounts_lock(given));
	target_lock(journal->table, ShareRowExclusiveLock);
	if (guard_accounts(journal->table, &balance_column) != relid)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("journal \"%s\" was tied to other accounts "
						"concurrently",
						journal_table_name(journal)),
				 errhint("The transaction might succeed if retried.")));
	if (accounts == NULL)
		return;
	check_columns(given, accounts, balance_column);
	target_close(accounts);
}

/* The rules that there will be: those that are given, and the others as before. */
static void
merge_rules(const GuardRules *before, const GivenRules *given,
			GuardRules *rules)
{
	*rules = *before;
	for (int rule = GUARD_FIRST_RULE; rule < NUM_GUARD_KEYS; rule++)
	{
		if (given->given[rule])
			rules->values[rule] = given->rules.values[rule];
	}
}

/* Check that the column which has what is held is not one with limits, too. */
static void
check_held_is_no_limit(const GuardRules *rules)
{
	const char *held = rules->values[GUARD_HELD_COLUMN];

	for (int rule = GUARD_MIN_BALANCE_COLUMN; rule <= GUARD_CLOSED_COLUMN;
		 rule++)
	{
		if (held != NULL && rules->values[rule] != NULL &&
			strcmp(held, rules->values[rule]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("rules \"%s\" and \"%s\" cannot name the same column",
							guard_key_name(GUARD_HELD_COLUMN),
							guard_key_name(rule))));
	}
}

/*
 * Report an error if holds are open, which the rules would forget.  What is no
 * table of holds has none.
 */
static void
check_no_hold_is_open(const Journal *journal, const char *name)
{
	Oid relid = name == NULL ? InvalidOid : holds_table(name);
	Holds holds;
	bool any;

	if (!OidIsValid(relid) || !holds_has_columns(relid))
		return;
	holds_open(&holds, journal, name, journal->types[JOURNAL_FROM_ID],
			   AccessShareLock);
	any = holds_any(&holds);
	holds_close(&holds);
	if (any)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("journal \"%s\" has open holds",
						journal_table_name(journal)),
				 errdetail("They are rows of table %s.", name),
				 errhint("Post or void them first.")));
}

/* Check that the table which is named for the holds can have them. */
static void
check_holds_table(const Journal *journal, const char *name)
{
	Holds holds;

	if (!OidIsValid(holds_table(name)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table %s does not exist", name)));
	holds_open(&holds, journal, name, journal->types[JOURNAL_FROM_ID],
			   AccessShareLock);
	holds_close(&holds);
}

/*
 * Return true if the column which has what is held is to be another one, or none,
 * although it is there.  One that was renamed is not there by its name.
 */
static bool
forgets_held_column(const Journal *journal, const GuardRules *before,
					const GuardRules *rules)
{
	const char *old = before->values[GUARD_HELD_COLUMN];
	const char *new = rules->values[GUARD_HELD_COLUMN];
	const char *balance_column;
	Oid accounts;

	if (old == NULL || (new != NULL &&strcmp(old, new) == 0))
		return false;
	accounts = guard_accounts(journal->table, &balance_column);
	return !OidIsValid(accounts) || get_attnum(accounts, old) > 0;
}

/*
 * Let the rules name a table of holds if they name a column of held amounts.
 * Nobody can make a hold meanwhile, since the journal is locked.
 */
static void
choose_holds(const Journal *journal, const GuardRules *before,
			 const GivenRules *given, GuardRules *rules)
{
	Relation rel = target_relation(journal->table);
	const char *old = before->values[GUARD_HOLDS];
	const char *new = rules->values[GUARD_HOLDS];
	bool other = given->given[GUARD_HOLDS] &&
				 (old == NULL || new == NULL || strcmp(old, new) != 0);

	if (other || forgets_held_column(journal, before, rules))
		check_no_hold_is_open(journal, old);
	if (rules->values[GUARD_HELD_COLUMN] != NULL)
		beside_check_held(journal->table);
	if (given->given[GUARD_HOLDS] && new != NULL)
		check_holds_table(journal, new);
	if (rules->values[GUARD_HELD_COLUMN] != NULL && new == NULL)
		rules->values[GUARD_HOLDS] = holds_create(
			RelationGetNamespace(rel), RelationGetRelationName(rel),
			rel->rd_rel->relowner,
			rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED,
			columns_declared_type(journal->table,
								  journal->columns[JOURNAL_FROM_ID]));
}

/* The commands that change the rules that are given, and leave the others. */
static List *
make_commands(const Journal *journal, const GivenRules *given)
{
	GuardRules before;
	GuardRules rules;
	List *commands;

	guard_first_rules(journal->table, &before);
	merge_rules(&before, given, &rules);
	check_held_is_no_limit(&rules);
	choose_holds(journal, &before, given, &rules);
	commands = guard_rules_commands(journal->table, &rules);
	if (commands == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal \"%s\" has no guard",
						journal_table_name(journal)),
				 errdetail("The rules of a journal are kept with the trigger "
						   "that guards it."),
				 errhint("Call guard_journal() first.")));
	return commands;
}

/* Guard what the journal's rules name now, or end that. */
static void
change_guarded(Oid relid, const GivenRules *given, Oid caller)
{
	Journal journal;
	GuardedNames names;

	journal_open(&journal, relid, AccessShareLock);
	guarded_tree_names(journal.table, &names);
	journal_close(&journal);
	if (given->end)
		guarded_tree_end(&names);
	else
		guarded_tree_begin(&names, caller);
}

/* alter_journal(journal regclass, rules jsonb) RETURNS void */
Datum
alter_journal(PG_FUNCTION_ARGS)
{
	GivenRules given;
	Journal journal;
	List *commands;
	ListCell *lc;

	arguments_require(fcinfo, ARG_JOURNAL, "journal");
	arguments_require(fcinfo, ARG_RULES, "rules");
	read_given_rules(PG_GETARG_JSONB_P(ARG_RULES), &given);
	check_owner(PG_GETARG_OID(ARG_JOURNAL));

	/*
	 * Calls for one journal come one after the other.  If both had the journal
	 * open, the one that has locked the accounts could not lock the journal
	 * against all others, who wait for the accounts.  Transfers do not wait.
	 */
	LockRelationOid(PG_GETARG_OID(ARG_JOURNAL), ShareUpdateExclusiveLock);
	journal_open(&journal, PG_GETARG_OID(ARG_JOURNAL), AccessShareLock);
	journal_check_is_whole(&journal);
	/* What is guarded follows the rules. */
	given.begin |= !given.end && guarded_entries(&journal);
	lock_and_check(&journal, &given);

	run_begin();
	commands = make_commands(&journal, &given);
	/* ALTER TABLE wants a table that nobody else in the session uses. */
	journal_close(&journal);
	foreach(lc, commands)
		run_command(lfirst(lc));
	if (given.begin || given.end)
		change_guarded(PG_GETARG_OID(ARG_JOURNAL), &given,
					   fcinfo->flinfo->fn_oid);
	run_end();
	PG_RETURN_VOID();
}
