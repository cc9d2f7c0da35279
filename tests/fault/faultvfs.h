/*
 * faultvfs.h -- a disk, as an SQLite VFS, that fails or loses its power.
 *
 * It sits on the default VFS.  Writes, truncations and syncs are operations,
 * numbered from 1 since faultvfs_reset(); one of them can be made to
 *   - fail, with a result code of the caller's choice, so many times in a row;
 *   - be the moment of a power cut: it and all later operations fail, until
 *     faultvfs_cut() has turned the files into what the disk would hold.
 *
 * What the disk holds after a cut: everything synced; of each write since, at
 * random, all of it, none of it, or some of its 512-byte sectors, whatever
 * became of the others.  A sync that fails loses, as Linux does, what it
 * should have synced: reads still see it, later syncs succeed, and it is gone
 * after a cut unless it was written again.
 *
 * Not modelled: directories.  A file that was created or deleted is.
 *
 * Thread: any.
 */
#ifndef WALDEN_TESTS_FAULT_FAULTVFS_H
#define WALDEN_TESTS_FAULT_FAULTVFS_H

#include <stdbool.h>
#include <stdint.h>

#define FAULTVFS_NAME "faultvfs"

/* Register the VFS; may be called again. */
void faultvfs_register(void);

/* Forget all operations and faults; the power is on.  No file may be open. */
void faultvfs_reset(void);
/* Number of operations so far. */
uint64_t faultvfs_count(void);

/* Operations nth .. nth + times - 1 fail with code (SQLITE_FULL, ...). */
void faultvfs_fail(uint64_t nth, uint64_t times, int code);
/* As above, but counting and failing syncs only. */
void faultvfs_fail_sync(uint64_t nth, uint64_t times);
/* From now on so many syncs fail of files whose names end like this. */
void faultvfs_fail_sync_of(const char *suffix, uint64_t times);
/* From now on no file can be opened, or all can again. */
void faultvfs_fail_open(bool is_failing);
/* The power goes at the nth operation: with half of it done, by seed. */
void faultvfs_arm_cut(uint64_t nth, uint64_t seed);
/* The power goes now. */
void faultvfs_cut_now(void);
bool faultvfs_is_cut(void);
/* Has an armed failure or cut happened? */
bool faultvfs_has_fired(void);
/* All connections are closed: leave in the files what the disk would hold, */
/* remove shared memory, turn the power on again. */
void faultvfs_cut(uint64_t seed);

#endif
