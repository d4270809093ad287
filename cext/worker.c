/* worker.c: the threads of the plane: begun, bound to processors, restarted one by one, and looked at while they run. What
 * a thread knows stands in its worker and in the SAs, which outlive it: a new thread goes on where the last one ended, and
 * gives out no sequence number twice. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

#define PATIENCE_S 2       /* for a thread to finish the batch in hand */
enum { ASKED = 1, LATE, OVER }; /* to end: LATE: nobody waits for it any more; OVER: it has */
#define STEADY_MS 1000u    /* who lives longer is begun again at once, */
#define PAUSE_MS 100u      /* others after a pause that doubles, */
#define PAUSE_MOST_MS 10000u

static void wake(struct fynx_worker *w) {
  atomic_store(&w->asked, ASKED);
  fynx_nudge(w);
}

/* Nobody may wait for what it held. */
static void let_go(struct fynx_worker *w) {
  if (w->packs) atomic_flag_clear_explicit(&w->packs->packing, memory_order_release);
  w->packs = NULL;
  fynx_offline(w);
}

/* Also where a provider ended the thread in the middle of a batch, its own or one of the sender whose queue it read. */
static void ended(void *argument) {
  struct fynx_worker *w = argument;
  struct fynx_upcall up = {.kind = FYNX_UP_WORKER, .tag = w->index, .hard = w->receiver};
  atomic_store(&w->awake, 0);
  bool unasked = atomic_exchange(&w->asked, OVER) != ASKED;
  bool lent = atomic_load(&(w->receiver && w->pair ? w->pair : w)->lent); /* then the receiver has what the sender's worker holds */
  if (w->receiver || !lent) let_go(w);
  if (unasked) atomic_store(&w->state, FYNX_WORKER_LOST);
  if (w->receiver && lent) let_go(w->pair);
  fynx_take_back(w);
  if (unasked) fynx_upcall_push(w, &up, NULL, 0);
}

static void *live(void *argument) {
  struct fynx_worker *w = argument;
  struct pollfd stop = {.fd = w->stop_fd, .events = POLLIN};
  pthread_cleanup_push(ended, w);
  if (w->pause_ms) poll(&stop, 1, (int)w->pause_ms);
  (w->receiver ? fynx_rx_main : fynx_tx_main)(w);
  pthread_cleanup_pop(1);
  return NULL;
}

/* To a processor of those given, in turn; one that does not exist leaves the thread free. */
static void bind_to(struct fynx_worker *w) {
  const struct fynx_options *options = &w->plane->options;
  cpu_set_t set;
  atomic_store(&w->cpu, -1);
  if (!options->n_cpus) return;
  uint16_t cpu = options->cpus[w->turn % options->n_cpus];
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (pthread_setaffinity_np(w->thread, sizeof set, &set) == 0) atomic_store(&w->cpu, cpu);
}

int fynx_spawn(pthread_t *thread, const char *name, void *(*entry)(void *), void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the interpreter's threads */
  int rc = pthread_create(thread, NULL, entry, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc) return FYNX_E_THREAD;
  pthread_setname_np(*thread, name); /* as top and perf show it */
  return 0;
}

int fynx_worker_begin(struct fynx_worker *w) {
  atomic_store(&w->asked, 0);
  atomic_store(&w->state, FYNX_WORKER_RUNS);
  w->began_ms = fynx_now_ms();
  w->started = fynx_spawn(&w->thread, w->receiver ? "fynx-rx" : "fynx-tx", live, w) == 0;
  if (!w->started) {
    atomic_store(&w->state, FYNX_WORKER_LOST);
    return FYNX_E_THREAD;
  }
  bind_to(w);
  return 0;
}

/* `patience_s` 0: as long as it takes. False: it is still in its batch. */
static bool join(struct fynx_worker *w, unsigned patience_s) {
  struct timespec until;
  if (!w->started) return true;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += patience_s;
  if (patience_s ? pthread_timedjoin_np(w->thread, NULL, &until) : pthread_join(w->thread, NULL)) return false;
  w->started = false;
  atomic_store(&w->state, FYNX_WORKER_NONE);
  fynx_calm(w);
  return true;
}

/* Those of one number, or all with number 0: 0 is the caller's own and no thread. */
static uint32_t some(struct fynx_plane *plane, uint32_t number, struct fynx_worker **found) {
  uint32_t n = 0;
  for (uint32_t i = 1; i < plane->n_tx; i++)
    if (!number || number == i) found[n++] = plane->tx[i];
  for (uint32_t i = 1; i < plane->n_rx; i++)
    if (!number || number == i) found[n++] = plane->rx[i];
  return n;
}

