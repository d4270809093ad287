/* send.c: sealed packets to sockets; equal ones of one SA leave as one datagram batch that the kernel cuts (UDP GSO). */
#include <errno.h>
#include <poll.h>

#include "netio.h"

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

/* One packet; what the system refuses twice is counted and lost, as a network loses it. */
static void send_one(struct fynx_worker *w, int fd, const struct msghdr *header, struct fynx_slot *slot) {
  for (int attempt = 0;; attempt++) {
    if (sendmsg(fd, header, MSG_DONTWAIT) >= 0) break;
    int error = errno;
    if (error == EINTR || (!attempt && (error == ECONNREFUSED || (error == EAGAIN && writable(fd))))) continue;
    drop_send(w, slot, error);
    break;
  }
  fynx_count(w, FYNX_COUNT_SENDS, 1);
}

/* Packet `i` of message `at`. */
static struct fynx_slot *packet_of(struct fynx_worker *w, uint32_t at, uint32_t i) {
  return &w->slot[w->member[w->io->first[at] + i]];
}

/* The segment size stands last in the control data: without it the same goes out packet by packet. */
static void send_singly(struct fynx_worker *w, int fd, uint32_t at) {
  struct msghdr one = w->io->messages[at].msg_hdr;
  struct iovec iov;
  one.msg_iov = &iov;
  one.msg_iovlen = 1;
  one.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
  if (!one.msg_controllen) one.msg_control = NULL;
  for (uint32_t i = 0; i < w->io->count[at]; i++) {
    struct fynx_slot *slot = packet_of(w, at, i);
    iov = (struct iovec){.iov_base = slot->data, .iov_len = slot->len};
    send_one(w, fd, &one, slot);
  }
}

/* The path has become narrower. */
static void look_again(const struct fynx_slot *slot) {
  atomic_store_explicit(&slot->out->look_ms, 0, memory_order_relaxed);
}

/* A message of several packets that the path or the device does not take as such: EMSGSIZE and EINVAL when a packet is
 * larger than the path's MTU, EIO when the device cannot even be helped with checksums. */
static bool split_up(struct fynx_worker *w, int fd, uint32_t at, int error) {
  struct fynx_io *io = w->io;
  if (io->count[at] < 2 || (error != EMSGSIZE && error != EINVAL && error != EIO)) return false;
  if (error == EIO) atomic_store_explicit(&w->plane->gso, 0, memory_order_relaxed);
  fynx_count(w, FYNX_COUNT_SPLIT_SENDS, 1);
  if (error != EIO) look_again(packet_of(w, at, 0));
  send_singly(w, fd, at);
  return true;
}

static void lose(struct fynx_worker *w, uint32_t at, int error) {
  for (uint32_t i = 0; i < w->io->count[at]; i++) drop_send(w, packet_of(w, at, i), error);
}

/* Sends messages [0, n) of one socket. */
static void send_run(struct fynx_worker *w, int fd, uint32_t n) {
  struct fynx_io *io = w->io;
  bool retried = false;
  fynx_count(w, FYNX_COUNT_SEND_MESSAGES, n);
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
      if (!split_up(w, fd, at, error)) lose(w, at, error);
      at++;
      retried = error == EAGAIN;
    }
  }
}

static size_t put_control(uint8_t *to, size_t at, int level, int type, const void *value, size_t size) {
  struct cmsghdr header = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
  memset(to + at, 0, CMSG_SPACE(size));
  memcpy(to + at, &header, sizeof header);
  memcpy(to + at + CMSG_LEN(0), value, size);
  return at + CMSG_SPACE(size);
}

/* Control data of message `at`: source address, traffic class, and the segment size when it holds several packets. */
static void finish_message(struct fynx_worker *w, uint32_t at, const struct fynx_slot *first) {
  struct fynx_io *io = w->io;
  struct msghdr *header = &io->messages[at].msg_hdr;
  const struct fynx_endpoint *e = first->endpoint;
  uint8_t *control = io->controls[at];
  size_t size = e->control_len;
  _Static_assert(sizeof e->control + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t)) <= sizeof io->controls[0],
                 "room for all control data");
  memcpy(control, e->control, size);
  if (first->tos) {
    bool four = w->plane->sockets[e->socket].family == AF_INET;
    int tos = first->tos;
    size = put_control(control, size, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TOS : IPV6_TCLASS, &tos, sizeof tos);
  }
  if (io->count[at] > 1) {
    uint16_t segment = (uint16_t)first->len;
    size = put_control(control, size, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  }
  header->msg_control = size ? control : NULL;
  header->msg_controllen = size;
}

struct draft { /* the message that is being filled */
  const struct fynx_slot *first;
  uint32_t total;
  bool closed; /* a shorter packet ended it */
};

static bool belongs(const struct draft *d, const struct fynx_slot *slot, uint32_t count) {
  return !d->closed && count < FYNX_SEGMENTS && slot->endpoint == d->first->endpoint && slot->tos == d->first->tos &&
         slot->len <= d->first->len && d->total + slot->len <= FYNX_DATAGRAM_MAX;
}

/* A packet that lies right behind the one before it in the same message goes on in its piece. */
static void append(struct fynx_io *io, struct msghdr *header, uint32_t *pieces, const struct fynx_slot *slot) {
  struct iovec *last = *pieces ? &io->iov[*pieces - 1] : NULL;
  if (header->msg_iovlen && (uint8_t *)last->iov_base + last->iov_len == slot->data) {
    last->iov_len += slot->len;
    return;
  }
  io->iov[(*pieces)++] = (struct iovec){.iov_base = slot->data, .iov_len = slot->len};
  header->msg_iovlen++;
}

/* In order; consecutive packets of one socket share a call, consecutive equal ones of one path a message. */
void fynx_send_slots(struct fynx_worker *w, uint32_t n) {
  struct fynx_io *io = w->io;
  struct draft draft = {0};
  bool gso = atomic_load_explicit(&w->plane->gso, memory_order_relaxed) != 0;
  uint32_t messages = 0, packets = 0, pieces = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS) continue;
    const struct fynx_endpoint *e = slot->endpoint;
    if (!w->plane->n_sockets) {
      fynx_upcall_sealed(w, slot);
      continue;
    }
    if (e->socket < 0) {
      fynx_drop(w, slot, FYNX_DROP_NO_SOCKET);
      continue;
    }
    bool raw = w->plane->sockets[e->socket].raw;
    bool same = gso && !raw && messages && belongs(&draft, slot, io->count[messages - 1]);
    if (!same && messages) finish_message(w, messages - 1, draft.first);
    if (messages && e->socket != draft.first->endpoint->socket) {
      send_run(w, w->plane->sockets[draft.first->endpoint->socket].fd, messages);
      messages = packets = pieces = 0;
    }
    if (!same) {
      draft = (struct draft){.first = slot};
      io->count[messages] = 0;
      io->first[messages] = (uint8_t)packets;
      io->messages[messages++].msg_hdr = (struct msghdr){
          .msg_name = (void *)(uintptr_t)e->name, .msg_namelen = e->name_len, .msg_iov = &io->iov[pieces]};
    }
    if (raw) fynx_count(w, FYNX_COUNT_RAW_OUT, 1);
    draft.total += slot->len;
    draft.closed = slot->len < draft.first->len;
    w->member[packets++] = (uint8_t)i;
    append(io, &io->messages[messages - 1].msg_hdr, &pieces, slot);
    io->count[messages - 1]++;
  }
  if (!messages) return;
  finish_message(w, messages - 1, draft.first);
  send_run(w, w->plane->sockets[draft.first->endpoint->socket].fd, messages);
}
