/* lwip.h: what we use of lwIP 2.1 as Debian builds it (liblwip0): functions found at run time, and the few fields that
 * we read or write. `load.c` compares the fields with what the library itself does before anything else happens.
 */
#ifndef FYNX_LWIP_H
#define FYNX_LWIP_H

#include <stddef.h>
#include <stdint.h>

#define FYNX_HIDDEN __attribute__((visibility("hidden")))

enum { LWIP_OK = 0, LWIP_MEM = -1, LWIP_USE = -8, LWIP_CONN = -11, LWIP_ABRT = -13 };
enum { LWIP_V4 = 0, LWIP_V6 = 6, LWIP_PREFERRED = 0x30 };
enum { LWIP_PBUF_TRANSPORT = 74, LWIP_PBUF_RAW = 0, LWIP_PBUF_RAM = 0x280 };
enum { LWIP_COPY = 1, LWIP_NODELAY = 0x40, LWIP_UP = 1, LWIP_LINK_UP = 4 };
enum { LWIP_SNDBUF = 65535, LWIP_MSS_AT_FIRST = 536, LWIP_PRIO_NORMAL = 64 };

struct lwip_addr;
struct lwip_netif;
struct lwip_pbuf;
struct lwip_tcp;
struct lwip_udp;
typedef int8_t lwip_init_fn(struct lwip_netif *netif);
typedef int8_t lwip_recv_fn(void *user, struct lwip_tcp *tcp, struct lwip_pbuf *data, int8_t error);
typedef int8_t lwip_sent_fn(void *user, struct lwip_tcp *tcp, uint16_t count);
typedef void lwip_err_fn(void *user, int8_t error);
typedef int8_t lwip_connected_fn(void *user, struct lwip_tcp *tcp, int8_t error);
typedef lwip_connected_fn lwip_accept_fn;
typedef void lwip_udp_fn(void *user, struct lwip_udp *udp, struct lwip_pbuf *data, const struct lwip_addr *from,
                         uint16_t port);
typedef int8_t lwip_output_fn(struct lwip_netif *netif, struct lwip_pbuf *packet, const void *next_hop);
typedef int8_t lwip_input_fn(struct lwip_pbuf *packet, struct lwip_netif *netif);

struct lwip_addr {
  uint32_t word[4]; /* network order; an IPv4 address in the first */
  uint32_t zone;
  uint8_t type;
  uint8_t pad[3];
};

struct lwip_pbuf {
  struct lwip_pbuf *next;
  void *payload;
  uint16_t tot_len;
  uint16_t len;
};

struct lwip_netif {
  void *next;
  struct lwip_addr ip, mask, gateway;
  struct lwip_addr ip6[6];
  uint8_t ip6_state[6];
  uint32_t ip6_lives[12];
  lwip_input_fn *input;
  lwip_output_fn *output;
  void *linkoutput;
  lwip_output_fn *output_ip6;
  void *state;
  void *client_data[2];
  uint16_t mtu, mtu6;
  uint8_t hwaddr[6];
  uint8_t hwaddr_len;
  uint8_t flags;
  uint8_t rest[164]; /* the library's own 52, and room */
};

struct lwip_tcp {
  struct lwip_addr local, remote;
  uint8_t netif_index, so_options, tos, ttl;
  void *next, *argument;
  int state;
  uint8_t prio;
  uint16_t local_port, remote_port, flags;
  uint8_t between[26];
  uint16_t mss;
  uint8_t before[56];
  uint32_t snd_buf; /* room for data to send */
};

