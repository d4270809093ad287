/* mtu.c: packets larger than what the path to the peer takes once they are sealed (RFC 4301 section 8).
 *
 * What may not be cut is answered with "fragmentation needed" (RFC 1191) or "packet too big" (RFC 8201) to the inner side,
 * IPv4 packets that may be are cut before sealing, and the segment size that TCP offers is lowered on its way.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core.h"
#include "csum.h"

enum { ICMP = 1, TCP = 6, FRAGMENT = 44, ICMP6 = 58, SYN = 0x02, LOOK_MS = 2000, TOLD_BURST = 20, TOLD_EVERY_MS = 10 };
enum { LEAST4 = 68, LEAST6 = 1280, QUOTED4 = 576 - 28, QUOTED6 = 1280 - 48 };

static void put16(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

/* What the kernel knows of the path, 0 if nothing: a connected socket tells. */
static uint32_t path_mtu(const struct fynx_socket *socket_of, const struct fynx_endpoint *e) {
  bool four = socket_of->family == AF_INET;
  int fd = socket(socket_of->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0, mark = 0;
  socklen_t len = sizeof mark;
  if (fd < 0) return 0;
  if (getsockopt(socket_of->fd, SOL_SOCKET, SO_MARK, &mark, &len) == 0 && mark)
    mark = setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
  len = sizeof mtu;
  if (connect(fd, (const struct sockaddr *)(const void *)e->name, e->name_len) ||
      getsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_MTU : IPV6_MTU, &mtu, &len))
    mtu = 0;
  close(fd);
  return mtu > 0 ? (uint32_t)mtu : 0;
}

static uint32_t limit_of(const struct fynx_sa_out *sa, const struct fynx_socket *s, uint32_t mtu) {
  uint32_t around = (s->family == AF_INET ? 20u : 40u) + (s->raw ? 0u : 8u) + 8u + sa->iv_len + sa->icv_len;
  if (mtu < around + LEAST4 + sa->block) return LEAST4;
  return (mtu - around) / sa->block * sa->block - 2 + sa->header;
}

/* Looks at the path again where the last look is some time ago. */
void fynx_mtu_look(struct fynx_plane *plane, struct fynx_sa_out *sa, const struct fynx_endpoint *e) {
  uint64_t now = fynx_now_ms();
  if (e->socket < 0 || now < atomic_load_explicit(&sa->look_ms, memory_order_relaxed)) return;
  atomic_store_explicit(&sa->look_ms, now + LOOK_MS, memory_order_relaxed);
  const struct fynx_socket *s = &plane->sockets[e->socket];
  uint32_t mtu = path_mtu(s, e), limit = mtu ? limit_of(sa, s, mtu) : FYNX_INNER_MAX;
  atomic_store_explicit(&sa->limit, limit, memory_order_relaxed);
  uint32_t narrowest = atomic_load_explicit(&plane->narrowest, memory_order_relaxed);
  while (limit < narrowest && !atomic_compare_exchange_weak(&plane->narrowest, &narrowest, limit)) {
  }
}

static bool may_tell(struct fynx_worker *w) {
  uint64_t now = fynx_now_ms(), earned = (now - w->told_ms) / TOLD_EVERY_MS;
  if (earned) {
    w->told_ms = now;
    w->told = w->told + earned > TOLD_BURST ? TOLD_BURST : w->told + (uint32_t)earned;
  }
  if (!w->told) return false;
  w->told--;
  return true;
}

/* Errors are not answered with errors, nor is what went to many (RFC 1122 section 3.2.2, RFC 4443 section 2.4). */
static bool answerable(const uint8_t *p, const struct fynx_flow *flow) {
  if (flow->key.family == 4) {
    if (fynx_be16(p + 6) & 0x1fff || p[16] >= 224) return false;
    uint8_t type = (uint8_t)(flow->key.sport >> 8);
    return flow->key.protocol != ICMP || type == 0 || type == 8 || type >= 13;
  }
  return p[24] != 0xff && (flow->key.protocol != ICMP6 || flow->key.sport >> 15);
}