void fynx_workers_stop(struct fynx_plane *plane) {
  struct fynx_worker *all[FYNX_TX_MAX + FYNX_RX_MAX];
  pthread_mutex_lock(&plane->threads);
  uint32_t n = some(plane, 0, all);
  for (uint32_t i = 0; i < n; i++) wake(all[i]);
  for (uint32_t i = 0; i < n; i++) join(all[i], 0);
  pthread_mutex_unlock(&plane->threads);
}

/* Who did not end in time is begun anew like one that ended unasked. False: it has just ended. */
static bool late(struct fynx_worker *w) {
  int asked = ASKED;
  return atomic_compare_exchange_strong(&w->asked, &asked, LATE);
}

static int again(struct fynx_worker *w, uint32_t pause_ms) {
  w->pause_ms = pause_ms;
  atomic_fetch_add(&w->restarts, 1);
  return fynx_worker_begin(w);
}

static bool standing(const struct fynx_plane *plane) { return plane->started && !atomic_load(&plane->stopping); }

/* The sender and the receiver of one number end behind the batch in hand, and begin anew. What waits for them waits in the
 * device and in the sockets. */
int fynx_worker_restart(struct fynx_plane *plane, uint32_t number) {
  struct fynx_worker *pair[2];
  int rc = 0;
  if ((int)getpid() != plane->owner) return FYNX_E_FORK;
  pthread_mutex_lock(&plane->threads);
  uint32_t n = number && standing(plane) ? some(plane, number, pair) : 0;
  if (!n) rc = FYNX_E_WORKER;
  for (uint32_t i = 0; i < n; i++) wake(pair[i]);
  for (uint32_t i = 0; i < n; i++) {
    bool over = join(pair[i], PATIENCE_S) || (!late(pair[i]) && join(pair[i], 0));
    int one = over ? again(pair[i], 0) : FYNX_E_THREAD;
    if (one) rc = one;
  }
  pthread_mutex_unlock(&plane->threads);
  return rc;
}

/* Threads that ended without being asked begin anew. */
void fynx_workers_revive(struct fynx_plane *plane) {
  struct fynx_worker *all[FYNX_TX_MAX + FYNX_RX_MAX];
  pthread_mutex_lock(&plane->threads);
  uint32_t n = standing(plane) ? some(plane, 0, all) : 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_worker *w = all[i];
    if (atomic_load(&w->state) != FYNX_WORKER_LOST || !join(w, PATIENCE_S)) continue;
    uint32_t more = w->pause_ms ? 2 * w->pause_ms : PAUSE_MS;
    bool steady = fynx_now_ms() - w->began_ms >= STEADY_MS + w->pause_ms;
    again(w, steady ? 0 : more < PAUSE_MOST_MS ? more : PAUSE_MOST_MS);
  }
  pthread_mutex_unlock(&plane->threads);
}

uint32_t fynx_worker_count(const struct fynx_plane *plane) { return plane->n_tx + plane->n_rx; }

static uint64_t held(const struct fynx_ring *ring) {
  size_t tail = atomic_load(&ring->tail);
  return atomic_load(&ring->head) - tail;
}

/* Octets that lie in its sockets, as the system counts them. */
static uint64_t unread(const struct fynx_worker *w) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < w->n_sockets; i++) {
    uint32_t memory[16] = {0};
    socklen_t len = sizeof memory;
    if (getsockopt(w->plane->sockets[w->sockets[i]].fd, SOL_SOCKET, SO_MEMINFO, memory, &len) == 0) sum += memory[0];
  }
  return sum;
}

int fynx_worker_info(struct fynx_plane *plane, uint32_t index, struct fynx_worker_info *info, uint64_t *counters,
                     uint64_t *drops) {
  if (index >= fynx_worker_count(plane)) return FYNX_E_ARGUMENT;
  const struct fynx_worker *w = index < plane->n_tx ? plane->tx[index] : plane->rx[index - plane->n_tx];
  *info = (struct fynx_worker_info){.number = w->index,
                                    .receiver = w->receiver,
                                    .state = (uint32_t)atomic_load(&w->state),
                                    .restarts = atomic_load(&w->restarts),
                                    .cpu = atomic_load(&w->cpu),
                                    .queue = -1,
                                    .upcalls_waiting = held(&w->upcalls),
                                    .inner_waiting = held(&w->inner),
                                    .sockets_waiting = w->receiver ? unread(w) : 0};
  for (uint32_t i = 1; i < plane->n_tx; i++)
    if (w->index && plane->tx[i]->tun == w->tun) info->queue = (int32_t)i - 1;
  for (int i = 0; i < FYNX_COUNT_COUNT; i++)
    counters[i] = atomic_load_explicit(&w->counters.counter[i], memory_order_relaxed);
  for (int i = 0; i < FYNX_DROP_COUNT; i++)
    drops[i] = atomic_load_explicit(&w->counters.drops[i], memory_order_relaxed);
  return 0;
}
