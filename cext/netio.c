/* netio.c: the two loops: TUN to sealed datagrams, datagrams to TUN; a batch per system call where there is one. */
#include "netio.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

int fynx_io_new(struct fynx_worker *w) {
  w->io = calloc(1, sizeof *w->io);
  return w->io ? 0 : FYNX_E_MEMORY;
}

static void drop_send(struct fynx_worker *w, struct fynx_slot *slot, int error) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      fynx_drop(w, slot, FYNX_DROP_SEND_AGAIN);
      break;
    case EMSGSIZE:
      fynx_drop(w, slot, FYNX_DROP_SEND_SIZE);
      break;
    default: /* ECONNREFUSED, ENETUNREACH, EPERM … : the network's business, never fatal */
      fynx_drop(w, slot, FYNX_DROP_SEND_ERROR);
      break;
  }
}

static bool writable(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  return poll(&p, 1, 10) == 1 && (p.revents & POLLOUT);
}

/* Sends messages [0, n) of one socket; what the system refuses twice is counted and lost, as a network loses it. */
static void send_run(struct fynx_worker *w, int fd, uint32_t n) {
  struct fynx_io *io = w->io;
  bool retried = false;
  for (uint32_t at = 0; at < n;) {
    int sent = sendmmsg(fd, io->messages + at, n - at, MSG_DONTWAIT);
    int error = errno;
    fynx_count(w, FYNX_COUNT_SENDS, 1);
    if (sent > 0) {
      at += (uint32_t)sent;
      retried = false;
    } else if (sent < 0 && error == EINTR) {
      continue;
    } else if (!retried && (error == ECONNREFUSED || (error == EAGAIN && writable(fd)))) {
      retried = true; /* the error belonged to an earlier packet, or there is room again */
    } else {
      drop_send(w, &w->slot[w->member[at++]], error);
      retried = error == EAGAIN;
    }
  }
}

static void fill_message(struct fynx_io *io, uint32_t at, const struct fynx_slot *slot) {
  const struct fynx_endpoint *e = slot->endpoint;
  io->iov[at] = (struct iovec){.iov_base = slot->data, .iov_len = slot->len};
  io->messages[at].msg_hdr = (struct msghdr){.msg_name = (void *)(uintptr_t)e->name,
                                             .msg_namelen = e->name_len,
                                             .msg_iov = &io->iov[at],
                                             .msg_iovlen = 1,
                                             .msg_control = e->control_len ? (void *)(uintptr_t)e->control : NULL,
                                             .msg_controllen = e->control_len};
}

/* In order; consecutive packets of one socket share a call. */
void fynx_send_slots(struct fynx_worker *w, uint32_t n) {
  uint32_t count = 0;
  int socket = -1;
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS) continue;
    if (slot->endpoint->socket < 0) {
      fynx_drop(w, slot, FYNX_DROP_NO_SOCKET);
      continue;
    }
    if (count && slot->endpoint->socket != socket) {
      send_run(w, w->plane->sockets[socket].fd, count);
      count = 0;
    }
    socket = slot->endpoint->socket;
    fill_message(w->io, count, slot);
    w->member[count++] = (uint8_t)i;
  }
  if (count) send_run(w, w->plane->sockets[socket].fd, count);
}

static void to_inner_ring(struct fynx_worker *w, struct fynx_slot *slot) {
  static const uint64_t one = 1;
  switch (fynx_ring_push(&w->inner, slot->data, slot->len, NULL, 0)) {
    case 0:
      fynx_drop(w, slot, FYNX_DROP_INNER_FULL);
      break;
    case 2:
      if (write(w->plane->inner_fd, &one, sizeof one) < 0) break;
      break;
    default:
      break;
  }
}

/* Hands what passed to the inner side. A TUN write fails while the device is down: counted, never fatal. */
void fynx_deliver(struct fynx_worker *w, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS) continue;
    if (w->tun < 0)
      to_inner_ring(w, slot);
    else if (write(w->tun, slot->data, slot->len) < 0)
      fynx_drop(w, slot, FYNX_DROP_TUN_WRITE);
  }
}

/* Blocks until one of `n` descriptors is ready; the last one is the stop signal. Holds no pointer meanwhile. */
static bool await(struct pollfd *fds, uint32_t n, int timeout_ms) {
  while (poll(fds, n, timeout_ms) < 0)
    if (errno != EINTR) return false;
  return !(fds[n - 1].revents & POLLIN);
}

/* Reads packets one behind the other, so that a batch of small ones stays small in the cache. */
static uint32_t read_tun(struct fynx_worker *w) {
  uint32_t n = 0;
  size_t at = 0;
  while (n < FYNX_BATCH && w->arena_size - at >= FYNX_HEAD + FYNX_INNER_MAX + FYNX_TAIL) {
    struct fynx_slot *slot = &w->slot[n];
    slot->data = w->arena + at + FYNX_HEAD;
    ssize_t got = read(w->tun, slot->data, FYNX_INNER_MAX);
    fynx_count(w, FYNX_COUNT_TUN_READS, 1);
    if (got <= 0) {
      if (got < 0 && errno == EINTR) continue;
      if (got == 0 || errno != EAGAIN) { /* EIO, EBADFD: the device is down or gone */
        fynx_count(w, FYNX_COUNT_TUN_ERRORS, 1);
        w->io->failures++;
      }
      break;
    }
    w->io->failures = 0;
    slot->len = (uint32_t)got;
    at += fynx_align(FYNX_HEAD + (size_t)got + FYNX_TAIL, 64);
    n++;
  }
  return n;
}

