/* iptfs_out.c: inner packets into AGGFRAG payloads (RFC 9347 sections 2.2 and 6.1), and between payloads and slots.
 *
 * The packets of one batch share payloads; none waits for a packet that has not come, so that nothing is late. With a
 * constant rate they wait in a queue for the clock of pace.c, and what is left of a payload is padding.
 */
#include <sched.h>
#include <stdlib.h>

#include "iptfs.h"
#include "pace.h"

#define PLACE (FYNX_HEAD + FYNX_AGG_LARGEST + FYNX_TAIL)
#define TINY 8u /* room that is not worth the beginning of a packet: its length could not be seen */

struct item {
  struct fynx_sa_out *sa;
  const uint8_t *data;
  uint32_t len;
};

struct fynx_agg_out { /* of a sender */
  uint32_t n;
  struct item item[FYNX_BATCH];
  uint8_t place[FYNX_BATCH][PLACE];
};

/* For every sender of the plane, once. */
int fynx_agg_prepare(struct fynx_plane *plane) {
  for (uint32_t i = 0; i < plane->n_tx; i++)
    if (!plane->tx[i]->agg && !(plane->tx[i]->agg = calloc(1, sizeof(struct fynx_agg_out)))) return FYNX_E_MEMORY;
  return 0;
}

static uint32_t capacity(const struct fynx_sa_out *sa) {
  uint32_t limit = atomic_load_explicit(&sa->limit, memory_order_relaxed);
  if (limit > FYNX_AGG_LARGEST) limit = FYNX_AGG_LARGEST;
  return sa->aggfrag_size && sa->aggfrag_size < limit ? sa->aggfrag_size : limit;
}

uint32_t fynx_agg_limit(const struct fynx_sa_out *sa) {
  return sa->aggfrag & FYNX_AGG_WHOLE ? capacity(sa) - FYNX_AGG_HEAD : FYNX_INNER_MAX;
}

/* How far a list of packets of one SA, or its queue, has been written. */
struct cursor {
  struct item *const *of;
  struct fynx_ring *queue;
  uint32_t n;
  uint32_t at;
  uint32_t done; /* octets of the packet at hand */
  uint32_t room; /* of a payload */
};

static bool current(const struct cursor *c, struct item *item) {
  if (!c->queue) {
    if (c->at < c->n) *item = *c->of[c->at];
    return c->at < c->n;
  }
  size_t len;
  item->data = fynx_ring_peek(c->queue, &len);
  item->len = item->data ? (uint32_t)len : 0;
  return item->data != NULL;
}

static void go_on(struct cursor *c) {
  if (c->queue) fynx_ring_pop(c->queue);
  c->at++;
}

/* Fills a payload; returns its length. */
static uint32_t fill(const struct fynx_sa_out *sa, uint8_t *payload, struct cursor *c) {
  struct item item = {0};
  uint32_t len = FYNX_AGG_HEAD;
  fynx_put32(payload, c->done && current(c, &item) ? item.len - c->done : 0);
  while (len < c->room && current(c, &item)) {
    uint32_t left = item.len - c->done, chunk = left < c->room - len ? left : c->room - len;
    if (!c->done && chunk < left && (sa->aggfrag & FYNX_AGG_WHOLE || chunk < TINY)) break;
    memcpy(payload + len, item.data + c->done, chunk);
    len += chunk;
    c->done = chunk < left ? c->done + chunk : 0;
    if (chunk < left) break;
    go_on(c);
  }
  if (sa->aggfrag & FYNX_AGG_PAD) {
    memset(payload + len, 0, c->room - len);
    len = c->room;
  }
  return len;
}

static void seal(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) w->member[i] = (uint8_t)i;
  fynx_count(w, FYNX_COUNT_AGGREGATES_OUT, n);
  fynx_seal(w, sa, n);
}

