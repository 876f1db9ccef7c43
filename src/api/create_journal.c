/*-------------------------------------------------------------------------
 *
 * create_journal.c
 *	  create_journal(): create a table that transfers are booked in.
 *
 * What the call allocates lives until run_end(), or in the caller's memory
 * context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "ledger/accounts.h"
#include "ledger/guard_arguments.h"
#include "ledger/guard_tree.h"
#include "ledger/guarded_tree.h"
#include "ledger/holds.h"
#include "ledger/journal.h"
#include "ledger/journal_rules.h"
#include "ledger/place.h"
#include "ledger/request_ids.h"
#include "run/run.h"
#include "table/columns.h"
#include "table/target.h"

PG_FUNCTION_INFO_V1(create_journal);

/* Arguments */
enum
{
	ARG_JOURNAL,
	ARG_ACCOUNTS,
	ARG_ID_COLUMN,
	ARG_REQUEST_ID_TYPE,
	ARG_FOREIGN_KEYS,
	ARG_BALANCE_COLUMN,
	ARG_PARTITION_BY,
	ARG_MIN_BALANCE_COLUMN,
	ARG_MAX_BALANCE_COLUMN,
	ARG_CLOSED_COLUMN,
	ARG_MUST_MATCH,
	ARG_OPENING,
	ARG_HELD_COLUMN,
	ARG_GUARDED,
	ARG_DISTRIBUTE_BY
};

/* ----------
 * The table
 * ----------
 */

/* REFERENCES schema.accounts (id) */
static char *
id_reference(const Target *accounts, AttrNumber attnum)
{
	Relation rel = target_relation(accounts);
	char *schema = get_namespace_name(RelationGetNamespace(rel));
	const char *column = NameStr(target_column(accounts, attnum)->attname);

	return psprintf(" REFERENCES %s (%s)",
					quote_qualified_identifier(schema,
											   RelationGetRelationName(rel)),
					quote_identifier(column));
}

/* The parts of the statements that create the table. */
typedef struct JournalForm
{
	const char *name;	 /* quoted and schema-qualified */
	bool unlogged;		 /* if the accounts are */
	const char *id_type; /* of the accounts */
	const char *request_type;
	const char *accounts_reference; /* REFERENCES ..., or empty */
	const char *entries_reference;
	bool unique_id; /* true if the column can have a unique index */
	bool unique_request;
	const char *partition_by; /* NULL for none */
	bool placed;			  /* it is put somewhere before it is referenced */
} JournalForm;

/* A reference as CREATE TABLE has it, unless it is added later. */
static const char *
in_table(const JournalForm *form, const char *reference)
{
	return form->placed ? "" : reference;
}

/*
 * CREATE TABLE schema.journal (...) [ PARTITION BY ... ]
 *
 * Each INSERT prepares the CHECKs anew, so these are few and short.  That a kind
 * is one of those that there are is for verify_journal() to tell.
 */
static char *
table_command(const JournalForm *form)
{
	StringInfoData command;

	initStringInfo(&command);
	appendStringInfo(&command,
					 "CREATE %sTABLE %s ("
					 "id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY%s, "
					 "request_id %s%s, "
					 "kind pg_catalog.text NOT NULL DEFAULT 'transfer', ",
					 form->unlogged ? "UNLOGGED " : "", form->name,
					 form->unique_id ? " PRIMARY KEY" : "", form->request_type,
					 form->unique_request ? " UNIQUE" : "");
	appendStringInfo(&command, "from_id %s NOT NULL%s, to_id %s NOT NULL%s, ",
					 form->id_type, in_table(form, form->accounts_reference),
					 form->id_type, in_table(form, form->accounts_reference));
	appendStringInfoString(&command,
						   "amount pg_catalog.numeric NOT NULL"
						   " CHECK (amount OPERATOR(pg_catalog.>) 0), "
						   "from_balance pg_catalog.numeric NOT NULL, "
						   "to_balance pg_catalog.numeric"
						   " CHECK (to_balance IS NOT NULL"
						   " OR settles IS NOT NULL"
						   " OR kind OPERATOR(pg_catalog.=) 'hold'), ");
	appendStringInfo(&command,
					 "reverses pg_catalog.int8%s, "
					 "settles pg_catalog.int8%s, "
					 "expires_at pg_catalog.timestamptz, "
					 "chain_id pg_catalog.int8, "
					 "details pg_catalog.jsonb, "
					 "created_at pg_catalog.timestamptz NOT NULL"
					 " DEFAULT pg_catalog.clock_timestamp())",
					 in_table(form, form->entries_reference),
					 in_table(form, form->entries_reference));
	if (form->partition_by != NULL)
		appendStringInfo(&command, " PARTITION BY %s", form->partition_by);
	return command.data;
}

