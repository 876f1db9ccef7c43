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
 * The arguments are read once, and kept with the table until the table changes.
 * Checking accounts compares names, without looking up the table that is named.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "ledger/guard.h"

/* Its address distinguishes our function from others of the same name. */
extern PGDLLEXPORT Datum journal_guard(PG_FUNCTION_ARGS);

static const char *const guard_key_names[] = {
	[GUARD_ACCOUNTS] = "accounts",
	[GUARD_ID_COLUMN] = "id_column",
	[GUARD_BALANCE_COLUMN] = "balance_column",
	[GUARD_MIN_BALANCE_COLUMN] = "min_balance_column",
	[GUARD_MAX_BALANCE_COLUMN] = "max_balance_column",
	[GUARD_CLOSED_COLUMN] = "closed_column",
	[GUARD_MUST_MATCH] = "must_match",
	[GUARD_OPENING] = "opening",
};

StaticAssertDecl(lengthof(guard_key_names) == NUM_GUARD_KEYS,
				 "each key has a name");

/* One guard; what its arguments do not name is NULL. */
typedef struct Guard
{
	char *trigger;	/* its name */
	Oid function;	/* what it executes */
	char enabled;	/* as tgenabled */
	bool inherited; /* true on a partition, if it is the parent's */
	char *schema;
	char *names[NUM_GUARD_KEYS];
} Guard;

/* All guards of a journal's rows, kept with the table. */
typedef struct Guards
{
	int nguards;
	Guard guards[FLEXIBLE_ARRAY_MEMBER];
} Guards;

/* ----------
 * Guards
 * ----------
 */

/* Return true if the function is our journal_guard(), whatever its SQL name. */
static bool
is_journal_guard(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	FmgrInfo info;
	Datum source;
	bool isnull;
	bool plausible;

	if (!HeapTupleIsValid(tuple))
		return false;
	/* Do not load a library only to see that the function is another one. */
	source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	plausible = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId &&
				!isnull &&
				strcmp(TextDatumGetCString(source), "journal_guard") == 0;
	ReleaseSysCache(tuple);
	if (!plausible)
		return false;
	fmgr_info(function, &info);
	return info.fn_addr == journal_guard;
}

/*
 * Return true if the trigger is a guard of a journal.  The look-up may rebuild
 * the table's relcache entry, which frees the entry's triggers, so the trigger
 * must be of a copy.
 */
bool
guard_is_guard(const Trigger *trigger)
{
	return !trigger->tgisinternal && is_journal_guard(trigger->tgfoid);
}

/* Return true if the trigger is a guard that can name accounts. */
static bool
is_row_guard(const Trigger *trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) && guard_is_guard(trigger);
}

/* ----------
 * Reading the arguments
 * ----------
 */

/* Report an argument that a guard cannot have. */
pg_noreturn static void
error_guard_argument(const Target *journal, const Trigger *trigger,
					 const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("trigger \"%s\" of journal \"%s\" has an invalid argument "
					"\"%s\"",
					trigger->tgname,
					RelationGetRelationName(target_relation(journal)),
					argument),
			 errhint("A guard's arguments are 'accounts=schema.table', "
					 "'id_column=name', 'balance_column=name', "
					 "'min_balance_column=name', 'max_balance_column=name', "
					 "'closed_column=name', 'must_match=name, ...' and "
					 "'opening=number', each at most once.")));
}

/* Split an argument into its key and its value; false if it has no key. */
static bool
find_guard_key(const char *argument, GuardKey *key, const char **value)
{
	for (int i = 0; i < NUM_GUARD_KEYS; i++)
	{
		size_t len = strlen(guard_key_names[i]);

		if (strncmp(argument, guard_key_names[i], len) == 0 &&
			argument[len] == '=')
		{
			*key = i;
			*value = argument + len + 1;
			return true;
		}
	}
	return false;
}

/* Return true if the value is one that the key can have; names are. */
static bool
guard_value_suits(GuardKey key, const char *value)
{
	List *names;

	switch (key)
	{
		case GUARD_ACCOUNTS:
			return SplitIdentifierString(pstrdup(value), '.', &names) &&
				   list_length(names) == 2;
		case GUARD_MUST_MATCH:
			return SplitIdentifierString(pstrdup(value), ',', &names) &&
				   names != NIL;
		case GUARD_OPENING:
			/* What is none of it even so is refused where it is used. */
			return value[0] != '\0' &&
				   strspn(value, "+-.0123456789Ee") == strlen(value);
		default:
			return true;
	}
}

