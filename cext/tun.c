/* tun.c: between a TUN device and slots: whole frames of many packets where the device has virtio-net headers. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "netio.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define FRAME_ROOM (4u * 65536u) /* in the arena for one frame and, behind it, its packets one by one */
#define PLENTY 16u               /* packets that are worth a batch of their own */

/* What the device can do; a descriptor that is no TUN device carries bare packets unless the options say otherwise. */
static void detect(struct fynx_plane *plane, int fd) {
  const unsigned basic = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  struct ifreq request = {0};
  bool device = ioctl(fd, TUNGETIFF, &request) == 0;
  bool headers = device ? (request.ifr_flags & IFF_VNET_HDR) != 0 : plane->options.vnet == FYNX_FORCE;
  int size = sizeof(struct fynx_vnet);
  plane->vnet = headers && (!device || ioctl(fd, TUNSETVNETHDRSZ, &size) == 0);
  if (!plane->vnet) return;
  if (plane->options.vnet == FYNX_OFF) return; /* headers are there, and say nothing */
  bool uso = plane->options.uso != FYNX_OFF && (!device || !ioctl(fd, TUNSETOFFLOAD, basic | TUN_F_USO4 | TUN_F_USO6));
  plane->tso = uso || !device || ioctl(fd, TUNSETOFFLOAD, basic) == 0;
  plane->uso = uso;
}

/* Each TUN queue is served by a sender of its own. */
int fynx_plane_add_tun(struct fynx_plane *plane, int fd, uint32_t mtu) {
  if (plane->started || plane->frozen) return FYNX_E_STATE;
  if (plane->inproc || mtu < 68 || mtu > FYNX_INNER_MAX) return FYNX_E_ARGUMENT;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) return FYNX_E_SYSTEM;
  struct fynx_worker *sender = fynx_worker_new(plane, false);
  if (!sender) return FYNX_E_FULL;
  detect(plane, fd);
  plane->mtu = mtu;
  sender->tun = fd;
  if (plane->rx[0]->tun < 0) plane->rx[0]->tun = fd;
  return (int)sender->index - 1;
}

/* Octets of the packet or frame read to `to`, 0 when there is none for now. */
static uint32_t read_one(struct fynx_worker *w, uint8_t *to, struct fynx_vnet *vnet) {
  struct iovec iov[2] = {{.iov_base = vnet, .iov_len = sizeof *vnet}, {.iov_base = to, .iov_len = FYNX_INNER_MAX}};
  ssize_t head = w->plane->vnet ? (ssize_t)sizeof *vnet : 0, got;
  do got = head ? readv(w->tun, iov, 2) : read(w->tun, to, FYNX_INNER_MAX);
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return 0;
  fynx_count(w, FYNX_COUNT_TUN_READS, 1);
  w->io->failures = got <= head ? w->io->failures + 1 : 0;
  if (got > head) return (uint32_t)(got - head);
  fynx_count(w, FYNX_COUNT_TUN_ERRORS, 1); /* EIO, EBADFD: the device is down or gone */
  return 0;
}

/* Octets from the beginning of a packet of `len` to where the next may begin. Where a guess is possible at what the SA
 * will put around them, sealed packets lie one behind the other, and the kernel takes all as one piece. */
static size_t pitch(const struct fynx_wrap *laid, uint32_t len, bool tight) {
  if (!tight) return fynx_align(FYNX_HEAD + (size_t)len + FYNX_TAIL, 64);
  return laid->ahead + len + fynx_padding(laid->block, len) + 2 + laid->icv_len;
}

/* Packets of the frame at hand into slots from `n` on; returns the new count. */
static uint32_t cut(struct fynx_worker *w, uint32_t n, size_t *at) {
  struct fynx_split *split = &w->io->split;
  bool tight = w->laid.ahead && split->head + split->size <= FYNX_PADDED_MAX;
  uint8_t *data = w->arena + w->io->split_end + FYNX_HEAD, follows = 0;
  for (; n < FYNX_BATCH && fynx_split_more(split); n++) {
    struct fynx_slot *slot = &w->slot[n];
    slot->data = data;
    slot->len = fynx_split_next(split, data);
    slot->tight = tight;
    slot->follows = follows;
    follows = 1;
    data += pitch(&w->laid, slot->len, tight);
  }
  *at = fynx_align((size_t)(data - w->arena) + FYNX_TAIL, 64);
  if (!fynx_split_more(split)) w->io->split_end = 0;
  return n;
}

