/*
 * edit.h -- where the functions that change an object write the change down.
 *
 * Every function of storage/objects that changes something takes an edit: it
 * changes memory and adds the row changes that say the same to edit->batch.
 * That is the one place where memory and disk could disagree, so it is one
 * function each.  With edit NULL only memory changes: that is how rows become
 * an object again (loading), and how the journal is laid over loaded objects.
 *
 * The key's own row (type, encoding, size, a small string's value) is not
 * written here: keyspace_touch() sees to it once a batch.
 */
#ifndef WALDEN_STORAGE_OBJECTS_EDIT_H
#define WALDEN_STORAGE_OBJECTS_EDIT_H

#include "storage/batch.h"

struct edit {
    struct batch *batch; /* lent */
    uint64_t id;         /* of the key that owns the object */
};

#endif
