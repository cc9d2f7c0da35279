/*
 * folder.h -- the folder that a file is in.
 */
#ifndef WALDEN_REPLICATION_FOLDER_H
#define WALDEN_REPLICATION_FOLDER_H

#include "server/base/status.h"

/* Make durable which names are in the folder of path. */
MUST_CHECK enum status folder_sync(const char *path);

#endif