#define LWIP_SYMBOLS(X)                                                                                          \
  X(void, lwip_init, (void))                                                                                     \
  X(void, sys_check_timeouts, (void))                                                                            \
  X(uint32_t, sys_timeouts_sleeptime, (void))                                                                    \
  X(struct lwip_netif *, netif_add,                                                                              \
    (struct lwip_netif *, const uint32_t *, const uint32_t *, const uint32_t *, void *, lwip_init_fn *,          \
     lwip_input_fn *))                                                                                           \
  X(void, netif_remove, (struct lwip_netif *))                                                                   \
  X(void, netif_set_default, (struct lwip_netif *))                                                              \
  X(void, netif_set_up, (struct lwip_netif *))                                                                   \
  X(void, netif_set_link_up, (struct lwip_netif *))                                                              \
  X(void, netif_ip6_addr_set_parts, (struct lwip_netif *, int8_t, uint32_t, uint32_t, uint32_t, uint32_t))       \
  X(void, netif_ip6_addr_set_state, (struct lwip_netif *, int8_t, uint8_t))                                      \
  X(int8_t, ip_input, (struct lwip_pbuf *, struct lwip_netif *))                                                 \
  X(struct lwip_pbuf *, pbuf_alloc, (int, uint16_t, int))                                                        \
  X(uint8_t, pbuf_free, (struct lwip_pbuf *))                                                                    \
  X(struct lwip_pbuf *, pbuf_free_header, (struct lwip_pbuf *, uint16_t))                                        \
  X(int8_t, pbuf_take, (struct lwip_pbuf *, const void *, uint16_t))                                             \
  X(void, pbuf_cat, (struct lwip_pbuf *, struct lwip_pbuf *))                                                    \
  X(uint16_t, pbuf_copy_partial, (const struct lwip_pbuf *, void *, uint16_t, uint16_t))                         \
  X(struct lwip_tcp *, tcp_new_ip_type, (uint8_t))                                                               \
  X(void, tcp_arg, (struct lwip_tcp *, void *))                                                                  \
  X(void, tcp_recv, (struct lwip_tcp *, lwip_recv_fn *))                                                         \
  X(void, tcp_sent, (struct lwip_tcp *, lwip_sent_fn *))                                                         \
  X(void, tcp_err, (struct lwip_tcp *, lwip_err_fn *))                                                           \
  X(void, tcp_accept, (struct lwip_tcp *, lwip_accept_fn *))                                                     \
  X(void, tcp_recved, (struct lwip_tcp *, uint16_t))                                                             \
  X(int8_t, tcp_bind, (struct lwip_tcp *, const struct lwip_addr *, uint16_t))                                   \
  X(void, tcp_bind_netif, (struct lwip_tcp *, const struct lwip_netif *))                                        \
  X(int8_t, tcp_connect, (struct lwip_tcp *, const struct lwip_addr *, uint16_t, lwip_connected_fn *))           \
  X(struct lwip_tcp *, tcp_listen_with_backlog, (struct lwip_tcp *, uint8_t))                                    \
  X(int8_t, tcp_write, (struct lwip_tcp *, const void *, uint16_t, uint8_t))                                     \
  X(int8_t, tcp_output, (struct lwip_tcp *))                                                                     \
  X(int8_t, tcp_shutdown, (struct lwip_tcp *, int, int))                                                         \
  X(int8_t, tcp_close, (struct lwip_tcp *))                                                                      \
  X(void, tcp_abort, (struct lwip_tcp *))                                                                        \
  X(struct lwip_udp *, udp_new_ip_type, (uint8_t))                                                               \
  X(void, udp_recv, (struct lwip_udp *, lwip_udp_fn *, void *))                                                  \
  X(int8_t, udp_bind, (struct lwip_udp *, const struct lwip_addr *, uint16_t))                                   \
  X(void, udp_bind_netif, (struct lwip_udp *, const struct lwip_netif *))                                        \
  X(int8_t, udp_sendto, (struct lwip_udp *, struct lwip_pbuf *, const struct lwip_addr *, uint16_t))             \
  X(void, udp_remove, (struct lwip_udp *))

struct lwip_calls {
#define LWIP_FIELD(result, name, arguments) result(*name) arguments;
  LWIP_SYMBOLS(LWIP_FIELD)
#undef LWIP_FIELD
};

_Static_assert(sizeof(struct lwip_addr) == 24, "ip_addr_t");
_Static_assert(sizeof(void *) != 8 || offsetof(struct lwip_netif, input) == 280, "netif.input");
_Static_assert(sizeof(void *) != 8 || offsetof(struct lwip_netif, state) == 312, "netif.state");
_Static_assert(sizeof(void *) != 8 || offsetof(struct lwip_netif, flags) == 347, "netif.flags");
_Static_assert(sizeof(void *) != 8 || offsetof(struct lwip_tcp, local_port) == 78, "tcp_pcb.local_port");
_Static_assert(sizeof(void *) != 8 || offsetof(struct lwip_tcp, mss) == 110, "tcp_pcb.mss");
_Static_assert(sizeof(void *) != 8 || offsetof(struct lwip_tcp, snd_buf) == 168, "tcp_pcb.snd_buf");

extern FYNX_HIDDEN struct lwip_calls lwip;

FYNX_HIDDEN struct lwip_addr lwip_address(const uint8_t *octets, int version);

#endif
