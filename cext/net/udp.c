/* udp.c: UDP ports (RFC 768, by lwIP): a bounded queue of datagrams each; when it is full the newest go. */
#include <stdlib.h>
#include <string.h>

#include "stack.h"

static void arrived(void *user, struct lwip_udp *udp, struct lwip_pbuf *data, const struct lwip_addr *from,
                    uint16_t port) {
  struct fynx_end *end = user;
  (void)udp;
  if (end->waiting == DATAGRAMS) {
    end->net->counters.datagrams_lost++;
    lwip.pbuf_free(data);
    return;
  }
  end->queue[(end->first + end->waiting++) % DATAGRAMS] = (struct fynx_datagram){data, *from, port};
  fynx_end_mark(end, FYNX_NET_READABLE);
}

struct fynx_end *fynx_udp_open(struct fynx_net *net, int version, uint16_t port, int *error) {
  struct fynx_end *end = NULL;
  struct lwip_addr local;
  fynx_stack_enter(net);
  *error = fynx_net_local(net, version, &local);
  if (*error != LWIP_OK) goto out;
  end = fynx_end_new(net, END_UDP);
  *error = LWIP_MEM;
  if (end == NULL) goto out;
  end->queue = calloc(DATAGRAMS, sizeof *end->queue);
  end->udp = lwip.udp_new_ip_type(version == 6 ? LWIP_V6 : LWIP_V4);
  if (end->queue && end->udp) {
    lwip.udp_bind_netif(end->udp, &net->netif);
    *error = lwip.udp_bind(end->udp, &local, port);
  }
  if (*error == LWIP_OK) {
    lwip.udp_recv(end->udp, arrived, end);
    end->local = local;
    end->local_port = port;
  } else {
    fynx_end_drop(end, false);
    end = NULL;
  }
out:
  fynx_stack_leave();
  return end;
}

int fynx_udp_send(struct fynx_end *end, const uint8_t *address, uint16_t port, const uint8_t *data, uint16_t len) {
  int result = LWIP_MEM;
  fynx_stack_enter(end->net);
  struct lwip_pbuf *p = lwip.pbuf_alloc(LWIP_PBUF_TRANSPORT, len, LWIP_PBUF_RAM);
  if (p == NULL) goto out;
  struct lwip_addr target = lwip_address(address, end->local.type == LWIP_V6 ? 6 : 4);
  lwip.pbuf_take(p, data, len);
  result = lwip.udp_sendto(end->udp, p, &target, port);
  lwip.pbuf_free(p);
out:
  fynx_stack_leave();
  return result;
}

int64_t fynx_udp_take(struct fynx_end *end, uint8_t *out, size_t room, uint8_t *address, uint16_t *port) {
  int64_t size = -1;
  fynx_stack_enter(end->net);
  if (end->waiting) {
    struct fynx_datagram *one = &end->queue[end->first];
    size = lwip.pbuf_copy_partial(one->data, out, (uint16_t)(room < LARGEST ? room : LARGEST), 0);
    memcpy(address, one->from.word, one->from.type == LWIP_V6 ? 16 : 4);
    *port = one->port;
    lwip.pbuf_free(one->data);
    end->first = (end->first + 1) % DATAGRAMS;
    end->waiting--;
  }
  fynx_stack_leave();
  return size;
}

void fynx_udp_drop(struct fynx_end *end) {
  if (end->udp) lwip.udp_remove(end->udp);
  for (; end->queue && end->waiting; end->waiting--) {
    lwip.pbuf_free(end->queue[end->first].data);
    end->first = (end->first + 1) % DATAGRAMS;
  }
  free(end->queue);
}
