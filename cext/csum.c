/* csum.c: the Internet checksum (RFC 1071): 32-bit words into 64-bit sums, eight at a time where AVX2 is there. */
#include "csum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint64_t tail(const uint8_t *p, size_t n) {
  uint64_t sum = 0;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t words;
    memcpy(&words, p, sizeof words);
    sum += (words & UINT32_MAX) + (words >> 32);
  }
  for (; n >= 4; n -= 4, p += 4) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    sum += word;
  }
  uint8_t rest[4] = {0};
  if (n > 2) rest[2] = p[2];
  if (n > 1) rest[1] = p[1];
  if (n) rest[0] = p[0];
  uint32_t word;
  memcpy(&word, rest, sizeof word);
  return sum + word;
}

#if defined(__x86_64__)
#define WIDE 32u
#define WORTH 128u /* octets that the vectors are faster for */

/* `n` is a multiple of WIDE; `to` may be NULL. Each lane takes fewer than 2^32 additions for any `n` that exists here. */
__attribute__((target("avx2"))) static uint64_t wide(uint8_t *to, const uint8_t *from, size_t n) {
  const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
  __m256i even[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}, odd[2] = {even[0], even[0]};
  size_t at = 0;
  for (; at + 2 * WIDE <= n; at += 2 * WIDE) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(from + at));
    __m256i u = _mm256_loadu_si256((const __m256i *)(const void *)(from + at + 32));
    if (to) {
      _mm256_storeu_si256((__m256i *)(void *)(to + at), v);
      _mm256_storeu_si256((__m256i *)(void *)(to + at + 32), u);
    }
    even[0] = _mm256_add_epi64(even[0], _mm256_and_si256(v, low));
    even[1] = _mm256_add_epi64(even[1], _mm256_and_si256(u, low));
    odd[0] = _mm256_add_epi64(odd[0], _mm256_srli_epi64(v, 32));
    odd[1] = _mm256_add_epi64(odd[1], _mm256_srli_epi64(u, 32));
  }
  if (at < n) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(from + at));
    if (to) _mm256_storeu_si256((__m256i *)(void *)(to + at), v);
    even[0] = _mm256_add_epi64(even[0], _mm256_and_si256(v, low));
    odd[0] = _mm256_add_epi64(odd[0], _mm256_srli_epi64(v, 32));
  }
  even[0] = _mm256_add_epi64(even[0], even[1]);
  odd[0] = _mm256_add_epi64(odd[0], odd[1]);
  uint64_t lane[4];
  _mm256_storeu_si256((__m256i *)(void *)lane, _mm256_add_epi64(even[0], odd[0]));
  return lane[0] + lane[1] + lane[2] + lane[3];
}

static size_t wide_part(size_t n) {
  return n >= WORTH && __builtin_cpu_supports("avx2") ? n / WIDE * WIDE : 0;
}
#else
static uint64_t wide(uint8_t *to, const uint8_t *from, size_t n) {
  (void)to, (void)from, (void)n;
  return 0;
}

static size_t wide_part(size_t n) {
  (void)n;
  return 0;
}
#endif

uint64_t fynx_csum(const uint8_t *p, size_t n) {
  size_t first = wide_part(n);
  uint64_t sum = first ? wide(NULL, p, first) : 0;
  return sum + tail(p + first, n - first);
}

uint64_t fynx_csum_copy(uint8_t *to, const uint8_t *from, size_t n) {
  size_t first = wide_part(n);
  uint64_t sum = first ? wide(to, from, first) : 0;
  sum += tail(from + first, n - first);
  memmove(to + first, from + first, n - first);
  return sum;
}

uint64_t fynx_csum_pseudo(const uint8_t *ip, uint8_t protocol, uint32_t length) {
  uint8_t rest[8] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
                     0, 0, 0, protocol};
  bool six = ip[0] >> 4 == 6;
  return fynx_csum(ip + (six ? 8 : 12), six ? 32 : 8) + fynx_csum(rest, sizeof rest);
}
