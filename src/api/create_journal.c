/*-------------------------------------------------------------------------
 *
 * create_journal.c
 *	  create_journal(), guard_journal(), journal_guard(): the tables that
 *	  transfers are booked in.
 *
 * What the calls allocate lives until run_end(), or in the caller's memory
 * context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/errors.h"
#include "ledger/journal.h"
#include "ledger/rules.h"
#include "ledger/tie.h"
#include "run/run.h"
#include "table/target.h"

PG_FUNCTION_INFO_V1(create_journal);
PG_FUNCTION_INFO_V1(guard_journal);
PG_FUNCTION_INFO_V1(journal_guard);

/* ----------
 * The table
 * ----------
 */

/* The type of the accounts' ids, with their collation if it is its own. */
static char *
id_column_type(const Target *accounts, AttrNumber attnum)
{
	Form_pg_attribute att = target_column(accounts, attnum);
	char *type = format_type_extended(att->atttypid, att->atttypmod,
									  FORMAT_TYPE_TYPEMOD_GIVEN |
										  FORMAT_TYPE_FORCE_QUALIFY);

	if (!OidIsValid(att->attcollation) ||
		att->attcollation == get_typcollation(att->atttypid))
		return type;
	return psprintf("%s COLLATE %s", type,
					target_collation_name(att->attcollation));
}

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

/* What create_journal() makes. */
typedef struct JournalForm
{
	const char *name;	 /* quoted and schema-qualified */
	bool unlogged;		 /* as the accounts are */
	const char *id_type; /* of the accounts */
	const char *request_type;
	const char *accounts_reference; /* REFERENCES ..., or empty */
	const char *entries_reference;
	bool unique_id; /* can the column have a unique index? */
	bool unique_request;
	const char *partition_by; /* NULL for none */
} JournalForm;

/* CREATE TABLE schema.journal (...) [ PARTITION BY ... ] */
static char *
table_command(const JournalForm *form)
{
	StringInfoData command;

	initStringInfo(&command);
	appendStringInfo(&command,
					 "CREATE %sTABLE %s ("
					 "id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY%s, "
					 "request_id %s%s, ",
					 form->unlogged ? "UNLOGGED " : "", form->name,
					 form->unique_id ? " PRIMARY KEY" : "", form->request_type,
					 form->unique_request ? " UNIQUE" : "");
	appendStringInfo(&command, "from_id %s NOT NULL%s, to_id %s NOT NULL%s, ",
					 form->id_type, form->accounts_reference, form->id_type,
					 form->accounts_reference);
	appendStringInfo(&command,
					 "amount pg_catalog.numeric NOT NULL"
					 " CHECK (amount OPERATOR(pg_catalog.>) 0), "
					 "from_balance pg_catalog.numeric NOT NULL, "
					 "to_balance pg_catalog.numeric NOT NULL, "
					 "reverses pg_catalog.int8%s, "
					 "details pg_catalog.jsonb, "
					 "created_at pg_catalog.timestamptz NOT NULL"
					 " DEFAULT pg_catalog.clock_timestamp())",
					 form->entries_reference);
	if (form->partition_by != NULL)
		appendStringInfo(&command, " PARTITION BY %s", form->partition_by);
	return command.data;
}

static void
create_indexes(const JournalForm *form)
{
	const char *name = form->name;

	if (!form->unique_id)
		run_command(psprintf("CREATE INDEX ON %s (id)", name));
	if (!form->unique_request)
		run_command(psprintf("CREATE INDEX ON %s (request_id)", name));
	run_command(psprintf("CREATE INDEX ON %s (from_id, created_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (to_id, created_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (reverses)"
						 " WHERE reverses IS NOT NULL",
						 name));
}

/* ----------
 * Partitions
 * ----------
 */

/* A syntax error is in our statement, not in that of the caller. */
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
 * The command as the parser reads it.  What the caller wrote to partition the
 * table by must not end the statement, nor go on with another part of it.
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
 * A unique index of a partitioned table must have all columns of its partition
 * key.  So the id, or the request, can be unique if it is that key.
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
 * Guards
 * ----------
 */

/* Does a trigger keep the table from all that the type's bits say? */
static bool
is_guarded(Relation rel, int16 type)
{
	int16 missing = type & (TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE |
							TRIGGER_TYPE_TRUNCATE);
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgqual == NULL && trigger->tgnattr == 0 &&
			TRIGGER_FOR_ROW(trigger->tgtype) == TRIGGER_FOR_ROW(type) &&
			tie_is_guard(trigger))
			missing &= ~trigger->tgtype;
	}
	return missing == 0;
}

