/* tcp.c: TCP connections and listeners (RFC 9293, by lwIP): callbacks mark, the program comes and takes. */
#include <stdlib.h>
#include <string.h>

#include "stack.h"

enum { CHUNK = 16384, SMALLEST = 512 };

static int8_t received(void *user, struct lwip_tcp *tcp, struct lwip_pbuf *data, int8_t error) {
  struct fynx_end *end = user;
  (void)tcp;
  (void)error;
  if (data == NULL) {
    fynx_end_mark(end, FYNX_NET_EOF);
    return LWIP_OK;
  }
  if (end->received) /* the window is not opened before the program reads: a pbuf's 16 bits of length suffice */
    lwip.pbuf_cat(end->received, data);
  else
    end->received = data;
  fynx_end_mark(end, FYNX_NET_READABLE);
  return LWIP_OK;
}

static int8_t sent(void *user, struct lwip_tcp *tcp, uint16_t count) {
  (void)tcp;
  (void)count;
  fynx_end_mark(user, FYNX_NET_WRITABLE);
  return LWIP_OK;
}

static void failed(void *user, int8_t error) {
  struct fynx_end *end = user;
  end->tcp = NULL; /* lwIP has freed it */
  end->error = error;
  fynx_end_mark(end, FYNX_NET_FAILED);
}

static int8_t connected(void *user, struct lwip_tcp *tcp, int8_t error) {
  (void)tcp;
  (void)error;
  fynx_end_mark(user, FYNX_NET_CONNECTED);
  return LWIP_OK;
}

static void adopt(struct fynx_end *end, struct lwip_tcp *tcp) {
  end->tcp = tcp;
  end->local = tcp->local;
  end->local_port = tcp->local_port;
  tcp->flags |= LWIP_NODELAY;
  lwip.tcp_arg(tcp, end);
  lwip.tcp_recv(tcp, received);
  lwip.tcp_sent(tcp, sent);
  lwip.tcp_err(tcp, failed);
}

static int8_t accepted(void *user, struct lwip_tcp *tcp, int8_t error) {
  struct fynx_end *listener = user, *end;
  if (tcp == NULL || error != LWIP_OK || listener == NULL) return LWIP_CONN;
  end = fynx_end_new(listener->net, END_TCP);
  if (end == NULL) {
    lwip.tcp_abort(tcp);
    return LWIP_ABRT;
  }
  adopt(end, tcp);
  end->parent = listener->id;
  fynx_end_mark(end, FYNX_NET_ACCEPTED);
  return LWIP_OK;
}

/* A socket on the interface's own address and a port. */
static struct lwip_tcp *bound(struct fynx_net *net, int version, uint16_t port, int *error) {
  struct lwip_addr local;
  *error = fynx_net_local(net, version, &local);
  if (*error != LWIP_OK) return NULL;
  struct lwip_tcp *tcp = lwip.tcp_new_ip_type(version == 6 ? LWIP_V6 : LWIP_V4);
  *error = LWIP_MEM;
  if (tcp == NULL) return NULL;
  lwip.tcp_bind_netif(tcp, &net->netif);
  *error = lwip.tcp_bind(tcp, &local, port);
  if (*error == LWIP_OK) return tcp;
  lwip.tcp_close(tcp);
  return NULL;
}

struct fynx_end *fynx_tcp_connect(struct fynx_net *net, int version, const uint8_t *address, uint16_t port,
                                  uint16_t local_port, int *error) {
  struct fynx_end *end = NULL;
  fynx_stack_enter(net);
  struct lwip_tcp *tcp = bound(net, version, local_port, error);
  if (tcp == NULL) goto out;
  end = fynx_end_new(net, END_TCP);
  if (end == NULL) {
    lwip.tcp_abort(tcp);
    *error = LWIP_MEM;
    goto out;
  }
  adopt(end, tcp);
  struct lwip_addr target = lwip_address(address, version);
  *error = lwip.tcp_connect(tcp, &target, port, connected);
  if (*error == LWIP_OK) goto out;
  fynx_end_drop(end, false);
  end = NULL;
out:
  fynx_stack_leave();
  return end;
}

