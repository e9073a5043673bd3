/* Finding a tensor by its name in a file of which nothing but its header's checks is remembered: a plan has no memory for an index.
 *
 * A Bloom filter of all names answers nearly every question for a tensor that is not there.  A walk over the descriptions finds the
 * others; it starts a little before the tensor that was found last, as whoever loads a model asks roughly in the file's order.  A
 * question out of order costs a walk over the whole list.  Of the container; nobody else needs it. */
#ifndef GEMLET_MODEL_CONTAINER_NAMES_H
#define GEMLET_MODEL_CONTAINER_NAMES_H

#include "model/container/container.h"

/* FNV-1a. */
uint64_t gemlet_name_hash(const char *name);

/* Takes in the name of tensor `index`, after those of all tensors before it; false where one of them has it. */
bool gemlet_names_add(gemlet_container *container, const char *name, uint32_t index);

/* Where the tensor `name` is described; false where there is none or the file can't be read. */
bool gemlet_names_find(gemlet_container *container, const char *name, gemlet_description *found);

#endif
