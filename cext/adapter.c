/* adapter.c: operations whose cipher lives behind callbacks, one call per batch: the only way from here to Python. */
#include <stdlib.h>

#include "core.h"

struct adapter {
  struct fynx_aead_ops ops;
  struct fynx_adapter_calls calls;
  char name[64];
};

struct adapted_key {
  const struct adapter *adapter;
  void *key;
};

static void *key_new(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt) {
  const struct adapter *adapter = ops->user;
  struct adapted_key *k = malloc(sizeof *k);
  if (!k) return NULL;
  k->adapter = adapter;
  k->key = adapter->calls.key_new(adapter->calls.user, key, key_len, salt);
  if (k->key) return k;
  free(k);
  return NULL;
}

static void key_free(void *key) {
  struct adapted_key *k = key;
  k->adapter->calls.key_free(k->adapter->calls.user, k->key);
  free(k);
}

static void *thr_new(void *key) { return key; }

static void thr_free(void *thr) { (void)thr; }

/* Every packet counts as failed until the callback says otherwise: an exception in it must not let one through. */
static void crypt(void *thr, struct fynx_packet *packets, uint32_t n, int opening) {
  struct adapted_key *k = thr;
  for (uint32_t i = 0; i < n; i++) packets[i].rc = -1;
  k->adapter->calls.crypt(k->key, packets, n, opening);
  for (uint32_t i = 0; opening && i < n; i++)
    if (packets[i].rc) fynx_wipe(packets[i].out, packets[i].len);
}

static void seal(void *thr, struct fynx_packet *packets, uint32_t n) { crypt(thr, packets, n, 0); }

static void open_packets(void *thr, struct fynx_packet *packets, uint32_t n) { crypt(thr, packets, n, 1); }

uintptr_t fynx_adapter_new(const struct fynx_adapter_sizes *sizes, const struct fynx_adapter_calls *calls) {
  struct adapter *a = calloc(1, sizeof *a);
  if (!a) return 0;
  a->calls = *calls;
  strncpy(a->name, sizes->name, sizeof a->name - 1);
  a->ops = (struct fynx_aead_ops){.abi = FYNX_ABI,
                                  .size = sizeof a->ops,
                                  .name = a->name,
                                  .provider = "cryptography",
                                  .encr_id = sizes->encr_id,
                                  .integ_id = sizes->integ_id,
                                  .key_len = sizes->key_len,
                                  .salt_len = sizes->salt_len,
                                  .iv_len = sizes->iv_len,
                                  .icv_len = sizes->icv_len,
                                  .block = sizes->block,
                                  .flags = FYNX_OPS_THREADSAFE_KEY | FYNX_OPS_SLOW,
                                  .key_new = key_new,
                                  .key_free = key_free,
                                  .thr_new = thr_new,
                                  .thr_free = thr_free,
                                  .seal = seal,
                                  .open = open_packets,
                                  .user = a};
  return (uintptr_t)&a->ops;
}

void fynx_adapter_free(uintptr_t ops) {
  if (ops) free(((const struct fynx_aead_ops *)ops)->user);
}
