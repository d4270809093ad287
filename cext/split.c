/* split.c: cuts a frame of TCP (TSO) or UDP (USO) into packets, and finishes checksums that the stack left to a device.
 *
 * The stack leaves the folded sum of the pseudo header in the checksum field; with the whole frame's length taken out of
 * it, the same sum serves every segment, whatever extension headers there are.
 */
#include "csum.h"
#include "util.h"
#include "vnet.h"

enum { TCP_CHECK = 16, UDP_CHECK = 6, UDP_HEAD = 8, TCP_HEAD = 20 };
enum { FIN = 0x01, PSH = 0x08, CWR = 0x80 };

static void put16(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

/* One packet whose checksum is partial: it is counted over all that follows, the field's own content included. */
static bool complete(uint8_t *frame, uint32_t len, const struct fynx_vnet *vnet) {
  uint32_t start = vnet->csum_start, at = start + vnet->csum_offset;
  if (!(vnet->flags & FYNX_VNET_NEEDS_CSUM)) return true;
  if (at + 2 > len) return false;
  uint64_t sum = fynx_csum(frame + start, len - start);
  if (vnet->csum_offset == UDP_CHECK)
    fynx_csum_store_udp(frame + at, sum);
  else
    fynx_csum_store(frame + at, sum);
  return true;
}

static bool sane_ip(const uint8_t *frame, uint32_t len, uint32_t l4, uint8_t type) {
  if (len < 20) return false;
  bool four = frame[0] >> 4 == 4, six = frame[0] >> 4 == 6;
  if (type == FYNX_VNET_TCP4 ? !four : type == FYNX_VNET_TCP6 ? !six : !four && !six) return false;
  return four ? l4 == (frame[0] & 15u) * 4 && l4 >= 20 : l4 >= 40;
}

/* What the headers of all segments have in common is summed once. */
static void prepare_sums(struct fynx_split *s) {
  uint8_t head[UINT8_MAX + 1];
  uint32_t l4_head = s->head - s->l4;
  memcpy(head, s->frame + s->l4, l4_head);
  memset(head + s->check, 0, 2);
  memset(head + 4, 0, s->check == UDP_CHECK ? 2 : 4); /* the length, or the sequence number */
  if (s->check == TCP_CHECK) memset(head + 12, 0, 2); /* the flags */
  s->partial += fynx_csum(head, l4_head);
  if (s->frame[0] >> 4 != 4) return;
  memcpy(head, s->frame, s->l4);
  memset(head + 2, 0, 4);
  memset(head + 10, 0, 2);
  s->ip_sum = fynx_csum(head, s->l4);
}

/* Sixteen bits of a packet as they count in a sum. */
static uint64_t at16(const uint8_t *p) {
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

bool fynx_split_begin(struct fynx_split *s, uint8_t *frame, uint32_t len, const struct fynx_vnet *vnet) {
  uint8_t type = vnet->type & (uint8_t)~FYNX_VNET_ECN;
  *s = (struct fynx_split){.frame = frame, .len = len};
  if (type == FYNX_VNET_NONE) return complete(frame, len, vnet);
  if (type != FYNX_VNET_TCP4 && type != FYNX_VNET_TCP6 && type != FYNX_VNET_UDP) return false;
  if (!(vnet->flags & FYNX_VNET_NEEDS_CSUM) || vnet->size == 0) return false;
  s->l4 = vnet->csum_start;
  s->check = type == FYNX_VNET_UDP ? UDP_CHECK : TCP_CHECK;
  if (vnet->csum_offset != s->check || !sane_ip(frame, len, s->l4, type)) return false;
  if (s->l4 + (type == FYNX_VNET_UDP ? UDP_HEAD : TCP_HEAD) > len) return false;
  s->head = s->l4 + (type == FYNX_VNET_UDP ? UDP_HEAD : (frame[s->l4 + 12] >> 4) * 4u);
  if (s->head < s->l4 + (s->check == UDP_CHECK ? UDP_HEAD : TCP_HEAD) || s->head >= len) return false;
  s->size = vnet->size;
  uint16_t field, length;
  uint8_t whole[2];
  put16(whole, len - s->l4);
  memcpy(&field, frame + s->l4 + s->check, sizeof field);
  memcpy(&length, whole, sizeof length);
  s->partial = (uint64_t)field + (uint16_t)~length;
  prepare_sums(s);
  return true;
}

bool fynx_split_more(const struct fynx_split *s) { return s->size ? s->head + s->at < s->len : s->at < s->len; }

uint32_t fynx_split_left(const struct fynx_split *s) {
  if (!fynx_split_more(s)) return 0;
  return s->size ? (s->len - s->head - s->at + s->size - 1) / s->size : 1;
}

static void ip_header(const struct fynx_split *s, uint8_t *out, uint32_t total) {
  if (out[0] >> 4 == 6) {
    put16(out + 4, total - 40);
    return;
  }
  put16(out + 2, total);
  put16(out + 4, (fynx_be16(s->frame + 4) + s->index) & UINT16_MAX);
  fynx_csum_store(out + 10, s->ip_sum + at16(out + 2) + at16(out + 4));
}

static void tcp_header(const struct fynx_split *s, uint8_t *tcp, bool last) {
  fynx_put32(tcp + 4, fynx_be32(tcp + 4) + s->at);
  if (!last) tcp[13] &= (uint8_t)~(FIN | PSH);
  if (s->index) tcp[13] &= (uint8_t)~CWR;
}

uint32_t fynx_split_next(struct fynx_split *s, uint8_t *out) {
  uint32_t left = s->len - s->head - s->at, chunk = left < s->size ? left : s->size;
  uint32_t total = s->head + chunk, l4_len = total - s->l4;
  uint8_t *l4 = out + s->l4, length[2];
  memcpy(out, s->frame, s->head);
  uint64_t sum = fynx_csum_copy(out + s->head, s->frame + s->head + s->at, chunk);
  ip_header(s, out, total);
  if (s->check == UDP_CHECK)
    put16(l4 + 4, l4_len);
  else
    tcp_header(s, l4, chunk == left);
  put16(length, l4_len);
  sum += s->partial + at16(length);
  if (s->check == UDP_CHECK)
    fynx_csum_store_udp(l4 + s->check, sum + at16(length));
  else
    fynx_csum_store(l4 + s->check, sum + at16(l4 + 4) + at16(l4 + 6) + at16(l4 + 12));
  s->at += chunk;
  s->index++;
  return total;
}
