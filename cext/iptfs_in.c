/* iptfs_in.c: inner packets out of AGGFRAG payloads (RFC 9347 sections 2.2 and 6.1), in bounded memory.
 *
 * What is whole goes on as it comes, as it would from ESP without aggregation; only fragments need the order of the outer
 * sequence numbers, and for them a few early payloads are remembered. No clock is needed: what is missing is given up when
 * the window moves past it. The congestion information of sub-type 1 is for a sender that adapts its rate: ours has none,
 * and passes over it.
 */
#include "iptfs.h"

#include <stdlib.h>

#include "core.h"

enum { PAD = 0, IPV4 = 4, IPV6 = 6, PLAIN = 0, CONGESTION = 1, CONGESTION_HEAD = 24, INVALID = -1 };

struct fynx_agg_in *fynx_agg_new(void) {
  struct fynx_agg_in *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  pthread_mutex_init(&a->lock, NULL);
  a->next = 1; /* RFC 4303 section 2.2 */
  return a;
}

void fynx_agg_free(struct fynx_agg_in *a) {
  if (!a) return;
  pthread_mutex_destroy(&a->lock);
  fynx_wipe(a, sizeof *a);
  free(a);
}

/* Octets of the inner packet that begins here, 0 when that cannot be seen yet. */
static int32_t length_of(const uint8_t *p, uint32_t have) {
  if (p[0] >> 4 == IPV4) {
    if (have < 4) return 0;
    return fynx_be16(p + 2) < 20 ? INVALID : fynx_be16(p + 2);
  }
  if (p[0] >> 4 != IPV6) return INVALID;
  if (have < 6) return 0;
  int32_t total = fynx_be16(p + 4) + 40;
  return total > (int32_t)FYNX_INNER_MAX ? INVALID : total;
}

static void give_up(struct fynx_agg_in *a, enum fynx_verdict why, struct fynx_agg_sink *sink) {
  if (a->open) sink->lost(sink, why);
  a->open = false;
}

static void begin(struct fynx_agg_in *a, const uint8_t *tail, uint32_t len) {
  if (!len) return;
  int32_t need = length_of(tail, len);
  memcpy(a->part, tail, len);
  a->have = len;
  a->need = need > 0 ? (uint32_t)need : 0;
  a->open = true;
}

/* Adds octets to the packet under way; false when they cannot belong to it. `offset` is how many it lacks. */
static bool grow(struct fynx_agg_in *a, uint32_t offset, const uint8_t *head, uint32_t len) {
  if (!offset || (a->need && offset != a->need - a->have) || offset > sizeof a->part - a->have) return false;
  uint32_t whole = a->have + offset;
  memcpy(a->part + a->have, head, len);
  a->have += len;
  if (a->need) return true;
  int32_t need = length_of(a->part, a->have);
  if (need < 0 || (need == 0 && len == offset) || (need && (uint32_t)need != whole)) return false;
  a->need = (uint32_t)need;
  return true;
}

static void go_on(struct fynx_agg_in *a, const struct fynx_agg_piece *piece, const uint8_t *head,
                  struct fynx_agg_sink *sink) {
  if (!a->open) {
    if (piece->offset) sink->lost(sink, FYNX_DROP_AGG_PARTIAL); /* its beginning is lost */
  } else if (piece->idle) { /* between fragments there may be such (section 2.2.3) */
    return;
  } else if (!grow(a, piece->offset, head, piece->head)) {
    give_up(a, FYNX_DROP_AGG_OFFSET, sink);
  } else if (a->need && a->have == a->need) {
    a->open = false;
    sink->take(sink, a->part, a->have, true);
  }
}

/* The awaited one has come early and is taken up now, or has not come and is given up. */
static void step(struct fynx_agg_in *a, struct fynx_agg_sink *sink) {
  uint32_t place = (uint32_t)(a->next % FYNX_AGG_WINDOW);
  struct fynx_agg_piece *piece = &a->piece[place];
  if (piece->used && piece->sequence == a->next) {
    piece->used = false;
    go_on(a, piece, a->room[place], sink);
    begin(a, a->room[place] + piece->head, piece->tail);
  } else {
    give_up(a, FYNX_DROP_AGG_PARTIAL, sink);
  }
  a->next++;
}

