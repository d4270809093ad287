/* stack.h: what the files of this folder share. Everything here is under the stack's lock. */
#ifndef FYNX_STACK_H
#define FYNX_STACK_H

#include <stdbool.h>

#include "lwip.h"
#include "net.h"

enum { END_TCP, END_LISTENER, END_UDP };
enum { OUT_ROOM = 1 << 21, OUT_MOST = 4096, DATAGRAMS = 256, LARGEST = 65535 };

struct fynx_datagram {
  struct lwip_pbuf *data;
  struct lwip_addr from;
  uint16_t port;
};

struct fynx_end {
  struct fynx_net *net;
  struct fynx_end *next, *previous, *next_ready;
  uint64_t id, parent;
  int kind;
  bool ready;
  uint32_t what;
  int32_t error;
  struct lwip_tcp *tcp; /* NULL once the library has given it up */
  struct lwip_pbuf *received;
  struct lwip_udp *udp;
  struct fynx_datagram *queue; /* a ring of DATAGRAMS */
  uint32_t first, waiting;
  struct lwip_addr local;
  uint16_t local_port;
};

struct fynx_net {
  struct lwip_netif netif;
  struct fynx_net *next;
  struct fynx_end *ends, *ready, *last_ready;
  uint8_t v4[4], v6[16];
  bool has4, has6;
  uint16_t mtu;
  int fd;
  uint8_t *out;
  size_t out_from, out_to;
  uint32_t lengths[OUT_MOST];
  uint32_t n_out;
  struct fynx_net_counters counters;
};

FYNX_HIDDEN void fynx_stack_enter(struct fynx_net *net);
FYNX_HIDDEN void fynx_stack_leave(void);
FYNX_HIDDEN bool fynx_stack_is_open(void);
FYNX_HIDDEN int8_t fynx_net_send(struct lwip_netif *netif, struct lwip_pbuf *packet, const void *next_hop);

FYNX_HIDDEN struct fynx_end *fynx_end_new(struct fynx_net *net, int kind);
FYNX_HIDDEN void fynx_end_mark(struct fynx_end *end, uint32_t what);
FYNX_HIDDEN void fynx_end_drop(struct fynx_end *end, bool graceful);
FYNX_HIDDEN void fynx_udp_drop(struct fynx_end *end);
FYNX_HIDDEN void fynx_tcp_drop(struct fynx_end *end, bool graceful);
FYNX_HIDDEN void fynx_net_wake(struct fynx_net *net);
FYNX_HIDDEN int fynx_net_local(const struct fynx_net *net, int version, struct lwip_addr *address);

#endif
