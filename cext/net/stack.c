/* stack.c: one interface of lwIP for each tunnel: packets in and out, timers, and who has something to look at.
 *
 * Without lwIP's own thread: whoever calls runs the stack, under one lock. A packet leaves by the tunnel that owns its
 * source address, whatever lwIP's routes say, and comes in only for the address of the tunnel that brought it: nothing
 * is forwarded from one tunnel into another.
 */
#include "stack.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fynx_net *nets;
static struct fynx_net *caller; /* looks at its interface by itself afterwards */

void fynx_stack_enter(struct fynx_net *net) {
  pthread_mutex_lock(&lock);
  caller = net;
}

void fynx_stack_leave(void) {
  caller = NULL;
  pthread_mutex_unlock(&lock);
}

void fynx_net_wake(struct fynx_net *net) {
  static const uint64_t one = 1;
  if (net != caller && write(net->fd, &one, sizeof one) < 0) return; /* full: it is awake */
}

static struct fynx_net *owner(const uint8_t *address, int version) {
  for (struct fynx_net *net = nets; net; net = net->next)
    if (version == 4 ? net->has4 && !memcmp(address, net->v4, 4) : net->has6 && !memcmp(address, net->v6, 16))
      return net;
  return NULL;
}

int fynx_net_own(const uint8_t *address, int version) {
  fynx_stack_enter(NULL);
  int found = owner(address, version) != NULL;
  fynx_stack_leave();
  return found;
}

static bool many(const uint8_t *target, int version) {
  return version == 4 ? target[0] >= 224 : target[0] == 0xff;
}

int8_t fynx_net_send(struct lwip_netif *netif, struct lwip_pbuf *packet, const void *next_hop) {
  (void)next_hop;
  struct fynx_net *from = netif->state, *net;
  uint8_t head[40] = {0};
  uint16_t size = packet->tot_len;
  lwip.pbuf_copy_partial(packet, head, size < sizeof head ? size : sizeof head, 0);
  int version = head[0] >> 4;
  net = owner(head + (version == 4 ? 12 : 8), version);
  if (net == NULL || many(head + (version == 4 ? 16 : 24), version)) {
    if (from) from->counters.unsendable++;
    return LWIP_OK;
  }
  if (net->n_out == OUT_MOST || size > OUT_ROOM - net->out_to) {
    net->counters.full++;
    return LWIP_MEM;
  }
  lwip.pbuf_copy_partial(packet, net->out + net->out_to, size, 0);
  net->out_to += size;
  net->lengths[net->n_out++] = size;
  net->counters.packets_out++;
  fynx_net_wake(net);
  return LWIP_OK;
}

static int8_t set_up(struct lwip_netif *netif) {
  struct fynx_net *net = netif->state;
  netif->output = netif->output_ip6 = fynx_net_send;
  netif->mtu = netif->mtu6 = net->mtu;
  netif->hwaddr_len = 0;
  return LWIP_OK;
}

static uint32_t part(const struct fynx_net *net, size_t index) {
  uint32_t word;
  memcpy(&word, net->v6 + 4 * index, sizeof word);
  return word;
}

static bool attach(struct fynx_net *net) {
  uint32_t ip = 0, mask = net->has4 ? UINT32_MAX : 0, none = 0;
  if (net->has4) memcpy(&ip, net->v4, sizeof ip);
  if (!lwip.netif_add(&net->netif, &ip, &mask, &none, net, set_up, lwip.ip_input)) return false;
  if (net->has6) {
    lwip.netif_ip6_addr_set_parts(&net->netif, 0, part(net, 0), part(net, 1), part(net, 2), part(net, 3));
    lwip.netif_ip6_addr_set_state(&net->netif, 0, LWIP_PREFERRED); /* no duplicates to look for behind a tunnel */
  }
  lwip.netif_set_link_up(&net->netif);
  lwip.netif_set_up(&net->netif);
  net->next = nets;
  nets = net;
  lwip.netif_set_default(&net->netif);
  return true;
}

