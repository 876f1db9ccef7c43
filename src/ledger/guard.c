/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  The triggers that guard a journal: the accounts that they name, and the
 *	  rules of the journal.
 *
 * A request id, and the id of an entry, identify something within one table of
 * accounts and one column of balances only.  So a journal names the accounts
 * that it belongs to, in the arguments of the row-level trigger that guards it:
 *
 * CREATE TRIGGER journal_guard BEFORE UPDATE OR DELETE ON schema.journal
 *		FOR EACH ROW EXECUTE FUNCTION schema.journal_guard(
 *			'accounts=schema.table', 'id_column=id', 'balance_column=balance')
 *
 * pg_dump dumps the arguments, and psql shows them.  Where an argument is
 * missing, any table or column will do; so it will for a journal without a
 * guard.
 *
 * The rules of the journal are arguments, too, such as
 * 'min_balance_column=floor' or 'must_match=currency, "Tenant"': they are
 * dumped and shown with it, and no caller can forget them.  What they mean is
 * in journal_rules.c.  A partition's guard is its parent's, and so are its
 * rules, which only count for the whole.
 *
 * Checking accounts compares names, without looking up the table that is named.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "ledger/guard.h"

/* ----------
 * Checking
 * ----------
 */

/* Return true if the guard names this, or leaves it open. */
static bool
names_or_leaves_open(const Guard *guard, GuardKey key, const char *name)
{
	return guard->names[key] == NULL || strcmp(guard->names[key], name) == 0;
}

/* Return true if the guard names the table's schema, or leaves it open. */
static bool
names_schema_of(const Guard *guard, Relation rel)
{
	char *schema;

	if (guard->schema == NULL)
		return true;
	schema = get_namespace_name(RelationGetNamespace(rel));
	return schema != NULL && strcmp(guard->schema, schema) == 0;
}

/* Return true if these accounts are those that the guard names. */
static bool
guard_names_accounts(const Guard *guard, const Target *accounts,
					 AttrNumber id_attnum, AttrNumber balance_attnum)
{
	Relation rel = target_relation(accounts);

	return names_or_leaves_open(guard, GUARD_ACCOUNTS,
								RelationGetRelationName(rel)) &&
		   names_schema_of(guard, rel) &&
		   names_or_leaves_open(guard, GUARD_ID_COLUMN,
								guard_arguments_column(accounts, id_attnum)) &&
		   names_or_leaves_open(guard, GUARD_BALANCE_COLUMN,
								guard_arguments_column(accounts,
													   balance_attnum));
}

/* Return true if the table and columns that the guard names exist. */
static bool
names_exist(const Guard *guard, Relation accounts)
{
	Oid relid = RelationGetRelid(accounts);

	if (guard->schema != NULL)
		relid = get_relname_relid(guard->names[GUARD_ACCOUNTS],
								  get_namespace_oid(guard->schema, true));
	if (!OidIsValid(relid))
		return false;
	for (int key = GUARD_ID_COLUMN; key < GUARD_FIRST_RULE; key++)
	{
		if (guard->names[key] != NULL &&
			get_attnum(relid, guard->names[key]) == InvalidAttrNumber)
			return false;
	}
	return true;
}

/* These accounts in words, as far as the guard names them. */
static char *
describe_accounts(const Guard *guard, const char *accounts,
				  const char *id_column, const char *balance_column)
{
	StringInfoData words;

	initStringInfo(&words);
	if (guard->names[GUARD_ACCOUNTS] != NULL)
		appendStringInfo(&words, "table %s", accounts);
	if (guard->names[GUARD_ID_COLUMN] != NULL)
		appendStringInfo(&words, "%sid column \"%s\"",
						 words.len > 0 ? ", " : "", id_column);
	if (guard->names[GUARD_BALANCE_COLUMN] != NULL)
		appendStringInfo(&words, "%sbalance column \"%s\"",
						 words.len > 0 ? ", " : "", balance_column);
	return words.data;
}