/* Read one argument of the trigger. */
static void
read_guard_argument(const Target *journal, const Trigger *trigger,
					const char *argument, Guard *guard)
{
	GuardKey key;
	const char *value;
	List *names;

	if (!find_guard_key(argument, &key, &value) || guard->names[key] != NULL ||
		!guard_value_suits(key, value))
		error_guard_argument(journal, trigger, argument);
	if (key != GUARD_ACCOUNTS)
	{
		guard->names[key] = pstrdup(value);
		return;
	}
	(void) SplitIdentifierString(pstrdup(value), '.', &names);
	guard->schema = linitial(names);
	guard->names[key] = lsecond(names);
}

/* Read the trigger. */
static void
read_guard(const Target *journal, const Trigger *trigger, Guard *guard)
{
	guard->trigger = trigger->tgname;
	guard->function = trigger->tgfoid;
	guard->enabled = trigger->tgenabled;
	guard->inherited = trigger->tgisclone;
	for (int arg = 0; arg < trigger->tgnargs; arg++)
		read_guard_argument(journal, trigger, trigger->tgargs[arg], guard);
}

/*
 * Read the journal's guards, in the current memory context.  Looking for guards
 * can free the relcache entry's triggers, so it is done with a copy of them.
 */
static Guards *
read_guards(const Target *journal)
{
	TriggerDesc *triggers = CopyTriggerDesc(target_relation(journal)->trigdesc);
	int ntriggers = triggers == NULL ? 0 : triggers->numtriggers;
	Guards *guards = palloc0(offsetof(Guards, guards) +
							 sizeof(Guard) * ntriggers);

	for (int i = 0; i < ntriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (is_row_guard(trigger))
			read_guard(journal, trigger, &guards->guards[guards->nguards++]);
	}
	return guards;
}

/* A copy in the current memory context. */
static Guards *
copy_guards(const Guards *guards)
{
	Size size = offsetof(Guards, guards) + sizeof(Guard) * guards->nguards;
	Guards *copy = palloc(size);

	memcpy(copy, guards, size);
	for (int i = 0; i < copy->nguards; i++)
	{
		Guard *guard = &copy->guards[i];

		guard->trigger = pstrdup(guard->trigger);
		if (guard->schema != NULL)
			guard->schema = pstrdup(guard->schema);
		for (int key = 0; key < NUM_GUARD_KEYS; key++)
		{
			if (guard->names[key] != NULL)
				guard->names[key] = pstrdup(guard->names[key]);
		}
	}
	return copy;
}

/* The address by which the table's entry knows what is kept. */
static const char guards_owner[] = "journal guards";

/* The journal's guards, read once for each state of the table. */
static const Guards *
get_guards(const Target *journal)
{
	MemoryContext context;
	void **kept = target_keep(journal, guards_owner, &context);

	if (*kept == NULL)
	{
		/* A wrong argument is an error before anything is kept. */
		Guards *guards = read_guards(journal);
		MemoryContext old = MemoryContextSwitchTo(context);

		*kept = copy_guards(guards);
		MemoryContextSwitchTo(old);
	}
	return *kept;
}

/* ----------
 * Writing the arguments
 * ----------
 */

/* Add an argument to the list. */
static void
append_guard_argument(StringInfo arguments, GuardKey key, const char *value)
{
	appendStringInfo(arguments, "%s%s", arguments->len > 0 ? ", " : "",
					 quote_literal_cstr(
						 psprintf("%s=%s", guard_key_names[key], value)));
}

