/* ops.c: AES-GCM of OpenSSL 3 as operations for the C loop of Fynx (RFC 4106).
 *
 * The functions of OpenSSL's default provider are called through its dispatch table (provider(7), provider-cipher(7)),
 * which costs less per packet than EVP. Licence: MIT OR Apache-2.0.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fynx.h"

enum { SALT = 4, IV = 8, NONCE = SALT + IV, TAG = 16, LONGEST_KEY = 32, TRANSFORM_ID = 65001 };
enum { SEALS = 1, OPENS = 2 };

/* ------------------------------------------------------ what libcrypto.so.3 exports (openssl/core.h, openssl/provider.h) */

struct ossl_param {
  const char *key;
  unsigned int type;
  void *data;
  size_t size, returned;
};
struct ossl_dispatch {
  int id;
  void (*function)(void);
};
struct ossl_algorithm {
  const char *names, *properties;
  const struct ossl_dispatch *functions;
  const char *description;
};
enum { OP_CIPHER = 2, OCTETS = 5 };
enum { NEWCTX = 1, EINIT = 2, DINIT = 3, UPDATE = 4, FINAL = 5, FREECTX = 7, GET = 10, SET = 11 };

extern const char *OpenSSL_version(int);
extern void *OSSL_PROVIDER_load(void *, const char *);
extern const struct ossl_algorithm *OSSL_PROVIDER_query_operation(const void *, int, int *);
extern void *OSSL_PROVIDER_get0_provider_ctx(const void *);

typedef int init_function(void *, const uint8_t *, size_t, const uint8_t *, size_t, const struct ossl_param *);

struct cipher {
  const char *name;
  int key_bits;
  void *origin;
  void *(*newctx)(void *origin);
  void (*freectx)(void *);
  init_function *einit, *dinit;
  int (*update)(void *, uint8_t *, size_t *, size_t, const uint8_t *, size_t);
  int (*final)(void *, uint8_t *, size_t *, size_t);
  int (*get)(void *, struct ossl_param *);
  int (*set)(void *, const struct ossl_param *);
};

static struct cipher ciphers[] = {{.name = "AES-128-GCM", .key_bits = 128}, {.name = "AES-256-GCM", .key_bits = 256}};
enum { CIPHERS = sizeof ciphers / sizeof *ciphers };

/* ----------------------------------------------------------------------------------------------- keys and threads */

struct key {
  const struct cipher *cipher;
  uint8_t salt[SALT];
  uint8_t octets[LONGEST_KEY];
};

struct thread {
  const struct key *key;
  const struct cipher *cipher;
  void *ctx;
  int direction; /* that the context has its key schedule for */
};

static void *key_new(const struct fynx_aead_ops *ops, const uint8_t *octets, size_t len, const uint8_t *salt) {
  if (len != ops->key_len || !salt) return NULL;
  struct key *key = calloc(1, sizeof *key);
  if (!key) return NULL;
  key->cipher = ops->user;
  memcpy(key->octets, octets, len);
  memcpy(key->salt, salt, SALT);
  return key;
}

static void key_free(void *key) {
  if (!key) return;
  explicit_bzero(key, sizeof(struct key));
  free(key);
}

static void *thr_new(void *key) {
  struct thread *thread = calloc(1, sizeof *thread);
  if (!thread) return NULL;
  thread->key = key;
  thread->cipher = thread->key->cipher;
  thread->ctx = thread->cipher->newctx(thread->cipher->origin);
  if (thread->ctx) return thread;
  free(thread);
  return NULL;
}

static void thr_free(void *thr) {
  struct thread *thread = thr;
  if (!thread) return;
  thread->cipher->freectx(thread->ctx); /* wipes its key schedule */
  free(thread);
}

/* -------------------------------------------------------------------------------------------------------- packets */

/* The nonce is salt | IV; the key is given again only when the direction changes. */
static int begin(struct thread *thread, int direction, const uint8_t *iv) {
  const struct key *key = thread->key;
  init_function *init = direction == SEALS ? thread->cipher->einit : thread->cipher->dinit;
  int known = thread->direction == direction;
  uint8_t nonce[NONCE];
  memcpy(nonce, key->salt, SALT);
  memcpy(nonce + SALT, iv, IV);
  thread->direction = 0;
  if (init(thread->ctx, known ? NULL : key->octets, known ? 0 : (size_t)thread->cipher->key_bits / 8, nonce, NONCE, NULL) != 1)
    return 0;
  thread->direction = direction;
  return 1;
}

static int update(const struct thread *thread, uint8_t *out, const uint8_t *in, size_t len) {
  size_t done = 0;
  return len == 0 || (thread->cipher->update(thread->ctx, out, &done, len, in, len) == 1 && done == len);
}

