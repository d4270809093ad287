/* net.h: TCP and UDP inside a tunnel, on lwIP. The library has one stack in a process; each tunnel is an interface of it
 * with addresses of its own. Any thread may call; one lock serves the stack.
 */
#ifndef FYNX_NET_H
#define FYNX_NET_H

#include <stddef.h>
#include <stdint.h>

/* cdef: begin */
#define FYNX_NET_CONNECTED 1
#define FYNX_NET_READABLE 2
#define FYNX_NET_WRITABLE 4
#define FYNX_NET_EOF 8
#define FYNX_NET_FAILED 16
#define FYNX_NET_ACCEPTED 32

struct fynx_net;
struct fynx_end; /* a connection, a listener or a UDP port */

struct fynx_net_event {
  struct fynx_end *end;
  uint64_t id;
  uint64_t parent; /* of an accepted connection: its listener */
  uint32_t what;
  int32_t error; /* lwIP's err_t */
};

struct fynx_net_counters {
  uint64_t packets_in, packets_out;
  uint64_t not_ours;  /* came in for another address */
  uint64_t own_source; /* came in from an address of this process */
  uint64_t unsendable; /* lwIP wanted to send from another address, or to many */
  uint64_t full;       /* no room until the program looks again */
  uint64_t datagrams_lost; /* UDP that nobody took in time */
};

/* 0; or negative, and fynx_lwip_why() tells. `seed` makes sequence numbers start anywhere. */
int fynx_lwip_open(const char *path, uint32_t seed);
const char *fynx_lwip_why(void);

/* Addresses are NULL where there is none. NULL: an address is in use in this process (or no memory). */
struct fynx_net *fynx_net_new(const uint8_t *v4, const uint8_t *v6, uint16_t mtu);
void fynx_net_free(struct fynx_net *net); /* and everything on it */
int fynx_net_fd(struct fynx_net *net);    /* readable when another thread made packets or events for it */
/* Packets as records of fynx_plane_recv. */
void fynx_net_input(struct fynx_net *net, const uint8_t *records, size_t size);
/* Packets to send, end to end, as fynx_plane_send takes them; how many. */
uint32_t fynx_net_output(struct fynx_net *net, uint8_t *data, size_t room, uint32_t *lengths, uint32_t most);
uint32_t fynx_net_events(struct fynx_net *net, struct fynx_net_event *events, uint32_t most);
uint32_t fynx_net_tick(struct fynx_net *net); /* runs what is due; milliseconds until the next */
void fynx_net_count(struct fynx_net *net, struct fynx_net_counters *counters);
int fynx_net_own(const uint8_t *address, int version); /* whether some interface of this process has it */

/* `version` is 4 or 6. NULL: `error` tells (lwIP's err_t). */
struct fynx_end *fynx_tcp_connect(struct fynx_net *net, int version, const uint8_t *address, uint16_t port,
                                  uint16_t local_port, int *error);
struct fynx_end *fynx_tcp_listen(struct fynx_net *net, int version, uint16_t port, uint8_t backlog, int *error);
struct fynx_end *fynx_udp_open(struct fynx_net *net, int version, uint16_t port, int *error);
uint64_t fynx_end_id(const struct fynx_end *end);
int64_t fynx_tcp_write(struct fynx_end *end, const uint8_t *data, size_t len); /* octets taken, or err_t */
int64_t fynx_tcp_read(struct fynx_end *end, uint8_t *out, size_t room);
int fynx_tcp_shut(struct fynx_end *end); /* nothing more from us: 0, or err_t */
uint32_t fynx_tcp_unsent(const struct fynx_end *end); /* octets taken and not acknowledged */
int fynx_udp_send(struct fynx_end *end, const uint8_t *address, uint16_t port, const uint8_t *data, uint16_t len);
/* Length, or negative when there is none. */
int64_t fynx_udp_take(struct fynx_end *end, uint8_t *out, size_t room, uint8_t *address, uint16_t *port);
/* The address's length. */
int fynx_end_name(const struct fynx_end *end, int remote, uint8_t *address, uint16_t *port);
void fynx_end_close(struct fynx_end *end); /* what was written still goes out; `end` is no more */
void fynx_end_abort(struct fynx_end *end); /* RST; `end` is no more */
/* cdef: end */

#endif
