/* sad.c: inbound SAs by the low bits of the SPI, which we choose (RFC 4301 section 4.4.2); no hash, no chain. */
#include <sched.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core.h"

struct fynx_sa_in *fynx_sad_find(struct fynx_plane *plane, uint32_t spi) {
  struct fynx_sa_in *sa = atomic_load(&plane->table[spi & plane->mask]);
  return sa && sa->spi == spi ? sa : NULL;
}

void fynx_sa_lock(struct fynx_sa_in *sa) {
  for (unsigned spins = 0; atomic_flag_test_and_set_explicit(&sa->lock, memory_order_acquire);)
    if (++spins % 64 == 0) sched_yield();
}

void fynx_sa_unlock(struct fynx_sa_in *sa) { atomic_flag_clear_explicit(&sa->lock, memory_order_release); }

static uint32_t random32(void) {
  uint32_t v;
  while (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v) {
  }
  return v;
}

uint32_t fynx_spi_reserve(struct fynx_plane *plane) {
  pthread_mutex_lock(&plane->control);
  uint32_t spi = 0, start = random32() & plane->mask, ways = plane->n_rx > 2 ? plane->n_rx - 1 : 1;
  for (uint32_t i = 0; i <= plane->mask && !spi; i++) {
    uint32_t index = (start + i) & plane->mask;
    if (plane->spi_state[index] != FYNX_SPI_FREE) continue;
    do spi = (random32() & ~plane->mask) | index;
    while (spi < 256 || (spi >> 24) % ways != plane->spread % ways); /* receivers in turn: the filter looks at this octet */
    plane->spread++;
    plane->spi_state[index] = FYNX_SPI_RESERVED;
    plane->spi_value[index] = spi;
  }
  pthread_mutex_unlock(&plane->control);
  return spi;
}

void fynx_spi_release(struct fynx_plane *plane, uint32_t spi) {
  pthread_mutex_lock(&plane->control);
  uint32_t index = spi & plane->mask;
  if (plane->spi_state[index] == FYNX_SPI_RESERVED && plane->spi_value[index] == spi)
    plane->spi_state[index] = FYNX_SPI_FREE;
  pthread_mutex_unlock(&plane->control);
  fynx_early_settle(plane, spi);
}

/* A reserved SPI, or one that somebody else chose and whose place is free. */
int fynx_sad_claim(struct fynx_plane *plane, uint32_t spi) {
  uint32_t index = spi & plane->mask;
  if (spi < 256) return FYNX_E_SPI;
  if (plane->spi_state[index] == FYNX_SPI_USED) return FYNX_E_SPI;
  if (plane->spi_state[index] == FYNX_SPI_RESERVED && plane->spi_value[index] != spi) return FYNX_E_SPI;
  plane->spi_state[index] = FYNX_SPI_USED;
  plane->spi_value[index] = spi;
  return 0;
}

void fynx_sad_publish(struct fynx_plane *plane, struct fynx_sa_in *sa) {
  atomic_store(&plane->table[sa->spi & plane->mask], sa);
}

void fynx_sad_withdraw(struct fynx_plane *plane, uint32_t spi) {
  atomic_store(&plane->table[spi & plane->mask], NULL);
  plane->spi_state[spi & plane->mask] = FYNX_SPI_FREE;
}