/* One behind the other, so that a batch of small ones stays small in the cache. A frame of many packets that does not
 * fit behind those already there waits for the next call. */
uint32_t fynx_tun_read(struct fynx_worker *w) {
  struct fynx_io *io = w->io;
  uint32_t n = 0, len, narrowest, most = fynx_batch(w->plane, &narrowest);
  size_t at = 0;
  w->laid = w->wrap;
  if (io->split_end) n = cut(w, 0, &at);
  while (!io->split_end && n < most && w->arena_size - at >= FRAME_ROOM) {
    struct fynx_vnet vnet = {0};
    uint8_t *data = w->arena + at + FYNX_HEAD;
    if (!(len = read_one(w, data, &vnet))) {
      io->dry = n != 0 && io->failures == 0;
      break;
    }
    if (!fynx_split_begin(&io->split, data, len, &vnet)) {
      struct fynx_slot nobody;
      fynx_drop(w, &nobody, FYNX_DROP_TUN_FRAME);
      continue;
    }
    at += fynx_align(FYNX_HEAD + (size_t)len + FYNX_TAIL, 64);
    if (!io->split.size) {
      w->slot[n].data = data;
      w->slot[n].len = len;
      w->slot[n].tight = 0;
      w->slot[n++].follows = 0;
      if (len > narrowest) break; /* may have to be cut: the last of its batch */
      continue;
    }
    io->split_end = at;
    if (n && fynx_split_left(&io->split) > FYNX_BATCH - n) break;
    uint32_t before = n;
    n = cut(w, n, &at);
    if (n - before >= PLENTY) break;
  }
  return n;
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

/* A packet of our own to the inner side. */
void fynx_answer(struct fynx_worker *w, uint8_t *packet, uint32_t len) {
  struct fynx_vnet vnet = {0};
  struct iovec iov[2] = {{.iov_base = &vnet, .iov_len = sizeof vnet}, {.iov_base = packet, .iov_len = len}};
  struct fynx_slot slot = {.data = packet, .len = len};
  if (w->tun < 0) { /* of a caller: he takes it as if it had come in */
    if (!w->plane->inproc) return;
    pthread_mutex_lock(&w->plane->receiving);
    to_inner_ring(w->plane->rx[0], &slot);
    pthread_mutex_unlock(&w->plane->receiving);
    return;
  }
  fynx_count(w, FYNX_COUNT_TUN_WRITES, 1);
  if (w->plane->vnet ? writev(w->tun, iov, 2) < 0 : write(w->tun, packet, len) < 0)
    fynx_drop(w, &slot, FYNX_DROP_TUN_WRITE);
}

/* Writes what is joined. A TUN write fails while the device is down: counted, never fatal. */
static void put(struct fynx_worker *w, struct fynx_join *join) {
  struct fynx_slot nobody;
  if (!join->n) return;
  fynx_join_finish(join);
  fynx_count(w, FYNX_COUNT_TUN_WRITES, 1);
  join->iov[0] = (struct iovec){.iov_base = &join->vnet, .iov_len = sizeof join->vnet};
  if (writev(w->tun, join->iov, (int)join->pieces + 1) < 0)
    for (uint32_t i = 0; i < join->n; i++) fynx_drop(w, &nobody, FYNX_DROP_TUN_WRITE);
  join->n = 0;
}

static void deliver_joined(struct fynx_worker *w, uint32_t n) {
  struct fynx_join *join = &w->io->join;
  join->n = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict == FYNX_ELSEWHERE) put(w, join); /* what lies there is still wanted, so nothing moves over it */
    if (slot->verdict != FYNX_PASS) continue;
    if (join->n && fynx_join_add(join, slot->data, slot->len)) continue;
    put(w, join);
    fynx_join_begin(join, slot->data, slot->len, w->plane->uso);
    if (!w->plane->tso) join->open = false;
  }
  put(w, join);
}

/* Hands what passed to the inner side, in order. */
void fynx_deliver(struct fynx_worker *w, uint32_t n) {
  if (w->tun >= 0 && w->plane->vnet) {
    deliver_joined(w, n);
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS) continue;
    if (w->tun < 0) {
      to_inner_ring(w, slot);
      continue;
    }
    fynx_count(w, FYNX_COUNT_TUN_WRITES, 1);
    if (write(w->tun, slot->data, slot->len) < 0) fynx_drop(w, slot, FYNX_DROP_TUN_WRITE);
  }
}