/* Create the indexes that are not constraints of the table. */
static void
create_indexes(const JournalForm *form)
{
	static const char *const sparse[] = {"reverses", "settles", "chain_id"};
	const char *name = form->name;

	if (!form->unique_id)
		run_command(psprintf("CREATE INDEX ON %s (id)", name));
	if (!form->unique_request)
		run_command(psprintf("CREATE INDEX ON %s (request_id)", name));
	run_command(psprintf("CREATE INDEX ON %s (from_id, created_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (to_id, created_at)", name));
	for (int i = 0; i < lengthof(sparse); i++)
		run_command(psprintf("CREATE INDEX ON %s (%s) WHERE %s IS NOT NULL",
							 name, sparse[i], sparse[i]));
}

/* Add references to the table, one by one. */
static void
add_references(const JournalForm *form)
{
	static const char *const columns[] = {"from_id", "to_id", "reverses",
										  "settles"};

	for (int i = 0; i < lengthof(columns); i++)
	{
		const char *reference = i < 2 ? form->accounts_reference
									  : form->entries_reference;

		if (reference[0] != '\0')
			run_command(psprintf("ALTER TABLE %s ADD FOREIGN KEY (%s)%s",
								 form->name, columns[i], reference));
	}
}

/* ----------
 * Partitions
 * ----------
 */

/*
 * Error context callback: point to our statement, and not to the caller's, for
 * the position of a syntax error.
 */
static void
partitioning_error_context(void *arg)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
	errcontext("argument \"%s\"", "partition_by");
}

/*
 * Parse the command.  The text that the caller gave to partition the table by
 * is pasted into it, so check that this text did not end the statement, or go
 * on with another clause.
 */
static CreateStmt *
parse_partitioned(char *command)
{
	ErrorContextCallback callback = {.callback = partitioning_error_context,
									 .arg = command};
	List *parsed;
	CreateStmt *stmt = NULL;

	callback.previous = error_context_stack;
	error_context_stack = &callback;
	parsed = raw_parser(command, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;

	if (list_length(parsed) == 1)
		stmt = (CreateStmt *) linitial_node(RawStmt, parsed)->stmt;
	if (stmt == NULL || !IsA(stmt, CreateStmt) || stmt->partspec == NULL ||
		stmt->accessMethod != NULL || stmt->options != NIL ||
		stmt->oncommit != ONCOMMIT_NOOP || stmt->tablespacename != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be what follows PARTITION BY, "
						"and nothing else",
						"partition_by"),
				 errhint("Such as RANGE (created_at).")));
	return stmt;
}

/*
 * Choose which columns have unique indexes.  A unique index of a partitioned
 * table must have all columns of the partition key.  So the id, or the request
 * id, can be unique only if it is the partition key.
 */
static void
choose_unique(JournalForm *form)
{
	PartitionSpec *spec;
	PartitionElem *column;

	if (form->partition_by == NULL)
		return;
	form->unique_id = false;
	form->unique_request = false;
	spec = parse_partitioned(table_command(form))->partspec;
	column = linitial_node(PartitionElem, spec->partParams);
	if (list_length(spec->partParams) != 1 || column->name == NULL ||
		column->collation != NIL || column->opclass != NIL)
		return;
	form->unique_id = strcmp(column->name, "id") == 0;
	form->unique_request = strcmp(column->name, "request_id") == 0;
}

/* ----------
 * create_journal
 * ----------
 */

/* The arguments of create_journal(). */
typedef struct JournalArgs
{
	RangeVar *journal;
	Oid schema;
	Accounts accounts;
	bool foreign_keys;
	Oid request_type;
	const char *partition_by;
	GuardRules rules;
	bool guarded;
	const char *distribute_by; /* NULL for none */
} JournalArgs;

