/* libcrypto.c: provider on OpenSSL 3 (libcrypto.so.3): AES-GCM, AES-CCM, ChaCha20-Poly1305, AES-CBC and NULL with HMAC-SHA2.
 *
 * Ciphers are called through the dispatch table of OpenSSL's own default provider, which saves a fifth to two thirds of
 * the time of EVP on 3.0; a cipher whose table does not agree with EVP goes through EVP. HMAC keeps the hash states after
 * the padded keys and copies them for each packet (RFC 2104 section 4).
 */
#include "libcrypto_bind.h"

#ifndef FYNX_EVP_ONLY
#define FYNX_EVP_ONLY 0 /* a test builds with 1, to see that EVP alone serves */
#endif

enum { SEAL = 1, OPEN = 2, IV_LEN = 8 };
enum { MAX_KEY = 32, MAX_HASH = 64, MAX_HASH_BLOCK = 128, SHA_STATE = 256 }; /* a SHA512_CTX has 216 */

struct lc_hash {
  const char *keyword;
  int integ_id;
  uint32_t out_len, block_len;
  int (*init)(void *);
  int (*update)(void *, const void *, size_t);
  int (*final)(uint8_t *, void *);
};
static struct lc_hash hashes[3];

struct lc_sha {
  _Alignas(16) uint8_t octets[SHA_STATE];
};

struct lc_key {
  const struct lc_cipher *cipher;
  const struct lc_hash *hash;
  uint8_t key[MAX_KEY];
  uint8_t salt[SALT_LEN];
  struct lc_sha inner, outer; /* after key ^ ipad, key ^ opad */
};

struct lc_thread {
  const struct lc_key *key;
  const struct lc_cipher *cipher; /* outlives the key: thr_free may come after key_free */
  void *ctx;
  int direction;
};

/* What an ops is made of; `ops.user` points here. */
struct lc_ops {
  struct fynx_aead_ops ops;
  const struct lc_cipher *cipher;
  const struct lc_hash *hash;
  char name[32];
};
static struct lc_ops offered[32];
static size_t offered_len;
static char version[160] = "not opened";
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static int opened;

static void lc_hash_pad(const struct lc_hash *hash, struct lc_sha *state, const uint8_t *key, uint8_t pad) {
  uint8_t block[MAX_HASH_BLOCK];
  memset(block, pad, sizeof block);
  for (uint32_t i = 0; i < hash->out_len; i++) block[i] = (uint8_t)(key[i] ^ pad);
  hash->init(state);
  hash->update(state, block, hash->block_len);
  fynx_wipe(block, sizeof block);
}

static int lc_key_put(const struct fynx_aead_ops *ops, void *where, const uint8_t *key, size_t key_len,
                      const uint8_t *salt) {
  const struct lc_ops *own = ops->user;
  if (key_len != ops->key_len || (ops->salt_len != 0 && salt == NULL)) return -1;
  struct lc_key *made = where;
  made->cipher = own->cipher;
  made->hash = own->hash;
  memcpy(made->key, key, (size_t)own->cipher->key_len);
  if (ops->salt_len != 0) memcpy(made->salt, salt, ops->salt_len);
  if (own->hash != NULL) {
    lc_hash_pad(own->hash, &made->inner, key + own->cipher->key_len, 0x36);
    lc_hash_pad(own->hash, &made->outer, key + own->cipher->key_len, 0x5c);
  }
  return 0;
}

static void *lc_key_new(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt) {
  return fynx_key_made(ops, key, key_len, salt);
}

static void lc_key_free(void *key) {
  if (key == NULL) return;
  fynx_wipe(key, sizeof(struct lc_key));
  free(key);
}

static void *lc_thr_new(void *key) {
  struct lc_thread *thread = fynx_aligned(sizeof *thread);
  if (thread == NULL) return NULL;
  thread->key = key;
  const struct lc_cipher *cipher = thread->cipher = thread->key->cipher;
  if (cipher->encr_id == ENCR_NULL) return thread;
  thread->ctx = cipher->newctx(cipher->origin);
  if (thread->ctx != NULL) return thread;
  free(thread);
  return NULL;
}