static void catch_up(struct fynx_agg_in *a, struct fynx_agg_sink *sink) {
  for (;;) {
    const struct fynx_agg_piece *piece = &a->piece[a->next % FYNX_AGG_WINDOW];
    if (!piece->used || piece->sequence != a->next) return;
    step(a, sink);
  }
}

static void slide(struct fynx_agg_in *a, uint64_t sequence, struct fynx_agg_sink *sink) {
  for (uint32_t i = 0; i < FYNX_AGG_WINDOW && sequence - a->next >= FYNX_AGG_WINDOW; i++) step(a, sink);
  if (sequence - a->next >= FYNX_AGG_WINDOW) a->next = sequence - FYNX_AGG_WINDOW + 1; /* nothing is left between */
  catch_up(a, sink);
}

/* The head was put in its room before what is whole went on: who takes that may write over what lies before it. */
static void keep(struct fynx_agg_in *a, const struct fynx_agg_piece *piece, const uint8_t *tail,
                 struct fynx_agg_sink *sink) {
  uint32_t place = (uint32_t)(piece->sequence % FYNX_AGG_WINDOW);
  if (piece->head + piece->tail > FYNX_AGG_PIECE) {
    sink->lost(sink, FYNX_DROP_AGG_PARTIAL);
    return;
  }
  a->piece[place] = *piece;
  memcpy(a->room[place] + piece->head, tail, piece->tail);
}

/* Hands on what is whole from `at`; returns where an inner packet begins that the payload does not end. */
static uint32_t walk(uint8_t *blocks, uint32_t at, uint32_t n, struct fynx_agg_sink *sink) {
  while (at < n) {
    if (blocks[at] >> 4 == PAD) return n;
    int32_t total = length_of(blocks + at, n - at);
    if (total < 0) {
      sink->lost(sink, FYNX_DROP_AGG_BLOCK);
      return n;
    }
    if (total == 0 || (uint32_t)total > n - at) return at;
    sink->take(sink, blocks + at, (uint32_t)total, false);
    at += (uint32_t)total;
  }
  return n;
}

void fynx_agg_open(struct fynx_agg_in *a, uint64_t sequence, uint8_t *payload, uint32_t len, struct fynx_agg_sink *sink) {
  uint32_t around = len && payload[0] == CONGESTION ? CONGESTION_HEAD : FYNX_AGG_HEAD;
  if (len < around || payload[0] > CONGESTION) {
    sink->lost(sink, FYNX_DROP_AGG_HEADER);
    return; /* its number stays awaited, and is given up when the window moves */
  }
  uint32_t n = len - around, offset = fynx_be16(payload + 2), head = offset < n ? offset : n;
  uint8_t *blocks = payload + around;
  struct fynx_agg_piece piece = {.sequence = sequence, .offset = offset, .head = head, .used = true};
  piece.idle = !offset && (!n || blocks[0] >> 4 == PAD);
  if (sequence > a->next) slide(a, sequence, sink);
  if (sequence == a->next) go_on(a, &piece, blocks, sink);
  else if (sequence < a->next && offset) sink->lost(sink, FYNX_DROP_AGG_PARTIAL);
  else if (sequence > a->next && head <= FYNX_AGG_PIECE) memcpy(a->room[sequence % FYNX_AGG_WINDOW], blocks, head);
  uint32_t tail = walk(blocks, head, n, sink);
  piece.tail = n - tail;
  if (sequence > a->next) {
    keep(a, &piece, blocks + tail, sink);
  } else if (sequence == a->next) {
    begin(a, blocks + tail, piece.tail);
    a->next++;
    catch_up(a, sink);
  } else if (piece.tail) {
    sink->lost(sink, FYNX_DROP_AGG_PARTIAL);
  }
}
