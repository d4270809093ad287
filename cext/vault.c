/* vault.c: chunks of pages for keys, each cut into places of one size; the lists stand outside, so that a free place is
 * zero. Where memory may not be locked (RLIMIT_MEMLOCK) it is used all the same, and counted. */
#include "vault.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "util.h"

struct fynx_chunk {
  struct fynx_chunk *next;
  uint8_t *base;
  uint32_t place; /* octets of each */
  uint32_t n;
  uint32_t n_free;
  uint16_t free[FYNX_VAULT_CHUNK / 64]; /* indices, the last is taken first */
};

static struct fynx_chunk *chunk_new(struct fynx_vault *vault, uint32_t place) {
  struct fynx_chunk *chunk = calloc(1, sizeof *chunk);
  if (!chunk) return NULL;
  void *base = mmap(NULL, FYNX_VAULT_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    free(chunk);
    return NULL;
  }
  bool locked = mlock(base, FYNX_VAULT_CHUNK) == 0;
  bool hidden = madvise(base, FYNX_VAULT_CHUNK, MADV_DONTDUMP) == 0 &&
                madvise(base, FYNX_VAULT_CHUNK, MADV_WIPEONFORK) == 0;
  *(locked && hidden ? &vault->locked : &vault->unlocked) += FYNX_VAULT_CHUNK;
  *chunk = (struct fynx_chunk){.next = vault->chunks, .base = base, .place = place};
  for (chunk->n = FYNX_VAULT_CHUNK / place; chunk->n_free < chunk->n; chunk->n_free++)
    chunk->free[chunk->n_free] = (uint16_t)(chunk->n - 1 - chunk->n_free);
  vault->chunks = chunk;
  return chunk;
}

void *fynx_vault_take(struct fynx_vault *vault, size_t size) {
  if (size == 0 || size > FYNX_VAULT_CHUNK) return NULL;
  uint32_t place = (uint32_t)fynx_align(size, 64);
  struct fynx_chunk *chunk = vault->chunks;
  while (chunk && (chunk->place != place || chunk->n_free == 0)) chunk = chunk->next;
  if (!chunk && !(chunk = chunk_new(vault, place))) return NULL;
  return chunk->base + (size_t)chunk->free[--chunk->n_free] * place;
}

bool fynx_vault_give(struct fynx_vault *vault, void *memory) {
  uintptr_t at = (uintptr_t)memory;
  for (struct fynx_chunk *chunk = vault->chunks; chunk; chunk = chunk->next) {
    uintptr_t base = (uintptr_t)chunk->base;
    if (at < base || at - base >= FYNX_VAULT_CHUNK) continue;
    fynx_wipe(memory, chunk->place);
    chunk->free[chunk->n_free++] = (uint16_t)((at - base) / chunk->place);
    return true;
  }
  return false;
}

void fynx_vault_close(struct fynx_vault *vault) {
  while (vault->chunks) {
    struct fynx_chunk *chunk = vault->chunks;
    vault->chunks = chunk->next;
    fynx_wipe(chunk->base, FYNX_VAULT_CHUNK);
    munmap(chunk->base, FYNX_VAULT_CHUNK);
    free(chunk);
  }
  vault->locked = vault->unlocked = 0;
}
