/* end.c: what connections, listeners and UDP ports share: their place on an interface, and who looks at them next. */
#include <stdlib.h>
#include <string.h>

#include "stack.h"

struct fynx_end *fynx_end_new(struct fynx_net *net, int kind) {
  static uint64_t count;
  struct fynx_end *end = calloc(1, sizeof *end);
  if (end == NULL) return NULL;
  end->net = net;
  end->kind = kind;
  end->id = ++count;
  end->next = net->ends;
  if (net->ends) net->ends->previous = end;
  net->ends = end;
  return end;
}

void fynx_end_mark(struct fynx_end *end, uint32_t what) {
  end->what |= what;
  if (end->ready) return;
  struct fynx_net *net = end->net;
  end->ready = true;
  end->next_ready = NULL;
  if (net->last_ready)
    net->last_ready->next_ready = end;
  else
    net->ready = end;
  net->last_ready = end;
  fynx_net_wake(net);
}

static void forget(struct fynx_end *end) {
  struct fynx_net *net = end->net;
  struct fynx_end *before = NULL;
  for (struct fynx_end *at = net->ready; at; before = at, at = at->next_ready) {
    if (at != end) continue;
    if (before)
      before->next_ready = at->next_ready;
    else
      net->ready = at->next_ready;
    if (net->last_ready == at) net->last_ready = before;
    break;
  }
  if (end->previous)
    end->previous->next = end->next;
  else
    net->ends = end->next;
  if (end->next) end->next->previous = end->previous;
}

void fynx_end_drop(struct fynx_end *end, bool graceful) {
  if (end->kind == END_UDP)
    fynx_udp_drop(end);
  else
    fynx_tcp_drop(end, graceful);
  forget(end);
  free(end);
}

void fynx_end_close(struct fynx_end *end) {
  fynx_stack_enter(end->net);
  fynx_end_drop(end, true);
  fynx_stack_leave();
}

void fynx_end_abort(struct fynx_end *end) {
  fynx_stack_enter(end->net);
  fynx_end_drop(end, false);
  fynx_stack_leave();
}

uint64_t fynx_end_id(const struct fynx_end *end) { return end->id; }

int fynx_net_local(const struct fynx_net *net, int version, struct lwip_addr *address) {
  if (version == 6 ? !net->has6 : !net->has4) return LWIP_CONN;
  *address = lwip_address(version == 6 ? net->v6 : net->v4, version);
  return LWIP_OK;
}

int fynx_end_name(const struct fynx_end *end, int remote, uint8_t *address, uint16_t *port) {
  fynx_stack_enter(end->net);
  struct lwip_addr found = end->local;
  *port = end->local_port;
  int size = 0;
  if (remote && (end->kind != END_TCP || end->tcp == NULL)) goto out;
  if (remote) {
    found = end->tcp->remote;
    *port = end->tcp->remote_port;
  }
  size = found.type == LWIP_V6 ? 16 : 4;
  memcpy(address, found.word, (size_t)size);
out:
  fynx_stack_leave();
  return size;
}
