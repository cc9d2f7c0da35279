/*
 * credentials.h -- the keys that sign requests, and where they come from:
 * the options, else AWS_ACCESS_KEY_ID / AWS_SECRET_ACCESS_KEY /
 * AWS_SESSION_TOKEN, else the container's or the machine's metadata service.
 *
 * Rotated credentials are read again after a 403 and before they expire.
 * Secrets are never logged.  Thread: the object store's.
 */
#ifndef WALDEN_REPLICATION_CREDENTIALS_H
#define WALDEN_REPLICATION_CREDENTIALS_H

#include "replication/objectstore.h"

struct credentials {
    char *access_key, *secret_key, *session_token; /* NULL: none */
    int64_t expires_ms; /* wall clock; INT64_MAX: never */
    bool is_configured; /* from the options: nothing else is asked */
};

void credentials_init(
    struct credentials *credentials, const struct objectstore_options *options);
void credentials_fini(struct credentials *credentials);
/*
 * Read them (again).  May ask a metadata service, for at most
 * CREDENTIALS_TIMEOUT_MS.
 * Fails: STATUS_NOT_FOUND (none anywhere); the old ones stay.
 */
#define CREDENTIALS_TIMEOUT_MS 2000
MUST_CHECK enum status credentials_load(struct credentials *credentials);
/* Should they be loaded before the next request? */
bool credentials_are_stale(const struct credentials *credentials);

#endif
