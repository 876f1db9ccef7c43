/*-------------------------------------------------------------------------
 *
 * place.h
 *	  Put the tables of a new journal beside accounts that Citus manages.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_PLACE_H
#define RACEFREE_PLACE_H

#include "table/target.h"

/* What a new journal is to have. */
typedef struct PlaceWishes
{
	bool foreign_keys;
	bool partitions;
	bool holds;
	bool guarded;
	const char *distribute_by; /* the column; or NULL */
} PlaceWishes;

/* Return true if Citus manages the accounts, and so is to manage a journal. */
extern bool place_is_chosen(const Target *accounts);
/* Check that the journal can have what it is to have beside these accounts. */
extern void place_check(const Target *accounts, const PlaceWishes *wishes);
/*
 * Put a table, which is not open, where it belongs, or distribute it by a
 * column.  Its name is quoted and schema-qualified.  Its OID may become another
 * one.
 */
extern void place_table(const Target *accounts, const char *name,
						const char *distribute_by);

#endif /* RACEFREE_PLACE_H */
