/* netio.h: what a worker needs for system calls on batches. */
#ifndef FYNX_NETIO_H
#define FYNX_NETIO_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core.h"

struct fynx_io {
  struct mmsghdr messages[FYNX_BATCH];
  struct iovec iov[FYNX_BATCH];
  _Alignas(8) uint8_t names[FYNX_BATCH][sizeof(struct sockaddr_in6)];
  _Alignas(8) uint8_t controls[FYNX_BATCH][128];
  uint32_t failures; /* reads in a row that met an error other than EAGAIN */
};

#endif
