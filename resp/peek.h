/*
 * peek.h -- what requests further on in the input are about.
 *
 * A hint, for fetching from memory what a pipeline is going to need while its
 * first request runs.  Nothing is checked beyond what finding the next request
 * takes: the parser decides what the bytes mean, and a wrong hint costs time
 * and nothing else.  Stateless, no I/O, no allocation.
 */
#ifndef WALDEN_RESP_PEEK_H
#define WALDEN_RESP_PEEK_H

#include "server/base/slice.h"

/*
 * The first argument after the command's name of each request in input, which
 * begins where a request begins; count_max at most.  Stops at what is not
 * whole, not an array of bulk strings, or has no such argument.
 * Owns:    keys[] are lent from input.
 * Returns: how many were found; *used: bytes of the requests looked at.
 */
size_t peek_keys(
    struct slice input, struct slice *keys, size_t count_max, size_t *used);

#endif