static void lc_thr_free(void *thr) {
  struct lc_thread *thread = thr;
  if (thread == NULL) return;
  if (thread->ctx != NULL) thread->cipher->freectx(thread->ctx); /* which wipes its key schedule */
  free(thread);
}

static int lc_is_ccm(const struct lc_cipher *cipher) {
  return cipher->encr_id >= ENCR_AES_CCM_8 && cipher->encr_id <= ENCR_AES_CCM_16;
}

/* CCM counts the lengths of nonce and ICV into its first block, so it wants them before the key. */
static int lc_measure(const struct lc_thread *thread) {
  size_t nonce_len = CCM_NONCE_LEN;
  struct ossl_param lengths[3] = {{"ivlen", PARAM_UINT, &nonce_len, sizeof nonce_len, 0},
                                  {"tag", PARAM_OCTETS, NULL, (size_t)thread->cipher->icv_len, 0},
                                  {NULL, 0, NULL, 0, 0}};
  return !lc_is_ccm(thread->cipher) || thread->cipher->set(thread->ctx, lengths) == 1;
}

/* A new IV, and the key itself only when the context last went the other way. */
static int lc_begin(struct lc_thread *thread, int direction, const uint8_t *iv) {
  const struct lc_cipher *cipher = thread->cipher;
  const uint8_t *key = thread->direction == direction ? NULL : thread->key->key;
  size_t key_len = key == NULL ? 0 : (size_t)cipher->key_len;
  unsigned int off = 0;
  struct ossl_param params[2] = {{"padding", PARAM_UINT, &off, sizeof off, 0}, {NULL, 0, NULL, 0, 0}};
  const struct ossl_param *unpadded = key != NULL && cipher->encr_id == ENCR_AES_CBC ? params : NULL;
  int (*init)(void *, const uint8_t *, size_t, const uint8_t *, size_t, const struct ossl_param *) =
      direction == SEAL ? cipher->einit : cipher->dinit;
  thread->direction = 0;
  if (key != NULL && !lc_measure(thread)) return 0;
  if (init(thread->ctx, key, key_len, iv, (size_t)cipher->iv_len, unpadded) != 1) return 0;
  thread->direction = direction;
  return 1;
}

static int lc_update(const struct lc_thread *thread, uint8_t *out, const uint8_t *in, size_t len) {
  size_t done = 0; /* outsize must cover the input even where nothing is written */
  return len == 0 || (thread->cipher->update(thread->ctx, out, &done, len, in, len) == 1 && done == len);
}

/* -------------------------------------------------------------------------------------------------------------- AEAD */

/* What an AEAD reads before the text; CCM has to know how long that will be (RFC 4309 section 2). */
static int lc_aead_begin(struct lc_thread *thread, int direction, const struct fynx_packet *packet) {
  const struct lc_cipher *cipher = thread->cipher;
  size_t salt_len = (size_t)cipher->iv_len - IV_LEN, done = 0;
  uint8_t nonce[NONCE_LEN];
  memcpy(nonce, thread->key->salt, salt_len);
  memcpy(nonce + salt_len, packet->iv, IV_LEN);
  return lc_begin(thread, direction, nonce) &&
         (!lc_is_ccm(cipher) || cipher->update(thread->ctx, NULL, &done, packet->len, NULL, packet->len) == 1);
}

static int lc_aead_text(const struct lc_thread *thread, const struct fynx_packet *packet) {
  size_t done = 0;
  if (!lc_is_ccm(thread->cipher)) return lc_update(thread, packet->out, packet->in, packet->len);
  return thread->cipher->update(thread->ctx, packet->out, &done, packet->len, packet->in, packet->len) == 1;
}

