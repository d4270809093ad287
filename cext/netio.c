/* netio.c: the two loops: TUN to sealed datagrams, datagrams to TUN; a batch per system call where there is one. */
#include "netio.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int fynx_io_new(struct fynx_worker *w) {
  w->io = calloc(1, sizeof *w->io);
  if (!w->io) return FYNX_E_MEMORY;
  w->io->wanted = FYNX_BATCH;
  return 0;
}

/* To end: behind the batch in hand. */
static bool asked(const struct fynx_worker *w) { return atomic_load_explicit(&w->asked, memory_order_relaxed) != 0; }

static uint64_t microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Looks again and again for a bounded time; true when something is ready. */
static bool spin(struct pollfd *fds, uint32_t n, uint32_t for_us) {
  for (uint64_t end = microseconds() + for_us; microseconds() < end;)
    if (poll(fds, n, 0) > 0) return true;
  return false;
}

/* Blocks until one of `n` descriptors is ready; the last one wakes it for other reasons. Holds no pointer meanwhile. False: to
 * end. */
static bool await(struct fynx_worker *w, struct pollfd *fds, uint32_t n, int timeout_ms) {
  bool found = w->plane->options.spin_us && timeout_ms < 0 && n > 1 && spin(fds, n, w->plane->options.spin_us);
  while (!found && poll(fds, n, timeout_ms) < 0)
    if (errno != EINTR) return false;
  fynx_count(w, FYNX_COUNT_WAKEUPS, 1);
  if (fds[n - 1].revents & POLLIN) fynx_calm(w);
  return !asked(w);
}

void *fynx_tx_main(void *argument) {
  struct fynx_worker *w = argument;
  struct pollfd fds[2] = {{.fd = w->tun, .events = POLLIN}, {.fd = w->stop_fd, .events = POLLIN}};
  while (!asked(w)) {
    if (fynx_lent(w)) {
      if (!await(w, fds + 1, 1, -1)) break;
      continue;
    }
    uint32_t n = w->io->dry ? 0 : fynx_tun_read(w);
    if (n) {
      fynx_tx_batch(w, n);
    } else if (w->io->failures) { /* poll would return at once for ever: look again in a while */
      w->io->failures = 0;
      if (!await(w, fds + 1, 1, 50)) break;
    } else {
      w->io->dry = false;
      int again_ms = fynx_lend(w);
      if (again_ms && !await(w, fds, 2, again_ms)) break;
    }
  }
  return NULL;
}

/* Where a message went, how long its packets are (0: it is one), and its traffic class. */
struct notes {
  struct fynx_path path;
  uint32_t segment;
  uint8_t tos;
};

static void note_control(struct notes *notes, struct msghdr *header) {
  struct fynx_addr *local = &notes->path.local;
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
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      notes->tos = *CMSG_DATA(c);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int class;
      memcpy(&class, CMSG_DATA(c), sizeof class);
      notes->tos = (uint8_t)class;
    } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int segment;
      memcpy(&segment, CMSG_DATA(c), sizeof segment);
      notes->segment = segment > 0 ? (uint32_t)segment : 0;
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
  for (uint32_t i = 0; i < io->wanted; i++) {
    io->iov[i] = (struct iovec){.iov_base = w->arena + (size_t)i * FYNX_STRIDE + FYNX_HEAD, .iov_len = 65536};
    io->messages[i].msg_hdr = (struct msghdr){.msg_name = io->names[i],
                                              .msg_namelen = sizeof io->names[i],
                                              .msg_iov = &io->iov[i],
                                              .msg_iovlen = 1,
                                              .msg_control = io->controls[i],
                                              .msg_controllen = sizeof io->controls[i]};
  }
}

static void open_batch(struct fynx_worker *w, uint32_t n) {
  if (!n) return;
  fynx_online(w);
  fynx_decap(w, n);
  fynx_deliver(w, n);
  fynx_offline(w);
}

/* One datagram (RFC 3948 section 2, and the marker of RFC 7296 section 2.23); true when it is ESP. */
static bool sort(struct fynx_worker *w, uint16_t port, const struct fynx_path *path, uint8_t *data, uint32_t len) {
  if (len == 1 && data[0] == 0xff)
    fynx_count(w, FYNX_COUNT_KEEPALIVES, 1);
  else if (port == 500)
    fynx_upcall_ike(w, path, data, len);
  else if (len >= 4 && fynx_be32(data) == 0)
    fynx_upcall_ike(w, path, data + 4, len - 4);
  else
    return true;
  return false;
}

