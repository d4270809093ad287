/* pace.c: one thread that sends by the clock, for all SAs of a plane that want it: whoever watches the wire sees a packet
 * when its time has come, whether there was something to say or not (RFC 9347 section 2.2, RFC 4303 section 2.6). */
#include "pace.h"
#include "iptfs.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define REST_NS 500000u /* between two looks at least; what falls due meanwhile goes together */
#define QUEUE_LEAST (1u << 18)
#define QUEUE_MOST (1u << 22)
#define DUMMY_LEAST 64u
#define DUMMY_MOST 1280u /* where nobody knows the path */

struct fynx_pacer {
  pthread_mutex_t lock; /* of all this; then the plane's `sending`, never the other way round */
  pthread_cond_t changed;
  pthread_t thread;
  struct fynx_pace *first;
  bool stopping;
  bool running;
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Below `limit`, near enough to evenly; 0 when there is none to be had, which costs the jitter and nothing else. */
static uint64_t random_below(uint64_t limit) {
  uint64_t found = 0;
  if (!limit || getrandom(&found, sizeof found, 0) != (ssize_t)sizeof found) return 0;
  return found % limit;
}

static uint64_t interval(const struct fynx_pace *pace) {
  uint64_t spread = pace->every_ns / 1000 * pace->jitter;
  return spread ? pace->every_ns - spread + random_below(2 * spread) : pace->every_ns;
}

/* What the path takes of a dummy: in transport mode it has no header that stays outside. */
static uint32_t dummy_limit(const struct fynx_sa_out *sa) {
  return atomic_load_explicit(&sa->limit, memory_order_relaxed) - sa->header;
}

void fynx_dummies(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t n, uint32_t len) {
  uint32_t limit = dummy_limit(sa), size = len < limit ? len : limit;
  for (uint32_t i = 0; i < n; i++) {
    uint8_t *data = w->padded + (size_t)i * FYNX_PADDED_STRIDE + FYNX_HEAD;
    memset(data, 0, size);
    w->slot[i] = (struct fynx_slot){.data = data, .len = size, .verdict = FYNX_PASS, .handle = sa->handle};
    w->member[i] = (uint8_t)i;
  }
  fynx_seal(w, sa, n);
  fynx_count(w, FYNX_COUNT_DUMMIES_OUT, n);
  w->flush(w, n);
}

static uint32_t dummy_len(const struct fynx_pace *pace) {
  if (pace->len) return pace->len;
  uint32_t limit = dummy_limit(pace->sa);
  uint32_t most = limit > FYNX_PADDED_MAX ? DUMMY_MOST : limit;
  return DUMMY_LEAST + (uint32_t)random_below(most > DUMMY_LEAST ? most - DUMMY_LEAST + 1 : 0);
}

static void send_due(struct fynx_worker *w, struct fynx_pace *pace, uint32_t n) {
  if (pace->sa->aggfrag) {
    fynx_agg_paced(w, pace, n);
    return;
  }
  for (uint32_t i = 0; i < n; i++) fynx_dummies(w, pace->sa, 1, dummy_len(pace));
}

/* Sends what is due for one SA. Who was kept from the processor for long gives up the rest: a flood would tell more. */
static void turn(struct fynx_worker *w, struct fynx_pace *pace, uint64_t now) {
  uint32_t n = 0;
  for (; pace->due_ns <= now && n < FYNX_BATCH; n++) pace->due_ns += interval(pace);
  if (pace->due_ns <= now) {
    fynx_count(w, FYNX_COUNT_PACED_LATE, 1);
    pace->due_ns = now + interval(pace);
  }
  if (n) send_due(w, pace, n);
}

/* Under the pacer's lock; when to look again. */
static uint64_t look(struct fynx_plane *plane, uint64_t now) {
  struct fynx_worker *w = plane->tx[0];
  uint64_t next = now + NS_PER_S;
  pthread_mutex_lock(&plane->sending);
  w->flush = fynx_send_slots;
  fynx_online(w);
  for (struct fynx_pace *pace = plane->pacer->first; pace; pace = pace->next) {
    turn(w, pace, now);
    if (pace->due_ns < next) next = pace->due_ns;
  }
  fynx_offline(w);
  pthread_mutex_unlock(&plane->sending);
  return next < now + REST_NS ? now + REST_NS : next;
}

static void *pace_main(void *argument) {
  struct fynx_plane *plane = argument;
  struct fynx_pacer *pacer = plane->pacer;
  pthread_mutex_lock(&pacer->lock);
  while (!pacer->stopping) {
    if (!pacer->first) {
      pthread_cond_wait(&pacer->changed, &pacer->lock);
      continue;
    }
    uint64_t until = look(plane, now_ns());
    struct timespec at = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
    pthread_cond_timedwait(&pacer->changed, &pacer->lock, &at);
  }
  pthread_mutex_unlock(&pacer->lock);
  return NULL;
}

/* The thread comes with the first SA that wants it. */
static int pacer_start(struct fynx_plane *plane) {
  if (plane->pacer) return plane->pacer->running ? 0 : FYNX_E_THREAD;
  struct fynx_pacer *pacer = calloc(1, sizeof *pacer);
  pthread_condattr_t attributes;
  if (!pacer) return FYNX_E_MEMORY;
  pthread_mutex_init(&pacer->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&pacer->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  plane->pacer = pacer;
  pacer->running = fynx_spawn(&pacer->thread, "fynx-pace", pace_main, plane) == 0;
  return pacer->running ? 0 : FYNX_E_THREAD;
}

int fynx_pace_new(struct fynx_plane *plane, struct fynx_sa_out *sa, const struct fynx_child_spec *spec) {
  int rc = pacer_start(plane);
  if (rc) return rc;
  struct fynx_pace *pace = aligned_alloc(64, fynx_align(sizeof *pace, 64));
  if (!pace) return FYNX_E_MEMORY;
  memset(pace, 0, sizeof *pace);
  sa->pace = pace;
  pace->sa = sa;
  pace->every_ns = spec->pace_ns;
  pace->jitter = spec->pace_jitter;
  pace->len = spec->dummy_len;
  if (!sa->aggfrag) return 0;
  sa->aggfrag |= FYNX_AGG_PAD;
  uint64_t quarter = NS_PER_S / pace->every_ns * FYNX_AGG_LARGEST / 4; /* of a second, of the largest payloads */
  uint32_t room = quarter < QUEUE_LEAST ? QUEUE_LEAST : quarter > QUEUE_MOST ? QUEUE_MOST : fynx_pow2((uint32_t)quarter);
  return fynx_ring_init(&pace->queue, room) ? FYNX_E_MEMORY : 0;
}

void fynx_pace_begin(struct fynx_plane *plane, struct fynx_pace *pace) {
  if (!pace || pace->linked) return;
  pthread_mutex_lock(&plane->pacer->lock);
  pace->linked = true;
  pace->due_ns = now_ns() + interval(pace);
  pace->next = plane->pacer->first;
  plane->pacer->first = pace;
  pthread_cond_signal(&plane->pacer->changed);
  pthread_mutex_unlock(&plane->pacer->lock);
}

/* After it nothing of the SA is sent by the clock; what still waited is lost, and counted. */
void fynx_pace_end(struct fynx_plane *plane, struct fynx_pace *pace) {
  struct fynx_slot nobody;
  size_t len;
  if (!pace || !pace->linked) return;
  pthread_mutex_lock(&plane->pacer->lock);
  struct fynx_pace **at = &plane->pacer->first;
  while (*at != pace) at = &(*at)->next;
  *at = pace->next;
  pace->linked = false;
  pthread_mutex_lock(&plane->sending);
  for (; fynx_ring_peek(&pace->queue, &len); fynx_ring_pop(&pace->queue))
    fynx_drop_sa(plane->tx[0], &pace->sa->counters, &nobody, FYNX_DROP_PACE_QUEUE);
  pthread_mutex_unlock(&plane->sending);
  pthread_mutex_unlock(&plane->pacer->lock);
}

void fynx_pace_free(struct fynx_pace *pace) {
  if (!pace) return;
  fynx_ring_free(&pace->queue);
  free(pace);
}

void fynx_pace_stop(struct fynx_plane *plane) {
  struct fynx_pacer *pacer = plane->pacer;
  if (!pacer || !pacer->running) return;
  pthread_mutex_lock(&pacer->lock);
  pacer->stopping = true;
  pthread_cond_signal(&pacer->changed);
  pthread_mutex_unlock(&pacer->lock);
  pthread_join(pacer->thread, NULL);
  pacer->running = false;
}
