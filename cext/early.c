/* early.c: ESP that overtakes the answer which brings its SA waits for it. The responder of IKE_AUTH may send as soon as
 * it has answered (RFC 7296 section 1.2), while the initiator still checks the answer and installs. Only packets for an
 * SPI that we have given out and reserved wait; they are opened when the SA is installed, and dropped when it is not. */
#include <stdlib.h>
#include <unistd.h>

#include "core.h"

#define EARLY_LEN 2048u

struct early {
  uint32_t spi;
  uint32_t len;
  uint8_t tos;
  struct fynx_path path;
  uint8_t data[EARLY_LEN];
};

struct fynx_early {
  pthread_mutex_t lock;
  uint32_t n;
  struct early packet[FYNX_BATCH];
};

int fynx_early_new(struct fynx_plane *plane) {
  plane->early = calloc(1, sizeof *plane->early);
  if (!plane->early) return FYNX_E_MEMORY;
  pthread_mutex_init(&plane->early->lock, NULL);
  return 0;
}

void fynx_early_free(struct fynx_plane *plane) { free(plane->early); }

static bool reserved(struct fynx_plane *plane, uint32_t spi) {
  uint32_t index = spi & plane->mask;
  return plane->spi_state[index] == FYNX_SPI_RESERVED && plane->spi_value[index] == spi;
}

/* For a packet whose SA was not found: the SA, if it has just been installed, else NULL; then the verdict tells whether
 * the packet waits. An install publishes its SA before it takes what waits, so nothing is put behind it. */
struct fynx_sa_in *fynx_early_hold(struct fynx_worker *w, struct fynx_slot *slot, uint32_t spi) {
  struct fynx_early *early = w->plane->early;
  if (spi < 256 || slot->len > EARLY_LEN) return NULL;
  bool may = reserved(w->plane, spi);
  struct fynx_sa_in *sa = fynx_sad_find(w->plane, spi);
  if (sa || !may) return sa;
  pthread_mutex_lock(&early->lock);
  sa = fynx_sad_find(w->plane, spi);
  if (!sa && early->n < FYNX_BATCH && reserved(w->plane, spi)) {
    struct early *held = &early->packet[early->n++];
    held->spi = spi;
    held->len = slot->len;
    held->tos = slot->tos;
    held->path = slot->path;
    memcpy(held->data, slot->data, slot->len);
    slot->verdict = FYNX_HELD;
  }
  pthread_mutex_unlock(&early->lock);
  if (slot->verdict == FYNX_HELD) fynx_count(w, FYNX_COUNT_EARLY, 1);
  return sa;
}

/* What waits for the SPI into the caller's arena, in order of arrival; the rest closes up. */
static uint32_t take(struct fynx_worker *w, uint32_t spi) {
  struct fynx_early *early = w->plane->early;
  uint32_t n = 0, kept = 0;
  pthread_mutex_lock(&early->lock);
  for (uint32_t i = 0; i < early->n; i++) {
    struct early *held = &early->packet[i];
    if (held->spi != spi) {
      if (kept != i) early->packet[kept] = *held;
      kept++;
      continue;
    }
    uint8_t *data = w->arena + (size_t)n * FYNX_STRIDE + FYNX_HEAD;
    memcpy(data, held->data, held->len);
    w->slot[n++] = (struct fynx_slot){.data = data, .len = held->len, .tos = held->tos, .path = held->path};
  }
  early->n = kept;
  pthread_mutex_unlock(&early->lock);
  return n;
}

/* After an install, or when the SPI was given back: then the packets find no SA, and are dropped by that name. */
void fynx_early_settle(struct fynx_plane *plane, uint32_t spi) {
  struct fynx_worker *w = plane->rx[0];
  pthread_mutex_lock(&plane->receiving);
  uint32_t n = take(w, spi);
  if (n) {
    fynx_online(w);
    fynx_decap(w, n);
    fynx_deliver(w, n);
    fynx_offline(w);
  }
  pthread_mutex_unlock(&plane->receiving);
}
