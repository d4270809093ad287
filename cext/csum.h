/* csum.h: the Internet checksum (RFC 1071) over long stretches; sums are kept unfolded, in the machine's own order. */
#ifndef FYNX_CSUM_H
#define FYNX_CSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The sum of `n` octets that begin at an even offset of what is summed; an odd last octet counts as if a 0 followed. */
uint64_t fynx_csum(const uint8_t *p, size_t n);

/* The same, and copies them; `to` may lie before `from` and overlap it. */
uint64_t fynx_csum_copy(uint8_t *to, const uint8_t *from, size_t n);

/* Addresses, protocol and length of what follows (RFC 0793 section 3.1, RFC 8200 section 8.1); `ip` is the IP header. */
uint64_t fynx_csum_pseudo(const uint8_t *ip, uint8_t protocol, uint32_t length);

/* Sixteen bits, not complemented, in network order as they lie in memory. */
static inline uint16_t fynx_csum_fold(uint64_t sum) {
  sum = (sum & UINT32_MAX) + (sum >> 32);
  sum = (sum & UINT32_MAX) + (sum >> 32);
  uint32_t half = (uint32_t)(sum & UINT16_MAX) + (uint32_t)(sum >> 16);
  half = (half & UINT16_MAX) + (half >> 16);
  return (uint16_t)((half & UINT16_MAX) + (half >> 16));
}

static inline void fynx_csum_store(uint8_t *field, uint64_t sum) {
  uint16_t value = (uint16_t)~fynx_csum_fold(sum);
  memcpy(field, &value, sizeof value);
}

/* UDP: a sum of zero travels as all ones, for zero means that there is none (RFC 0768). */
static inline void fynx_csum_store_udp(uint8_t *field, uint64_t sum) {
  uint16_t value = (uint16_t)~fynx_csum_fold(sum);
  if (value == 0) value = UINT16_MAX;
  memcpy(field, &value, sizeof value);
}

/* A header or segment that carries its own checksum sums up to all ones. */
static inline bool fynx_csum_holds(uint64_t sum) { return fynx_csum_fold(sum) == UINT16_MAX; }

#endif
