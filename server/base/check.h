/*
 * check.h -- assertions.
 *
 * CHECK is always on: it guards what would otherwise lose data.  DCHECK is on
 * in debug builds only (BUILD=debug, asan, tsan) and may be expensive.
 * A failed check writes one line to stderr and aborts; the store is
 * crash-safe, so that is the safe thing to do.
 */
#ifndef WALDEN_BASE_CHECK_H
#define WALDEN_BASE_CHECK_H

_Noreturn void check_fail(
    const char *file, int line, const char *function, const char *expression);

#define CHECK(expression)   \
    ((expression) ? (void)0 \
                  : check_fail(__FILE__, __LINE__, __func__, #expression))

#ifdef WALDEN_DEBUG
#define DCHECK(expression) CHECK(expression)
#else
#define DCHECK(expression) ((void)sizeof(!(expression)))
#endif

#endif
