/*
 * glob.c -- Redis's pattern language, answer for answer.
 *
 * Recursive at stars only.  When what follows a star matches nowhere in the
 * rest of the text, an earlier star that took more of the text could not
 * help either; the search therefore ends at once (gave_up), and the work is
 * at most pattern times text instead of exponential in the stars.  The
 * depth of stars is limited, as in Redis, to spare the stack.
 *
 * Oddities kept on purpose, because clients see them: "*" does not match the
 * empty text; a class without "]" ends with the pattern; "[a-" holds the two
 * bytes themselves; in "[z-a]" the ends are swapped; a lone "\" at the end is
 * itself.
 */
#include "server/base/glob.h"

#define GLOB_STARS_MAX 1000 /* nested stars; beyond it nothing matches */

struct search {
    bool is_nocase;
    bool gave_up;
    int depth;
};

static inline unsigned char
fold(unsigned char byte, bool is_nocase)
{
    if (is_nocase && byte >= 'A' && byte <= 'Z')
        return (unsigned char)(byte + ('a' - 'A'));
    return byte;
}

/* Bytes of a range compare as signed, as Redis has them on x86. */
static bool
is_between(
    unsigned char from, unsigned char to, unsigned char byte, bool is_nocase)
{
    signed char low = (signed char)from;
    signed char high = (signed char)to;

    if (low > high) {
        signed char swap = low;
        low = high;
        high = swap;
    }
    low = (signed char)fold((unsigned char)low, is_nocase);
    high = (signed char)fold((unsigned char)high, is_nocase);
    return (signed char)byte >= low && (signed char)byte <= high;
}

/* Is byte in the class that begins at *at, past the "["?  Leaves *at on the */
/* closing "]", or at end. */
static bool
match_class(const unsigned char **at, const unsigned char *end,
    unsigned char byte, bool is_nocase)
{
    const unsigned char *p = *at;
    bool is_inverted = p < end && *p == '^';
    bool is_found = false;

    byte = fold(byte, is_nocase);
    if (is_inverted)
        p++;
    while (p < end && *p != ']') {
        if (*p == '\\' && end - p >= 2) {
            p++;
            /* Redis folds no case after a backslash in a class. */
            if (*p == byte)
                is_found = true;
        } else if (end - p >= 3 && p[1] == '-') {
            is_found |= is_between(p[0], p[2], byte, is_nocase);
            p += 2;
        } else if (fold(*p, is_nocase) == byte) {
            is_found = true;
        }
        p++;
    }
    *at = p;
    return is_found != is_inverted;
}

static bool search_text(struct search *search, const unsigned char *p,
    const unsigned char *p_end, const unsigned char *t,
    const unsigned char *t_end);

/* The pattern from the star p on; the text from t on, which is not empty. */
static bool
search_star(struct search *search, const unsigned char *p,
    const unsigned char *p_end, const unsigned char *t,
    const unsigned char *t_end)
{
    while (p < p_end && *p == '*')
        p++;
    if (p == p_end)
        return true;
    for (; t < t_end; t++) {
        search->depth++;
        bool is_match = search_text(search, p, p_end, t, t_end);
        search->depth--;
        if (is_match)
            return true;
        if (search->gave_up)
            return false;
    }
    search->gave_up = true;
    return false;
}

static bool
search_text(struct search *search, const unsigned char *p,
    const unsigned char *p_end, const unsigned char *t,
    const unsigned char *t_end)
{
    if (search->depth > GLOB_STARS_MAX)
        return false;
    while (p < p_end && t < t_end) {
        switch (*p) {
        case '*':
            return search_star(search, p, p_end, t, t_end);
        case '?':
            break;
        case '[':
            p++;
            if (!match_class(&p, p_end, *t, search->is_nocase))
                return false;
            break;
        default:
            if (*p == '\\' && p_end - p >= 2)
                p++;
            if (fold(*p, search->is_nocase) != fold(*t, search->is_nocase))
                return false;
            break;
        }
        t++;
        if (p < p_end)
            p++;
        /* Stars left over at the end of the text match nothing. */
        while (t == t_end && p < p_end && *p == '*')
            p++;
    }
    return p == p_end && t == t_end;
}

static bool
match(struct slice pattern, struct slice text, bool is_nocase)
{
    struct search search = { .is_nocase = is_nocase };
    const unsigned char *p = (const unsigned char *)pattern.data;
    const unsigned char *t = (const unsigned char *)text.data;

    if (pattern.len == 0 || text.len == 0)
        return pattern.len == 0 && text.len == 0;
    return search_text(&search, p, p + pattern.len, t, t + text.len);
}

bool
glob_match(struct slice pattern, struct slice text)
{
    return match(pattern, text, false);
}

bool
glob_match_nocase(struct slice pattern, struct slice text)
{
    return match(pattern, text, true);
}
