/*-------------------------------------------------------------------------
 *
 * transfer_journal.c
 *	  create_journal(), journal_guard(), balance_at(): the tables that transfers
 *	  are booked in.
 *
 * What the calls allocate lives in SPI's memory context, and goes with
 * SPI_finish(), or in the caller's.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "errors.h"
#include "journal.h"
#include "plans.h"
#include "target.h"

PG_FUNCTION_INFO_V1(create_journal);
PG_FUNCTION_INFO_V1(journal_guard);
PG_FUNCTION_INFO_V1(balance_at);

/* ----------
 * create_journal
 * ----------
 */

/* Run a command, as the caller. */
static void
run_command(const char *command)
{
	int result = SPI_execute(command, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "SPI returned %s for \"%s\"",
			 SPI_result_code_string(result), command);
}

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

static void
create_table(const char *name, const char *id_type, const char *id_reference,
			 const char *reverses_reference, const char *request_type)
{
	StringInfoData command;

	initStringInfo(&command);
	appendStringInfo(&command,
					 "CREATE TABLE %s ("
					 "id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY"
					 " PRIMARY KEY, "
					 "request_id %s UNIQUE, ",
					 name, request_type);
	appendStringInfo(&command, "from_id %s NOT NULL%s, to_id %s NOT NULL%s, ",
					 id_type, id_reference, id_type, id_reference);
	appendStringInfo(&command,
					 "amount pg_catalog.numeric NOT NULL"
					 " CHECK (amount OPERATOR(pg_catalog.>) 0), "
					 "from_balance pg_catalog.numeric NOT NULL, "
					 "to_balance pg_catalog.numeric NOT NULL, "
					 "reverses pg_catalog.int8%s, "
					 "details pg_catalog.jsonb, "
					 "created_at pg_catalog.timestamptz NOT NULL"
					 " DEFAULT pg_catalog.clock_timestamp())",
					 reverses_reference);
	run_command(command.data);
}

static void
create_indexes(const char *name)
{
	run_command(psprintf("CREATE INDEX ON %s (from_id, created_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (to_id, created_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (reverses)"
						 " WHERE reverses IS NOT NULL",
						 name));
}

/*
 * By rows, so that it holds as a partition of another table, too; TRUNCATE
 * knows no rows.
 */
static void
create_guards(const char *name, Oid schema)
{
	const char *guard = quote_qualified_identifier(get_namespace_name(schema),
												   "journal_guard");

	run_command(psprintf("CREATE TRIGGER journal_guard"
						 " BEFORE UPDATE OR DELETE ON %s"
						 " FOR EACH ROW EXECUTE FUNCTION %s()",
						 name, guard));
	run_command(psprintf("CREATE TRIGGER journal_guard_truncate"
						 " BEFORE TRUNCATE ON %s"
						 " FOR EACH STATEMENT EXECUTE FUNCTION %s()",
						 name, guard));
}

/*
 * create_journal(journal text, accounts anyelement, id_column name,
 *				  request_id_type regtype, foreign_keys boolean)
 *		RETURNS regclass
 */
Datum
create_journal(PG_FUNCTION_ARGS)
{
	RangeVar *journal;
	Target *accounts;
	AttrNumber id_attnum;
	Oid schema;
	char *name;
	bool foreign_keys;

	if (PG_ARGISNULL(0))
		error_null_argument("journal");
	if (PG_ARGISNULL(3))
		error_null_argument("request_id_type");
	if (PG_ARGISNULL(4))
		error_null_argument("foreign_keys");
	if (!SearchSysCacheExists1(TYPEOID, PG_GETARG_DATUM(3)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("type with OID %u does not exist",
							   PG_GETARG_OID(3))));
	foreign_keys = PG_GETARG_BOOL(4);

	journal = makeRangeVarFromNameList(
		textToQualifiedNameList(PG_GETARG_TEXT_PP(0)));
	schema = RangeVarGetCreationNamespace(journal);
	name = quote_qualified_identifier(get_namespace_name(schema),
									  journal->relname);
	accounts = target_open(get_fn_expr_argtype(fcinfo->flinfo, 1),
						   AccessShareLock);
	id_attnum = target_id_column(accounts, PG_ARGISNULL(2)
											   ? NULL
											   : NameStr(*PG_GETARG_NAME(2)));
	(void) target_id_comparison(accounts, id_attnum);

	SPI_connect();
	create_table(name, id_column_type(accounts, id_attnum),
				 foreign_keys ? id_reference(accounts, id_attnum) : "",
				 foreign_keys ? psprintf(" REFERENCES %s (id)", name) : "",
				 format_type_be_qualified(PG_GETARG_OID(3)));
	create_indexes(name);
	create_guards(name, get_func_namespace(fcinfo->flinfo->fn_oid));
	SPI_finish();
	target_close(accounts);
	PG_RETURN_OID(get_relname_relid(journal->relname, schema));
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

/* The balance that such a statement gives; false if it gives none. */
static bool
read_balance(const Journal *journal, StatementKind kind, Datum *values,
			 MemoryContext context, Datum *balance)
{
	ColumnValues none = {0};
	StatementSpec spec = {.kind = kind,
						  .key = &none,
						  .journal = journal->columns};
	MemoryContext old;
	bool isnull;

	if (plan_read(journal->table, &spec, values) == 0)
		return false;
	*balance = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							 &isnull);
	if (isnull)
		return false;
	old = MemoryContextSwitchTo(context);
	*balance = datumCopy(*balance, false, -1);
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * balance_at(journal regclass, account_id anycompatible, at timestamptz)
 *		RETURNS numeric
 */
Datum
balance_at(PG_FUNCTION_ARGS)
{
	static const char *const arguments[] = {"journal", "account_id", "at"};
	MemoryContext context = CurrentMemoryContext;
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	Journal journal;
	Datum values[4];
	Datum balance;
	bool found;

	for (int i = 0; i < lengthof(arguments); i++)
	{
		if (PG_ARGISNULL(i))
			error_null_argument(arguments[i]);
	}
	journal_open(&journal, PG_GETARG_OID(0), AccessShareLock);
	journal_need(&journal, JOURNAL_ID);
	journal_need(&journal, JOURNAL_FROM_BALANCE);
	journal_need(&journal, JOURNAL_TO_BALANCE);
	journal_need(&journal, JOURNAL_CREATED_AT);
	values[0] = journal_convert_id(&journal, JOURNAL_FROM_ID, type,
								   PG_GETARG_DATUM(1));
	values[1] = PG_GETARG_DATUM(2);
	values[2] = journal_convert_id(&journal, JOURNAL_TO_ID, type,
								   PG_GETARG_DATUM(1));
	values[3] = PG_GETARG_DATUM(2);

	SPI_connect();
	found =
		read_balance(&journal, STMT_BALANCE_AT, values, context, &balance) ||
		read_balance(&journal, STMT_BALANCE_BEFORE, values, context, &balance);
	SPI_finish();
	journal_close(&journal);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(balance);
}