/* Message `at` into slots from `n` on, each of its datagrams by itself: a buffer may hold those of several SAs and end
 * in one of IKE. Full batches are opened; returns how many slots are left filled. */
static uint32_t demultiplex(struct fynx_worker *w, const struct fynx_socket *socket, uint32_t at, uint32_t n) {
  struct notes notes = {.path.local.port = socket->port};
  uint8_t *data = w->io->iov[at].iov_base;
  uint32_t left = w->io->messages[at].msg_len;
  note_control(&notes, &w->io->messages[at].msg_hdr);
  note_remote(&notes.path.remote, w->io->names[at]);
  if (socket->raw && !fynx_raw_take(w, socket, &data, &left)) return n;
  uint32_t segment = notes.segment ? notes.segment : left;
  uint8_t crowded = 0;
  if (n && left > segment && left / segment + n > FYNX_BATCH) {
    open_batch(w, n);
    n = 0;
  }
  do {
    uint32_t len = left < segment ? left : segment;
    if (socket->raw || sort(w, socket->port, &notes.path, data, len)) {
      w->slot[n].data = data;
      w->slot[n].len = len;
      w->slot[n].tos = notes.tos;
      w->slot[n].crowded = crowded;
      w->slot[n++].path = notes.path;
    }
    data += len;
    left -= len;
    crowded = 1;
    if (n == FYNX_BATCH) {
      open_batch(w, n);
      n = 0;
    }
  } while (left);
  return n;
}

/* Asks for few where each is a batch by itself, so that they stay in the cache. */
static void adapt(struct fynx_io *io, uint32_t got) {
  uint32_t longest = 0;
  for (uint32_t i = 0; i < got; i++)
    if (io->messages[i].msg_len > longest) longest = io->messages[i].msg_len;
  if (got) io->wanted = longest > 16384 ? 4 : FYNX_BATCH;
}

/* True when there may be more: what poll would say at once need not be asked for with a call that finds nothing. */
static bool receive_batch(struct fynx_worker *w, const struct fynx_socket *socket) {
  prepare_receive(w);
  int got = recvmmsg(socket->fd, w->io->messages, w->io->wanted, MSG_DONTWAIT, NULL);
  fynx_count(w, FYNX_COUNT_RECEIVES, 1);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return errno == EINTR;
    fynx_count(w, FYNX_COUNT_RECEIVE_ERRORS, 1); /* ECONNREFUSED and its like report on packets sent before */
    return ++w->io->failures < 4; /* one by one they cost nothing; a socket that always fails must not spin */
  }
  w->io->failures = 0;
  fynx_count(w, FYNX_COUNT_RECEIVE_BUFFERS, (uint64_t)got);
  uint32_t n = 0;
  for (uint32_t i = 0; i < (uint32_t)got; i++) n = demultiplex(w, socket, i, n);
  open_batch(w, n);
  bool full = (uint32_t)got == w->io->wanted;
  adapt(w->io, (uint32_t)got);
  return full;
}

/* What is ready, of each socket in turn, so that a busy one does not keep the others waiting. */
static void receive_ready(struct fynx_worker *w, const struct pollfd *fds) {
  for (uint32_t i = 0; i < w->n_sockets; i++) {
    if (!fds[i].revents) continue;
    const struct fynx_socket *socket = &w->plane->sockets[w->sockets[i]];
    bool more = true;
    for (int turns = 0; turns < 16 && more && !asked(w); turns++) {
      more = receive_batch(w, socket);
      fynx_serve(w);
    }
  }
}

void *fynx_rx_main(void *argument) {
  struct fynx_worker *w = argument;
  struct pollfd fds[FYNX_SOCKETS_MAX + 2], *tun = fds + w->n_sockets, *stop = tun + 1;
  for (uint32_t i = 0; i < w->n_sockets; i++)
    fds[i] = (struct pollfd){.fd = w->plane->sockets[w->sockets[i]].fd, .events = POLLIN};
  atomic_store(&w->awake, 1);
  *stop = (struct pollfd){.fd = w->stop_fd, .events = POLLIN};
  while (!asked(w)) {
    bool failing = w->io->failures != 0;
    w->io->failures = 0;
    if (failing && !await(w, stop, 1, 1)) break;
    *tun = (struct pollfd){.fd = w->pair && fynx_lent(w->pair) ? w->tun : -1, .events = POLLIN};
    if (!await(w, fds, w->n_sockets + 2, -1)) break;
    receive_ready(w, fds);
    if (tun->revents) fynx_serve(w);
  }
  return NULL;
}
