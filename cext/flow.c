/* flow.c: reads inner IPv4 and IPv6 headers strictly (RFC 791, RFC 8200, RFC 4301 sections 4.4.1.1 and 7). */
#include "flow.h"

#include "util.h"

enum { HOPOPT = 0, ICMP = 1, TCP = 6, UDP = 17, DCCP = 33, ROUTING = 43, FRAGMENT = 44, ICMP6 = 58, DSTOPT = 60,
       SCTP = 132, MOBILITY = 135, UDPLITE = 136 };

static void ports(const uint8_t *upper, uint32_t rest, struct fynx_flow_key *key) {
  switch (key->protocol) {
    case TCP:
    case UDP:
    case DCCP:
    case SCTP:
    case UDPLITE:
      if (rest < 4) return;
      key->sport = fynx_be16(upper);
      key->dport = fynx_be16(upper + 2);
      break;
    case ICMP:
    case ICMP6:
      if (rest < 2) return;
      key->sport = key->dport = fynx_be16(upper);
      break;
    case MOBILITY:
      if (rest < 3) return;
      key->sport = key->dport = (uint16_t)(upper[2] << 8);
      break;
    default:
      return;
  }
  key->flags = FYNX_FLOW_PORTS;
}

static bool parse4(const uint8_t *p, uint32_t len, struct fynx_flow *flow) {
  if (len < 20) return false;
  uint32_t header = (p[0] & 15u) * 4, total = fynx_be16(p + 2);
  if (header < 20 || total < header || total > len) return false;
  struct fynx_flow_key *key = &flow->key;
  flow->total = total;
  key->family = 4;
  key->src[1] = fynx_be32(p + 12);
  key->dst[1] = fynx_be32(p + 16);
  key->protocol = p[9];
  if ((fynx_be16(p + 6) & 0x1fff) == 0) ports(p + header, total - header, key);
  return true;
}

static bool is_extension(uint8_t next) {
  return next == HOPOPT || next == ROUTING || next == DSTOPT || next == FRAGMENT;
}

/* At most eight extension headers: a longer chain is an attack, not traffic. */
static bool walk6(const uint8_t *p, uint32_t total, struct fynx_flow_key *key) {
  uint8_t next = p[6];
  uint32_t at = 40;
  for (int count = 0; is_extension(next); count++) {
    if (count == 8 || total - at < 8) return false;
    if (next == HOPOPT && count) return false; /* RFC 8200 section 4.3: first or nowhere */
    bool fragment = next == FRAGMENT;
    uint32_t size = fragment ? 8 : (p[at + 1] + 1u) * 8;
    if (size > total - at) return false;
    next = p[at];
    if (fragment && (fynx_be16(p + at + 2) >> 3) != 0) { /* a later fragment: what follows is payload */
      key->protocol = next;
      if (is_extension(next)) key->flags = FYNX_FLOW_OPAQUE;
      return true;
    }
    at += size;
  }
  key->protocol = next;
  ports(p + at, total - at, key);
  return true;
}

static bool parse6(const uint8_t *p, uint32_t len, struct fynx_flow *flow) {
  if (len < 40) return false;
  uint32_t total = fynx_be16(p + 4) + 40u;
  if (total > len) return false;
  flow->total = total;
  flow->key.family = 6;
  flow->key.src[0] = fynx_be64(p + 8);
  flow->key.src[1] = fynx_be64(p + 16);
  flow->key.dst[0] = fynx_be64(p + 24);
  flow->key.dst[1] = fynx_be64(p + 32);
  return walk6(p, total, &flow->key);
}

bool fynx_flow_parse(const uint8_t *packet, uint32_t len, struct fynx_flow *flow) {
  memset(flow, 0, sizeof *flow);
  if (len == 0) return false;
  if (packet[0] >> 4 == 4) return parse4(packet, len, flow);
  if (packet[0] >> 4 == 6) return parse6(packet, len, flow);
  return false;
}

uint32_t fynx_flow_next(const uint8_t *before, const uint8_t *packet, uint32_t len) {
  if (len < 28) return 0;
  uint32_t total;
  if (packet[0] == 0x45 && before[0] == 0x45) {
    total = fynx_be16(packet + 2);
    bool whole = ((fynx_be16(packet + 6) | fynx_be16(before + 6)) & 0x3fff) == 0; /* no fragments */
    bool same = packet[9] == before[9] && memcmp(packet + 12, before + 12, 12) == 0;
    bool ports = (packet[9] == TCP || packet[9] == UDP) && fynx_be16(before + 2) >= 28;
    return whole && same && ports && total >= 28 && total <= len ? total : 0;
  }
  if (packet[0] >> 4 != 6 || before[0] >> 4 != 6 || len < 48) return 0;
  total = fynx_be16(packet + 4) + 40u;
  bool same = packet[6] == before[6] && memcmp(packet + 8, before + 8, 36) == 0;
  bool ports = (packet[6] == TCP || packet[6] == UDP) && fynx_be16(before + 4) >= 8;
  return same && ports && total >= 48 && total <= len ? total : 0;
}

bool fynx_flow_martian(const struct fynx_flow *flow) {
  uint64_t high = flow->key.src[0], low = flow->key.src[1];
  if (flow->key.family == 4) {
    uint64_t first = low >> 24;
    return first == 0 || first == 127 || first >= 224;
  }
  if (high >> 56 == 0xff) return true;                  /* multicast */
  if (high == 0 && low <= 1) return true;               /* unspecified, loopback */
  return high == 0 && (low >> 32) == UINT64_C(0xffff);  /* IPv4-mapped, RFC 4291 section 2.5.5.2 */
}

static bool not_above(const uint64_t a[2], const uint64_t b[2]) {
  return a[0] < b[0] || (a[0] == b[0] && a[1] <= b[1]);
}

bool fynx_range_match(const struct fynx_range *range, const struct fynx_flow_key *key, bool source) {
  const uint64_t *addr = source ? key->src : key->dst;
  if (range->family != key->family) return false;
  if (!not_above(range->start, addr) || !not_above(addr, range->end)) return false;
  if (range->protocol && (range->protocol != key->protocol || (key->flags & FYNX_FLOW_OPAQUE))) return false;
  if (range->start_port == 0 && range->end_port == UINT16_MAX) return true;
  if (!(key->flags & FYNX_FLOW_PORTS)) return false; /* later fragments: any port or nothing (RFC 4301 section 7) */
  uint16_t port = source ? key->sport : key->dport;
  return range->start_port <= port && port <= range->end_port;
}
