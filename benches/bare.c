/* bare.c: packets sealed by a crypto library as its manual says, without Fynx between: the yardstick of `aead`.
 *
 * Same work as the plane's own measuring loop: packets lie one behind the other, each with an IV of its own and eight
 * octets of associated data, sealed in place, key made once. Nanoseconds, or -1 when the library cannot.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 64u

typedef void gcm_pre(const void *key, void *expanded);
typedef void gcm_crypt(const void *expanded, void *context, uint8_t *out, const uint8_t *in, uint64_t len,
                       const uint8_t *iv, const uint8_t *aad, uint64_t aad_len, uint8_t *tag, uint64_t tag_len);

struct work {
  uint8_t *memory;
  size_t stride;
  uint32_t size;
  uint64_t count;
  uint64_t sequence;
  uint8_t nonce[16];
};

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int begin(struct work *w, uint32_t size, uint64_t count) {
  size_t stride = ((size_t)size + 192 + 63) / 64 * 64 | 64;
  *w = (struct work){.memory = calloc(BATCH, stride), .stride = stride, .size = size, .count = count};
  return w->memory != NULL;
}

static uint8_t *next(struct work *w, uint64_t i) {
  w->sequence++;
  memcpy(w->nonce + 4, &w->sequence, 8);
  return w->memory + i % BATCH * w->stride;
}

/* ipsec-mb: the functions that it exports for an instruction set ("aes_gcm_enc_128_avx_gen4"). */
int64_t bare_ipsecmb_gcm(const char *set, int bits, uint32_t size, uint64_t count) {
  static const uint8_t key[32] = {1}, aad[8];
  static _Alignas(64) uint8_t expanded[4096], context[256];
  char name[2][64] = {"aes_gcm_pre_", "aes_gcm_enc_"};
  void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
  struct work w;
  if (!library) return -1;
  for (int i = 0; i < 2; i++) {
    strcat(name[i], bits == 128 ? "128_" : "256_");
    strncat(name[i], set, 32);
  }
  gcm_pre *pre = (gcm_pre *)(uintptr_t)dlsym(library, name[0]);
  gcm_crypt *seal = (gcm_crypt *)(uintptr_t)dlsym(library, name[1]);
  if (!pre || !seal || !begin(&w, size, count)) return -1;
  pre(key, expanded);
  int64_t start = nanoseconds();
  for (uint64_t i = 0; i < count; i++) {
    uint8_t *p = next(&w, i);
    seal(expanded, context, p, p, size, w.nonce, aad, sizeof aad, p + size, 16);
  }
  int64_t took = nanoseconds() - start;
  free(w.memory);
  return took;
}

/* libcrypto: one context, its IV set anew for each packet. */
int64_t bare_libcrypto(const char *cipher_name, uint32_t size, uint64_t count) {
  static const uint8_t key[32] = {1}, aad[8];
  void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
  struct work w;
  if (!library) return -1;
  void *(*ctx_new)(void) = (void *(*)(void))(uintptr_t)dlsym(library, "EVP_CIPHER_CTX_new");
  void (*ctx_free)(void *) = (void (*)(void *))(uintptr_t)dlsym(library, "EVP_CIPHER_CTX_free");
  void *(*fetch)(void *, const char *, const char *) =
      (void *(*)(void *, const char *, const char *))(uintptr_t)dlsym(library, "EVP_CIPHER_fetch");
  int (*init)(void *, void *, const uint8_t *, const uint8_t *, const void *) =
      (int (*)(void *, void *, const uint8_t *, const uint8_t *, const void *))(uintptr_t)dlsym(library, "EVP_EncryptInit_ex2");
  int (*update)(void *, uint8_t *, int *, const uint8_t *, int) =
      (int (*)(void *, uint8_t *, int *, const uint8_t *, int))(uintptr_t)dlsym(library, "EVP_EncryptUpdate");
  int (*final)(void *, uint8_t *, int *) = (int (*)(void *, uint8_t *, int *))(uintptr_t)dlsym(library, "EVP_EncryptFinal_ex");
  int (*ctrl)(void *, int, int, void *) = (int (*)(void *, int, int, void *))(uintptr_t)dlsym(library, "EVP_CIPHER_CTX_ctrl");
  void *cipher = fetch(NULL, cipher_name, NULL), *context = ctx_new();
  int good = cipher && context && init(context, cipher, key, NULL, NULL) == 1 && begin(&w, size, count), made;
  if (!good) return -1;
  int64_t start = nanoseconds();
  for (uint64_t i = 0; i < count; i++) {
    uint8_t *p = next(&w, i);
    good &= init(context, NULL, NULL, w.nonce, NULL) && update(context, NULL, &made, aad, sizeof aad) &&
            update(context, p, &made, p, (int)size) && final(context, p + size, &made) &&
            ctrl(context, 0x10, 16, p + size); /* EVP_CTRL_AEAD_GET_TAG */
  }
  int64_t took = nanoseconds() - start;
  ctx_free(context);
  free(w.memory);
  return good ? took : -1;
}

/* libsodium at `path` (that of PyNaCl): ChaCha20-Poly1305 as in RFC 8439, or AES-256-GCM with the key expanded once. */
int64_t bare_sodium(const char *path, int chacha, uint32_t size, uint64_t count) {
  typedef int one(uint8_t *, unsigned long long *, const uint8_t *, unsigned long long, const uint8_t *,
                  unsigned long long, const uint8_t *, const uint8_t *, const void *);
  static const uint8_t key[32] = {1}, aad[8];
  static _Alignas(64) uint8_t expanded[512];
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  struct work w;
  unsigned long long made;
  if (!library) return -1;
  int (*expand)(void *, const uint8_t *) =
      (int (*)(void *, const uint8_t *))(uintptr_t)dlsym(library, "crypto_aead_aes256gcm_beforenm");
  one *seal = (one *)(uintptr_t)dlsym(library, chacha ? "crypto_aead_chacha20poly1305_ietf_encrypt"
                                                      : "crypto_aead_aes256gcm_encrypt_afternm");
  if (!seal || !expand || (!chacha && expand(expanded, key)) || !begin(&w, size, count)) return -1;
  int64_t start = nanoseconds();
  for (uint64_t i = 0; i < count; i++) {
    uint8_t *p = next(&w, i);
    seal(p, &made, p, size, aad, sizeof aad, NULL, w.nonce, chacha ? (const void *)key : expanded);
  }
  int64_t took = nanoseconds() - start;
  free(w.memory);
  return took;
}
