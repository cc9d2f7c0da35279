/*
 * mailbox.h -- how threads talk: a queue of messages with many senders and
 * one receiver.  A message is a struct that embeds a mailbox_node; whoever
 * sends it gives it away, whoever takes it owns it.
 *
 * The receiver either waits in mailbox_wait() (a thread with nothing else to
 * do) or watches mailbox_fd() in an event loop.
 */
#ifndef WALDEN_BASE_MAILBOX_H
#define WALDEN_BASE_MAILBOX_H

#include "server/base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct mailbox_node {
    struct mailbox_node *next;
};

struct mailbox;

/* with_fd: signal an eventfd too, for receivers in an event loop. */
struct mailbox *mailbox_new(bool with_fd);
/* The queue must be empty. */
void mailbox_free(struct mailbox *mailbox);
int mailbox_fd(const struct mailbox *mailbox);

/* Gives node.  Any thread; never blocks for long. */
void mailbox_send(struct mailbox *mailbox, struct mailbox_node *node);

/* All that is queued, oldest first, linked by next; NULL if nothing. */
/* Clears the eventfd.  Receiver's thread. */
struct mailbox_node *mailbox_take_all(struct mailbox *mailbox);

/* As mailbox_take_all(), waiting up to timeout_ms (-1: for ever). */
struct mailbox_node *mailbox_wait(struct mailbox *mailbox, int timeout_ms);

/* Is something queued?  A hint; any thread. */
bool mailbox_has_mail(const struct mailbox *mailbox);

#endif
