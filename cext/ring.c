/* ring.c: byte ring; each record is 8 octets of length, then the record padded to 8, never split at the end. */
#include "ring.h"

#include <string.h>
#include <sys/mman.h>

#include "util.h"

#define SKIP UINT64_MAX /* length that means: go on at the start */

int fynx_ring_init(struct fynx_ring *ring, size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return -1;
  ring->data = p;
  ring->size = size;
  atomic_init(&ring->head, 0);
  atomic_init(&ring->tail, 0);
  return 0;
}

void fynx_ring_free(struct fynx_ring *ring) {
  if (!ring->size) return;
  munmap(ring->data, ring->size);
  ring->size = 0;
}

static void put_length(struct fynx_ring *ring, size_t at, uint64_t length) {
  memcpy(ring->data + (at & (ring->size - 1)), &length, sizeof length);
}

int fynx_ring_push(struct fynx_ring *ring, const void *a, size_t a_len, const void *b, size_t b_len) {
  if (!ring->size) return 0;
  size_t len = a_len + b_len, need = 8 + fynx_align(len, 8);
  size_t start = atomic_load_explicit(&ring->head, memory_order_relaxed), head = start;
  size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
  size_t to_end = ring->size - (head & (ring->size - 1));
  size_t skip = to_end < need ? to_end : 0;
  if (need + skip > ring->size - (head - tail)) return 0;
  if (skip) {
    put_length(ring, head, SKIP);
    head += skip;
  }
  put_length(ring, head, len);
  uint8_t *to = ring->data + (head & (ring->size - 1)) + 8;
  if (a_len) memcpy(to, a, a_len);
  if (b_len) memcpy(to + a_len, b, b_len);
  /* Sequentially consistent on both sides: either we see that the consumer is done, or it sees our record. */
  atomic_store(&ring->head, head + need);
  return atomic_load(&ring->tail) == start ? 2 : 1;
}

const uint8_t *fynx_ring_peek(struct fynx_ring *ring, size_t *len) {
  if (!ring->size) return NULL;
  for (;;) {
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (atomic_load(&ring->head) == tail) return NULL;
    size_t at = tail & (ring->size - 1);
    uint64_t length;
    memcpy(&length, ring->data + at, sizeof length);
    if (length != SKIP) {
      *len = (size_t)length;
      return ring->data + at + 8;
    }
    atomic_store(&ring->tail, tail + (ring->size - at));
  }
}

void fynx_ring_pop(struct fynx_ring *ring) {
  size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  uint64_t length;
  memcpy(&length, ring->data + (tail & (ring->size - 1)), sizeof length);
  atomic_store(&ring->tail, tail + 8 + fynx_align((size_t)length, 8));
}