void *fynx_tx_main(void *argument) {
  struct fynx_worker *w = argument;
  struct pollfd fds[2] = {{.fd = w->tun, .events = POLLIN}, {.fd = w->plane->stop_fd, .events = POLLIN}};
  while (!atomic_load_explicit(&w->plane->stopping, memory_order_relaxed)) {
    uint32_t n = read_tun(w);
    if (n) {
      fynx_online(w);
      fynx_encap(w, n);
      fynx_send_slots(w, n);
      fynx_offline(w);
    } else if (w->io->failures) { /* poll would return at once for ever: look again in a while */
      w->io->failures = 0;
      if (!await(fds + 1, 1, 50)) break;
    } else if (!await(fds, 2, -1)) {
      break;
    }
  }
  return NULL;
}

static void note_local(struct fynx_addr *local, struct msghdr *header) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      local->ip[10] = local->ip[11] = 0xff;
      memcpy(local->ip + 12, &info.ipi_addr, 4);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      memcpy(local->ip, &info.ipi6_addr, 16);
    }
  }
}

static void note_remote(struct fynx_addr *remote, const void *name) {
  struct sockaddr_in6 six;
  struct sockaddr_in four;
  memcpy(&four, name, sizeof four);
  memcpy(&six, name, sizeof six);
  if (four.sin_family == AF_INET) {
    remote->ip[10] = remote->ip[11] = 0xff;
    memcpy(remote->ip + 12, &four.sin_addr, 4);
    remote->port = ntohs(four.sin_port);
  } else {
    memcpy(remote->ip, &six.sin6_addr, 16);
    remote->port = ntohs(six.sin6_port);
  }
}

static void prepare_receive(struct fynx_worker *w) {
  struct fynx_io *io = w->io;
  for (uint32_t i = 0; i < FYNX_BATCH; i++) {
    io->iov[i] = (struct iovec){.iov_base = w->arena + (size_t)i * FYNX_STRIDE + FYNX_HEAD, .iov_len = 65536};
    io->messages[i].msg_hdr = (struct msghdr){.msg_name = io->names[i],
                                              .msg_namelen = sizeof io->names[i],
                                              .msg_iov = &io->iov[i],
                                              .msg_iovlen = 1,
                                              .msg_control = io->controls[i],
                                              .msg_controllen = sizeof io->controls[i]};
  }
}

/* Sorts datagrams (RFC 3948 section 2, and the marker of RFC 7296 section 2.23); returns how many slots hold ESP. */
static uint32_t demultiplex(struct fynx_worker *w, const struct fynx_socket *socket, uint32_t n) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_path path = {.local.port = socket->port};
    uint8_t *data = w->io->iov[i].iov_base;
    uint32_t len = w->io->messages[i].msg_len;
    note_local(&path.local, &w->io->messages[i].msg_hdr);
    note_remote(&path.remote, w->io->names[i]);
    if (len == 1 && data[0] == 0xff)
      fynx_count(w, FYNX_COUNT_KEEPALIVES, 1);
    else if (socket->port == 500)
      fynx_upcall_ike(w, &path, data, len);
    else if (len >= 4 && fynx_be32(data) == 0)
      fynx_upcall_ike(w, &path, data + 4, len - 4);
    else
      w->slot[count++] = (struct fynx_slot){.data = data, .len = len, .path = path};
  }
  return count;
}

static bool receive_batch(struct fynx_worker *w, const struct fynx_socket *socket) {
  prepare_receive(w);
  int got = recvmmsg(socket->fd, w->io->messages, FYNX_BATCH, MSG_DONTWAIT, NULL);
  fynx_count(w, FYNX_COUNT_RECEIVES, 1);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return errno == EINTR;
    fynx_count(w, FYNX_COUNT_RECEIVE_ERRORS, 1); /* ECONNREFUSED and its like report on packets sent before */
    return ++w->io->failures < 4; /* one by one they cost nothing; a socket that always fails must not spin */
  }
  w->io->failures = 0;
  uint32_t n = demultiplex(w, socket, (uint32_t)got);
  if (n) {
    fynx_online(w);
    fynx_decap(w, n);
    fynx_deliver(w, n);
    fynx_offline(w);
  }
  return got > 0;
}

void *fynx_rx_main(void *argument) {
  struct fynx_worker *w = argument;
  struct pollfd fds[FYNX_SOCKETS_MAX + 1];
  for (uint32_t i = 0; i < w->n_sockets; i++)
    fds[i] = (struct pollfd){.fd = w->plane->sockets[w->sockets[i]].fd, .events = POLLIN};
  fds[w->n_sockets] = (struct pollfd){.fd = w->plane->stop_fd, .events = POLLIN};
  while (!atomic_load_explicit(&w->plane->stopping, memory_order_relaxed)) {
    bool any = false;
    for (uint32_t i = 0; i < w->n_sockets; i++) any |= receive_batch(w, &w->plane->sockets[w->sockets[i]]);
    if (any) continue;
    bool failing = w->io->failures != 0;
    w->io->failures = 0;
    if (!(failing ? await(fds + w->n_sockets, 1, 1) : await(fds, w->n_sockets + 1, -1))) break;
  }
  return NULL;
}
