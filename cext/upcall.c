/* upcall.c: what the workers tell the control side, through one ring each and one eventfd; rates are limited here. */
#include <time.h>
#include <unistd.h>

#include "core.h"

#define ACQUIRE_EVERY_MS 1000u
#define SPI_BURST 10u
#define SPI_EVERY_MS 100u

uint64_t fynx_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void fynx_upcall_push(struct fynx_worker *w, struct fynx_upcall *record, const uint8_t *data, uint32_t data_len) {
  static const uint64_t one = 1;
  struct fynx_slot nobody;
  record->size = (uint32_t)fynx_align(sizeof *record + data_len, 8);
  record->data_len = data_len;
  switch (fynx_ring_push(&w->upcalls, record, sizeof *record, data, data_len)) {
    case 0:
      fynx_drop(w, &nobody, FYNX_DROP_UPCALL_FULL);
      break;
    case 2: /* an eventfd's counter does not overflow by single steps: a failure has no meaning here */
      if (write(w->plane->event_fd, &one, sizeof one) < 0) break;
      break;
    default:
      break;
  }
}

static void put_address(struct fynx_addr *to, const uint64_t from[2], uint16_t port, uint8_t family) {
  memset(to, 0, sizeof *to);
  to->port = port;
  if (family == 4) {
    to->ip[10] = to->ip[11] = 0xff;
    fynx_put32(to->ip + 12, (uint32_t)from[1]);
  } else {
    fynx_put64(to->ip, from[0]);
    fynx_put64(to->ip + 8, from[1]);
  }
}

void fynx_upcall_acquire(struct fynx_worker *w, const struct fynx_rule *rule, const struct fynx_flow *flow) {
  uint64_t now = fynx_now_ms(), after = atomic_load_explicit(&rule->policy->acquire_after_ms, memory_order_relaxed);
  if (now < after) return;
  if (!atomic_compare_exchange_strong(&rule->policy->acquire_after_ms, &after, now + ACQUIRE_EVERY_MS)) return;
  const struct fynx_flow_key *key = &flow->key;
  struct fynx_upcall up = {.kind = FYNX_UP_ACQUIRE, .tag = rule->tag, .protocol = key->protocol, .family = key->family};
  put_address(&up.path.local, key->src, key->sport, key->family);
  put_address(&up.path.remote, key->dst, key->dport, key->family);
  up.hard = (key->flags & FYNX_FLOW_PORTS) != 0;
  fynx_count(w, FYNX_COUNT_ACQUIRES, 1);
  fynx_upcall_push(w, &up, NULL, 0);
}

void fynx_upcall_expire(struct fynx_worker *w, uint64_t handle, bool hard) {
  struct fynx_upcall up = {.kind = FYNX_UP_EXPIRE, .handle = handle, .hard = hard};
  fynx_upcall_push(w, &up, NULL, 0);
}

void fynx_upcall_path(struct fynx_worker *w, uint64_t handle, const struct fynx_path *path) {
  struct fynx_upcall up = {.kind = FYNX_UP_PATH, .handle = handle, .path = *path};
  fynx_count(w, FYNX_COUNT_PATHS_SEEN, 1);
  fynx_upcall_push(w, &up, NULL, 0);
}

void fynx_upcall_ike(struct fynx_worker *w, const struct fynx_path *path, const uint8_t *data, uint32_t len) {
  struct fynx_upcall up = {.kind = FYNX_UP_IKE, .path = *path};
  fynx_count(w, FYNX_COUNT_IKE_MESSAGES, 1);
  fynx_upcall_push(w, &up, data, len);
}

void fynx_upcall_spi(struct fynx_worker *w, const struct fynx_path *path, uint32_t spi) {
  uint64_t now = fynx_now_ms(), earned = (now - w->tokens_ms) / SPI_EVERY_MS;
  if (earned) {
    w->tokens_ms = now;
    w->tokens = w->tokens + earned > SPI_BURST ? SPI_BURST : w->tokens + (uint32_t)earned;
  }
  if (w->tokens == 0) return;
  w->tokens--;
  struct fynx_upcall up = {.kind = FYNX_UP_SPI, .path = *path, .spi = spi};
  fynx_upcall_push(w, &up, NULL, 0);
}

/* An ESP packet for a transport that is no socket. */
void fynx_upcall_sealed(struct fynx_worker *w, const struct fynx_slot *slot) {
  struct fynx_upcall up = {.kind = FYNX_UP_SEALED, .handle = slot->handle, .path = slot->endpoint->path};
  fynx_upcall_push(w, &up, slot->data, slot->len);
}

/* Moves whole records of one ring to `out`; true when some stayed behind. */
static bool take(struct fynx_ring *ring, uint8_t *out, size_t room, size_t *at) {
  const uint8_t *record;
  size_t len;
  while ((record = fynx_ring_peek(ring, &len))) {
    size_t padded = fynx_align(len, 8);
    if (padded > room - *at) return true;
    memcpy(out + *at, record, len);
    *at += padded;
    fynx_ring_pop(ring);
  }
  return false;
}

/* All workers' records; when some stay behind, the eventfd stays readable. The eventfd is cleared before the rings are
 * looked at, and a worker writes it after it filled an empty ring: so nothing is left without a signal. */
size_t fynx_plane_drain(struct fynx_plane *plane, uint8_t *out, size_t room) {
  static const uint64_t one = 1;
  uint64_t ignored;
  size_t at = 0;
  bool left = false;
  pthread_mutex_lock(&plane->draining);
  if (read(plane->event_fd, &ignored, sizeof ignored) < 0) ignored = 0;
  for (uint32_t i = 0; i < plane->n_rx; i++) left |= take(&plane->rx[i]->upcalls, out, room, &at);
  for (uint32_t i = 0; i < plane->n_tx; i++) left |= take(&plane->tx[i]->upcalls, out, room, &at);
  if (left && write(plane->event_fd, &one, sizeof one) < 0) left = false;
  pthread_mutex_unlock(&plane->draining);
  fynx_reclaim_pending(plane);
  fynx_workers_revive(plane);
  return at;
}
