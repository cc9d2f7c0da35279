/*
 * memory.h -- allocation.  Small allocations that fail abort the process (the
 * store is crash-safe); sizes that a client or a file chose use the try form.
 */
#ifndef WALDEN_BASE_MEMORY_H
#define WALDEN_BASE_MEMORY_H

#include <stddef.h>

void *memory_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *memory_zalloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *memory_realloc(void *data, size_t size);
void *memory_try_alloc(size_t size); /* NULL if refused */
/* NULL if refused; data stays as it was. */
void *memory_try_realloc(void *data, size_t size);
void memory_free(void *data); /* accepts NULL */
char *memory_copy_text(const char *text);
/* Bytes the allocator really set aside for data; 0 for NULL. */
size_t memory_usable(const void *data);

#endif
