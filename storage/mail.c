/*
 * mail.c -- messages between LOOP and the COMMIT thread, and the figures kept
 * of the batches among them.
 */
#include "server/base/map.h"
#include "server/base/memory.h"

#include "storage/mail.h"

#define HISTOGRAM_SLOTS 24

struct report {
    struct mailbox_node node;
    struct store_report report;
};

struct mail *
mail_new(enum mail_kind kind)
{
    struct mail *mail = memory_zalloc(sizeof(*mail));

    mail->kind = kind;
    return mail;
}

struct mail *
mail_of(struct mailbox_node *node)
{
    return MAP_ENTRY(node, struct mail, node);
}

void
mail_send_report(struct mailbox *mailbox, const struct store_report *report)
{
    struct report *mail = memory_alloc(sizeof(*mail));

    mail->report = *report;
    mailbox_send(mailbox, &mail->node);
}

bool
mail_take_report(struct mailbox *mailbox, struct mailbox_node **taken,
    struct store_report *report)
{
    struct report *mail;

    if (*taken == NULL)
        *taken = mailbox_take_all(mailbox);
    if (*taken == NULL)
        return false;
    mail = MAP_ENTRY(*taken, struct report, node);
    *taken = mail->node.next;
    *report = mail->report;
    memory_free(mail);
    return true;
}

void
mail_append(struct mail **list, struct mail *mail)
{
    while (*list != NULL)
        list = &(*list)->next;
    mail->next = NULL;
    *list = mail;
}

void
mail_answer_first(struct mail **list, struct mailbox *reports,
    uint64_t folded_seq, enum status outcome)
{
    struct mail *mail = *list;
    struct store_report report = { .kind = STORE_SYNCED,
        .token = mail->token,
        .folded_seq = folded_seq,
        .outcome = outcome };

    *list = mail->next;
    mail_send_report(reports, &report);
    memory_free(mail);
}

void
mail_answer_all(struct mail **list, struct mailbox *reports,
    uint64_t folded_seq, enum status outcome)
{
    while (*list != NULL)
        mail_answer_first(list, reports, folded_seq, outcome);
}

/* Power of two of value. */
static unsigned
histogram_slot(uint64_t value)
{
    unsigned slot = 0;

    while (value > 1 && slot < HISTOGRAM_SLOTS - 1) {
        value >>= 1;
        slot++;
    }
    return slot;
}

void
mail_count_commit(
    struct store_stats *stats, const struct batch *batch, int64_t took_us)
{
    struct bytes bytes = bytes_from(buf_slice(&batch->direct));
    struct row_change change;

    stats->commits++;
    stats->journal_bytes_written += batch->changes.len;
    stats->batch_commands_hist[histogram_slot(batch->commands)]++;
    stats->commit_us_hist[histogram_slot((uint64_t)took_us)]++;
    while (rowchange_next(&bytes, &change) == STATUS_OK)
        stats->direct_rows++;
}
