/*
 * admission.h -- may this request run now?
 *
 * The questions are an ordered array of small functions at the foot of
 * admission.c; a new condition is a function and a line there.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_ADMISSION_H
#define WALDEN_SERVER_ADMISSION_H

#include "server/command.h"

enum verdict {
    VERDICT_PASS,     /* no objection: ask the next */
    VERDICT_REFUSED,  /* an error was replied */
    VERDICT_QUEUED,   /* kept for EXEC, "+QUEUED" was replied */
    VERDICT_POSTPONED /* waits for the end of CLIENT PAUSE */
};

/* Finds call->command first. */
enum verdict admission_judge(struct call *call);

#endif
