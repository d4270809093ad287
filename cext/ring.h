/* ring.h: a ring of records for one producer and one consumer, without locks. */
#ifndef FYNX_RING_H
#define FYNX_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fynx_ring {
  uint8_t *data;
  size_t size; /* a power of two, 0 when absent */
  _Alignas(64) _Atomic size_t head; /* written by the producer, counts octets for ever */
  _Alignas(64) _Atomic size_t tail; /* written by the consumer */
};

int fynx_ring_init(struct fynx_ring *ring, size_t size);
void fynx_ring_free(struct fynx_ring *ring);

/* Appends one record made of two parts. 0: full; 1: appended; 2: appended, and the consumer had seen the ring empty. */
int fynx_ring_push(struct fynx_ring *ring, const void *a, size_t a_len, const void *b, size_t b_len);

/* The oldest record, or NULL. It stays until `fynx_ring_pop`. */
const uint8_t *fynx_ring_peek(struct fynx_ring *ring, size_t *len);
void fynx_ring_pop(struct fynx_ring *ring);

#endif
