/*
 * mail.h -- what LOOP and the COMMIT thread send each other.
 *
 * Private to storage/.  A message belongs to whoever has it.
 */
#ifndef WALDEN_STORAGE_MAIL_H
#define WALDEN_STORAGE_MAIL_H

#include "storage/store.h"

enum mail_kind {
    MAIL_BATCH,
    MAIL_SYNC,
    MAIL_FOLD,
    MAIL_RESUME,
    MAIL_OPTIONS,
    MAIL_STOP
};

/* LOOP to COMMIT. */
struct mail {
    struct mailbox_node node;
    enum mail_kind kind;
    struct batch *batch;
    int cpu; /* batch: where LOOP was when it sent it; -1: not known */
    uint64_t token;
    bool flag; /* sync: with checkpoint; stop: with fold */
    struct store_options options;
    uint64_t seq;      /* sync: fold up to it; filled in on arrival */
    struct mail *next; /* in the list of waiting syncs */
};

/* Gives a message of zeros but for its kind; memory_free() it. */
struct mail *mail_new(enum mail_kind kind);
/* The message whose node that is. */
struct mail *mail_of(struct mailbox_node *node);

/* COMMIT to LOOP.  Copies report. */
void mail_send_report(
    struct mailbox *mailbox, const struct store_report *report);
/* The next report: first of *taken, then of the mailbox.  false: none. */
bool mail_take_report(struct mailbox *mailbox, struct mailbox_node **taken,
    struct store_report *report);

/* Put a sync behind those of list. */
void mail_append(struct mail **list, struct mail *mail);
/* Tell LOOP the outcome of the first sync of list, or of all; takes them. */
void mail_answer_first(struct mail **list, struct mailbox *reports,
    uint64_t folded_seq, enum status outcome);
void mail_answer_all(struct mail **list, struct mailbox *reports,
    uint64_t folded_seq, enum status outcome);

/* For INFO: a commit of batch has taken so long. */
void mail_count_commit(
    struct store_stats *stats, const struct batch *batch, int64_t took_us);

#endif
