/* epoch.c: objects that workers may still read are freed when each worker was offline, or came online later. */
#include <stdlib.h>
#include <time.h>

#include "core.h"

void fynx_online(struct fynx_worker *w) {
  uint64_t now = atomic_load_explicit(&w->plane->epoch, memory_order_acquire);
  atomic_exchange(&w->epoch, now); /* before any load of a table pointer, those being sequentially consistent too */
}

void fynx_offline(struct fynx_worker *w) { atomic_store_explicit(&w->epoch, 0, memory_order_release); }

/* Call after the object was unpublished, with the control mutex held. */
int fynx_retire(struct fynx_plane *plane, void *object, void (*release)(void *object)) {
  if (!object) return 0;
  struct fynx_retired *r = malloc(sizeof *r);
  if (!r) return FYNX_E_MEMORY;
  r->object = object;
  r->release = release;
  r->epoch = atomic_fetch_add(&plane->epoch, 1) + 1;
  r->next = plane->retired;
  plane->retired = r;
  plane->n_retired++;
  return 0;
}

static uint64_t oldest(struct fynx_worker *const *workers, uint32_t n, uint64_t least) {
  for (uint32_t i = 0; i < n; i++) {
    uint64_t epoch = workers[i] ? atomic_load(&workers[i]->epoch) : 0;
    if (epoch && epoch < least) least = epoch;
  }
  return least;
}

static void sweep(struct fynx_plane *plane) {
  uint64_t least = oldest(plane->rx, plane->n_rx, oldest(plane->tx, plane->n_tx, UINT64_MAX));
  struct fynx_retired **at = &plane->retired;
  while (*at) {
    struct fynx_retired *r = *at;
    if (r->epoch > least) {
      at = &r->next;
      continue;
    }
    *at = r->next;
    plane->n_retired--;
    r->release(r->object);
    free(r);
  }
}

/* With the control mutex held. `wait`: give the workers up to 2 ms to finish the batch in hand. */
void fynx_reclaim(struct fynx_plane *plane, bool wait) {
  sweep(plane);
  for (int i = 0; wait && plane->retired && i < 40; i++) {
    struct timespec pause = {.tv_sec = 0, .tv_nsec = 50000};
    nanosleep(&pause, NULL);
    sweep(plane);
  }
}

/* What a removal could not free at once, since a worker was slow, goes at the next occasion. */
void fynx_reclaim_pending(struct fynx_plane *plane) {
  pthread_mutex_lock(&plane->control);
  fynx_reclaim(plane, false);
  pthread_mutex_unlock(&plane->control);
}
