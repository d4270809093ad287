/* util.h: octet order and small arithmetic; nothing here touches memory that the caller did not measure. */
#ifndef FYNX_UTIL_H
#define FYNX_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t fynx_be16(const uint8_t *p) { return (uint16_t)((unsigned)p[0] << 8 | p[1]); }

static inline uint32_t fynx_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline uint64_t fynx_be64(const uint8_t *p) { return (uint64_t)fynx_be32(p) << 32 | fynx_be32(p + 4); }

static inline void fynx_put32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 24);
  p[1] = (uint8_t)(v >> 16);
  p[2] = (uint8_t)(v >> 8);
  p[3] = (uint8_t)v;
}

static inline void fynx_put64(uint8_t *p, uint64_t v) {
  fynx_put32(p, (uint32_t)(v >> 32));
  fynx_put32(p + 4, (uint32_t)v);
}

/* SPI | number, or SPI | high | low with ESN (RFC 4106 section 5); returns the implicit IV, zero | number or the extended
 * number (RFC 8750 section 4): with ESN it stands in the additional data, else behind them. */
static inline const uint8_t *fynx_aad(uint8_t *aad, uint32_t spi, uint64_t sequence, bool esn) {
  fynx_put32(aad, spi);
  fynx_put64(aad + (esn ? 4 : 8), sequence);
  if (!esn) fynx_put32(aad + 4, (uint32_t)sequence);
  return aad + (esn ? 4 : 8);
}

static inline uint32_t fynx_pow2(uint32_t v) { /* the least power of two that is not below v; v <= 2^31 */
  uint32_t p = 1;
  while (p < v) p <<= 1;
  return p;
}

static inline size_t fynx_align(size_t v, size_t a) { return (v + a - 1) / a * a; }

/* wipe.c: clears memory so that the compiler cannot leave it out. */
void fynx_wipe(void *p, size_t n);

#endif