static int lc_aead_seal(struct lc_thread *thread, const struct fynx_packet *packet) {
  const struct lc_cipher *cipher = thread->cipher;
  size_t icv_len = (size_t)cipher->icv_len, done = 0;
  struct ossl_param tag[2] = {{"tag", PARAM_OCTETS, packet->out + packet->len, icv_len, 0}, {NULL, 0, NULL, 0, 0}};
  return lc_aead_begin(thread, SEAL, packet) && lc_update(thread, NULL, packet->aad, packet->aad_len) &&
         lc_aead_text(thread, packet) && cipher->final(thread->ctx, packet->out + packet->len, &done, icv_len) == 1 &&
         cipher->get(thread->ctx, tag) == 1;
}

static int lc_aead_open(struct lc_thread *thread, const struct fynx_packet *packet) {
  const struct lc_cipher *cipher = thread->cipher;
  size_t icv_len = (size_t)cipher->icv_len, done = 0;
  uint8_t icv[TAG_LEN];
  struct ossl_param tag[2] = {{"tag", PARAM_OCTETS, icv, icv_len, 0}, {NULL, 0, NULL, 0, 0}};
  memcpy(icv, packet->in + packet->len, icv_len);
  return lc_aead_begin(thread, OPEN, packet) && cipher->set(thread->ctx, tag) == 1 &&
         lc_update(thread, NULL, packet->aad, packet->aad_len) && lc_aead_text(thread, packet) &&
         cipher->final(thread->ctx, packet->out + packet->len, &done, icv_len) == 1;
}

/* --------------------------------------------------------------------------------------- a cipher and HMAC (RFC 4303) */

/* HMAC over SPI | low | IV | ciphertext, then the high half with ESN (RFC 4303 section 2.8). */
static int lc_icv(const struct lc_key *key, const struct fynx_packet *packet, const uint8_t *text, uint8_t *digest) {
  const struct lc_hash *hash = key->hash;
  size_t high_len = packet->aad_len - 8;
  struct lc_sha state = key->inner;
  int good = hash->update(&state, packet->aad, 4) == 1 && hash->update(&state, packet->aad + 4 + high_len, 4) == 1 &&
             hash->update(&state, packet->iv, (size_t)key->cipher->iv_len) == 1 &&
             hash->update(&state, text, packet->len) == 1 && hash->update(&state, packet->aad + 4, high_len) == 1 &&
             hash->final(digest, &state) == 1;
  state = key->outer;
  return good && hash->update(&state, digest, hash->out_len) == 1 && hash->final(digest, &state) == 1;
}

static int lc_shape(const struct lc_key *key, const struct fynx_packet *packet) {
  uint32_t block = key->cipher->encr_id == ENCR_AES_CBC ? BLOCK : 1;
  return packet->len % block == 0 && (packet->aad_len == 8 || packet->aad_len == 12);
}

static int lc_crypt(struct lc_thread *thread, int direction, const struct fynx_packet *packet) {
  if (thread->cipher->encr_id != ENCR_NULL)
    return lc_begin(thread, direction, packet->iv) && lc_update(thread, packet->out, packet->in, packet->len);
  if (packet->out != packet->in) memcpy(packet->out, packet->in, packet->len);
  return 1;
}

static int lc_mac_seal(struct lc_thread *thread, const struct fynx_packet *packet) {
  const struct lc_key *key = thread->key;
  uint8_t digest[MAX_HASH];
  if (!lc_shape(key, packet) || !lc_crypt(thread, SEAL, packet) || !lc_icv(key, packet, packet->out, digest)) return 0;
  memcpy(packet->out + packet->len, digest, key->hash->out_len / 2);
  return 1;
}

static int lc_mac_open(struct lc_thread *thread, const struct fynx_packet *packet) {
  const struct lc_key *key = thread->key;
  uint8_t digest[MAX_HASH];
  if (!lc_shape(key, packet) || !lc_icv(key, packet, packet->in, digest)) return 0;
  if (fynx_differ(digest, packet->in + packet->len, key->hash->out_len / 2) != 0) return 0;
  return lc_crypt(thread, OPEN, packet);
}

