/*
 * folder.h -- folders: the one that a file is in, the one for scratch files.
 */
#ifndef WALDEN_REPLICATION_FOLDER_H
#define WALDEN_REPLICATION_FOLDER_H

#include "server/base/status.h"

/* Make durable which names are in the folder of path. */
MUST_CHECK enum status folder_sync(const char *path);

/*
 * A new file in that folder, to write and read, which is gone when it is closed
 * or the process dies: without a name, or on file systems that do not know such
 * files (NFS, some overlays) with one that is removed at once.
 * Fails: -1 and errno.
 */
MUST_CHECK int folder_open_unnamed(const char *folder);

#endif