/* Has one of these tables a trigger of that name? */
static bool
trigger_exists(const char *name, List *tables)
{
	ListCell *lc;

	foreach(lc, tables)
	{
		if (OidIsValid(get_trigger_oid(lfirst_oid(lc), name, true)))
			return true;
	}
	return false;
}

/* A name that no trigger of these tables has. */
static const char *
choose_trigger_name(const char *name, List *tables)
{
	const char *chosen = name;

	for (int n = 1; trigger_exists(chosen, tables); n++)
		chosen = psprintf("%s_%d", name, n);
	return chosen;
}

/* The tables of the tree, parents first, locked for what adds triggers. */
static List *
lock_tree(Oid root)
{
	List *tables = list_make1_oid(root);

	for (int i = 0; i < list_length(tables); i++)
	{
		Oid relid = list_nth_oid(tables, i);
		AclResult result = pg_class_aclcheck(relid, GetUserId(), ACL_TRIGGER);

		/* Nobody waits for a role that may not. */
		if (result != ACLCHECK_OK)
			aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)),
						   get_rel_name(relid));
		LockRelationOid(relid, ShareRowExclusiveLock);
		tables = list_concat_unique_oid(tables,
										find_inheritance_children(relid,
																  NoLock));
	}
	return tables;
}

/*
 * Guard the table where it is not, and say whether there was anything to do.
 * By rows, so that it holds as a partition of another table, too, and so that
 * its own partitions get it; TRUNCATE knows no rows.
 */
static bool
guard_table(Oid relid, List *tables, const char *function,
			const char *arguments)
{
	Relation rel = table_open(relid, NoLock);
	bool rows = is_guarded(rel, TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE |
									TRIGGER_TYPE_DELETE);
	bool truncate = is_guarded(rel, TRIGGER_TYPE_TRUNCATE) ||
					!can_guard_truncate(rel->rd_rel->relkind);
	bool partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	List *itself = list_make1_oid(relid);
	char *name = quote_qualified_identifier(get_namespace_name(
												RelationGetNamespace(rel)),
											RelationGetRelationName(rel));

	table_close(rel, NoLock);
	if (!rows)
		run_command(psprintf("CREATE TRIGGER %s BEFORE UPDATE OR DELETE ON %s"
							 " FOR EACH ROW EXECUTE FUNCTION %s(%s)",
							 choose_trigger_name("journal_guard",
												 partitioned ? tables : itself),
							 name, function, arguments));
	if (!truncate)
		run_command(
			psprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s"
					 " FOR EACH STATEMENT EXECUTE FUNCTION %s()",
					 choose_trigger_name("journal_guard_truncate", itself),
					 name, function));
	return !rows || !truncate;
}

/*
 * Guard the table and all partitions and children of it, in the name of the
 * accounts in the arguments, and say how many were not guarded.
 */
static int
guard_tree(Oid root, Oid caller, const char *arguments)
{
	List *tables = lock_tree(root);
	const char *function = quote_qualified_identifier(
		get_namespace_name(get_func_namespace(caller)), "journal_guard");
	int nguarded = 0;
	ListCell *lc;

	foreach(lc, tables)
	{
		if (guard_table(lfirst_oid(lc), tables, function, arguments))
			nguarded++;
	}
	return nguarded;
}

/* ----------
 * create_journal
 * ----------
 */

/* The arguments of create_journal(), understood. */
typedef struct JournalArgs
{
	RangeVar *journal;
	Oid schema;
	Rules accounts;
	bool foreign_keys;
	Oid request_type;
	const char *partition_by;
} JournalArgs;

/* Resolve the names of the accounts and their columns. */
static void
resolve_accounts(JournalArgs *args, FunctionCallInfo fcinfo)
{
	Target *accounts = target_open(get_fn_expr_argtype(fcinfo->flinfo, 1),
								   AccessShareLock);
	const char *id_column = PG_ARGISNULL(2) ? NULL
											: NameStr(*PG_GETARG_NAME(2));
	RuleArgs rules = {.id_column = id_column,
					  .balance_column = NameStr(*PG_GETARG_NAME(5))};

	rules_resolve(&args->accounts, accounts, &rules);
}

