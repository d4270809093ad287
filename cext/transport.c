/* transport.c: transport mode: the IP header stays outside of what is sealed (RFC 4303 section 3.1.1), and behind UDP it
 * does not travel at all (RFC 3948 section 3.2): the receiver makes it anew from the addresses of the SA.
 */
#include "core.h"
#include "csum.h"

enum { HOPOPT = 0, TCP = 6, UDP = 17, DCCP = 33, ROUTING = 43, FRAGMENT = 44, ICMP6 = 58, NONE = 59, UDPLITE = 136 };
enum { HEAD4 = 20, HEAD6 = 40, TTL = 64, DF = 0x40 };

static bool one_address(const struct fynx_range *ranges, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    if (ranges[i].family != ranges[0].family) return false;
    if (memcmp(ranges[i].start, ranges[0].start, sizeof ranges[i].start)) return false;
    if (memcmp(ranges[i].end, ranges[0].start, sizeof ranges[i].end)) return false;
  }
  return true;
}

/* Octets of the header, 0 when the selectors are no pair of addresses (RFC 7296 section 2.23.1). */
uint8_t fynx_transport_header(const struct fynx_child *child) {
  const struct fynx_range *local = child->ranges, *remote = child->ranges + child->n_local;
  if (local->family != remote->family) return 0;
  if (!one_address(local, child->n_local) || !one_address(remote, child->n_remote)) return 0;
  return local->family == 4 ? HEAD4 : HEAD6;
}

static void put_address(uint8_t *out, const struct fynx_range *range) {
  if (range->family == 4) {
    fynx_put32(out, (uint32_t)range->start[1]);
    return;
  }
  fynx_put64(out, range->start[0]);
  fynx_put64(out + 8, range->start[1]);
}

/* What a NAT did to the sum of the addresses, to be added to a complemented checksum (RFC 1624 section 3); 0: nothing. */
uint16_t fynx_transport_fix(const struct fynx_child *child, const uint8_t *source, const uint8_t *destination) {
  uint8_t seen[32] = {0};
  uint32_t size = child->ranges->family == 4 ? 4 : 16, sum = 0;
  put_address(seen, child->ranges + child->n_local);
  put_address(seen + size, child->ranges);
  for (uint32_t i = 0; i < size; i += 2) {
    sum += (uint16_t)~fynx_be16(source + i) + (uint32_t)(uint16_t)~fynx_be16(destination + i);
    sum += fynx_be16(seen + i) + (uint32_t)fynx_be16(seen + size + i);
  }
  sum = (sum & UINT16_MAX) + (sum >> 16);
  sum = (sum & UINT16_MAX) + (sum >> 16);
  return sum == UINT16_MAX ? 0 : (uint16_t)sum;
}

static bool travels(uint8_t next) { return next != HOPOPT && next != ROUTING && next != FRAGMENT && next != NONE; }

/* False: the packet says in its IP header what would be lost with it: that it is a fragment, has options, is for others. */
bool fynx_transport_takes(const uint8_t *packet) {
  if (packet[0] >> 4 == 6) return travels(packet[6]);
  return packet[0] == 0x45 && !(fynx_be16(packet + 6) & 0x3fff) && packet[9] != NONE;
}

/* Takes the header off an outbound packet; returns the protocol behind it. */
uint8_t fynx_transport_cut(struct fynx_slot *slot, uint8_t header) {
  uint8_t next = slot->data[header == HEAD4 ? 9 : 6];
  slot->data += header;
  slot->len -= header;
  return next;
}

/* The checksum as it would be had the sender known the addresses that the packet has here (RFC 3948 section 3.1.2). A UDP
 * datagram without one stays without. */
static void fix(uint8_t *upper, uint32_t len, uint8_t next, uint32_t by) {
  if (next != TCP && next != UDP && next != UDPLITE && next != DCCP && next != ICMP6) return;
  uint32_t at = next == TCP ? 16 : next == ICMP6 ? 2 : 6;
  if (len < at + 2 || (next == UDP && fynx_be16(upper + at) == 0)) return;
  uint32_t sum = (uint16_t)~fynx_be16(upper + at) + by;
  sum = ~((sum & UINT16_MAX) + (sum >> 16)) & UINT16_MAX;
  if (next == UDP && sum == 0) sum = UINT16_MAX;
  upper[at] = (uint8_t)(sum >> 8);
  upper[at + 1] = (uint8_t)sum;
}

static void head4(uint8_t *p, const struct fynx_sa_in *sa, uint8_t tos, uint8_t next, uint32_t total) {
  const uint8_t head[12] = {0x45, tos, (uint8_t)(total >> 8), (uint8_t)total, 0, 0, DF, 0, TTL, next};
  memcpy(p, head, sizeof head);
  put_address(p + 12, sa->remote);
  put_address(p + 16, sa->local);
  fynx_csum_store(p + 10, fynx_csum(p, HEAD4));
}

static void head6(uint8_t *p, const struct fynx_sa_in *sa, uint8_t tos, uint8_t next, uint32_t payload) {
  fynx_put32(p, 6u << 28 | (uint32_t)tos << 20);
  fynx_put32(p + 4, payload << 16 | (uint32_t)next << 8 | TTL);
  put_address(p + 8, sa->remote);
  put_address(p + 24, sa->local);
}

/* Puts a header before an inbound payload, `slot->data`. Behind another segment of one buffer there is no room for it
 * before what may still be sealed there: such a packet moves. */
enum fynx_verdict fynx_transport_restore(struct fynx_worker *w, const struct fynx_sa_in *sa, struct fynx_slot *slot,
                                         uint8_t next) {
  uint32_t total = slot->len + sa->header;
  if (!travels(next)) return FYNX_DROP_NEXT_HEADER;
  if (total > FYNX_INNER_MAX) return FYNX_DROP_INNER_HEADER;
  uint8_t *packet = slot->data - sa->header;
  if (slot->crowded) {
    packet = w->spare + w->spare_at;
    memcpy(packet + sa->header, slot->data, slot->len);
    w->spare_at += fynx_align(total, 64);
  }
  if (sa->fix) fix(packet + sa->header, slot->len, next, sa->fix);
  if (sa->header == HEAD4)
    head4(packet, sa, slot->tos, next, total);
  else
    head6(packet, sa, slot->tos, next, slot->len);
  slot->data = packet;
  slot->len = total;
  return FYNX_PASS;
}
