/*-------------------------------------------------------------------------
 *
 * memcheck.h
 *	  What a server tells valgrind about memory, for the address sanitizer.
 *
 * A server that is built with USE_VALGRIND says which parts of its memory are
 * in use: chunks of palloc(), pinned pages.  It includes this file as
 * <valgrind/memcheck.h>; the sanitizer then finds an access to a chunk that is
 * freed, or past the end of one, although the block around it is malloc()'s.
 *
 * The server frees and wipes a chunk by MAKE_MEM_NOACCESS before it tells that
 * the chunk left its pool: the requests on pools have nothing to add.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_MEMCHECK_H
#define RACEFREE_MEMCHECK_H

#include <sanitizer/asan_interface.h>

#define VALGRIND_MAKE_MEM_NOACCESS(addr, size) \
	__asan_poison_memory_region((const void *) (addr), (size))
#define VALGRIND_MAKE_MEM_DEFINED(addr, size) \
	__asan_unpoison_memory_region((const void *) (addr), (size))
#define VALGRIND_MAKE_MEM_UNDEFINED(addr, size) \
	__asan_unpoison_memory_region((const void *) (addr), (size))
#define VALGRIND_MEMPOOL_ALLOC(pool, addr, size) \
	__asan_unpoison_memory_region((const void *) (addr), (size))

#define VALGRIND_MEMPOOL_CHANGE(pool, from, to, size) ((void) (pool))
#define VALGRIND_MEMPOOL_FREE(pool, addr) ((void) (pool))
#define VALGRIND_MEMPOOL_TRIM(pool, addr, size) ((void) 0)
#define VALGRIND_CREATE_MEMPOOL(pool, redzone, zeroed) ((void) 0)
#define VALGRIND_DESTROY_MEMPOOL(pool) ((void) 0)

/* The sanitizer does not know what is defined. */
#define VALGRIND_CHECK_MEM_IS_DEFINED(addr, size) ((void) 0)

/* It ends the process at the first error. */
#define VALGRIND_COUNT_ERRORS 0
#define VALGRIND_PRINTF(...) ((void) 0)

#endif /* RACEFREE_MEMCHECK_H */