static void
read_arguments(JournalArgs *args, FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		error_null_argument("journal");
	if (PG_ARGISNULL(3))
		error_null_argument("request_id_type");
	if (PG_ARGISNULL(4))
		error_null_argument("foreign_keys");
	if (PG_ARGISNULL(5))
		error_null_argument("balance_column");
	args->request_type = PG_GETARG_OID(3);
	if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(args->request_type)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("type with OID %u does not exist",
							   args->request_type)));
	journal_check_request_type(args->request_type);
	args->foreign_keys = PG_GETARG_BOOL(4);
	args->partition_by = NULL;
	if (!PG_ARGISNULL(6))
		args->partition_by = text_to_cstring(PG_GETARG_TEXT_PP(6));

	args->journal = makeRangeVarFromNameList(
		textToQualifiedNameList(PG_GETARG_TEXT_PP(0)));
	args->schema = RangeVarGetCreationNamespace(args->journal);
	resolve_accounts(args, fcinfo);
}

/* The journal's name, quoted and schema-qualified. */
static char *
journal_name(const JournalArgs *args)
{
	char *schema = get_namespace_name(args->schema);

	if (schema == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA),
						errmsg("schema with OID %u does not exist",
							   args->schema)));
	return quote_qualified_identifier(schema, args->journal->relname);
}

/* The form of the journal that is asked for. */
static void
choose_form(const JournalArgs *args, JournalForm *form)
{
	const Target *accounts = args->accounts.accounts;
	AttrNumber id_attnum = args->accounts.id.attnum;
	bool partitioned = args->partition_by != NULL;

	form->name = journal_name(args);
	form->id_type = id_column_type(accounts, id_attnum);
	/* A type has no length; by its usual name, char would be char(1). */
	form->request_type = format_type_extended(args->request_type, -1,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
												  FORMAT_TYPE_FORCE_QUALIFY);
	form->partition_by = args->partition_by;
	form->unique_id = true;
	form->unique_request = true;
	form->accounts_reference = "";
	form->entries_reference = "";
	if (args->foreign_keys)
	{
		form->accounts_reference = id_reference(accounts, id_attnum);
		if (!partitioned)
			form->entries_reference = psprintf(" REFERENCES %s (id)",
											   form->name);
	}
	/* A partitioned table is not what is logged; its partitions are. */
	form->unlogged = target_relation(accounts)->rd_rel->relpersistence ==
						 RELPERSISTENCE_UNLOGGED &&
					 !partitioned && !isAnyTempNamespace(args->schema);
	choose_unique(form);
}

/* Make the table, its indexes and its guards. */
static Oid
make_journal(const JournalArgs *args, const JournalForm *form, Oid caller)
{
	Oid relid;

	run_command(table_command(form));
	relid = get_relname_relid(args->journal->relname, args->schema);
	create_indexes(form);
	(void) guard_tree(relid, caller,
					  tie_arguments(args->accounts.accounts,
									args->accounts.id.attnum,
									args->accounts.balance.attnum));
	return relid;
}

/* Transfers between the accounts must be able to use what was made. */
static void
check_journal(const JournalArgs *args, Oid relid)
{
	Journal journal;

	journal_open(&journal, relid, RowExclusiveLock);
	journal_check_accounts(&journal, args->accounts.accounts,
						   args->accounts.id.attnum,
						   args->accounts.balance.attnum);
	journal_close(&journal);
}

/*
 * create_journal(journal text, accounts anyelement, id_column name,
 *				  request_id_type regtype, foreign_keys boolean,
 *				  balance_column name, partition_by text) RETURNS regclass
 */
Datum
create_journal(PG_FUNCTION_ARGS)
{
	JournalArgs args;
	JournalForm form;
	Oid journal;

	read_arguments(&args, fcinfo);
	choose_form(&args, &form);
	run_begin();
	journal = make_journal(&args, &form, fcinfo->flinfo->fn_oid);
	run_end();
	check_journal(&args, journal);
	target_close(args.accounts.accounts);
	PG_RETURN_OID(journal);
}

/* guard_journal(journal regclass) RETURNS integer */
Datum
guard_journal(PG_FUNCTION_ARGS)
{
	Journal journal;
	char *arguments;
	int nguarded;

	if (PG_ARGISNULL(0))
		error_null_argument("journal");
	journal_open(&journal, PG_GETARG_OID(0), AccessShareLock);
	arguments = tie_guard_arguments(journal.table);
	journal_close(&journal);

	run_begin();
	nguarded = guard_tree(PG_GETARG_OID(0), fcinfo->flinfo->fn_oid, arguments);
	run_end();
	PG_RETURN_INT32(nguarded);
}

/* ----------
 * journal_guard
 * ----------
 */

/* journal_guard(): a trigger that refuses whatever fires it. */
Datum
journal_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger",
						"journal_guard")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("entries of journal \"%s\" cannot be changed",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("reverse_transfer() books another entry that moves the "
					 "money back.")));
}

/* ----------
 * balance_at
 * ----------
 */