static uint32_t answer4(const uint8_t *p, uint32_t len, uint32_t limit, uint8_t *out) {
  uint32_t quoted = len < QUOTED4 ? len : QUOTED4, total = 28 + quoted;
  const uint8_t head[20] = {0x45, 0xc0, (uint8_t)(total >> 8), (uint8_t)total, 0, 0, 0, 0, 64, ICMP};
  memcpy(out, head, sizeof head);
  memcpy(out + 12, p + 16, 4);
  memcpy(out + 16, p + 12, 4);
  fynx_csum_store(out + 10, fynx_csum(out, 20));
  memset(out + 20, 0, 8);
  out[20] = 3;
  out[21] = 4;
  put16(out + 26, limit);
  memcpy(out + 28, p, quoted);
  fynx_csum_store(out + 22, fynx_csum(out + 20, 8 + quoted));
  return total;
}

static uint32_t answer6(const uint8_t *p, uint32_t len, uint32_t limit, uint8_t *out) {
  uint32_t quoted = len < QUOTED6 ? len : QUOTED6, body = 8 + quoted;
  const uint8_t head[8] = {0x60, 0, 0, 0, (uint8_t)(body >> 8), (uint8_t)body, ICMP6, 64};
  memcpy(out, head, sizeof head);
  memcpy(out + 8, p + 24, 16);
  memcpy(out + 24, p + 8, 16);
  memset(out + 40, 0, 8);
  out[40] = 2;
  fynx_put32(out + 44, limit);
  memcpy(out + 48, p, quoted);
  fynx_csum_store(out + 42, fynx_csum_pseudo(out, ICMP6, body) + fynx_csum(out + 40, body));
  return 40 + body;
}

static void answer(struct fynx_worker *w, const struct fynx_slot *slot, uint32_t limit) {
  uint8_t packet[LEAST6];
  if (!answerable(slot->data, &slot->flow) || !may_tell(w)) return;
  bool four = slot->flow.key.family == 4;
  uint32_t len = (four ? answer4 : answer6)(slot->data, slot->len, limit, packet);
  fynx_count(w, FYNX_COUNT_TOO_BIG_TOLD, 1);
  fynx_answer(w, packet, len);
}

/* Lowers the segment size that a SYN offers (RFC 6691, RFC 4459 section 3.2); the checksum follows (RFC 1624). */
static void clamp(uint8_t *p, uint32_t len, uint32_t limit) {
  uint32_t l4 = p[0] >> 4 == 6 ? 40 : (p[0] & 15u) * 4, most = limit - (p[0] >> 4 == 6 ? 60 : 40);
  if (len < l4 + 20 || !(p[l4 + 13] & SYN)) return;
  uint8_t *tcp = p + l4;
  uint32_t end = (tcp[12] >> 4) * 4u;
  if (end > len - l4) return;
  for (uint32_t at = 20; at + 4 <= end && tcp[at] != 0;) {
    if (tcp[at] == 1) {
      at++;
    } else if (tcp[at] == 2 && tcp[at + 1] == 4) {
      uint32_t before = fynx_be16(tcp + at + 2);
      if (before <= most || at % 2) return; /* at an odd place it is not worth the trouble: nobody puts it there */
      uint32_t sum = (uint16_t)~fynx_be16(tcp + 16) + (uint32_t)(uint16_t)~before + most;
      sum = (sum & UINT16_MAX) + (sum >> 16);
      put16(tcp + 16, ~((sum & UINT16_MAX) + (sum >> 16)));
      put16(tcp + at + 2, most);
      return;
    } else if (tcp[at + 1] < 2) {
      return;
    } else {
      at += tcp[at + 1];
    }
  }
}

