/* join.c: consecutive packets of one TCP or UDP flow become one frame for the TUN device.
 *
 * Nothing is joined whose checksums do not hold (the frame would vouch for them), and nothing that the stack, cutting
 * the frame up again, would not give back as it came.
 */
#include <arpa/inet.h>

#include "csum.h"
#include "util.h"
#include "vnet.h"

enum { TCP = 6, UDP = 17 };
enum { PSH = 0x08, ACK = 0x10, ECE = 0x40 };

struct heads {
  uint32_t l4;
  uint32_t head;
  uint8_t protocol;
};

/* False: a packet that stays by itself. */
static bool parse(const uint8_t *p, uint32_t len, struct heads *h) {
  if (len < 28) return false;
  if (p[0] == 0x45) {
    if (fynx_be16(p + 2) != len || fynx_be16(p + 6) & 0xbfff) return false; /* fragments, the reserved bit */
    h->l4 = 20;
    h->protocol = p[9];
  } else if (p[0] >> 4 == 6 && len >= 48) {
    if (fynx_be16(p + 4) + 40u != len) return false;
    h->l4 = 40;
    h->protocol = p[6];
  } else {
    return false;
  }
  const uint8_t *l4 = p + h->l4;
  if (h->protocol == UDP) {
    h->head = h->l4 + 8;
    return fynx_be16(l4 + 4) == len - h->l4 && fynx_be16(l4 + 6) != 0 && len > h->head;
  }
  if (h->protocol != TCP || len - h->l4 < 20) return false;
  h->head = h->l4 + (l4[12] >> 4) * 4u;
  if (h->head < h->l4 + 20 || h->head >= len) return false;
  return (l4[13] & (uint8_t)~(PSH | ECE)) == ACK && (l4[12] & 15) == 0;
}

/* All that its checksum covers but the payload. */
static uint64_t heads_sum(const struct fynx_join *j, const uint8_t *p, uint32_t len) {
  return j->pseudo + htons((uint16_t)(len - j->l4)) + fynx_csum(p + j->l4, j->head - j->l4);
}

static bool ip_holds(const struct fynx_join *j, const uint8_t *p) {
  return j->l4 == 40 || fynx_csum_holds(fynx_csum(p, 20));
}

static bool first_holds(struct fynx_join *j, const uint8_t *p, uint32_t len) {
  j->pseudo = fynx_csum_pseudo(p, j->l4 == 20 ? p[9] : p[6], 0);
  return ip_holds(j, p) && fynx_csum_holds(heads_sum(j, p, len) + fynx_csum(p + j->head, len - j->head));
}

/* The payload behind those already there, if its checksums hold. Where it lies close behind them it is moved while it is
 * summed, so that the kernel has one piece to take. */
static bool append(struct fynx_join *j, uint8_t *packet, uint32_t len) {
  uint8_t *from = packet + j->head, saved[FYNX_JOIN_GAP];
  uint32_t payload = len - j->head;
  uintptr_t gap = (uintptr_t)from - (uintptr_t)j->end;
  if (!ip_holds(j, packet)) return false;
  uint64_t sum = heads_sum(j, packet, len);
  if (gap - 1 >= FYNX_JOIN_GAP) {
    if (!fynx_csum_holds(sum + fynx_csum(from, payload))) return false;
    j->iov[++j->pieces] = (struct iovec){.iov_base = from, .iov_len = payload};
    j->end = from + payload;
    return true;
  }
  memcpy(saved, j->end, gap);
  if (fynx_csum_holds(sum + fynx_csum_copy(j->end, from, payload))) {
    j->iov[j->pieces].iov_len += payload;
    j->end += payload;
    return true;
  }
  memmove(from, j->end, payload);
  memcpy(j->end, saved, gap);
  return false;
}

