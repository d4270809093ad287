/* vault.h: memory for keys: locked, left out of core dumps, wiped in a fork, cleared when given back. */
#ifndef FYNX_VAULT_H
#define FYNX_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FYNX_VAULT_CHUNK 65536u

struct fynx_chunk;

struct fynx_vault { /* the caller serialises */
  struct fynx_chunk *chunks;
  uint64_t locked;   /* octets of chunks that stay in memory */
  uint64_t unlocked; /* and of those that the limit on locked memory kept from it */
};

void *fynx_vault_take(struct fynx_vault *vault, size_t size); /* zeroed, on a cache line of its own; NULL: none */
bool fynx_vault_give(struct fynx_vault *vault, void *memory); /* clears it; false: it is none of the vault's */
void fynx_vault_close(struct fynx_vault *vault);

#endif
