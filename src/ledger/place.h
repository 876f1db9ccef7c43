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
} PlaceWishes;

/* Return true if Citus manages the accounts, and so is to manage a journal. */
extern bool place_is_chosen(const Target *accounts);
/* Check that a journal beside these accounts can have what it is to have. */
extern void place_check(const Target *accounts, const PlaceWishes *wishes);
/*
 * Put a table, which is not open, where it belongs.  Its name is quoted and
 * schema-qualified.  Its OID may become another one.
 */
extern void place_table(const Target *accounts, const char *name);

#endif /* RACEFREE_PLACE_H */
