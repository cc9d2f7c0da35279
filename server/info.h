/*
 * info.h -- INFO's counters; info_write() is declared in server.h.
 */
#ifndef WALDEN_SERVER_INFO_H
#define WALDEN_SERVER_INFO_H

/* CONFIG RESETSTAT. */
void info_reset(void);

#endif
