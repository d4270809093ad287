/* plane.c: makes and unmakes a plane and its threads; a plane is a handle, several may live in one process. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core.h"
#include "pace.h"

#define UPCALL_RING (1u << 19)
#define UPCALL_RING_TX (1u << 20) /* with no socket it carries sealed packets; memory that is not used costs none */
#define INNER_RING (1u << 22)

static void close_fd(int fd) {
  if (fd >= 0) close(fd);
}

void fynx_worker_free(struct fynx_worker *w) {
  if (!w) return;
  fynx_ring_free(&w->upcalls);
  fynx_ring_free(&w->inner);
  if (w->arena) munmap(w->arena, w->arena_size + (w->spare ? FYNX_SPARE : 0));
  if (w->padded) munmap(w->padded, FYNX_BATCH * (size_t)FYNX_PADDED_STRIDE);
  if (w->iv_pool) fynx_wipe(w->iv_pool, FYNX_IV_POOL);
  free(w->iv_pool);
  free(w->agg);
  free(w->cache);
  free(w->io);
  close_fd(w->stop_fd);
  free(w);
}

static int worker_fill(struct fynx_worker *w, bool receiver) {
  w->arena_size = receiver ? (size_t)FYNX_BATCH * FYNX_STRIDE : FYNX_SEND_ARENA;
  void *arena = mmap(NULL, w->arena_size + (receiver ? FYNX_SPARE : 0), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (arena == MAP_FAILED) return FYNX_E_MEMORY;
  w->arena = arena;
  if (receiver) w->spare = w->arena + w->arena_size;
  if (fynx_io_new(w) || fynx_ring_init(&w->upcalls, receiver ? UPCALL_RING : UPCALL_RING_TX)) return FYNX_E_MEMORY;
  if (receiver) return w->plane->inproc ? fynx_ring_init(&w->inner, INNER_RING) : 0;
  w->flush = fynx_send_slots;
  void *padded = mmap(NULL, FYNX_BATCH * (size_t)FYNX_PADDED_STRIDE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (padded == MAP_FAILED) return FYNX_E_MEMORY;
  w->padded = padded;
  w->iv_at = FYNX_IV_POOL;
  w->iv_pool = malloc(FYNX_IV_POOL);
  w->cache = calloc(FYNX_CACHE, sizeof *w->cache);
  return w->iv_pool && w->cache ? 0 : FYNX_E_MEMORY;
}

/* Adds a sender or a receiver to the plane; NULL when there is no room or no memory. */
struct fynx_worker *fynx_worker_new(struct fynx_plane *plane, bool receiver) {
  uint32_t *n = receiver ? &plane->n_rx : &plane->n_tx;
  if (*n == (receiver ? FYNX_RX_MAX : FYNX_TX_MAX)) return NULL;
  struct fynx_worker *w = aligned_alloc(64, fynx_align(sizeof *w, 64));
  if (!w) return NULL;
  memset(w, 0, sizeof *w);
  w->plane = plane;
  w->tun = -1;
  atomic_init(&w->cpu, -1);
  w->receiver = receiver;
  w->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  w->index = *n;
  if (w->stop_fd < 0 || worker_fill(w, receiver)) {
    fynx_worker_free(w);
    return NULL;
  }
  (receiver ? plane->rx : plane->tx)[(*n)++] = w;
  return w;
}

static int plane_fill(struct fynx_plane *plane, uint32_t capacity, int inproc) {
  uint32_t size = fynx_pow2(capacity < 16 ? 16 : capacity);
  plane->mask = size - 1;
  plane->inproc = inproc != 0;
  atomic_init(&plane->epoch, 1);
  atomic_init(&plane->narrowest, UINT32_MAX);
  plane->mtu = FYNX_INNER_MAX;
  plane->table = calloc(size, sizeof *plane->table);
  plane->spi_state = calloc(size, sizeof *plane->spi_state);
  plane->spi_value = calloc(size, sizeof *plane->spi_value);
  plane->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  plane->inner_fd = inproc ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
  if (!plane->table || !plane->spi_state || !plane->spi_value || fynx_early_new(plane)) return FYNX_E_MEMORY;
  if (plane->event_fd < 0 || (inproc && plane->inner_fd < 0)) return FYNX_E_SYSTEM;
  if (!fynx_worker_new(plane, true) || !fynx_worker_new(plane, false)) return FYNX_E_MEMORY;
  return fynx_rules_publish(plane);
}

struct fynx_plane *fynx_plane_new(uint32_t capacity, int inproc) {
  if (capacity > 1u << 24) return NULL;
  struct fynx_plane *plane = aligned_alloc(64, fynx_align(sizeof *plane, 64));
  if (!plane) return NULL;
  memset(plane, 0, sizeof *plane);
  plane->event_fd = plane->inner_fd = -1;
  plane->owner = (int)getpid();
  pthread_mutex_init(&plane->control, NULL);
  pthread_mutex_init(&plane->sending, NULL);
  pthread_mutex_init(&plane->receiving, NULL);
  pthread_mutex_init(&plane->draining, NULL);
  pthread_mutex_init(&plane->threads, NULL);
  if (plane_fill(plane, capacity, inproc) == 0) return plane;
  fynx_plane_free(plane);
  return NULL;
}

void fynx_plane_free(struct fynx_plane *plane) {
  if (!plane || (int)getpid() != plane->owner) return; /* a fork has copies of locks that nobody will open */
  fynx_plane_stop(plane);
  while (plane->children) fynx_child_remove(plane, plane->children);
  fynx_plane_policies(plane, NULL, 0);
  fynx_reclaim(plane, false);
  fynx_policies_free(plane->policies);
  fynx_rules_free(plane);
  for (uint32_t i = 0; i < plane->n_tx; i++) fynx_worker_free(plane->tx[i]);
  for (uint32_t i = 0; i < plane->n_rx; i++) fynx_worker_free(plane->rx[i]);
  fynx_vault_close(&plane->vault);
  free(plane->pacer);
  close_fd(plane->event_fd);
  close_fd(plane->inner_fd);
  free(plane->own);
  free((void *)plane->table);
  free((void *)plane->spi_state);
  free((void *)plane->spi_value);
  fynx_early_free(plane);
  free(plane);
}

int fynx_plane_event_fd(struct fynx_plane *plane) { return plane->event_fd; }

int fynx_plane_inner_fd(struct fynx_plane *plane) { return plane->inner_fd; }

/* One receiver for each TUN queue (one in all without), sockets dealt out in turn. */
static int make_receivers(struct fynx_plane *plane) {
  uint32_t wanted = plane->n_tx > 2 ? plane->n_tx - 1 : 1;
  if (wanted > plane->n_sockets) wanted = plane->n_sockets;
  for (uint32_t i = 0; i < wanted; i++) {
    struct fynx_worker *w = fynx_worker_new(plane, true);
    if (!w) return FYNX_E_MEMORY;
    if (plane->n_tx > 1) {
      w->tun = plane->tx[1 + i]->tun;
      w->pair = plane->tx[1 + i];
      w->pair->pair = w;
    }
    for (uint32_t s = i; s < plane->n_sockets; s += wanted) w->sockets[w->n_sockets++] = s;
  }
  return 0;
}

static int begin(struct fynx_worker *w, uint32_t turn) {
  w->turn = turn;
  return fynx_worker_begin(w);
}

int fynx_plane_start(struct fynx_plane *plane) {
  if (plane->started || plane->frozen) return FYNX_E_STATE;
  plane->started = true;
  int rc = make_receivers(plane);
  if (plane->n_tx > 1 && !plane->n_sockets) plane->rx[0]->tun = plane->tx[1]->tun; /* a caller brings what came in */
  for (uint32_t i = 1; rc == 0 && i < plane->n_rx; i++) rc = begin(plane->rx[i], 2 * i - 1);
  for (uint32_t i = 1; rc == 0 && i < plane->n_tx; i++) rc = begin(plane->tx[i], 2 * i - 2);
  if (rc) fynx_plane_stop(plane);
  return rc;
}

void fynx_plane_stop(struct fynx_plane *plane) {
  if ((int)getpid() != plane->owner) return; /* threads do not survive a fork */
  atomic_store(&plane->stopping, 1);
  fynx_workers_stop(plane);
  fynx_pace_stop(plane);
}
