/*-------------------------------------------------------------------------
 *
 * journal_rules.c
 *	  The rules of a journal, which every transfer that it books must satisfy.
 *
 * The arguments of the journal's guard name columns of the accounts: with the
 * floor and the ceiling of each account, with what closes it, and those in which
 * both accounts of a transfer must be equal.  The names are looked up by each
 * call, since a column can be renamed or dropped at any time.  A rule without
 * its column is an error, and never no rule: limits must not go unnoticed.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "ledger/journal_rules.h"
#include "table/columns.h"
#include "table/indexes.h"

/* The rules that name one column come first, in the order of the limits. */
#define RULE_OF_LIMIT(limit) ((GuardKey) (GUARD_FIRST_RULE + (limit)))

StaticAssertDecl(RULE_OF_LIMIT(ACCOUNT_FLOOR) == GUARD_MIN_BALANCE_COLUMN &&
					 RULE_OF_LIMIT(ACCOUNT_CEILING) ==
						 GUARD_MAX_BALANCE_COLUMN &&
					 RULE_OF_LIMIT(ACCOUNT_CLOSED) == GUARD_CLOSED_COLUMN,
				 "each limit has the rule that names its column");

/* ----------
 * Columns
 * ----------
 */

/* The names that a list of quoted names has. */
static List *
split_match(const char *list)
{
	List *names;

	/* The guard's arguments have been checked. */
	if (!SplitIdentifierString(pstrdup(list), ',', &names))
		elog(ERROR, "invalid list of columns: \"%s\"", list);
	return names;
}

/* Report that a column cannot be what the rule names it for. */
pg_noreturn static void
error_rule_column(const Target *accounts, GuardKey rule, AttrNumber attnum)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("rule \"%s\" cannot name column \"%s\" of table \"%s\"",
					guard_key_name(rule),
					NameStr(target_column(accounts, attnum)->attname),
					RelationGetRelationName(target_relation(accounts))),
			 rule == GUARD_HELD_COLUMN
				 ? errdetail("It is the balance, or generated, or part of the "
							 "primary key.")
				 : errdetail("It is the balance, or what is held of it, or "
							 "generated, and could change with a transfer.")));
}

/* Report that a column is not of a type that the rule can use. */
pg_noreturn static void
error_rule_type(const Target *accounts, GuardKey rule, AttrNumber attnum)
{
	Form_pg_attribute att = target_column(accounts, attnum);

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("rule \"%s\" cannot name column \"%s\" of table \"%s\"",
					guard_key_name(rule), NameStr(att->attname),
					RelationGetRelationName(target_relation(accounts))),
			 errdetail("It is of type %s.", format_type_be(att->atttypid)),
			 rule == GUARD_CLOSED_COLUMN
				 ? errhint("Use boolean or timestamp with time zone.")
				 : errhint("Use smallint, integer, bigint, numeric or "
						   "money.")));
}

/* Return true if the column is part of the primary key. */
static bool
is_in_key(const Target *accounts, AttrNumber attnum)
{
	const AttrNumber *key;
	int n = indexes_primary_key(accounts, &key);

	for (int i = 0; i < n; i++)
	{
		if (key[i] == attnum)
			return true;
	}
	return false;
}

/* Check a column that a rule names; no other one can be the "held" column. */
static void
check_rule_column(const Target *accounts, AttrNumber balance, AttrNumber held,
				  GuardKey rule, AttrNumber attnum)
{
	Form_pg_attribute att = target_column(accounts, attnum);

	if (attnum == balance || att->attgenerated != '\0' ||
		(attnum == held && rule != GUARD_HELD_COLUMN))
		error_rule_column(accounts, rule, attnum);
	if (rule == GUARD_MUST_MATCH)
		/* Raise an error if values of its type cannot be compared. */
		(void) columns_type(accounts, attnum, 0);
	else if (rule == GUARD_HELD_COLUMN)
	{
		if (is_in_key(accounts, attnum))
			error_rule_column(accounts, rule, attnum);
		if (!money_is_type(getBaseType(att->atttypid)))
			error_rule_type(accounts, rule, attnum);
	}
	else if (!accounts_is_limit_type((AccountLimit) (rule - GUARD_FIRST_RULE),
									 getBaseType(att->atttypid)))
		error_rule_type(accounts, rule, attnum);
}

/* ----------
 * Rules whose column is gone
 * ----------
 */

/*
 * A rule as a JSON object for alter_journal(), in which the column that is gone
 * has another name or, if that is NULL, is not named.
 */
static char *
rule_json(GuardKey rule, List *names, const char *gone, const char *instead)
{
	bool is_list = rule == GUARD_MUST_MATCH;
	StringInfoData json;
	int n = 0;
	ListCell *lc;

	initStringInfo(&json);
	foreach(lc, names)
	{
		const char *name = lfirst(lc);

		if (strcmp(name, gone) == 0)
			name = instead;
		if (name == NULL)
			continue;
		appendStringInfoString(&json, n++ > 0 ? ", " : "");
		escape_json(&json, name);
	}
	if (n == 0)
		return psprintf("{\"%s\": null}", guard_key_name(rule));
	return psprintf(is_list ? "{\"%s\": [%s]}" : "{\"%s\": %s}",
					guard_key_name(rule), json.data);
}

/* Report that the accounts have no column of the name that a rule has. */
pg_noreturn static void
error_rule_without_column(const Target *journal, const Target *accounts,
						  GuardKey rule, List *names, const char *gone)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rule \"%s\" of journal \"%s\" names column \"%s\", which "
					"table \"%s\" does not have",
					guard_key_name(rule),
					RelationGetRelationName(target_relation(journal)), gone,
					RelationGetRelationName(target_relation(accounts))),
			 errhint("If the column was renamed, run: %s If it was dropped, and "
					 "the rule with it, run: %s",
					 guard_alter_statement(journal, rule_json(rule, names, gone,
															  "NEW NAME")),
					 guard_alter_statement(journal, rule_json(rule, names, gone,
															  NULL)))));
}

