/*-------------------------------------------------------------------------
 *
 * guard_arguments.c
 *	  The arguments of the triggers that guard a journal: reading and writing
 *	  them.
 *
 * CREATE TRIGGER journal_guard BEFORE UPDATE OR DELETE ON schema.journal
 *		FOR EACH ROW EXECUTE FUNCTION schema.journal_guard(
 *			'accounts=schema.table', 'id_column=id', 'balance_column=balance')
 *
 * What they mean for the journal is in guard.c.  They are read once, and kept
 * with the table until the table changes.  What is written is in the current
 * memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "ledger/guard_arguments.h"
#include "table/own_triggers.h"

static const char *const guard_key_names[] = {
	[GUARD_ACCOUNTS] = "accounts",
	[GUARD_ID_COLUMN] = "id_column",
	[GUARD_BALANCE_COLUMN] = "balance_column",
	[GUARD_MIN_BALANCE_COLUMN] = "min_balance_column",
	[GUARD_MAX_BALANCE_COLUMN] = "max_balance_column",
	[GUARD_CLOSED_COLUMN] = "closed_column",
	[GUARD_MUST_MATCH] = "must_match",
	[GUARD_OPENING] = "opening",
	[GUARD_HELD_COLUMN] = "held_column",
	[GUARD_HOLDS] = "holds",
};

StaticAssertDecl(lengthof(guard_key_names) == NUM_GUARD_KEYS,
				 "each key has a name");

const char *
guard_key_name(GuardKey key)
{
	Assert(key >= 0 && key < NUM_GUARD_KEYS);
	return guard_key_names[key];
}

/* ----------
 * Guards
 * ----------
 */

/*
 * Return true if the trigger is a guard of a journal.  The look-up may rebuild
 * the table's relcache entry, which frees the entry's triggers, so the trigger
 * must be of a copy.
 */
bool
guard_is_guard(const Trigger *trigger)
{
	return !trigger->tgisinternal &&
		   own_triggers_which(trigger->tgfoid) == OWN_JOURNAL_GUARD;
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
					 "'closed_column=name', 'must_match=name, ...', "
					 "'opening=number', 'held_column=name' and "
					 "'holds=schema.table', each at most once.")));
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
		case GUARD_HOLDS:
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
const Guards *
guard_arguments_read(const Target *journal)
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

/* Names as a list of quoted names; NULL if there are none. */
char *
guard_arguments_print_names(List *names)
{
	StringInfoData list;
	ListCell *lc;

	if (names == NIL)
		return NULL;
	initStringInfo(&list);
	foreach(lc, names)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(lfirst(lc)));
	return list.data;
}

/* A table's name, quoted and schema-qualified. */
const char *
guard_arguments_table(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(
										  RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/* A column's name, not quoted. */
const char *
guard_arguments_column(const Target *accounts, AttrNumber attnum)
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

/* The rules that one guard has; they point into it. */
void
guard_arguments_rules(const Guard *guard, GuardRules *rules)
{
	memset(rules, 0, sizeof(GuardRules));
	for (int key = GUARD_FIRST_RULE; key < NUM_GUARD_KEYS; key++)
		rules->values[key] = guard->names[key];
}

/*
 * Arguments that name these accounts, as CREATE TRIGGER takes them: those that
 * the guard has, or all, if the guard is NULL.  The rules follow.
 */
char *
guard_arguments_print(const Target *accounts, AttrNumber id_attnum,
					  AttrNumber balance_attnum, const Guard *guard,
					  const GuardRules *rules)
{
	StringInfoData arguments;

	initStringInfo(&arguments);
	if (guard == NULL || guard->names[GUARD_ACCOUNTS] != NULL)
		append_guard_argument(&arguments, GUARD_ACCOUNTS,
							  guard_arguments_table(target_relation(accounts)));
	if (guard == NULL || guard->names[GUARD_ID_COLUMN] != NULL)
		append_guard_argument(&arguments, GUARD_ID_COLUMN,
							  guard_arguments_column(accounts, id_attnum));
	if (guard == NULL || guard->names[GUARD_BALANCE_COLUMN] != NULL)
		append_guard_argument(&arguments, GUARD_BALANCE_COLUMN,
							  guard_arguments_column(accounts, balance_attnum));
	append_guard_rules(&arguments, rules);
	return arguments.data;
}

/* The same of the guard's own accounts, with other rules. */
char *
guard_arguments_change(const Guard *guard, const GuardRules *rules)
{
	StringInfoData arguments;

	initStringInfo(&arguments);
	append_guard_accounts(&arguments, guard);
	append_guard_rules(&arguments, rules);
	return arguments.data;
}

/*
 * The arguments of the journal's own guard that name accounts; empty if none
 * do.  They are for guards of its parts, which have no rules of their own.
 */
char *
guard_arguments_of(const Target *journal)
{
	const Guards *guards = guard_arguments_read(journal);
	StringInfoData arguments;

	initStringInfo(&arguments);
	for (int i = 0; i < guards->nguards && arguments.len == 0; i++)
		append_guard_accounts(&arguments, &guards->guards[i]);
	return arguments.data;
}
