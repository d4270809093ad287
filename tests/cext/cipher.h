/* cipher.h: operations without any library for tests of the plane: a keyed stream and a keyed checksum. No secrecy. */
#ifndef FYNX_TEST_CIPHER_H
#define FYNX_TEST_CIPHER_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fynx.h"

struct toy_key {
  uint64_t k;
  atomic_uint threads; /* contexts alive: the plane must free each before the key */
};

static atomic_int toy_keys; /* alive in this program */

static void *toy_key_new(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt) {
  (void)ops, (void)key_len;
  struct toy_key *k = calloc(1, sizeof *k);
  if (!k) return NULL;
  memcpy(&k->k, key, sizeof k->k);
  k->k ^= salt[0];
  atomic_fetch_add(&toy_keys, 1);
  return k;
}

static void toy_key_free(void *key) {
  struct toy_key *k = key;
  if (atomic_load(&k->threads)) abort();
  k->k = 0;
  atomic_fetch_sub(&toy_keys, 1);
  free(k);
}

struct toy_thread {
  struct toy_key *key;
  uint64_t used; /* written per packet: a thread object used by two threads at once is a race that TSAN sees */
};

static void *toy_thr_new(void *key) {
  struct toy_thread *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->key = key;
  atomic_fetch_add(&t->key->threads, 1);
  return t;
}

static void toy_thr_free(void *thr) {
  struct toy_thread *t = thr;
  atomic_fetch_sub(&t->key->threads, 1);
  free(t);
}

static uint64_t toy_sum(uint64_t state, const uint8_t *p, size_t n) {
  for (size_t i = 0; i < n; i++) state = (state ^ p[i]) * 0x100000001b3u;
  return state;
}

static uint64_t toy_tag(const struct toy_key *k, const struct fynx_packet *p, const uint8_t *text) {
  return toy_sum(toy_sum(toy_sum(k->k ^ 0xcbf29ce484222325u, p->aad, p->aad_len), p->iv, 8), text, p->len);
}

static void toy_stream(const struct toy_key *k, const struct fynx_packet *p) {
  uint8_t pad = (uint8_t)(k->k ^ p->iv[7]);
  for (uint32_t i = 0; i < p->len; i++) p->out[i] = (uint8_t)(p->in[i] ^ (uint8_t)(pad + i));
}

static void (*toy_watch)(struct fynx_packet *packets, uint32_t n); /* sees what is about to be sealed */

static void toy_seal(void *thr, struct fynx_packet *packets, uint32_t n) {
  struct toy_thread *t = thr;
  if (toy_watch) toy_watch(packets, n);
  for (uint32_t i = 0; i < n; i++) {
    toy_stream(t->key, &packets[i]);
    uint64_t tag = toy_tag(t->key, &packets[i], packets[i].out);
    memcpy(packets[i].out + packets[i].len, &tag, sizeof tag);
    packets[i].rc = 0;
    t->used++;
  }
}

static void toy_open(void *thr, struct fynx_packet *packets, uint32_t n) {
  struct toy_thread *t = thr;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t tag = toy_tag(t->key, &packets[i], packets[i].in);
    packets[i].rc = memcmp(packets[i].in + packets[i].len, &tag, sizeof tag) ? -1 : 0;
    if (packets[i].rc)
      memset(packets[i].out, 0, packets[i].len);
    else
      toy_stream(t->key, &packets[i]);
    t->used++;
  }
}

static const struct fynx_aead_ops toy_ops = {.abi = FYNX_ABI,
                                             .size = sizeof(struct fynx_aead_ops),
                                             .name = "toy",
                                             .provider = "test",
                                             .key_len = 16,
                                             .salt_len = 4,
                                             .iv_len = 8,
                                             .icv_len = 8,
                                             .block = 4,
                                             .key_new = toy_key_new,
                                             .key_free = toy_key_free,
                                             .thr_new = toy_thr_new,
                                             .thr_free = toy_thr_free,
                                             .seal = toy_seal,
                                             .open = toy_open};

#endif
