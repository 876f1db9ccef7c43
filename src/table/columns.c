/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  A table's columns: their names, types, equality and hashes.
 *
 * Values are equal by the default equality operator of their type, under the
 * collation of their column.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "table/columns.h"

/* What is found out about a table's columns, until the table changes. */
typedef struct ColumnFacts
{
	Bitmapset *unhashed; /* equal values may have hashes that differ */
} ColumnFacts;

/* The address by which the table's entry knows the facts. */
static const char columns_owner[] = "columns";

/*
 * Return true if equal values of the type under this collation have equal
 * hashes.  Core hashes a name by its bytes, but compares it by the collation,
 * in which names of different bytes are equal if it is not deterministic.
 */
static bool
columns_hash_agrees(Oid type, Oid collation)
{
	Oid base = getBaseType(type);
	bool agrees = true;
	TupleDesc tupdesc;

	if (base == NAMEOID)
		return !OidIsValid(collation) ||
			   get_collation_isdeterministic(collation);
	/* An array hashes its elements, a range its bounds, a row its columns. */
	if (OidIsValid(get_element_type(base)))
		return columns_hash_agrees(get_element_type(base), collation);
	if (type_is_multirange(base))
		base = get_multirange_range(base);
	if (type_is_range(base))
		return columns_hash_agrees(get_range_subtype(base),
								   get_range_collation(base));
	/* What a record's columns are, each value says: they are not looked at. */
	if (!type_is_rowtype(base) || base == RECORDOID)
		return true;

	tupdesc = lookup_rowtype_tupdesc(base, -1);
	for (int i = 0; i < tupdesc->natts && agrees; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		agrees = att->attisdropped ||
				 columns_hash_agrees(att->atttypid, att->attcollation);
	}
	ReleaseTupleDesc(tupdesc);
	return agrees;
}

/* The columns of which equal values may have hashes that differ. */
static Bitmapset *
columns_find_unhashed(const Target *target)
{
	TupleDesc tupdesc = RelationGetDescr(target_relation(target));
	Bitmapset *unhashed = NULL;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped &&
			!columns_hash_agrees(att->atttypid, att->attcollation))
			unhashed = bms_add_member(unhashed, att->attnum);
	}
	return unhashed;
}

/* What is known of the columns, found out when it is first asked for. */
static const ColumnFacts *
columns_facts(const Target *target)
{
	MemoryContext context;
	void **kept = target_keep(target, columns_owner, &context);

	if (*kept == NULL)
	{
		Bitmapset *unhashed = columns_find_unhashed(target);
		MemoryContext old = MemoryContextSwitchTo(context);
		ColumnFacts *facts = palloc(sizeof(ColumnFacts));

		facts->unhashed = bms_copy(unhashed);
		MemoryContextSwitchTo(old);
		bms_free(unhashed);
		*kept = facts;
	}
	return *kept;
}

/*
 * The number of the live user column whose name is these bytes.  An error if
 * there is none.
 */
AttrNumber
columns_find_by_bytes(const Target *target, const char *name, int len)
{
	TupleDesc tupdesc = RelationGetDescr(target_relation(target));

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped && len < NAMEDATALEN &&
			strncmp(NameStr(att->attname), name, len) == 0 &&
			NameStr(att->attname)[len] == '\0')
			return att->attnum;
	}
	error_undefined_column(target_relation(target), pnstrdup(name, len));
}

/* The same for a name that ends with a zero byte. */
AttrNumber
columns_find(const Target *target, const char *name)
{
	return columns_find_by_bytes(target, name, strlen(name));
}

/*
 * The type cache's entry for a column's type, with the default equality
 * operator and what else the flags ask for.  A type without equality is an
 * error, since no row can be found by it.
 */
TypeCacheEntry *
columns_type(const Target *target, AttrNumber attnum, int flags)
{
	Form_pg_attribute att = target_column(target, attnum);
	TypeCacheEntry *type;

	Assert(!att->attisdropped);
	type = lookup_type_cache(att->atttypid, flags | TYPECACHE_EQ_OPR);
	if (!OidIsValid(type->eq_opr))
		error_no_equality(att->atttypid);
	return type;
}

/* Return true if the column's type has a modifier, such as a length. */
bool
columns_has_length(const Target *target, AttrNumber attnum)
{
	int32 typmod = target_column(target, attnum)->atttypmod;

	/* A domain has its modifier from its definition, not from the column. */
	(void) getBaseTypeAndTypmod(target_column(target, attnum)->atttypid,
								&typmod);
	return typmod >= 0;
}

/*
 * Return true if equal values of the column may have hashes that differ,
 * although the type has a hash.
 */
bool
columns_hash_misleads(const Target *target, AttrNumber attnum)
{
	return bms_is_member(attnum, columns_facts(target)->unhashed);
}

/*
 * Return true if the column's type has a hash, hash_extended_proc of the type
 * cache, that is the same for values which are equal under the column's
 * collation.
 */
bool
columns_has_hash(const Target *target, AttrNumber attnum)
{
	TypeCacheEntry *type = columns_type(target, attnum,
										TYPECACHE_HASH_EXTENDED_PROC);

	return OidIsValid(type->hash_extended_proc) &&
		   !columns_hash_misleads(target, attnum);
}

/* A collation's name, quoted and schema-qualified. */
char *
columns_collation_name(Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * The column's type as the definition of another column of this type has it,
 * with a COLLATE clause if it needs one.
 */
char *
columns_declared_type(const Target *target, AttrNumber attnum)
{
	Form_pg_attribute att = target_column(target, attnum);
	char *type = format_type_extended(att->atttypid, att->atttypmod,
									  FORMAT_TYPE_TYPEMOD_GIVEN |
										  FORMAT_TYPE_FORCE_QUALIFY);

	if (!OidIsValid(att->attcollation) ||
		att->attcollation == get_typcollation(att->atttypid))
		return type;
	return psprintf("%s COLLATE %s", type,
					columns_collation_name(att->attcollation));
}
