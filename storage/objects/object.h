/*
 * object.h -- what the keyspace asks of any object, whatever its type.
 *
 * One row per type in a table: a new kind of object is a file of its own and
 * a row here.
 */
#ifndef WALDEN_STORAGE_OBJECTS_OBJECT_H
#define WALDEN_STORAGE_OBJECTS_OBJECT_H

#include "storage/objects/edit.h"
#include "storage/store.h"

/* Elements above which an object is freed in slices. */
#define OBJECT_FREE_STEP 64

struct object_kind {
    enum row_table table; /* where its elements stand */
    /* An object as the key's row describes it, without elements. */
    void *(*load)(const struct key_row *row);
    /* A row of the table becomes an element; a change is laid over. */
    /* value NULL: the row is not there. */
    void (*apply)(void *object, struct slice sub, const struct slice *value);
    size_t (*size)(const void *object);   /* elements, or bytes of a string */
    size_t (*memory)(const void *object); /* bytes; O(1) */
    enum key_encoding (*encoding)(const void *object);
    /* Parts to free, for deciding whether to do it in slices. */
    size_t (*parts)(const void *object);
    /* Free up to count parts; true: all is gone. */
    bool (*free_step)(void *object, size_t count);
    /* A copy for the key of edit; id owns the original. */
    enum status (*copy)(const void *object, const struct edit *edit,
        struct reader *reader, uint64_t id, void **copy);
    void (*check)(const void *object);
    bool is_loaded_whole; /* its elements come with it from the table */
    bool goes_when_empty; /* a key never holds an empty one */
};

/* The kind of a type that can be stored; a type from a file is checked by */
/* object_has_kind() first. */
bool object_has_kind(uint8_t type);
const struct object_kind *object_kind(uint8_t type);

/* Free at once; accepts NULL. */
void object_free(uint8_t type, void *object);

#endif
