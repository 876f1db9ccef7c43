/*-------------------------------------------------------------------------
 *
 * tie.c
 *	  The accounts that a journal belongs to, as its guard names them.
 *
 * A request id, and the id of an entry, mean something in one table of
 * accounts and one column of balances only.  So a journal says whose it is, in
 * the arguments of the row-level trigger that guards it:
 *
 * CREATE TRIGGER journal_guard BEFORE UPDATE OR DELETE ON schema.journal
 *		FOR EACH ROW EXECUTE FUNCTION schema.journal_guard(
 *			'accounts=schema.table', 'id_column=id', 'balance_column=balance')
 *
 * pg_dump keeps that, and psql shows it.  An argument that is not there leaves
 * open what it would name; so does a journal without a guard.
 *
 * The arguments are read once, and kept with the table until that changes.
 * Names are compared, which takes no look-up of the table that they name.
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
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "ledger/tie.h"

/* Its address tells our guard from functions of the same name. */
extern PGDLLEXPORT Datum journal_guard(PG_FUNCTION_ARGS);

/* What a guard can name. */
typedef enum TieKey
{
	TIE_ACCOUNTS,
	TIE_ID_COLUMN,
	TIE_BALANCE_COLUMN
} TieKey;

#define NUM_TIE_KEYS (TIE_BALANCE_COLUMN + 1)

static const char *const key_names[] = {
	[TIE_ACCOUNTS] = "accounts",
	[TIE_ID_COLUMN] = "id_column",
	[TIE_BALANCE_COLUMN] = "balance_column",
};

/* What one guard names; what it does not is NULL. */
typedef struct Tie
{
	char *trigger;	 /* its name */
	Oid function;	 /* what it executes */
	bool inherited;	 /* is it the parent's, on a partition? */
	char *arguments; /* as CREATE TRIGGER takes them */
	char *schema;
	char *names[NUM_TIE_KEYS];
} Tie;

/* What all guards of a journal name, kept with the table. */
typedef struct Ties
{
	int nties;
	Tie ties[FLEXIBLE_ARRAY_MEMBER];
} Ties;

/* ----------
 * Guards
 * ----------
 */

/* Is that function our journal_guard(), by whatever name in SQL? */
static bool
is_journal_guard(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	FmgrInfo info;
	Datum source;
	bool isnull;
	bool fits;

	if (!HeapTupleIsValid(tuple))
		return false;
	/* Load nobody else's library, only to see that it is another's. */
	source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	fits = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId &&
		   !isnull && strcmp(TextDatumGetCString(source), "journal_guard") == 0;
	ReleaseSysCache(tuple);
	if (!fits)
		return false;
	fmgr_info(function, &info);
	return info.fn_addr == journal_guard;
}

/*
 * Is that trigger a guard of a journal?  The look-up may rebuild the table's
 * relcache entry, which frees its triggers: pass one of a copy.
 */
bool
tie_is_guard(const Trigger *trigger)
{
	return !trigger->tgisinternal && is_journal_guard(trigger->tgfoid);
}

/* A guard that can name accounts. */
static bool
is_row_guard(const Trigger *trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) && tie_is_guard(trigger);
}

/* ----------
 * Reading the arguments
 * ----------
 */

pg_noreturn static void
error_argument(const Target *journal, const Trigger *trigger,
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
					 "'id_column=name' and 'balance_column=name', each at most "
					 "once.")));
}

/* The key that the argument begins with, and where its value does. */
static bool
find_key(const char *argument, TieKey *key, const char **value)
{
	for (int i = 0; i < NUM_TIE_KEYS; i++)
	{
		size_t len = strlen(key_names[i]);

		if (strncmp(argument, key_names[i], len) == 0 && argument[len] == '=')
		{
			*key = i;
			*value = argument + len + 1;
			return true;
		}
	}
	return false;
}

/* Take one argument of the guard into the tie. */
static void
read_argument(const Target *journal, const Trigger *trigger,
			  const char *argument, Tie *tie)
{
	TieKey key;
	const char *value;
	List *names;

	if (!find_key(argument, &key, &value) || tie->names[key] != NULL)
		error_argument(journal, trigger, argument);
	if (key != TIE_ACCOUNTS)
	{
		tie->names[key] = pstrdup(value);
		return;
	}
	if (!SplitIdentifierString(pstrdup(value), '.', &names) ||
		list_length(names) != 2)
		error_argument(journal, trigger, argument);
	tie->schema = linitial(names);
	tie->names[key] = lsecond(names);
}

/* All arguments of a trigger, as CREATE TRIGGER takes them. */
static char *
quote_arguments(const Trigger *trigger)
{
	StringInfoData arguments;

	initStringInfo(&arguments);
	for (int i = 0; i < trigger->tgnargs; i++)
		appendStringInfo(&arguments, "%s%s", i > 0 ? ", " : "",
						 quote_literal_cstr(trigger->tgargs[i]));
	return arguments.data;
}