/* ----------------------------------------------------------------------------------------------------------- batches */

static void lc_seal(void *thr, struct fynx_packet *packets, uint32_t n) {
  struct lc_thread *thread = thr;
  size_t icv_len = thread->key->hash == NULL ? (size_t)thread->cipher->icv_len : thread->key->hash->out_len / 2;
  for (uint32_t i = 0; i < n; i++) {
    int good = thread->key->hash == NULL ? lc_aead_seal(thread, &packets[i]) : lc_mac_seal(thread, &packets[i]);
    packets[i].rc = good ? 0 : -1;
    if (!good) fynx_wipe(packets[i].out, packets[i].len + icv_len);
  }
}

static void lc_open(void *thr, struct fynx_packet *packets, uint32_t n) {
  struct lc_thread *thread = thr;
  for (uint32_t i = 0; i < n; i++) {
    int good = thread->key->hash == NULL ? lc_aead_open(thread, &packets[i]) : lc_mac_open(thread, &packets[i]);
    packets[i].rc = good ? 0 : -1;
    if (!good) fynx_wipe(packets[i].out, packets[i].len);
  }
}

/* --------------------------------------------------------------------------------------- the library, opened at run time */

/* Both ways give the same octets, and the first opens what it sealed. */
static int lc_agree(const struct lc_cipher *one, const struct lc_cipher *two) {
  static const uint32_t lengths[] = {0, 16, 64, 272, 1024};
  uint8_t key[MAX_KEY] = {1, 2, 3}, iv[BLOCK] = {4, 5, 6}, aad[12] = {7, 8, 9};
  uint8_t text[1024] = {10, 11, 12}, sealed[2][1024 + TAG_LEN], back[1024];
  int good = 1;
  for (size_t i = 0; good && i < sizeof lengths / sizeof *lengths; i++) {
    for (int way = 0; way < 2; way++) {
      struct lc_key own = {.cipher = way == 0 ? one : two};
      memcpy(own.key, key, sizeof key);
      struct lc_thread *thread = lc_thr_new(&own);
      struct fynx_packet seal = {text, sealed[way], lengths[i], 12, aad, iv, 0, 0};
      struct fynx_packet open = {sealed[way], back, lengths[i], 12, aad, iv, 0, 0};
      int mac = one->encr_id == ENCR_AES_CBC;
      good = good && thread != NULL && (mac ? lc_crypt(thread, SEAL, &seal) : lc_aead_seal(thread, &seal)) &&
             (mac ? lc_crypt(thread, OPEN, &open) : lc_aead_open(thread, &open)) && memcmp(back, text, lengths[i]) == 0;
      lc_thr_free(thread);
    }
    good = good && memcmp(sealed[0], sealed[1], lengths[i] + (size_t)one->icv_len) == 0;
  }
  return good;
}

