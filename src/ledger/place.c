/*-------------------------------------------------------------------------
 *
 * place.c
 *	  Put the tables of a new journal beside accounts that Citus manages.
 *
 * Beside accounts in a single shard, the journal is in the same shard: all is
 * as on one server.  Beside others, it is a local table of the coordinator that
 * all nodes know: the entry is committed by the record that decides about the
 * other nodes, too, so a request is found as soon as it is booked.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "ledger/beside.h"
#include "ledger/place.h"
#include "run/run.h"

/* Return true if Citus manages the accounts. */
bool
place_is_chosen(const Target *accounts)
{
	return target_spread(accounts)->kind != SPREAD_NOT;
}

/* Check that a journal beside these accounts can have what it is to have. */
void
place_check(const Target *accounts, const PlaceWishes *wishes)
{
	Relation rel = target_relation(accounts);

	if (wishes->guarded)
		beside_check_guarded(rel);
	if (wishes->holds)
		beside_check_held(accounts);
	if (wishes->partitions)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("create_journal() cannot partition a journal of accounts "
						"\"%s\", which Citus manages",
						RelationGetRelationName(rel)),
				 errhint("Create the table yourself: any table with the columns "
						 "of a journal serves.")));
	if (wishes->foreign_keys &&
		target_spread(accounts)->kind == SPREAD_BY_COLUMN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a journal cannot have foreign keys to accounts \"%s\", "
						"which Citus distributes",
						RelationGetRelationName(rel)),
				 errhint("Pass foreign_keys => false, and delete no account that "
						 "has entries.")));
}

/* The statement that gives a table to Citus. */
static char *
place_statement(const Target *accounts, const char *name)
{
	Relation rel = target_relation(accounts);
	char *beside;

	if (target_spread(accounts)->kind != SPREAD_SINGLE)
		return psprintf(
			"SELECT pg_catalog.citus_add_local_table_to_metadata(%s)",
			quote_literal_cstr(name));
	beside = quote_qualified_identifier(get_namespace_name(
											RelationGetNamespace(rel)),
										RelationGetRelationName(rel));
	return psprintf("SELECT pg_catalog.create_distributed_table(%s, NULL,"
					" colocate_with => %s)",
					quote_literal_cstr(name), quote_literal_cstr(beside));
}

/*
 * Put a table where it belongs.  Citus takes a table with triggers only if it
 * is told to: those of a journal refuse what they are fired by, on any node.
 */
void
place_table(const Target *accounts, const char *name)
{
	int nest = NewGUCNestLevel();

	(void) set_config_option("citus.enable_unsafe_triggers", "on",
							 superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	run_query_for_effect(place_statement(accounts, name));
	AtEOXact_GUC(true, nest);
}
