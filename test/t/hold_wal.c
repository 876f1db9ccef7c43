/*-------------------------------------------------------------------------
 *
 * hold_wal.c
 *	  A library to be preloaded into a server: holds up what it writes to WAL.
 *
 * What a process has written survives the process, so a kill loses only what is
 * not written yet.  While the file exists that RACEFREE_HOLD_WAL names, a write
 * to a segment of WAL waits until the file is gone.  If there is a number in the
 * file, each write waits for so many milliseconds, and then goes on.
 *
 * What is written is as it was before the wait.  A page can get more records
 * meanwhile, which have to wait for the next write, as with a disk.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef ssize_t (*Pwrite)(int, const void *, size_t, off_t);
typedef ssize_t (*Pwrite64)(int, const void *, size_t, off64_t);

/* Return true if the descriptor is of a segment of WAL that is in use. */
static int
is_wal(int fd)
{
	char link[64];
	char path[4096];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = '\0';
	return strstr(path, "/pg_wal/0") != NULL;
}

/* Sleep, whatever signals come. */
static void
sleep_through(long milliseconds)
{
	struct timespec left = {milliseconds / 1000,
							milliseconds % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		continue;
}

/* What the file says: how long to wait, 0 for until it is gone; or -1. */
static long
held_for(const char *name)
{
	char text[16] = "";
	int file = open(name, O_RDONLY);

	if (file < 0)
		return -1;
	if (read(file, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(file);
	return atol(text);
}

/*
 * If it is WAL and held up, wait, and return a copy of what was to be written
 * before.  Else, or without memory, return NULL.
 */
static void *
copy_and_wait(int fd, const void *data, size_t size)
{
	const char *name = getenv("RACEFREE_HOLD_WAL");
	long wait = name == NULL ? -1 : held_for(name);
	void *copy;

	if (wait < 0 || !is_wal(fd))
		return NULL;
	copy = malloc(size);
	if (copy == NULL)
		return NULL;
	memcpy(copy, data, size);
	if (wait > 0)
		sleep_through(wait);
	while (wait == 0)
	{
		sleep_through(1);
		wait = held_for(name);
	}
	return copy;
}

/* Free the copy, and leave the error of the write as it is. */
static void
forget(void *copy)
{
	int saved = errno;

	free(copy);
	errno = saved;
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
	static Pwrite next;
	void *copy = copy_and_wait(fd, data, size);
	ssize_t result;

	if (next == NULL)
		next = (Pwrite) dlsym(RTLD_NEXT, "pwrite");
	result = next(fd, copy != NULL ? copy : data, size, offset);
	forget(copy);
	return result;
}

ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	static Pwrite64 next;
	void *copy = copy_and_wait(fd, data, size);
	ssize_t result;

	if (next == NULL)
		next = (Pwrite64) dlsym(RTLD_NEXT, "pwrite64");
	result = next(fd, copy != NULL ? copy : data, size, offset);
	forget(copy);
	return result;
}