/* A table's name, quoted and schema-qualified. */
static const char *
table_name_of(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(
										  RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/* A column's name, not quoted. */
static const char *
account_column_name(const Target *accounts, AttrNumber attnum)
{
	return NameStr(target_column(accounts, attnum)->attname);
}

/* Add the rules to the arguments, as CREATE TRIGGER takes them. */
static void
append_guard_rules(StringInfo arguments, const GuardRules *rules)
{
	for (int key = GUARD_FIRST_RULE; key < NUM_GUARD_KEYS; key++)
	{
		if (rules->values[key] != NULL)
			append_guard_argument(arguments, key, rules->values[key]);
	}
}

/* Add the arguments of a guard that name accounts, as it has them. */
static void
append_guard_accounts(StringInfo arguments, const Guard *guard)
{
	if (guard->names[GUARD_ACCOUNTS] != NULL)
		append_guard_argument(arguments, GUARD_ACCOUNTS,
							  quote_qualified_identifier(
								  guard->schema, guard->names[GUARD_ACCOUNTS]));
	for (int key = GUARD_ID_COLUMN; key < GUARD_FIRST_RULE; key++)
	{
		if (guard->names[key] != NULL)
			append_guard_argument(arguments, key, guard->names[key]);
	}
}

/* The rules of one guard. */
static void
take_guard_rules(const Guard *guard, GuardRules *rules)
{
	memset(rules, 0, sizeof(GuardRules));
	for (int key = GUARD_FIRST_RULE; key < NUM_GUARD_KEYS; key++)
		rules->values[key] = guard->names[key];
}

/*
 * Arguments that name these accounts, as CREATE TRIGGER takes them: those that
 * the guard has, or all, if the guard is NULL.  The rules follow.
 */
static char *
format_guard_arguments(const Target *accounts, AttrNumber id_attnum,
					   AttrNumber balance_attnum, const Guard *guard,
					   const GuardRules *rules)
{
	StringInfoData arguments;

	initStringInfo(&arguments);
	if (guard == NULL || guard->names[GUARD_ACCOUNTS] != NULL)
		append_guard_argument(&arguments, GUARD_ACCOUNTS,
							  table_name_of(target_relation(accounts)));
	if (guard == NULL || guard->names[GUARD_ID_COLUMN] != NULL)
		append_guard_argument(&arguments, GUARD_ID_COLUMN,
							  account_column_name(accounts, id_attnum));
	if (guard == NULL || guard->names[GUARD_BALANCE_COLUMN] != NULL)
		append_guard_argument(&arguments, GUARD_BALANCE_COLUMN,
							  account_column_name(accounts, balance_attnum));
	append_guard_rules(&arguments, rules);
	return arguments.data;
}

/* The arguments of a guard that names these accounts, columns and rules. */
char *
guard_arguments(const Target *accounts, AttrNumber id_attnum,
				AttrNumber balance_attnum, const GuardRules *rules)
{
	return format_guard_arguments(accounts, id_attnum, balance_attnum, NULL,
								  rules);
}

/*
 * The arguments of the journal's own guard that name accounts; empty if none
 * do.  They are for guards of its parts, which have no rules of their own.
 */
char *
guard_arguments_of(const Target *journal)
{
	const Guards *guards = get_guards(journal);
	StringInfoData arguments;

	initStringInfo(&arguments);
	for (int i = 0; i < guards->nguards && arguments.len == 0; i++)
		append_guard_accounts(&arguments, &guards->guards[i]);
	return arguments.data;
}

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
								account_column_name(accounts, id_attnum)) &&
		   names_or_leaves_open(guard, GUARD_BALANCE_COLUMN,
								account_column_name(accounts, balance_attnum));
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
		describe_accounts(guard, table_name_of(target_relation(accounts)),
						  account_column_name(accounts, id_attnum),
						  account_column_name(accounts, balance_attnum));
	GuardRules rules;
	char *arguments;

	/* What the statement does not say would be lost. */
	take_guard_rules(guard, &rules);
	arguments = format_guard_arguments(accounts, id_attnum, balance_attnum,
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
	const Guards *guards = get_guards(journal);

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
	const Guards *guards = get_guards(journal);

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

const char *
guard_key_name(GuardKey key)
{
	Assert(key >= 0 && key < NUM_GUARD_KEYS);
	return guard_key_names[key];
}

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
					   guard_key_names[key]),
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
	const Guards *guards = get_guards(journal);
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
	const Guards *guards = get_guards(journal);
	static const GuardRules none = {0};
	List *commands = NIL;

	for (int i = 0; i < guards->nguards; i++)
	{
		const Guard *guard = &guards->guards[i];
		StringInfoData arguments;
		char *enable = enabling_command(journal, guard);

		if (i > 0 && !has_rules(guard))
			continue;
		initStringInfo(&arguments);
		append_guard_accounts(&arguments, guard);
		append_guard_rules(&arguments, i == 0 ? rules : &none);
		commands = lappend(commands,
						   replacing_statement(journal, guard, arguments.data));
		if (enable != NULL)
			commands = lappend(commands, enable);
	}
	return commands;
}

/* A call of alter_journal() with this JSON, as a statement to run. */
char *
guard_alter_statement(const Target *journal, const char *json)
{
	const Guards *guards = get_guards(journal);
	const Guard *guard = &guards->guards[0];

	Assert(guards->nguards > 0);
	return psprintf("SELECT %s(%s, %s);",
					quote_qualified_identifier(guard_function_schema(guard),
											   "alter_journal"),
					quote_literal_cstr(guarded_table_name(journal, guard)),
					quote_literal_cstr(json));
}