/* The table whose trigger the guard is: of a partition, perhaps its parent. */
static char *
guarded_table_name(const Target *journal, const Guard *guard)
{
	Oid relid = RelationGetRelid(target_relation(journal));

	if (guard->inherited)
		relid = llast_oid(get_partition_ancestors(relid));
	return quote_qualified_identifier(get_namespace_name(
										  get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* The schema of the extension's functions, as far as the guard tells. */
static char *
guard_function_schema(const Guard *guard)
{
	return get_namespace_name(get_func_namespace(guard->function));
}

/*
 * The statement that gives the guard these arguments.  The guard of a partition
 * may be its parent's, and then must be replaced there.
 */
static char *
replacing_statement(const Target *journal, const Guard *guard,
					const char *arguments)
{
	return psprintf("CREATE OR REPLACE TRIGGER %s BEFORE UPDATE OR DELETE ON "
					"%s FOR EACH ROW EXECUTE FUNCTION %s(%s);",
					quote_identifier(guard->trigger),
					guarded_table_name(journal, guard),
					quote_qualified_identifier(guard_function_schema(guard),
											   get_func_name(guard->function)),
					arguments);
}

/* Report that the journal belongs to other accounts than these. */
pg_noreturn static void
error_other_accounts(const Target *journal, const Guard *guard,
					 const Target *accounts, AttrNumber id_attnum,
					 AttrNumber balance_attnum)
{
	char *named = describe_accounts(
		guard,
		guard->schema == NULL
			? NULL
			: quote_qualified_identifier(guard->schema,
										 guard->names[GUARD_ACCOUNTS]),
		guard->names[GUARD_ID_COLUMN], guard->names[GUARD_BALANCE_COLUMN]);
	char *used =
		describe_accounts(guard,
						  guard_arguments_table(target_relation(accounts)),
						  guard_arguments_column(accounts, id_attnum),
						  guard_arguments_column(accounts, balance_attnum));
	GuardRules rules;
	char *arguments;

	/* What the statement does not say would be lost. */
	guard_arguments_rules(guard, &rules);
	arguments = guard_arguments_print(accounts, id_attnum, balance_attnum,
									  guard, &rules);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("journal \"%s\" belongs to other accounts",
					RelationGetRelationName(target_relation(journal))),
			 errdetail("It belongs to %s; the call is about %s.", named, used),
			 names_exist(guard, target_relation(accounts))
				 ? errhint("Name the accounts that it belongs to, or a journal "
						   "of these accounts.")
				 : errhint("If the table, its schema or a column was renamed, "
						   "run: %s",
						   replacing_statement(journal, guard, arguments))));
}

/* Check that the journal belongs to these accounts, or leaves it open. */
void
guard_check_accounts(const Target *journal, const Target *accounts,
					 AttrNumber id_attnum, AttrNumber balance_attnum)
{
	const Guards *guards = guard_arguments_read(journal);

	for (int i = 0; i < guards->nguards; i++)
	{
		const Guard *guard = &guards->guards[i];

		if (!guard_names_accounts(guard, accounts, id_attnum, balance_attnum))
			error_other_accounts(journal, guard, accounts, id_attnum,
								 balance_attnum);
	}
}

/*
 * The table of accounts that the journal's guards name, and the column with the
 * balances; invalid, and NULL, if none is named.  A table that does not exist
 * is an error.
 */
Oid
guard_accounts(const Target *journal, const char **balance_column)
{
	const Guards *guards = guard_arguments_read(journal);

	*balance_column = NULL;
	for (int i = 0; i < guards->nguards; i++)
	{
		const Guard *guard = &guards->guards[i];
		const char *name = guard->names[GUARD_ACCOUNTS];
		Oid relid;

		if (name == NULL)
			continue;
		relid = get_relname_relid(name, get_namespace_oid(guard->schema, true));
		if (!OidIsValid(relid))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("journal \"%s\" belongs to accounts that do not "
							"exist",
							RelationGetRelationName(target_relation(journal))),
					 errdetail("It belongs to table %s.",
							   quote_qualified_identifier(guard->schema, name)),
					 errhint("If the table or its schema was renamed, the hint "
							 "of the error that a transfer raises tells what "
							 "to do.")));
		*balance_column = guard->names[GUARD_BALANCE_COLUMN];
		return relid;
	}
	return InvalidOid;
}

