/* provider.h: what the provider modules share: their three symbols, registry numbers, comparison and wiping.
 *
 * A provider opens its library at run time and needs neither its headers nor its link name. It describes the few
 * structures that it must know, and offers nothing of a library that fails its known answers.
 */
#ifndef FYNX_PROVIDER_H
#define FYNX_PROVIDER_H

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fynx.h"

#define FYNX_HIDDEN __attribute__((visibility("hidden")))

/* Opens the library at `path`, or by its own name when `path` is empty. 0 on success; later calls change nothing. */
FYNX_HIDDEN int fynx_provider_open(const char *path);
/* Address of a `struct fynx_aead_ops`, or 0. `key_bits` as in the transform's attribute. */
FYNX_HIDDEN uintptr_t fynx_provider_ops(int encr_id, int key_bits, int integ_id);
/* The library's version and how it is used, or why it is not. */
FYNX_HIDDEN const char *fynx_provider_version(void);

enum { ENCR_NULL = 11, ENCR_AES_CBC = 12, ENCR_AES_CCM_8 = 14, ENCR_AES_CCM_12 = 15, ENCR_AES_CCM_16 = 16 };
enum { ENCR_AES_GCM_16 = 20, ENCR_CHACHA20_POLY1305 = 28 };
enum { INTEG_SHA256_128 = 12, INTEG_SHA384_192 = 13, INTEG_SHA512_256 = 14 };
enum { SALT_LEN = 4, NONCE_LEN = 12, TAG_LEN = 16, CACHE_LINE = 64 };

/* A function pointer by name; 0 when the library has none. */
static inline int fynx_symbol(void *library, const char *name, void *function, size_t size) {
  void *found = dlsym(library, name);
  memcpy(function, &found, size);
  return found != NULL;
}

/* 0 when equal; the time depends on `len` alone: the barrier keeps the compiler from leaving early. */
static inline uint64_t fynx_differ(const uint8_t *a, const uint8_t *b, size_t len) {
  uint64_t bits = 0, one, two;
  for (; len >= sizeof one; len -= sizeof one, a += sizeof one, b += sizeof one) {
    memcpy(&one, a, sizeof one);
    memcpy(&two, b, sizeof two);
    bits |= one ^ two;
    __asm__ volatile("" : "+r"(bits));
  }
  for (; len > 0; len--) bits |= (uint64_t)(*a++ ^ *b++);
  return bits;
}

/* memset that no compiler removes. */
static inline void fynx_wipe(void *where, size_t len) {
  memset(where, 0, len);
  __asm__ volatile("" : : "r"(where) : "memory");
}

static inline void fynx_nonce(uint8_t nonce[NONCE_LEN], const uint8_t *salt, const uint8_t *iv) {
  memcpy(nonce, salt, SALT_LEN);
  memcpy(nonce + SALT_LEN, iv, NONCE_LEN - SALT_LEN);
}

/* Zeroed memory on a cache line of its own; NULL when there is none. */
static inline void *fynx_aligned(size_t size) {
  void *memory = NULL;
  if (posix_memalign(&memory, CACHE_LINE, size) != 0) return NULL;
  memset(memory, 0, size);
  return memory;
}

/* `key_new` where `key_put` does the work. */
static inline void *fynx_key_made(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len,
                                  const uint8_t *salt) {
  void *made = fynx_aligned(ops->key_room);
  if (made == NULL || ops->key_put(ops, made, key, key_len, salt) == 0) return made;
  free(made);
  return NULL;
}

/* The parts of an ops that every AEAD with a 16-octet tag shares. */
static inline struct fynx_aead_ops fynx_aead(const char *provider, const char *name, int encr_id, size_t key_len) {
  return (struct fynx_aead_ops){
      .abi = FYNX_ABI,
      .size = sizeof(struct fynx_aead_ops),
      .name = name,
      .provider = provider,
      .encr_id = (uint16_t)encr_id,
      .key_len = (uint16_t)key_len,
      .salt_len = SALT_LEN,
      .iv_len = NONCE_LEN - SALT_LEN,
      .icv_len = TAG_LEN,
      .block = 4,
  };
}

#endif