/* Open the table of accounts, and find their columns. */
static void
resolve_accounts(JournalArgs *args, FunctionCallInfo fcinfo)
{
	accounts_open(&args->accounts,
				  get_fn_expr_argtype(fcinfo->flinfo, ARG_ACCOUNTS),
				  AccessShareLock, arguments_get_name(fcinfo, ARG_ID_COLUMN),
				  arguments_get_name(fcinfo, ARG_BALANCE_COLUMN));
}

/* The names of an array, as a rule has them; NULL if there are none. */
static char *
read_must_match(ArrayType *array)
{
	Datum *elements;
	bool *nulls;
	int n;
	List *names = NIL;

	if (array == NULL)
		return NULL;
	arguments_deconstruct(array, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			error_null_element("must_match");
		names = lappend(names, NameStr(*DatumGetName(elements[i])));
	}
	return guard_arguments_print_names(names);
}

/* Read the rules, and check the columns that they name. */
static void
read_rules(JournalArgs *args, FunctionCallInfo fcinfo)
{
	const char **values = args->rules.values;

	memset(&args->rules, 0, sizeof(GuardRules));
	values[GUARD_MIN_BALANCE_COLUMN] =
		arguments_get_name(fcinfo, ARG_MIN_BALANCE_COLUMN);
	values[GUARD_MAX_BALANCE_COLUMN] =
		arguments_get_name(fcinfo, ARG_MAX_BALANCE_COLUMN);
	values[GUARD_CLOSED_COLUMN] = arguments_get_name(fcinfo, ARG_CLOSED_COLUMN);
	values[GUARD_HELD_COLUMN] = arguments_get_name(fcinfo, ARG_HELD_COLUMN);
	values[GUARD_MUST_MATCH] = read_must_match(
		arguments_get_array(fcinfo, ARG_MUST_MATCH));
	if (!PG_ARGISNULL(ARG_OPENING))
		values[GUARD_OPENING] = journal_rules_print_opening(
			PG_GETARG_NUMERIC(ARG_OPENING));
	journal_rules_check(&args->rules, args->accounts.table,
						args->accounts.balance.attnum);
}

/* The type of request ids, which must exist and suit. */
static Oid
read_request_type(FunctionCallInfo fcinfo)
{
	Oid type = PG_GETARG_OID(ARG_REQUEST_ID_TYPE);

	if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)))
		error_undefined_type(type, false);
	request_ids_check_type(type);
	return type;
}

/* Read the arguments. */
static void
read_journal_args(JournalArgs *args, FunctionCallInfo fcinfo)
{
	arguments_require(fcinfo, ARG_JOURNAL, "journal");
	arguments_require(fcinfo, ARG_REQUEST_ID_TYPE, "request_id_type");
	arguments_require(fcinfo, ARG_FOREIGN_KEYS, "foreign_keys");
	arguments_require(fcinfo, ARG_BALANCE_COLUMN, "balance_column");
	arguments_require(fcinfo, ARG_GUARDED, "guarded");
	args->request_type = read_request_type(fcinfo);
	args->foreign_keys = PG_GETARG_BOOL(ARG_FOREIGN_KEYS);
	args->guarded = PG_GETARG_BOOL(ARG_GUARDED);
	args->distribute_by = arguments_get_name(fcinfo, ARG_DISTRIBUTE_BY);
	args->partition_by = arguments_get_text(fcinfo, ARG_PARTITION_BY);
	args->journal = makeRangeVarFromNameList(
		textToQualifiedNameList(PG_GETARG_TEXT_PP(ARG_JOURNAL)));
	args->schema = RangeVarGetCreationNamespace(args->journal);
	resolve_accounts(args, fcinfo);
	read_rules(args, fcinfo);
}

/* Check what the journal is to be like beside these accounts. */
static void
check_place(const JournalArgs *args)
{
	PlaceWishes wishes = {
		.foreign_keys = args->foreign_keys,
		.partitions = args->partition_by != NULL,
		.holds = args->rules.values[GUARD_HELD_COLUMN] != NULL,
		.guarded = args->guarded,
		.distribute_by = args->distribute_by,
	};

	place_check(args->accounts.table, &wishes);
}

