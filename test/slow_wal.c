/*-------------------------------------------------------------------------
 *
 * slow_wal.c
 *	  Makes each write of WAL take some milliseconds longer.
 *
 * To be preloaded into a server that is going to be killed.  What a process has
 * written survives the process, so a kill loses only what is not written yet.
 * The delay comes before the write, and what is written is as it was before the
 * delay: a page that is written can get more records meanwhile, which have to
 * wait for the next write, as with a disk.
 *
 * It does so while there is the file that RACEFREE_SLOW_WAL names.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In nanoseconds: longer than all else that a call does on a busy machine. */
#define DELAY (12 * 1000 * 1000)

typedef ssize_t (*Pwrite)(int, const void *, size_t, off_t);
typedef ssize_t (*Pwrite64)(int, const void *, size_t, off64_t);

/* Return true if it is a segment of WAL that is in use. */
static int
is_wal(int fd)
{
	char link[64];
	char path[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return 0;
	path[len] = '\0';
	return strstr(path, "/pg_wal/0") != NULL;
}

/*
 * If it is WAL and to be slow, return a copy of what is to be written, after a delay that
 * signals do not make shorter.  Else, or without memory, return NULL.
 */
static void *
copy_and_wait(int fd, const void *buf, size_t size)
{
	const char *file = getenv("RACEFREE_SLOW_WAL");
	struct timespec left = {0, DELAY};
	void *copy;

	if (file == NULL || access(file, F_OK) != 0 || !is_wal(fd))
		return NULL;
	copy = malloc(size);
	if (copy == NULL)
		return NULL;
	memcpy(copy, buf, size);
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		continue;
	return copy;
}

static void
forget(void *copy)
{
	int saved = errno;

	free(copy);
	errno = saved;
}

ssize_t
pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	static Pwrite next;
	void *copy = copy_and_wait(fd, buf, size);
	ssize_t written;

	if (next == NULL)
		next = (Pwrite) dlsym(RTLD_NEXT, "pwrite");
	written = next(fd, copy != NULL ? copy : buf, size, offset);
	forget(copy);
	return written;
}

/* The name that programs with large files on 32 bits call it by. */
ssize_t
pwrite64(int fd, const void *buf, size_t size, off64_t offset)
{
	static Pwrite64 next;
	void *copy = copy_and_wait(fd, buf, size);
	ssize_t written;

	if (next == NULL)
		next = (Pwrite64) dlsym(RTLD_NEXT, "pwrite64");
	written = next(fd, copy != NULL ? copy : buf, size, offset);
	forget(copy);
	return written;
}
