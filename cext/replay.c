/* replay.c: the anti-replay window as a ring of words (RFC 6479); pure, the caller owns memory and locking. */
#include "replay.h"

#include "util.h"

uint32_t fynx_window_words(uint32_t size) { return fynx_pow2((size + 63) / 64 + 1); }

void fynx_window_init(struct fynx_window *w, uint32_t size, uint64_t *bits) {
  w->top = 0;
  w->size = size;
  w->mask = fynx_window_words(size) - 1;
  w->bits = bits;
  memset(bits, 0, sizeof *bits * (w->mask + 1));
}

uint64_t fynx_window_infer(const struct fynx_window *w, uint32_t low, bool esn) {
  if (!esn) return low;
  uint32_t high = (uint32_t)(w->top >> 32), top_low = (uint32_t)w->top;
  uint32_t bottom = top_low - w->size + 1; /* modulo 2^32, as in appendix A2.3 */
  if (top_low >= w->size - 1) {            /* case A: the window lies in one subspace */
    if (low < bottom) {
      if (high == UINT32_MAX) return 0;
      high += 1;
    }
  } else if (low >= bottom) { /* case B: it spans two */
    if (high == 0) return 0;
    high -= 1;
  }
  return (uint64_t)high << 32 | low;
}

bool fynx_window_check(const struct fynx_window *w, uint64_t seq) {
  if (seq == 0) return false;
  if (seq > w->top) return true;
  if (w->top - seq >= w->size) return false;
  return !(w->bits[(seq >> 6) & w->mask] >> (seq & 63) & 1);
}

bool fynx_window_commit(struct fynx_window *w, uint64_t seq) {
  if (!fynx_window_check(w, seq)) return false;
  if (seq > w->top) {
    uint64_t from = w->top >> 6, steps = (seq >> 6) - from;
    if (steps > w->mask) steps = (uint64_t)w->mask + 1;
    for (uint64_t i = 1; i <= steps; i++) w->bits[(from + i) & w->mask] = 0;
    w->top = seq;
  }
  w->bits[(seq >> 6) & w->mask] |= UINT64_C(1) << (seq & 63);
  return true;
}