/* The journal's name, quoted and schema-qualified. */
static char *
new_journal_name(const JournalArgs *args)
{
	char *schema = get_namespace_name(args->schema);

	if (schema == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA),
						errmsg("schema with OID %u does not exist",
							   args->schema)));
	return quote_qualified_identifier(schema, args->journal->relname);
}

/* Choose what the table is to be like. */
static void
choose_form(const JournalArgs *args, JournalForm *form)
{
	const Target *accounts = args->accounts.table;
	AttrNumber id_attnum = args->accounts.id.attnum;
	bool partitioned = args->partition_by != NULL;

	form->name = new_journal_name(args);
	form->id_type = columns_declared_type(accounts, id_attnum);
	/* The usual name of bpchar is character, which means character(1). */
	form->request_type = format_type_extended(args->request_type, -1,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
												  FORMAT_TYPE_FORCE_QUALIFY);
	form->partition_by = args->partition_by;
	/* Citus keeps only the column unique by which it distributes. */
	form->unique_id = args->distribute_by == NULL;
	form->unique_request = true;
	form->accounts_reference = "";
	form->entries_reference = "";
	form->placed = place_is_chosen(accounts);
	if (args->foreign_keys)
	{
		form->accounts_reference = id_reference(accounts, id_attnum);
		if (!partitioned)
			form->entries_reference = psprintf(" REFERENCES %s (id)",
											   form->name);
	}
	/* Only a partitioned table's partitions are logged, or not. */
	form->unlogged = target_relation(accounts)->rd_rel->relpersistence ==
						 RELPERSISTENCE_UNLOGGED &&
					 !partitioned && !isAnyTempNamespace(args->schema);
	choose_unique(form);
}

/* Create the table, its indexes, that of its holds, and its guards. */
static Oid
make_journal(JournalArgs *args, const JournalForm *form, Oid caller)
{
	Oid relid;

	run_command(table_command(form));
	relid = get_relname_relid(args->journal->relname, args->schema);
	create_indexes(form);
	if (args->rules.values[GUARD_HELD_COLUMN] != NULL)
		args->rules.values[GUARD_HOLDS] =
			holds_create(args->schema, args->journal->relname, GetUserId(),
						 form->unlogged, form->id_type);
	(void) guard_tree(relid, caller,
					  guard_arguments_print(args->accounts.table,
											args->accounts.id.attnum,
											args->accounts.balance.attnum, NULL,
											&args->rules));
	if (!form->placed)
		return relid;
	place_table(args->accounts.table, form->name, args->distribute_by);
	add_references(form);
	return get_relname_relid(args->journal->relname, args->schema);
}

/*
 * Check that transfers between the accounts can be booked in the new table, and
 * take what is to be guarded.
 */
static void
check_journal(const JournalArgs *args, Oid relid, GuardedNames *names)
{
	Journal journal;

	journal_open(&journal, relid, RowExclusiveLock);
	journal_check_accounts(&journal, &args->accounts);
	if (args->guarded)
		guarded_tree_names(journal.table, names);
	journal_close(&journal);
}

/*
 * create_journal(journal text, accounts anyelement, id_column name,
 *				  request_id_type regtype, foreign_keys boolean,
 *				  balance_column name, partition_by text,
 *				  min_balance_column name, max_balance_column name,
 *				  closed_column name, must_match name[], opening numeric,
 *				  held_column name, guarded boolean, distribute_by name)
 *				  RETURNS regclass
 */
Datum
create_journal(PG_FUNCTION_ARGS)
{
	JournalArgs args;
	JournalForm form;
	GuardedNames names;
	Oid journal;

	read_journal_args(&args, fcinfo);
	check_place(&args);
	choose_form(&args, &form);
	run_begin();
	journal = make_journal(&args, &form, fcinfo->flinfo->fn_oid);
	check_journal(&args, journal, &names);
	accounts_close(&args.accounts);
	if (args.guarded)
		guarded_tree_begin(&names, fcinfo->flinfo->fn_oid);
	run_end();
	PG_RETURN_OID(journal);
}