struct fynx_end *fynx_tcp_listen(struct fynx_net *net, int version, uint16_t port, uint8_t backlog, int *error) {
  struct fynx_end *end = NULL;
  fynx_stack_enter(net);
  struct lwip_tcp *tcp = bound(net, version, port, error);
  if (tcp == NULL) goto out;
  end = fynx_end_new(net, END_LISTENER);
  if (end) {
    end->local = tcp->local;
    end->local_port = tcp->local_port;
  }
  struct lwip_tcp *listening = end ? lwip.tcp_listen_with_backlog(tcp, backlog) : NULL;
  if (listening == NULL) {
    lwip.tcp_close(tcp);
    if (end) fynx_end_drop(end, false);
    end = NULL;
    *error = LWIP_MEM;
    goto out;
  }
  end->tcp = listening;
  lwip.tcp_arg(listening, end);
  lwip.tcp_accept(listening, accepted);
out:
  fynx_stack_leave();
  return end;
}

int64_t fynx_tcp_write(struct fynx_end *end, const uint8_t *data, size_t len) {
  int64_t result = LWIP_CONN;
  size_t at = 0, most = CHUNK;
  fynx_stack_enter(end->net);
  if (end->tcp == NULL) goto out;
  while (at < len && end->tcp->snd_buf > 0) {
    size_t chunk = len - at < most ? len - at : most;
    if (chunk > end->tcp->snd_buf) chunk = end->tcp->snd_buf;
    int8_t error = lwip.tcp_write(end->tcp, data + at, (uint16_t)chunk, LWIP_COPY);
    if (error == LWIP_OK) {
      at += chunk;
    } else if (error == LWIP_MEM && most > SMALLEST) {
      most /= 2;
    } else if (error == LWIP_MEM) {
      break; /* too many segments wait: more when some were acknowledged */
    } else {
      result = error;
      goto out;
    }
  }
  if (at) lwip.tcp_output(end->tcp);
  result = (int64_t)at;
out:
  fynx_stack_leave();
  return result;
}

int64_t fynx_tcp_read(struct fynx_end *end, uint8_t *out, size_t room) {
  fynx_stack_enter(end->net);
  uint16_t size = 0;
  if (end->received) {
    size = end->received->tot_len;
    if (size > room) size = (uint16_t)room;
    size = lwip.pbuf_copy_partial(end->received, out, size, 0);
    if (size) end->received = lwip.pbuf_free_header(end->received, size);
    if (end->tcp) lwip.tcp_recved(end->tcp, size);
  }
  fynx_stack_leave();
  return size;
}

int fynx_tcp_shut(struct fynx_end *end) {
  fynx_stack_enter(end->net);
  int result = end->tcp ? lwip.tcp_shutdown(end->tcp, 0, 1) : LWIP_CONN;
  fynx_stack_leave();
  return result;
}

uint32_t fynx_tcp_unsent(const struct fynx_end *end) {
  fynx_stack_enter(end->net);
  uint32_t size = end->tcp ? LWIP_SNDBUF - end->tcp->snd_buf : 0;
  fynx_stack_leave();
  return size;
}

void fynx_tcp_drop(struct fynx_end *end, bool graceful) {
  struct lwip_tcp *tcp = end->tcp;
  bool unread = end->received != NULL;
  if (end->received) lwip.pbuf_free(end->received);
  end->received = NULL;
  if (tcp == NULL) return;
  end->tcp = NULL;
  lwip.tcp_arg(tcp, NULL);
  if (end->kind == END_LISTENER) {
    lwip.tcp_accept(tcp, NULL);
    lwip.tcp_close(tcp);
    return;
  }
  lwip.tcp_recv(tcp, NULL);
  lwip.tcp_sent(tcp, NULL);
  lwip.tcp_err(tcp, NULL);
  if (!graceful || unread || lwip.tcp_close(tcp) != LWIP_OK) lwip.tcp_abort(tcp);
}