/* Take what one guard says into the tie. */
static void
read_guard(const Target *journal, const Trigger *trigger, Tie *tie)
{
	tie->trigger = trigger->tgname;
	tie->function = trigger->tgfoid;
	tie->inherited = trigger->tgisclone;
	tie->arguments = quote_arguments(trigger);
	for (int arg = 0; arg < trigger->tgnargs; arg++)
		read_argument(journal, trigger, trigger->tgargs[arg], tie);
}

/*
 * Read what the guards say, in the current memory context.  Looking for guards
 * can free the relcache's triggers, so it is done with a copy.
 */
static Ties *
read_ties(const Target *journal)
{
	TriggerDesc *triggers = CopyTriggerDesc(target_relation(journal)->trigdesc);
	int ntriggers = triggers == NULL ? 0 : triggers->numtriggers;
	Ties *ties = palloc0(offsetof(Ties, ties) + sizeof(Tie) * ntriggers);

	for (int i = 0; i < ntriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgnargs > 0 && is_row_guard(trigger))
			read_guard(journal, trigger, &ties->ties[ties->nties++]);
	}
	return ties;
}

/* A copy in the current memory context. */
static Ties *
copy_ties(const Ties *ties)
{
	Size size = offsetof(Ties, ties) + sizeof(Tie) * ties->nties;
	Ties *copy = palloc(size);

	memcpy(copy, ties, size);
	for (int i = 0; i < copy->nties; i++)
	{
		Tie *tie = &copy->ties[i];

		tie->trigger = pstrdup(tie->trigger);
		tie->arguments = pstrdup(tie->arguments);
		if (tie->schema != NULL)
			tie->schema = pstrdup(tie->schema);
		for (int key = 0; key < NUM_TIE_KEYS; key++)
		{
			if (tie->names[key] != NULL)
				tie->names[key] = pstrdup(tie->names[key]);
		}
	}
	return copy;
}

/* The address by which the table's entry knows what is kept. */
static const char ties_owner[] = "journal ties";