struct fynx_net *fynx_net_new(const uint8_t *v4, const uint8_t *v6, uint16_t mtu) {
  if (!fynx_stack_is_open()) return NULL;
  struct fynx_net *net = calloc(1, sizeof *net);
  if (net == NULL) return NULL;
  net->mtu = mtu;
  net->has4 = v4 != NULL;
  net->has6 = v6 != NULL;
  if (v4) memcpy(net->v4, v4, sizeof net->v4);
  if (v6) memcpy(net->v6, v6, sizeof net->v6);
  net->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  net->out = malloc(OUT_ROOM);
  fynx_stack_enter(net);
  bool taken = (v4 && owner(v4, 4)) || (v6 && owner(v6, 6));
  bool made = net->fd >= 0 && net->out && !taken && attach(net);
  fynx_stack_leave();
  if (made) return net;
  if (net->fd >= 0) close(net->fd);
  free(net->out);
  free(net);
  return NULL;
}

void fynx_net_free(struct fynx_net *net) {
  fynx_stack_enter(net);
  while (net->ends) fynx_end_drop(net->ends, false);
  lwip.netif_remove(&net->netif);
  for (struct fynx_net **at = &nets; *at; at = &(*at)->next)
    if (*at == net) {
      *at = net->next;
      break;
    }
  if (nets) lwip.netif_set_default(&nets->netif);
  fynx_stack_leave();
  close(net->fd);
  free(net->out);
  free(net);
}

int fynx_net_fd(struct fynx_net *net) { return net->fd; }

/* A reply to one of our own addresses would loop inside lwIP, which wants a thread for that: no such packet gets in. */
static bool admits(struct fynx_net *net, const uint8_t *packet, uint32_t len) {
  int version = len ? packet[0] >> 4 : 0;
  bool whole = (version == 4 && len >= 20) || (version == 6 && len >= 40);
  const uint8_t *source = packet + (version == 4 ? 12 : 8), *target = packet + (version == 4 ? 16 : 24);
  if (!whole || owner(target, version) != net) {
    net->counters.not_ours++;
    return false;
  }
  if (owner(source, version) || many(source, version)) {
    net->counters.own_source++;
    return false;
  }
  return true;
}

void fynx_net_input(struct fynx_net *net, const uint8_t *records, size_t size) {
  fynx_stack_enter(net);
  for (size_t at = 0; at + 4 <= size;) {
    uint32_t len;
    memcpy(&len, records + at, sizeof len);
    const uint8_t *packet = records + at + 4;
    at += 4 + ((size_t)len + 3) / 4 * 4;
    if (at > size || len > LARGEST || !admits(net, packet, len)) continue;
    struct lwip_pbuf *p = lwip.pbuf_alloc(LWIP_PBUF_RAW, (uint16_t)len, LWIP_PBUF_RAM);
    if (p == NULL) continue;
    lwip.pbuf_take(p, packet, (uint16_t)len);
    net->counters.packets_in++;
    lwip.ip_input(p, &net->netif); /* takes the packet, whatever becomes of it */
  }
  fynx_stack_leave();
}

uint32_t fynx_net_output(struct fynx_net *net, uint8_t *data, size_t room, uint32_t *lengths, uint32_t most) {
  fynx_stack_enter(net);
  uint32_t n = 0;
  size_t size = 0;
  while (n < net->n_out && n < most && size + net->lengths[n] <= room) size += net->lengths[n++];
  memcpy(data, net->out, size);
  memcpy(lengths, net->lengths, n * sizeof *lengths);
  memmove(net->out, net->out + size, net->out_to - size);
  memmove(net->lengths, net->lengths + n, (net->n_out - n) * sizeof *net->lengths);
  net->out_to -= size;
  net->n_out -= n;
  fynx_stack_leave();
  return n;
}

uint32_t fynx_net_events(struct fynx_net *net, struct fynx_net_event *events, uint32_t most) {
  uint32_t n = 0;
  uint64_t ignored;
  fynx_stack_enter(net);
  if (read(net->fd, &ignored, sizeof ignored) < 0) ignored = 0;
  for (; n < most && net->ready; n++) {
    struct fynx_end *end = net->ready;
    net->ready = end->next_ready;
    if (!net->ready) net->last_ready = NULL;
    events[n] = (struct fynx_net_event){end, end->id, end->parent, end->what, end->error};
    end->ready = false;
    end->what = 0;
  }
  fynx_stack_leave();
  return n;
}

uint32_t fynx_net_tick(struct fynx_net *net) {
  fynx_stack_enter(net);
  lwip.sys_check_timeouts();
  uint32_t wait = lwip.sys_timeouts_sleeptime();
  fynx_stack_leave();
  return wait;
}

void fynx_net_count(struct fynx_net *net, struct fynx_net_counters *counters) {
  fynx_stack_enter(net);
  *counters = net->counters;
  fynx_stack_leave();
}
