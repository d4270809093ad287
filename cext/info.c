/* info.c: counters and names, read without stopping anybody. */
#include "core.h"

#define FYNX_X_TEXT(id, text) text,
static const char *const drop_names[] = {FYNX_DROPS(FYNX_X_TEXT)};
static const char *const counter_names[] = {FYNX_COUNTERS(FYNX_X_TEXT)};
#undef FYNX_X_TEXT

_Static_assert(FYNX_SA_DROP_COUNT <= sizeof((struct fynx_usage *)0)->drops / sizeof(uint64_t), "room for drops");
_Static_assert(FYNX_DROP_COUNT < FYNX_ELSEWHERE, "verdicts fit in an octet");

uint32_t fynx_counter_count(void) { return FYNX_COUNT_COUNT; }

uint32_t fynx_drop_count(void) { return FYNX_DROP_COUNT; }

uint32_t fynx_sa_drop_count(void) { return FYNX_SA_DROP_COUNT; }

const char *fynx_counter_name(uint32_t index) { return index < FYNX_COUNT_COUNT ? counter_names[index] : NULL; }

const char *fynx_drop_name(uint32_t index) { return index < FYNX_DROP_COUNT ? drop_names[index] : NULL; }

static void add(const struct fynx_worker *w, uint64_t *counters, uint64_t *drops) {
  for (int i = 0; i < FYNX_COUNT_COUNT; i++)
    counters[i] += atomic_load_explicit(&w->counters.counter[i], memory_order_relaxed);
  for (int i = 0; i < FYNX_DROP_COUNT; i++)
    drops[i] += atomic_load_explicit(&w->counters.drops[i], memory_order_relaxed);
}

void fynx_plane_counters(struct fynx_plane *plane, uint64_t *counters, uint64_t *drops) {
  memset(counters, 0, sizeof *counters * FYNX_COUNT_COUNT);
  memset(drops, 0, sizeof *drops * FYNX_DROP_COUNT);
  for (uint32_t i = 0; i < plane->n_tx; i++) add(plane->tx[i], counters, drops);
  for (uint32_t i = 0; i < plane->n_rx; i++) add(plane->rx[i], counters, drops);
}

void fynx_plane_info(struct fynx_plane *plane, struct fynx_plane_info *info) {
  memset(info, 0, sizeof *info);
  pthread_mutex_lock(&plane->control);
  fynx_reclaim(plane, false);
  for (uint32_t i = 0; i < plane->n_tx; i++) info->threads += atomic_load(&plane->tx[i]->state) == FYNX_WORKER_RUNS;
  for (uint32_t i = 0; i < plane->n_rx; i++) info->threads += atomic_load(&plane->rx[i]->state) == FYNX_WORKER_RUNS;
  info->sas = plane->n_children;
  info->rules = atomic_load(&plane->spd)->n;
  info->retired = plane->n_retired;
  info->capacity = plane->mask + 1;
  info->running = plane->started && !atomic_load(&plane->stopping);
  info->vnet = plane->vnet;
  info->tso = plane->tso;
  info->uso = plane->uso;
  info->gso = atomic_load_explicit(&plane->gso, memory_order_relaxed) != 0;
  info->gro = plane->gro;
  info->raw = plane->n_raw;
  info->bytes_per_sa = plane->children ? (uint32_t)fynx_child_memory(plane->children) : 0;
  info->keys_locked = plane->vault.locked;
  info->keys_unlocked = plane->vault.unlocked;
  pthread_mutex_unlock(&plane->control);
}
