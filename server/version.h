/*
 * version.h -- what this server calls itself.
 *
 * Clients decide by redis_version which commands they may send, so it names
 * the Redis whose semantics are followed.
 */
#ifndef WALDEN_SERVER_VERSION_H
#define WALDEN_SERVER_VERSION_H

#define VERSION_REDIS "7.2.4"
#define VERSION_WALDEN "0.1.0"

#endif
