/* wipe.c: clears secrets in a way that the compiler keeps. */
#include "util.h"

#include <string.h>

void fynx_wipe(void *p, size_t n) {
  if (p && n) explicit_bzero(p, n);
}