static void fill_slot(struct fynx_worker *w, const struct fynx_sa_out *sa, uint32_t at, struct cursor *c) {
  struct fynx_slot *slot = &w->slot[at];
  *slot = (struct fynx_slot){.data = w->agg->place[at] + FYNX_HEAD, .verdict = FYNX_PASS, .handle = sa->handle};
  slot->len = fill(sa, slot->data, c);
}

/* Payloads of one SA into slots from 0 on, sealed; returns how many are left to be sent. */
static uint32_t pack(struct fynx_worker *w, struct fynx_sa_out *sa, struct cursor c) {
  uint32_t count = 0;
  while (c.at < c.n) {
    fill_slot(w, sa, count, &c);
    if (++count < FYNX_BATCH) continue;
    seal(w, sa, count);
    w->flush(w, count);
    count = 0;
  }
  seal(w, sa, count);
  return count;
}

static void count_taken(struct fynx_worker *w, struct fynx_sa_out *sa, uint64_t n, uint64_t bytes) {
  atomic_fetch_add_explicit(&sa->counters.packets, n, memory_order_relaxed);
  atomic_fetch_add_explicit(&sa->counters.bytes, bytes, memory_order_relaxed);
  fynx_count(w, FYNX_COUNT_PACKETS_OUT, n);
  fynx_count(w, FYNX_COUNT_BYTES_OUT, bytes);
}

/* What is left of one SA in the list, as far as it can be sent at all: into its queue where it sends by the clock. */
static struct cursor collect(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t from, struct item **of) {
  uint32_t n = 0, room = capacity(sa);
  uint64_t bytes = 0;
  struct fynx_slot nobody;
  for (uint32_t i = from; i < w->agg->n; i++) {
    struct item *item = &w->agg->item[i];
    if (item->sa != sa) continue;
    item->sa = NULL;
    if (sa->aggfrag & FYNX_AGG_WHOLE && item->len > room - FYNX_AGG_HEAD) {
      fynx_drop_sa(w, &sa->counters, &nobody, FYNX_DROP_PATH_MTU);
      continue;
    }
    if (sa->pace && !fynx_ring_push(&sa->pace->queue, item->data, item->len, NULL, 0)) {
      fynx_drop_sa(w, &sa->counters, &nobody, FYNX_DROP_PACE_QUEUE);
      continue;
    }
    bytes += item->len;
    of[n++] = item;
  }
  count_taken(w, sa, n, bytes);
  return (struct cursor){.of = of, .n = n, .room = room};
}

/* An inner packet that must stay whole and has become too long for the path would hold up all behind it. */
static void skip_too_long(struct fynx_worker *w, struct fynx_sa_out *sa, struct cursor *c) {
  struct fynx_slot nobody;
  struct item item;
  while (sa->aggfrag & FYNX_AGG_WHOLE && !c->done && current(c, &item) && item.len > c->room - FYNX_AGG_HEAD) {
    fynx_drop_sa(w, &sa->counters, &nobody, FYNX_DROP_PATH_MTU);
    go_on(c);
  }
}

void fynx_agg_paced(struct fynx_worker *w, struct fynx_pace *pace, uint32_t n) {
  struct fynx_sa_out *sa = pace->sa;
  struct cursor c = {.queue = &pace->queue, .done = pace->done, .room = capacity(sa)};
  uint32_t idle = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct item item;
    skip_too_long(w, sa, &c);
    idle += !current(&c, &item);
    fill_slot(w, sa, i, &c);
  }
  pace->done = c.done;
  fynx_count(w, FYNX_COUNT_IDLE_OUT, idle);
  seal(w, sa, n);
  w->flush(w, n);
}

