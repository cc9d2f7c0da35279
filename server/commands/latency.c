/*
 * latency.c -- LATENCY: the latency monitor's samples as tables, as a picture
 * (GRAPH) and in words (DOCTOR), and the histograms of commands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/commands/admin.h"
#include "server/commands/introspect.h"
#include "server/latency.h"
#include "server/server.h"

#define GRAPH_WIDTH 80
#define GRAPH_ROWS 4
#define LABEL_SIZE 24

/* The samples of event that are set, oldest first. */
static size_t
take_samples(const struct latency_event *event,
    const struct latency_sample *samples[LATENCY_SAMPLES])
{
    size_t count = 0;

    for (size_t i = 0; i < LATENCY_SAMPLES; i++) {
        const struct latency_sample *sample =
            &event->samples[(event->at + i) % LATENCY_SAMPLES];
        if (sample->time_s != 0)
            samples[count++] = sample;
    }
    return count;
}

static void
latency_latest(struct call *call)
{
    size_t deferred = reply_defer(call->reply), count = 0;

    for (const struct latency_event *event =
             latency_first(call->server->latency);
         event != NULL; event = event->next) {
        const struct latency_sample *newest =
            &event
                 ->samples[(event->at + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
        reply_array(call->reply, 4);
        reply_bulk_text(call->reply, event->name);
        reply_int(call->reply, newest->time_s);
        reply_int(call->reply, newest->ms);
        reply_int(call->reply, event->max_ms);
        count++;
    }
    reply_array_end(call->reply, deferred, count);
}

static void
latency_history(struct call *call)
{
    const struct latency_sample *samples[LATENCY_SAMPLES];
    const struct latency_event *event =
        latency_find(call->server->latency, call->argv[2]);
    size_t count = event != NULL ? take_samples(event, samples) : 0;

    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_array(call->reply, 2);
        reply_int(call->reply, samples[i]->time_s);
        reply_int(call->reply, samples[i]->ms);
    }
}

static void
latency_do_reset(struct call *call)
{
    int64_t count = 0;

    if (call->argc == 2)
        count = latency_reset(call->server->latency, slice_make(NULL, 0));
    for (size_t at = 2; at < call->argc; at++)
        count += latency_reset(call->server->latency, call->argv[at]);
    reply_int(call->reply, count);
}

/* ---- GRAPH -------------------------------------------------------------- */

struct column {
    int64_t ms;
    char label[LABEL_SIZE]; /* the age, written downwards */
};

static void
write_age(char label[LABEL_SIZE], int64_t seconds)
{
    if (seconds < 60)
        (void)snprintf(label, LABEL_SIZE, "%lds", (long)seconds);
    else if (seconds < 3600)
        (void)snprintf(label, LABEL_SIZE, "%ldm", (long)(seconds / 60));
    else if (seconds < 3600 * 24)
        (void)snprintf(label, LABEL_SIZE, "%ldh", (long)(seconds / 3600));
    else
        (void)snprintf(
            label, LABEL_SIZE, "%ldd", (long)(seconds / (3600 * 24)));
}

/* One row of the curve: three heights a row, '|' below the top. */
static char
curve_char(int step, int row)
{
    int height = step - (GRAPH_ROWS - row - 1) * 3;

    if (height < 0)
        return ' ';
    return height < 3 ? "_o#"[height] : '|';
}

static void
draw(struct buf *out, const struct column *columns, size_t count,
    int64_t min_ms, int64_t max_ms)
{
    double range = max_ms > min_ms ? (double)(max_ms - min_ms) : 1;

    for (int row = 0; row < GRAPH_ROWS; row++) {
        for (size_t i = 0; i < count; i++) {
            int step = (int)((double)(columns[i].ms - min_ms) / range *
                             (GRAPH_ROWS * 3));
            if (step >= GRAPH_ROWS * 3)
                step = GRAPH_ROWS * 3 - 1;
            buf_append_byte(out, curve_char(step, row));
        }
        buf_append_byte(out, '\n');
    }
    buf_append_byte(out, '\n');
    for (size_t row = 0;; row++) {
        bool is_blank = true;
        for (size_t i = 0; i < count; i++) {
            bool has_char = row < strlen(columns[i].label);
            buf_append_byte(out, has_char ? columns[i].label[row] : ' ');
            is_blank = is_blank && !has_char;
        }
        buf_append_byte(out, '\n');
        if (is_blank)
            break;
    }
}

static void
latency_graph(struct call *call)
{
    const struct latency_sample *samples[LATENCY_SAMPLES];
    struct column columns[GRAPH_WIDTH];
    const struct latency_event *event =
        latency_find(call->server->latency, call->argv[2]);
    int64_t min_ms = INT64_MAX, max_ms = 0, now_s = (int64_t)time(NULL);

    if (event == NULL) {
        reply_error_format(call->reply,
            "ERR No samples available for event '%.*s'",
            (int)(call->argv[2].len < 128 ? call->argv[2].len : 128),
            call->argv[2].data);
        return;
    }
    size_t count = take_samples(event, samples);
    size_t first = count > GRAPH_WIDTH ? count - GRAPH_WIDTH : 0;
    for (size_t i = first; i < count; i++) {
        struct column *column = &columns[i - first];
        column->ms = samples[i]->ms;
        write_age(column->label, now_s - samples[i]->time_s);
        min_ms = column->ms < min_ms ? column->ms : min_ms;
        max_ms = column->ms > max_ms ? column->ms : max_ms;
    }
    struct buf out = BUF_INIT;
    buf_printf(&out, "%s - high %ld ms, low %ld ms (all time high %ld ms)\n",
        event->name, (long)max_ms, (long)min_ms, (long)event->max_ms);
    for (int i = 0; i < GRAPH_WIDTH; i++)
        buf_append_byte(&out, '-');
    buf_append_byte(&out, '\n');
    draw(&out, columns, count - first, min_ms, max_ms);
    reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

/* ---- DOCTOR ------------------------------------------------------------- */

static void
describe_event(struct buf *out, const struct latency_event *event, int number)
{
    const struct latency_sample *samples[LATENCY_SAMPLES];
    size_t count = take_samples(event, samples);
    int64_t sum = 0, deviation = 0;

    for (size_t i = 0; i < count; i++)
        sum += samples[i]->ms;
    int64_t average = count > 0 ? sum / (int64_t)count : 0;
    for (size_t i = 0; i < count; i++)
        deviation += llabs(samples[i]->ms - average);
    deviation = count > 0 ? deviation / (int64_t)count : 0;
    double period =
        count > 0
            ? (double)((int64_t)time(NULL) - samples[0]->time_s) / (double)count
            : 0;
    buf_printf(out,
        "%d. %s: %zu latency spikes (average %ldms, mean deviation %ldms, "
        "period %.2f sec). Worst all time event %ldms.\n",
        number, event->name, count, (long)average, (long)deviation, period,
        (long)event->max_ms);
}

static void
latency_doctor(struct call *call)
{
    const struct latency_event *event = latency_first(call->server->latency);
    struct buf out = BUF_INIT;
    int number = 0;

    if (call->server->config.latency_monitor_threshold_ms == 0 &&
        event == NULL) {
        buf_append_text(&out,
            "I'm sorry, Dave, I can't do that. Latency monitoring is "
            "disabled in this Redis instance. You may use \"CONFIG SET "
            "latency-monitor-threshold <milliseconds>.\" in order to enable "
            "it. If we weren't in a deep space mission I'd suggest to take a "
            "look at https://redis.io/topics/latency-monitor.\n");
    } else if (event == NULL) {
        buf_append_text(&out,
            "Dave, no latency spike was observed during the lifetime of this "
            "Redis instance, not in the slightest bit. I honestly think you "
            "ought to sit down calmly, take a stress pill, and think things "
            "over.\n");
    } else {
        buf_append_text(&out,
            "Dave, I have observed latency spikes in this Redis instance. "
            "You don't mind talking about it, do you Dave?\n\n");
        for (; event != NULL; event = event->next)
            describe_event(&out, event, ++number);
        buf_append_text(&out,
            "\nI have a few advices for you:\n\n- Check your Slow Log to "
            "understand what are the commands you are running which are too "
            "slow to execute. Please check https://redis.io/commands/slowlog "
            "for more information.\n- INFO storage says how long commits "
            "take: if it is long, the disk is slow to sync.\n");
    }
    reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

/* ---- HISTOGRAM ---------------------------------------------------------- */

/* Redis's limits: 1024 ns times two each, in its histogram's resolution. */
static uint64_t
histogram_limit_ns(int step)
{
    uint64_t limit = UINT64_C(1024) << step;

    return step < 3 ? limit : limit + limit / 128 - 1;
}

static void
reply_histogram(struct reply *reply, const struct command_stats *stats)
{
    uint64_t total = latency_count(stats), before = 0;

    reply_map(reply, 2);
    reply_bulk_text(reply, "calls");
    reply_int(reply, (int64_t)total);
    reply_bulk_text(reply, "histogram_usec");
    size_t deferred = reply_defer(reply), pairs = 0;
    for (int step = 0; before < total && step < 48; step++) {
        uint64_t limit_ns = histogram_limit_ns(step);
        uint64_t count =
            step == 47 ? total : latency_count_up_to(stats, limit_ns);
        if (count == before)
            continue;
        reply_int(reply, (int64_t)(limit_ns / 1000));
        reply_int(reply, (int64_t)count);
        before = count;
        pairs++;
    }
    reply_map_end(reply, deferred, pairs);
}

/* command and its subcommands, those that ran; answer: how many. */
static size_t
reply_histograms(struct reply *reply, const struct command *command)
{
    size_t count = 0;

    if (command->stats != NULL && latency_count(command->stats) > 0) {
        introspect_reply_name(reply, command);
        reply_histogram(reply, command->stats);
        count++;
    }
    for (const struct command *sub = command->subcommands;
         sub != NULL && sub->name != NULL; sub++)
        count += reply_histograms(reply, sub);
    return count;
}

static void
latency_histogram(struct call *call)
{
    size_t deferred = reply_defer(call->reply), count = 0;

    if (call->argc == 2)
        for (const struct command *command = command_next(NULL);
             command != NULL; command = command_next(command))
            count += reply_histograms(call->reply, command);
    for (size_t at = 2; at < call->argc; at++) {
        const struct command *command =
            introspect_find_full_name(call->argv[at]);
        if (command != NULL)
            count += reply_histograms(call->reply, command);
    }
    reply_map_end(call->reply, deferred, count);
}

static void
latency_help(struct call *call)
{
    static const char *const lines[] = { "DOCTOR",
        "    Return a human readable latency analysis report.", "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.", "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of "
        "a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
        NULL };

    call_reply_help(call, lines);
}

#define ROW(NAME, RUN, ARITY, SUMMARY, COMPLEXITY, SYNTAX)           \
    {                                                                \
        .name = NAME, .run = RUN, .arity = ARITY,                    \
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, \
        .since = "2.8.13", .group = "server", .summary = SUMMARY,    \
        .complexity = COMPLEXITY, .syntax = SYNTAX,                  \
        .tips = "nondeterministic_output,request_policy:all_nodes,"  \
                "response_policy:special"                            \
    }

struct command latency_subcommands[] = {
    ROW("doctor", latency_doctor, 2,
        "Returns a human-readable latency analysis report.", "O(1)", NULL),
    ROW("graph", latency_graph, 3, "Returns a latency graph for an event.",
        "O(1)", "event"),
    { .name = "help",
        .run = latency_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .since = "2.8.13",
        .group = "server",
        .summary = ADMIN_HELP_SUMMARY,
        .complexity = "O(1)" },
    { .name = "histogram",
        .run = latency_histogram,
        .arity = -2,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
        .since = "7.0.0",
        .group = "server",
        .summary = "Returns the cumulative distribution of latencies of a "
                   "subset or all commands.",
        .complexity = "O(N) where N is the number of commands with latency "
                      "information being retrieved.",
        .syntax = "[command [command ...]]",
        .tips = "nondeterministic_output,request_policy:all_nodes,"
                "response_policy:special" },
    ROW("history", latency_history, 3,
        "Returns timestamp-latency samples for an event.", "O(1)", "event"),
    ROW("latest", latency_latest, 2,
        "Returns the latest latency samples for all events.", "O(1)", NULL),
    { .name = "reset",
        .run = latency_do_reset,
        .arity = -2,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
        .since = "2.8.13",
        .group = "server",
        .summary = "Resets the latency data for one or more events.",
        .complexity = "O(1)",
        .syntax = "[event [event ...]]",
        .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = NULL },
};