static int lc_load(const char *path) {
  void *library = dlopen(path != NULL && *path != '\0' ? path : "libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(version, sizeof version, "not available: %s", dlerror());
    return 0;
  }
#define LOAD(result, name, arguments)                                        \
  if (!fynx_symbol(library, #name, &name, sizeof name)) {                    \
    snprintf(version, sizeof version, "not available: it lacks %s", #name); \
    return 0;                                                                \
  }
  SYMBOLS(LOAD)
  hashes[0] = (struct lc_hash){"sha256", INTEG_SHA256_128, 32, 64, SHA256_Init, SHA256_Update, SHA256_Final};
  hashes[1] = (struct lc_hash){"sha384", INTEG_SHA384_192, 48, 128, SHA384_Init, SHA512_Update, SHA384_Final};
  hashes[2] = (struct lc_hash){"sha512", INTEG_SHA512_256, 64, 128, SHA512_Init, SHA512_Update, SHA512_Final};
  return 1;
}

static void lc_offer(const struct lc_cipher *cipher, const struct lc_hash *hash) {
  struct lc_ops *own = &offered[offered_len++];
  size_t integ_len = hash == NULL ? 0 : hash->out_len;
  own->cipher = cipher;
  own->hash = hash;
  snprintf(own->name, sizeof own->name, "%s%s%s", cipher->keyword, hash ? "-" : "", hash ? hash->keyword : "");
  own->ops = fynx_aead("libcrypto", own->name, cipher->encr_id, (size_t)cipher->key_len + integ_len);
  own->ops.key_new = lc_key_new;
  own->ops.key_put = lc_key_put;
  own->ops.key_room = sizeof(struct lc_key);
  own->ops.key_free = lc_key_free;
  own->ops.thr_new = lc_thr_new;
  own->ops.thr_free = lc_thr_free;
  own->ops.seal = lc_seal;
  own->ops.open = lc_open;
  own->ops.user = own;
  if (hash == NULL) {
    own->ops.salt_len = (uint8_t)(cipher->iv_len - IV_LEN);
    own->ops.icv_len = (uint8_t)cipher->icv_len;
    return;
  }
  own->ops.integ_id = (uint16_t)hash->integ_id;
  own->ops.salt_len = 0;
  own->ops.iv_len = (uint8_t)cipher->iv_len;
  own->ops.icv_len = (uint8_t)(hash->out_len / 2);
  own->ops.block = cipher->encr_id == ENCR_AES_CBC ? BLOCK : 4;
}

/* Each cipher by the dispatch table where that agrees with EVP, else by EVP; returns how many went the fast way. */
static int lc_choose(void) {
  int no_cache = 0, fast = 0;
  void *provider = FYNX_EVP_ONLY ? NULL : OSSL_PROVIDER_load(NULL, "default");
  const struct ossl_algorithm *algorithms =
      provider == NULL ? NULL : OSSL_PROVIDER_query_operation(provider, OP_CIPHER, &no_cache);
  for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
    struct lc_cipher direct = ciphers[i];
    if (ciphers[i].encr_id != ENCR_NULL) {
      if (!lc_bind_evp(&ciphers[i])) continue;
      void *origin = algorithms == NULL ? NULL : OSSL_PROVIDER_get0_provider_ctx(provider);
      if (lc_bind_dispatch(&direct, algorithms, origin) && lc_agree(&direct, &ciphers[i])) {
        EVP_CIPHER_free(ciphers[i].origin);
        ciphers[i] = direct;
        fast++;
      }
    }
    int aead = ciphers[i].icv_len != 0;
    if (aead) lc_offer(&ciphers[i], NULL);
    for (size_t j = 0; !aead && j < sizeof hashes / sizeof *hashes; j++) lc_offer(&ciphers[i], &hashes[j]);
  }
  return fast;
}

int fynx_provider_open(const char *path) {
  pthread_mutex_lock(&opening);
  if (!opened && lc_load(path)) {
    int fast = lc_choose();
    snprintf(version, sizeof version, "%s (%s)", OpenSSL_version(0), fast > 0 ? "provider dispatch" : "EVP");
    opened = 1;
  }
  pthread_mutex_unlock(&opening);
  return opened ? 0 : -1;
}

uintptr_t fynx_provider_ops(int encr_id, int key_bits, int integ_id) {
  for (size_t i = 0; i < offered_len; i++) {
    const struct lc_ops *own = &offered[i];
    int fixed = encr_id == ENCR_CHACHA20_POLY1305 && key_bits == 0; /* its transform carries no key length */
    if (own->cipher->encr_id != encr_id || own->ops.integ_id != integ_id) continue;
    if (fixed || own->cipher->key_len * 8 == key_bits) return (uintptr_t)&own->ops;
  }
  return 0;
}

const char *fynx_provider_version(void) { return version; }