void fynx_join_begin(struct fynx_join *j, uint8_t *packet, uint32_t len, bool udp) {
  struct heads h;
  j->vnet = (struct fynx_vnet){0};
  j->n = j->pieces = 1;
  j->end = packet + len;
  j->iov[1] = (struct iovec){.iov_base = packet, .iov_len = len};
  j->total = len;
  j->pushed = j->verified = false;
  j->open = parse(packet, len, &h) && (udp || h.protocol == TCP);
  if (!j->open) return;
  j->l4 = h.l4;
  j->head = h.head;
  j->size = len - h.head;
  if (h.protocol == UDP) return;
  j->sequence = fynx_be32(packet + h.l4 + 4) + j->size;
  j->pushed = (packet[h.l4 + 13] & PSH) != 0;
  j->open = !j->pushed;
}

static bool same_ip(const uint8_t *a, const uint8_t *b, uint32_t l4, uint32_t n) {
  if (l4 == 40) return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 34) == 0;
  if (memcmp(a, b, 2) || memcmp(a + 6, b + 6, 4) || memcmp(a + 12, b + 12, 8)) return false;
  return (a[6] & 0x40) || fynx_be16(b + 4) == ((fynx_be16(a + 4) + n) & UINT16_MAX);
}

static bool same_tcp(const struct fynx_join *j, const uint8_t *a, const uint8_t *b) {
  if (memcmp(a, b, 4) || fynx_be32(b + 4) != j->sequence) return false;
  if (memcmp(a + 8, b + 8, 5) || (a[13] ^ b[13]) & (uint8_t)~PSH) return false;
  return memcmp(a + 14, b + 14, 2) == 0 && memcmp(a + 18, b + 18, j->head - j->l4 - 18) == 0;
}

bool fynx_join_add(struct fynx_join *j, uint8_t *packet, uint32_t len) {
  struct heads h;
  uint8_t *first = j->iov[1].iov_base;
  if (!j->open || j->n == FYNX_SEGMENTS || !parse(packet, len, &h)) return false;
  if (h.l4 != j->l4 || h.head != j->head || !same_ip(first, packet, h.l4, j->n)) return false;
  uint32_t payload = len - h.head;
  if (payload > j->size || j->total + payload > UINT16_MAX) return false;
  const uint8_t *a = first + h.l4, *b = packet + h.l4;
  if (h.protocol == TCP ? !same_tcp(j, a, b) : memcmp(a, b, 4) != 0) return false;
  bool pushed = h.protocol == TCP && (b[13] & PSH);
  if (!j->verified && !(j->open = first_holds(j, first, j->total))) return false;
  j->verified = true;
  if (!append(j, packet, len)) return false;
  j->n++;
  j->total += payload;
  j->sequence += payload;
  j->pushed = pushed;
  j->open = payload == j->size && !j->pushed;
  return true;
}

static void put16(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

void fynx_join_finish(struct fynx_join *j) {
  if (j->n == 1) return;
  uint8_t *ip = j->iov[1].iov_base, *l4 = ip + j->l4;
  bool six = j->l4 == 40, udp = (six ? ip[6] : ip[9]) == UDP;
  if (six) {
    put16(ip + 4, j->total - 40);
  } else {
    put16(ip + 2, j->total);
    ip[10] = ip[11] = 0;
    fynx_csum_store(ip + 10, fynx_csum(ip, 20));
  }
  if (udp)
    put16(l4 + 4, j->total - j->l4);
  else if (j->pushed)
    l4[13] |= PSH;
  uint16_t partial = fynx_csum_fold(fynx_csum_pseudo(ip, udp ? UDP : TCP, j->total - j->l4));
  memcpy(l4 + (udp ? 6 : 16), &partial, sizeof partial);
  j->vnet = (struct fynx_vnet){.flags = FYNX_VNET_NEEDS_CSUM,
                               .type = udp ? FYNX_VNET_UDP : six ? FYNX_VNET_TCP6 : FYNX_VNET_TCP4,
                               .head = (uint16_t)j->head,
                               .size = (uint16_t)j->size,
                               .csum_start = (uint16_t)j->l4,
                               .csum_offset = udp ? 6 : 16};
}