static bool plain_tcp(const struct fynx_slot *slot) {
  const uint8_t *p = slot->data;
  if (slot->flow.key.protocol != TCP) return false;
  return slot->flow.key.family == 4 ? (fynx_be16(p + 6) & 0x1fff) == 0 : p[6] == TCP;
}

/* A packet whose SA is known, before it is sealed. True: it goes on; else it was answered, or stands in `w->wide` to be
 * cut. */
bool fynx_mtu_pass(struct fynx_worker *w, struct fynx_slot *slot, struct fynx_sa_out *sa) {
  uint32_t limit = atomic_load_explicit(&sa->limit, memory_order_relaxed);
  bool four = slot->flow.key.family == 4;
  if (sa->aggfrag) limit = fynx_agg_limit(sa);
  if (!four && limit < LEAST6) limit = LEAST6; /* below that the datagrams outside are cut */
  if (plain_tcp(slot)) clamp(slot->data, slot->len, limit < w->plane->mtu ? limit : w->plane->mtu);
  if (slot->len <= limit) return true;
  if (four && !(slot->data[6] & 0x40) && !sa->header) { /* transport mode carries no fragments */
    w->wide = limit;
    return true;
  }
  answer(w, slot, limit);
  return false;
}

/* Transport mode seals whole datagrams, and a kernel cuts them before they come to the device: the sender is told with the
 * first piece that they are too large (RFC 4303 section 3.3.4, RFC 4301 section 8.2.1). */
void fynx_mtu_refuse(struct fynx_worker *w, const struct fynx_slot *slot, const struct fynx_sa_out *sa) {
  const uint8_t *p = slot->data;
  bool four = slot->flow.key.family == 4;
  uint32_t limit = atomic_load_explicit(&sa->limit, memory_order_relaxed);
  if (limit > w->plane->mtu) limit = w->plane->mtu;
  if (!four && limit < LEAST6) limit = LEAST6;
  bool first = four ? (fynx_be16(p + 6) & 0x3fff) == 0x2000 : p[6] == FRAGMENT && (fynx_be16(p + 42) & 0xfff9) == 1;
  if (first) answer(w, slot, limit);
}

/* Cuts the last slot of `n` (RFC 791 section 3.2); returns the new count, `n` when it stays whole. */
uint32_t fynx_mtu_cut(struct fynx_worker *w, uint32_t n, uint32_t limit) {
  struct fynx_slot *whole = &w->slot[n - 1];
  const uint8_t *p = whole->data;
  uint32_t head = (p[0] & 15u) * 4, size = (limit - head) / 8 * 8, left = whole->len - head, flags = fynx_be16(p + 6);
  uint32_t pieces = (left + size - 1) / size, at = 0;
  uint8_t *to = whole->data + whole->len + FYNX_TAIL, *end = w->arena + w->arena_size;
  if (head != 20 || limit < head + 8 || n - 1 + pieces > FYNX_BATCH) return n;
  if ((size_t)(end - to) < pieces * (FYNX_HEAD + (size_t)head + size + FYNX_TAIL)) return n;
  for (uint32_t i = 0; i < pieces; i++, at += size) {
    struct fynx_slot *slot = &w->slot[n - 1 + i];
    uint32_t chunk = left - at < size ? left - at : size;
    bool more = at + chunk < left || flags & 0x2000;
    uint8_t *out = to + FYNX_HEAD;
    memcpy(out, p, head);
    memcpy(out + head, p + head + at, chunk);
    put16(out + 2, head + chunk);
    put16(out + 6, (flags & 0xc000) | (more ? 0x2000u : 0) | ((flags & 0x1fff) + at / 8));
    put16(out + 10, 0);
    fynx_csum_store(out + 10, fynx_csum(out, head));
    if (i) *slot = *whole;
    slot->data = out;
    slot->tight = 0;
    slot->len = head + chunk;
    to = out + head + chunk + FYNX_TAIL;
  }
  fynx_count(w, FYNX_COUNT_FRAGMENTED, 1);
  return n - 1 + pieces;
}