/* What the guards of the journal say, read once for each state of the table. */
static const Ties *
get_ties(const Target *journal)
{
	MemoryContext context;
	void **kept = target_keep(journal, ties_owner, &context);

	if (*kept == NULL)
	{
		/* What is wrong with an argument is found before anything is kept. */
		Ties *ties = read_ties(journal);
		MemoryContext old = MemoryContextSwitchTo(context);

		*kept = copy_ties(ties);
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
append_argument(StringInfo arguments, TieKey key, const char *value)
{
	appendStringInfo(arguments, "%s%s", arguments->len > 0 ? ", " : "",
					 quote_literal_cstr(
						 psprintf("%s=%s", key_names[key], value)));
}

static const char *
qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(
										  RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

static const char *
name_of_column(const Target *accounts, AttrNumber attnum)
{
	return NameStr(target_column(accounts, attnum)->attname);
}

/*
 * The arguments of a guard that names these accounts, as CREATE TRIGGER takes
 * them; only those that the tie has, unless that is NULL.
 */
static char *
format_arguments(const Target *accounts, AttrNumber id_attnum,
				 AttrNumber balance_attnum, const Tie *tie)
{
	StringInfoData arguments;

	initStringInfo(&arguments);
	if (tie == NULL || tie->names[TIE_ACCOUNTS] != NULL)
		append_argument(&arguments, TIE_ACCOUNTS,
						qualified_name(target_relation(accounts)));
	if (tie == NULL || tie->names[TIE_ID_COLUMN] != NULL)
		append_argument(&arguments, TIE_ID_COLUMN,
						name_of_column(accounts, id_attnum));
	if (tie == NULL || tie->names[TIE_BALANCE_COLUMN] != NULL)
		append_argument(&arguments, TIE_BALANCE_COLUMN,
						name_of_column(accounts, balance_attnum));
	return arguments.data;
}

/* The arguments of a guard that names these accounts and columns. */
char *
tie_arguments(const Target *accounts, AttrNumber id_attnum,
			  AttrNumber balance_attnum)
{
	return format_arguments(accounts, id_attnum, balance_attnum, NULL);
}

/* The arguments of the journal's own guard; empty without. */
char *
tie_guard_arguments(const Target *journal)
{
	const Ties *ties = get_ties(journal);

	return pstrdup(ties->nties == 0 ? "" : ties->ties[0].arguments);
}

/* ----------
 * Checking
 * ----------
 */

/* Is that what the guard names, if it names it? */
static bool
is_same(const Tie *tie, TieKey key, const char *name)
{
	return tie->names[key] == NULL || strcmp(tie->names[key], name) == 0;
}

static bool
is_same_schema(const Tie *tie, Relation rel)
{
	char *schema;

	if (tie->schema == NULL)
		return true;
	schema = get_namespace_name(RelationGetNamespace(rel));
	return schema != NULL && strcmp(tie->schema, schema) == 0;
}

static bool
fits(const Tie *tie, const Target *accounts, AttrNumber id_attnum,
	 AttrNumber balance_attnum)
{
	Relation rel = target_relation(accounts);

	return is_same(tie, TIE_ACCOUNTS, RelationGetRelationName(rel)) &&
		   is_same_schema(tie, rel) &&
		   is_same(tie, TIE_ID_COLUMN, name_of_column(accounts, id_attnum)) &&
		   is_same(tie, TIE_BALANCE_COLUMN,
				   name_of_column(accounts, balance_attnum));
}

/* Is there still all that the guard names? */
static bool
is_there(const Tie *tie, Relation accounts)
{
	Oid relid = RelationGetRelid(accounts);

	if (tie->schema != NULL)
		relid = get_relname_relid(tie->names[TIE_ACCOUNTS],
								  get_namespace_oid(tie->schema, true));
	if (!OidIsValid(relid))
		return false;
	for (int key = TIE_ID_COLUMN; key < NUM_TIE_KEYS; key++)
	{
		if (tie->names[key] != NULL &&
			get_attnum(relid, tie->names[key]) == InvalidAttrNumber)
			return false;
	}
	return true;
}

/* What a tie names, or these accounts where it names something, in words. */
static char *
describe(const Tie *tie, const char *accounts, const char *id_column,
		 const char *balance_column)
{
	StringInfoData words;

	initStringInfo(&words);
	if (tie->names[TIE_ACCOUNTS] != NULL)
		appendStringInfo(&words, "table %s", accounts);
	if (tie->names[TIE_ID_COLUMN] != NULL)
		appendStringInfo(&words, "%sid column \"%s\"",
						 words.len > 0 ? ", " : "", id_column);
	if (tie->names[TIE_BALANCE_COLUMN] != NULL)
		appendStringInfo(&words, "%sbalance column \"%s\"",
						 words.len > 0 ? ", " : "", balance_column);
	return words.data;
}

/*
 * The statement that ties the journal to these accounts.  The guard of a
 * partition may be its parent's, and is then made anew there.
 */
static char *
tying_statement(const Target *journal, const Tie *tie, const char *arguments)
{
	Oid relid = RelationGetRelid(target_relation(journal));

	if (tie->inherited)
		relid = llast_oid(get_partition_ancestors(relid));
	return psprintf(
		"CREATE OR REPLACE TRIGGER %s BEFORE UPDATE OR DELETE ON "
		"%s FOR EACH ROW EXECUTE FUNCTION %s(%s);",
		quote_identifier(tie->trigger),
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
								   get_rel_name(relid)),
		quote_qualified_identifier(get_namespace_name(
									   get_func_namespace(tie->function)),
								   get_func_name(tie->function)),
		arguments);
}

pg_noreturn static void
error_other_accounts(const Target *journal, const Tie *tie,
					 const Target *accounts, AttrNumber id_attnum,
					 AttrNumber balance_attnum)
{
	char *named = describe(
		tie,
		tie->schema == NULL
			? NULL
			: quote_qualified_identifier(tie->schema, tie->names[TIE_ACCOUNTS]),
		tie->names[TIE_ID_COLUMN], tie->names[TIE_BALANCE_COLUMN]);
	char *used = describe(tie, qualified_name(target_relation(accounts)),
						  name_of_column(accounts, id_attnum),
						  name_of_column(accounts, balance_attnum));
	char *arguments = format_arguments(accounts, id_attnum, balance_attnum,
									   tie);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("journal \"%s\" belongs to other accounts",
					RelationGetRelationName(target_relation(journal))),
			 errdetail("It belongs to %s; the call is about %s.", named, used),
			 is_there(tie, target_relation(accounts))
				 ? errhint("Name the accounts that it belongs to, or a journal "
						   "of these accounts.")
				 : errhint("If the table, its schema or a column was renamed, "
						   "run: %s",
						   tying_statement(journal, tie, arguments))));
}

/* These accounts must be those that the journal belongs to, if it says. */
void
tie_check(const Target *journal, const Target *accounts, AttrNumber id_attnum,
		  AttrNumber balance_attnum)
{
	const Ties *ties = get_ties(journal);

	for (int i = 0; i < ties->nties; i++)
	{
		const Tie *tie = &ties->ties[i];

		if (!fits(tie, accounts, id_attnum, balance_attnum))
			error_other_accounts(journal, tie, accounts, id_attnum,
								 balance_attnum);
	}
}
