// Linux calls that Swift's Glibc module does not export.
#ifndef ZOOPORT_CLINUX_SHIM_H
#define ZOOPORT_CLINUX_SHIM_H

#include <stddef.h>
#include <sys/types.h>

ssize_t copy_file_range(int source, off_t *source_offset, int target, off_t *target_offset, size_t length,
                        unsigned int flags);

static inline ssize_t zooport_copy_file_range(int source, off_t source_offset, int target, off_t target_offset,
                                              size_t length) {
  return copy_file_range(source, &source_offset, target, &target_offset, length, 0);
}

// Of string.h, but only with _GNU_SOURCE.
void *memmem(const void *haystack, size_t haystack_length, const void *needle, size_t needle_length);

#endif
