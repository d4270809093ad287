/* replay.h: the anti-replay window (RFC 4303 section 3.4.3, RFC 6479) and ESN inference (RFC 4303 appendix A2). */
#ifndef FYNX_REPLAY_H
#define FYNX_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define FYNX_WINDOW_MIN 32u
#define FYNX_WINDOW_MAX 16384u

struct fynx_window {
  uint64_t top;  /* highest sequence number that was committed; 0 before the first */
  uint32_t size; /* packets, FYNX_WINDOW_MIN to FYNX_WINDOW_MAX */
  uint32_t mask; /* words - 1; words is a power of two, one word more than the window needs at least */
  uint64_t *bits;
};

uint32_t fynx_window_words(uint32_t size);
void fynx_window_init(struct fynx_window *w, uint32_t size, uint64_t *bits);

/* The whole sequence number of a packet that carries `low`; 0 when there is none (so no packet can have it). */
uint64_t fynx_window_infer(const struct fynx_window *w, uint32_t low, bool esn);

/* Before the cipher: may this number still be accepted? Changes nothing. */
bool fynx_window_check(const struct fynx_window *w, uint64_t seq);

/* After the tag verified: false when the number was taken meanwhile, else takes it. */
bool fynx_window_commit(struct fynx_window *w, uint64_t seq);

#endif
