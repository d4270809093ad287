/* netio.h: what a worker needs for system calls on batches. */
#ifndef FYNX_NETIO_H
#define FYNX_NETIO_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core.h"
#include "vnet.h"

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

struct fynx_io {
  struct mmsghdr messages[FYNX_BATCH];
  struct iovec iov[FYNX_BATCH];
  _Alignas(8) uint8_t names[FYNX_BATCH][sizeof(struct sockaddr_in6)];
  _Alignas(8) uint8_t controls[FYNX_BATCH][128];
  uint8_t count[FYNX_BATCH]; /* packets in a message that is sent, */
  uint8_t first[FYNX_BATCH]; /* and where they begin in the worker's `member` */
  uint32_t failures;         /* reads in a row that met an error other than EAGAIN */
  uint32_t wanted;           /* messages to ask for in the next receive */
  struct fynx_split split;   /* a frame of the TUN device that has packets left */
  bool dry;                  /* the device had nothing more when it was last read */
  size_t split_end;          /* of it in the arena; 0: none */
  struct fynx_join join;
};

/* raw.c */
enum fynx_verdict fynx_raw_strip(bool four, uint8_t **data, uint32_t *len);
bool fynx_raw_take(struct fynx_worker *w, const struct fynx_socket *socket, uint8_t **data, uint32_t *len);

/* duty.c */
void fynx_tx_batch(struct fynx_worker *w, uint32_t n);
bool fynx_lent(const struct fynx_worker *sender);
int fynx_lend(struct fynx_worker *sender);
void fynx_serve(struct fynx_worker *receiver);

/* tun.c */
uint32_t fynx_tun_read(struct fynx_worker *w);

#endif
