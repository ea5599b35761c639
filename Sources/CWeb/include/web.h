#ifndef ZOOPORT_WEB_H
#define ZOOPORT_WEB_H

#include <stddef.h>

/// A file of the page, as it is in the folder `web`.
struct web_file {
  const char *name;
  const unsigned char *bytes;
  size_t size;
};

/// The first of the files; they lie one after the other.
const struct web_file *web_files(void);
/// How many files there are.
size_t web_file_count(void);

#endif