/* ----------
 * Rules
 * ----------
 */

/* Report that two guards give different rules. */
pg_noreturn static void
error_guards_contradict(const Target *journal, GuardKey key)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("guards of journal \"%s\" contradict each other",
					RelationGetRelationName(target_relation(journal))),
			 errdetail("Two of its triggers have different values of "
					   "\"%s\".",
					   guard_key_name(key)),
			 errhint("To keep those of the first trigger, run: %s",
					 guard_alter_statement(journal, "{}"))));
}

/*
 * Collect the rules of all guards; false if there are none.  Those of a
 * partition are its parent's, and do not count.
 */
static bool
collect_rules(const Target *journal, GuardRules *rules, bool strict)
{
	const Guards *guards = guard_arguments_read(journal);
	bool found = false;

	memset(rules, 0, sizeof(GuardRules));
	for (int i = 0; i < guards->nguards; i++)
	{
		const Guard *guard = &guards->guards[i];

		for (int key = GUARD_FIRST_RULE; key < NUM_GUARD_KEYS; key++)
		{
			const char *value = guard->names[key];

			if (value == NULL || guard->inherited)
				continue;
			found = true;
			if (rules->values[key] == NULL)
				rules->values[key] = value;
			else if (strict && strcmp(rules->values[key], value) != 0)
				error_guards_contradict(journal, key);
		}
	}
	return found;
}

/* Take the journal's rules; false if there are none. */
bool
guard_rules(const Target *journal, GuardRules *rules)
{
	return collect_rules(journal, rules, true);
}

/* The same; if guards contradict each other, the first one counts. */
void
guard_first_rules(const Target *journal, GuardRules *rules)
{
	(void) collect_rules(journal, rules, false);
}

/* The command that makes a trigger what it was; NULL if it is new like that. */
static char *
enabling_command(const Target *journal, const Guard *guard)
{
	const char *action;

	switch (guard->enabled)
	{
		case TRIGGER_FIRES_ALWAYS:
			action = "ENABLE ALWAYS";
			break;
		case TRIGGER_FIRES_ON_REPLICA:
			action = "ENABLE REPLICA";
			break;
		case TRIGGER_DISABLED:
			action = "DISABLE";
			break;
		default:
			return NULL;
	}
	return psprintf("ALTER TABLE %s %s TRIGGER %s",
					guarded_table_name(journal, guard), action,
					quote_identifier(guard->trigger));
}

/* Return true if the guard has rules. */
static bool
has_rules(const Guard *guard)
{
	for (int key = GUARD_FIRST_RULE; key < NUM_GUARD_KEYS; key++)
	{
		if (guard->names[key] != NULL)
			return true;
	}
	return false;
}

/*
 * The commands that give the journal these rules, instead of those that it has.
 * The first guard gets them; others, if there are any, are to have none.  The
 * caller closes the table before it runs the commands.
 */
List *
guard_rules_commands(const Target *journal, const GuardRules *rules)
{
	const Guards *guards = guard_arguments_read(journal);
	static const GuardRules none = {0};
	List *commands = NIL;

	for (int i = 0; i < guards->nguards; i++)
	{
		const Guard *guard = &guards->guards[i];
		char *enable = enabling_command(journal, guard);
		char *arguments;

		if (i > 0 && !has_rules(guard))
			continue;
		arguments = guard_arguments_change(guard, i == 0 ? rules : &none);
		commands = lappend(commands,
						   replacing_statement(journal, guard, arguments));
		if (enable != NULL)
			commands = lappend(commands, enable);
	}
	return commands;
}

/* A call of alter_journal() with this JSON, as a statement to run. */
char *
guard_alter_statement(const Target *journal, const char *json)
{
	const Guards *guards = guard_arguments_read(journal);
	const Guard *guard = &guards->guards[0];

	Assert(guards->nguards > 0);
	return psprintf("SELECT %s(%s, %s);",
					quote_qualified_identifier(guard_function_schema(guard),
											   "alter_journal"),
					quote_literal_cstr(guarded_table_name(journal, guard)),
					quote_literal_cstr(json));
}