/* Find a column that a rule of the journal names. */
static AttrNumber
find_rule_column(const Journal *journal, const Accounts *accounts,
				 GuardKey rule, List *names, const char *name)
{
	Oid relid = RelationGetRelid(target_relation(accounts->table));
	AttrNumber attnum = get_attnum(relid, name);

	if (attnum <= 0)
		error_rule_without_column(journal->table, accounts->table, rule, names,
								  name);
	check_rule_column(accounts->table, accounts->balance.attnum,
					  accounts->has_held ? accounts->held.attnum
										 : InvalidAttrNumber,
					  rule, attnum);
	return attnum;
}

/* ----------
 * The rules that there are
 * ----------
 */

/* Let both accounts of a transfer be compared in these columns, too. */
static void
apply_match(const Journal *journal, Accounts *accounts, const char *list)
{
	List *names = split_match(list);
	AttrNumber *attnums = palloc(sizeof(AttrNumber) * list_length(names));
	int n = 0;
	ListCell *lc;

	foreach(lc, names)
		attnums[n++] = find_rule_column(journal, accounts, GUARD_MUST_MATCH,
										names, lfirst(lc));
	accounts_add_match(accounts, attnums, n);
}

/* Let what is held of balances be read, if a rule names the column. */
static void
apply_held(const Journal *journal, Accounts *accounts, const GuardRules *rules)
{
	const char *name = rules->values[GUARD_HELD_COLUMN];
	AttrNumber attnum;

	if (name == NULL)
		return;
	attnum = find_rule_column(journal, accounts, GUARD_HELD_COLUMN,
							  list_make1(pstrdup(name)), name);
	if (!accounts_set_held(accounts, attnum))
		error_rule_type(accounts->table, GUARD_HELD_COLUMN, attnum);
}

/*
 * Let the accounts be read and compared as the rules say.  The tables are open
 * and locked, so that the rules are those of now: who alters them waits for
 * this transaction, or this call has waited for his.
 */
void
journal_rules_apply(const Journal *journal, Accounts *accounts)
{
	GuardRules rules;

	if (!guard_rules(journal->table, &rules))
		return;
	apply_held(journal, accounts, &rules);
	for (int limit = 0; limit < NUM_ACCOUNT_LIMITS; limit++)
	{
		GuardKey rule = RULE_OF_LIMIT(limit);
		const char *name = rules.values[rule];

		if (name != NULL)
			accounts_set_limit(accounts, limit,
							   find_rule_column(journal, accounts, rule,
												list_make1(pstrdup(name)),
												name));
	}
	if (rules.values[GUARD_MUST_MATCH] != NULL)
		apply_match(journal, accounts, rules.values[GUARD_MUST_MATCH]);
}

/* Let what is held of balances be read, and nothing else of the rules count. */
void
journal_rules_apply_held(const Journal *journal, Accounts *accounts)
{
	GuardRules rules;

	if (guard_rules(journal->table, &rules))
		apply_held(journal, accounts, &rules);
}

/*
 * The name of the table of open holds.  The journal has a column of held
 * amounts.
 */
const char *
journal_rules_holds(const Journal *journal)
{
	GuardRules rules;

	(void) guard_rules(journal->table, &rules);
	if (rules.values[GUARD_HOLDS] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal \"%s\" has no table of holds",
						journal_table_name(journal)),
				 errhint("To create one, run: %s",
						 guard_alter_statement(journal->table, "{}"))));
	return rules.values[GUARD_HOLDS];
}

/* The balance that each account began with; NULL if no rule says it. */
Numeric
journal_rules_opening(const Journal *journal)
{
	GuardRules rules;

	if (!guard_rules(journal->table, &rules) ||
		rules.values[GUARD_OPENING] == NULL)
		return NULL;
	return DatumGetNumeric(
		DirectFunctionCall3(numeric_in,
							CStringGetDatum(rules.values[GUARD_OPENING]),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* ----------
 * Rules that are given
 * ----------
 */

/* Report an error unless each account can begin with that balance. */
void
journal_rules_check_opening(Numeric opening)
{
	if (!money_is_finite(opening))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be finite", "opening")));
}

/* The balance that each account begins with. */
char *
journal_rules_print_opening(Numeric opening)
{
	journal_rules_check_opening(opening);
	return money_print(opening);
}

/*
 * Check that the columns which are named exist and suit.  Where it is not known
 * which column has the balances, that is checked by each call.
 */
void
journal_rules_check(const GuardRules *rules, const Target *accounts,
					AttrNumber balance)
{
	const char *list = rules->values[GUARD_MUST_MATCH];
	const char *held_column = rules->values[GUARD_HELD_COLUMN];
	AttrNumber held = InvalidAttrNumber;
	ListCell *lc;

	if (held_column != NULL)
	{
		held = columns_find(accounts, held_column);
		check_rule_column(accounts, balance, held, GUARD_HELD_COLUMN, held);
	}
	for (int limit = 0; limit < NUM_ACCOUNT_LIMITS; limit++)
	{
		GuardKey rule = RULE_OF_LIMIT(limit);

		if (rules->values[rule] != NULL)
			check_rule_column(accounts, balance, held, rule,
							  columns_find(accounts, rules->values[rule]));
	}
	if (list == NULL)
		return;
	foreach(lc, split_match(list))
		check_rule_column(accounts, balance, held, GUARD_MUST_MATCH,
						  columns_find(accounts, lfirst(lc)));
}