/* Slots that wait for aggregation, after all others of the batch are sealed; returns how many slots there are now. */
uint32_t fynx_agg_out(struct fynx_worker *w, uint32_t n) {
  struct item *of[FYNX_BATCH];
  uint32_t left = n;
  w->agg->n = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS || !slot->sa) continue;
    w->agg->item[w->agg->n++] = (struct item){.sa = slot->sa, .data = slot->data, .len = slot->len};
    slot->verdict = FYNX_ELSEWHERE;
  }
  for (uint32_t i = 0; i < w->agg->n; i++) {
    struct fynx_sa_out *sa = w->agg->item[i].sa;
    if (!sa) continue;
    w->flush(w, left);
    left = 0;
    fynx_mtu_look(w->plane, sa, atomic_load(&sa->endpoint));
    while (atomic_flag_test_and_set_explicit(&sa->packing, memory_order_acquire)) sched_yield();
    w->packs = sa;
    struct cursor c = collect(w, sa, i, of);
    if (!sa->pace) left = pack(w, sa, c);
    w->packs = NULL;
    atomic_flag_clear_explicit(&sa->packing, memory_order_release);
  }
  return left;
}

/* Inbound: payloads that were opened, into slots. */
struct unpacking {
  struct fynx_agg_sink sink;
  struct fynx_worker *w;
  struct fynx_sa_in *sa;
  uint32_t n;
};

static void flush(struct unpacking *u) {
  fynx_deliver(u->w, u->n);
  u->n = 0;
  u->w->spare_at = 0;
}

static void take(struct fynx_agg_sink *sink, uint8_t *packet, uint32_t len, bool kept) {
  struct unpacking *u = (struct unpacking *)(void *)sink;
  struct fynx_worker *w = u->w;
  if (u->n == FYNX_BATCH || (kept && w->spare_at + len > FYNX_SPARE)) flush(u);
  if (kept) {
    packet = memcpy(w->spare + w->spare_at, packet, len);
    w->spare_at += fynx_align(len, 64);
  }
  struct fynx_slot *slot = &w->slot[u->n];
  *slot = (struct fynx_slot){.data = packet, .len = len, .verdict = FYNX_PASS, .crowded = 1, .handle = u->sa->handle};
  enum fynx_verdict verdict = fynx_police(w, u->sa, slot, NULL);
  if (verdict != FYNX_PASS) {
    fynx_drop_sa(w, &u->sa->counters, slot, verdict);
    return;
  }
  u->n++;
  atomic_fetch_add_explicit(&u->sa->counters.packets, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&u->sa->counters.bytes, len, memory_order_relaxed);
  fynx_count(w, FYNX_COUNT_PACKETS_IN, 1);
  fynx_count(w, FYNX_COUNT_BYTES_IN, len);
}

static void lost(struct fynx_agg_sink *sink, enum fynx_verdict why) {
  struct unpacking *u = (struct unpacking *)(void *)sink;
  struct fynx_slot nobody;
  fynx_drop_sa(u->w, &u->sa->counters, &nobody, why);
}

/* After a batch was opened: all is delivered here, and nothing is left to the caller. */
void fynx_agg_unpack(struct fynx_worker *w, uint32_t n) {
  struct payload {
    struct fynx_sa_in *sa;
    uint8_t *data;
    uint32_t len;
    uint64_t sequence;
  } payload[FYNX_BATCH];
  uint32_t count = 0;
  struct unpacking u = {.sink = {take, lost}, .w = w};
  for (uint32_t i = 0; i < n; i++) {
    const struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict == FYNX_ELSEWHERE) payload[count++] = (struct payload){slot->sa, slot->data, slot->len, slot->sequence};
  }
  fynx_deliver(w, n);
  w->spare_at = 0;
  for (uint32_t i = 0; i < count; i++) {
    u.sa = payload[i].sa;
    pthread_mutex_lock(&u.sa->agg->lock);
    fynx_agg_open(u.sa->agg, payload[i].sequence, payload[i].data, payload[i].len, &u.sink);
    pthread_mutex_unlock(&u.sa->agg->lock);
  }
  fynx_deliver(w, u.n);
  fynx_count(w, FYNX_COUNT_AGGREGATES_IN, count);
  for (uint32_t i = 0; i < FYNX_BATCH; i++) w->slot[i].verdict = FYNX_ELSEWHERE;
}