static int seal_one(struct thread *thread, const struct fynx_packet *packet) {
  uint8_t *icv = packet->out + packet->len;
  struct ossl_param tag[2] = {{"tag", OCTETS, icv, TAG, 0}, {NULL, 0, NULL, 0, 0}};
  size_t done = 0;
  return begin(thread, SEALS, packet->iv) && update(thread, NULL, packet->aad, packet->aad_len) &&
         update(thread, packet->out, packet->in, packet->len) &&
         thread->cipher->final(thread->ctx, icv, &done, TAG) == 1 && thread->cipher->get(thread->ctx, tag) == 1;
}

static int open_one(struct thread *thread, const struct fynx_packet *packet) {
  uint8_t icv[TAG];
  struct ossl_param tag[2] = {{"tag", OCTETS, icv, TAG, 0}, {NULL, 0, NULL, 0, 0}};
  size_t done = 0;
  memcpy(icv, packet->in + packet->len, TAG); /* before the text is written: `out` may be `in` */
  return begin(thread, OPENS, packet->iv) && thread->cipher->set(thread->ctx, tag) == 1 &&
         update(thread, NULL, packet->aad, packet->aad_len) && update(thread, packet->out, packet->in, packet->len) &&
         thread->cipher->final(thread->ctx, packet->out + packet->len, &done, TAG) == 1;
}

static void seal(void *thr, struct fynx_packet *packets, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    packets[i].rc = seal_one(thr, &packets[i]) ? 0 : -1;
    if (packets[i].rc) explicit_bzero(packets[i].out, packets[i].len + TAG);
  }
}

static void open_(void *thr, struct fynx_packet *packets, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    packets[i].rc = open_one(thr, &packets[i]) ? 0 : -1;
    if (packets[i].rc) explicit_bzero(packets[i].out, packets[i].len);
  }
}

/* ------------------------------------------------------------------------------------------------------ the getter */

static struct fynx_aead_ops offered[CIPHERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int has_name(const char *names, const char *wanted) {
  size_t len = strlen(wanted);
  for (const char *at = names; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
    if (strncmp(at, wanted, len) == 0 && (at[len] == ':' || at[len] == '\0')) return 1;
  return 0;
}

#define TAKE(member)                                                            \
  {                                                                             \
    memcpy(&cipher->member, &table->function, sizeof table->function);          \
    break;                                                                      \
  }

static int bind(struct cipher *cipher, const struct ossl_dispatch *table) {
  for (; table->id; table++) {
    switch (table->id) {
      case NEWCTX: TAKE(newctx)
      case FREECTX: TAKE(freectx)
      case EINIT: TAKE(einit)
      case DINIT: TAKE(dinit)
      case UPDATE: TAKE(update)
      case FINAL: TAKE(final)
      case GET: TAKE(get)
      case SET: TAKE(set)
      default: break;
    }
  }
  return cipher->newctx && cipher->freectx && cipher->einit && cipher->dinit && cipher->update && cipher->final &&
         cipher->get && cipher->set;
}

static void offer(struct cipher *cipher, struct fynx_aead_ops *ops) {
  *ops = (struct fynx_aead_ops){
      .abi = FYNX_ABI, .size = sizeof *ops, .name = cipher->key_bits == 128 ? "privategcm128" : "privategcm256",
      .provider = "private_gcm", .encr_id = TRANSFORM_ID, .key_len = (uint16_t)(cipher->key_bits / 8),
      .salt_len = SALT, .iv_len = IV, .icv_len = TAG, .block = 4, .key_new = key_new, .key_free = key_free,
      .thr_new = thr_new, .thr_free = thr_free, .seal = seal, .open = open_, .user = cipher};
}

static void load(void) {
  int no_cache = 0;
  void *provider = OSSL_PROVIDER_load(NULL, "default");
  const struct ossl_algorithm *all = provider ? OSSL_PROVIDER_query_operation(provider, OP_CIPHER, &no_cache) : NULL;
  for (; all && all->names; all++) {
    for (int i = 0; i < CIPHERS; i++) {
      if (!has_name(all->names, ciphers[i].name)) continue;
      ciphers[i].origin = OSSL_PROVIDER_get0_provider_ctx(provider);
      if (bind(&ciphers[i], all->functions)) offer(&ciphers[i], &offered[i]);
    }
  }
}

/* NULL when this OpenSSL lacks the cipher. */
const struct fynx_aead_ops *private_gcm_ops(int key_bits);
const struct fynx_aead_ops *private_gcm_ops(int key_bits) {
  pthread_once(&once, load);
  for (int i = 0; i < CIPHERS; i++)
    if (ciphers[i].key_bits == key_bits && offered[i].abi) return &offered[i];
  return NULL;
}

const char *private_gcm_version(void);
const char *private_gcm_version(void) { return OpenSSL_version(0); }
