/*
 * loop.h -- the LOOP thread: events, reports of the store, sealing, writing.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_LOOP_H
#define WALDEN_SERVER_LOOP_H

#include "server/server.h"

/* Watch the store's reports and start the timers. */
MUST_CHECK enum status loop_start(struct server *server);
/* Pass after pass, until server_shutdown(). */
void loop_run(struct server *server);
/* Commit what is open and release what waits for it; no more events are */
/* taken.  false: the last commit failed. */
bool loop_drain(struct server *server);
/* After loop_drain(): fold everything, and wait for it. */
void loop_fold(struct server *server);
void loop_stop(struct server *server);

/* Run the rest of session's input at the end of this pass. */
void loop_resume(struct session *session);
/* session goes: see loop_resume(). */
void loop_forget(struct session *session);

/* Wall clock in ms and monotonic clock in us, read at most once an event. */
int64_t loop_wall_ms(void);
int64_t loop_now_us(void);
/* Read both clocks anew. */
void loop_update_clocks(void);

/* Once all that happened so far is committed: store_sync(token). */
void loop_sync(uint64_t token);
/* How often cron_run() is called. */
void loop_set_hz(int64_t hz);
/* Memory is short of clean objects: fold, unless asked already. */
void loop_request_fold(void);

#endif
