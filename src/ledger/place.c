/*-------------------------------------------------------------------------
 *
 * place.c
 *	  Put the tables of a new journal beside accounts that Citus manages.
 *
 * Beside accounts in a single shard, the journal is in the same shard: all is
 * as on one server.  Beside others, it is a local table of the coordinator that
 * all nodes know: the entry is committed by the record that decides about the
 * other nodes, too, so a request is found as soon as it is booked.  If its owner
 * wants, the journal is distributed by its requests instead, so that not all
 * entries are booked by one node; then only requests are unique.
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

/* Check how the journal is to be distributed. */
static void
place_check_distribution(const Target *accounts, const PlaceWishes *wishes)
{
	if (wishes->distribute_by == NULL)
		return;
	if (strcmp(wishes->distribute_by, "request_id") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a journal cannot be distributed by column \"%s\"",
						wishes->distribute_by),
				 errdetail("Only the column by which it is distributed can be "
						   "unique, and requests must be."),
				 errhint("Distribute it by request_id.")));
	if (!place_is_chosen(accounts))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the journal of accounts \"%s\" cannot be distributed",
						RelationGetRelationName(target_relation(accounts))),
				 errdetail("Citus does not manage the accounts.")));
}

/* Check that the journal can have foreign keys, if it is to have any. */
static void
place_check_foreign_keys(const Target *accounts, const PlaceWishes *wishes)
{
	if (!wishes->foreign_keys ||
		(target_spread(accounts)->kind != SPREAD_BY_COLUMN &&
		 wishes->distribute_by == NULL))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a journal cannot have foreign keys to accounts \"%s\" on "
					"other nodes",
					RelationGetRelationName(target_relation(accounts))),
			 errdetail("Citus distributes the accounts or the journal."),
			 errhint("Pass foreign_keys => false, and delete no account that "
					 "has entries.")));
}

/* Check that the journal can have what it is to have beside these accounts. */
void
place_check(const Target *accounts, const PlaceWishes *wishes)
{
	Relation rel = target_relation(accounts);

	place_check_distribution(accounts, wishes);
	if (!place_is_chosen(accounts))
		return;
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
	place_check_foreign_keys(accounts, wishes);
}

/* The statement that gives a table to Citus. */
static char *
place_statement(const Target *accounts, const char *name,
				const char *distribute_by)
{
	Relation rel = target_relation(accounts);
	char *beside;

	if (distribute_by != NULL)
		return psprintf("SELECT pg_catalog.create_distributed_table(%s, %s,"
						" colocate_with => 'none')",
						quote_literal_cstr(name),
						quote_literal_cstr(distribute_by));
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
 * Put a table where it belongs, or distribute it by a column.  Citus takes a table with triggers only if it
 * is told to: those of a journal refuse what they are fired by, on any node.
 */
void
place_table(const Target *accounts, const char *name, const char *distribute_by)
{
	int nest = NewGUCNestLevel();

	(void) set_config_option("citus.enable_unsafe_triggers", "on",
							 superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	run_query_for_effect(place_statement(accounts, name, distribute_by));
	AtEOXact_GUC(true, nest);
}
