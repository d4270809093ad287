/* flow.h: what the SPD knows of an inner packet, and the ranges it is compared with (RFC 4301 section 4.4.1.1). */
#ifndef FYNX_FLOW_H
#define FYNX_FLOW_H

#include <stdbool.h>
#include <stdint.h>

enum { FYNX_FLOW_PORTS = 1, FYNX_FLOW_OPAQUE = 2 }; /* OPAQUE: the upper protocol cannot be seen */

struct fynx_flow_key {
  uint64_t src[2]; /* host order, most significant first; IPv4 in [1] */
  uint64_t dst[2];
  uint16_t sport; /* ICMP: type << 8 | code in both */
  uint16_t dport;
  uint8_t protocol;
  uint8_t family;
  uint8_t flags;
  uint8_t zero;
};
_Static_assert(sizeof(struct fynx_flow_key) == 40, "the key is compared as octets: no holes");

struct fynx_flow {
  struct fynx_flow_key key;
  uint32_t total; /* of the IP packet; octets behind it are TFC padding (RFC 4303 section 2.7) */
};

struct fynx_range {
  uint64_t start[2];
  uint64_t end[2];
  uint16_t start_port;
  uint16_t end_port;
  uint8_t protocol;
  uint8_t family;
  uint16_t zero;
};
_Static_assert(sizeof(struct fynx_range) == 40, "ranges lie densely");

/* False: the IP header is malformed, or longer than `len`. */
bool fynx_flow_parse(const uint8_t *packet, uint32_t len, struct fynx_flow *flow);

/* A packet of TCP or UDP with the addresses and ports of `before`, which was read and has ports: its total length. 0 when
 * it is another flow, or anything that `fynx_flow_parse` must look at. */
uint32_t fynx_flow_next(const uint8_t *before, const uint8_t *packet, uint32_t len);

/* True for an inner source that nobody may have: unspecified, loopback, multicast, reserved, broadcast. */
bool fynx_flow_martian(const struct fynx_flow *flow);

bool fynx_range_match(const struct fynx_range *range, const struct fynx_flow_key *key, bool source);

#endif
