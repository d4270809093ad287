/* sodium.c: provider on the libsodium inside PyNaCl: ChaCha20-Poly1305, and AES-256-GCM where the processor has AES.
 *
 * It has neither AES-128-GCM, AES-192-GCM nor AES-CBC. Keys are read only once made: threads share them.
 */
#include "provider.h"

#define SYMBOLS(X)                                                                                               \
  X(int, sodium_init, (void))                                                                                    \
  X(int, crypto_aead_aes256gcm_is_available, (void))                                                             \
  X(size_t, crypto_aead_aes256gcm_statebytes, (void))                                                            \
  X(int, crypto_aead_aes256gcm_beforenm, (void *, const uint8_t *))                                              \
  X(int, crypto_aead_aes256gcm_encrypt_detached_afternm,                                                         \
    (uint8_t *, uint8_t *, unsigned long long *, const uint8_t *, unsigned long long, const uint8_t *,           \
     unsigned long long, const uint8_t *, const uint8_t *, const void *))                                        \
  X(int, crypto_aead_aes256gcm_decrypt_detached_afternm,                                                         \
    (uint8_t *, uint8_t *, const uint8_t *, unsigned long long, const uint8_t *, const uint8_t *,                \
     unsigned long long, const uint8_t *, const void *))                                                         \
  X(int, crypto_aead_chacha20poly1305_ietf_encrypt_detached,                                                     \
    (uint8_t *, uint8_t *, unsigned long long *, const uint8_t *, unsigned long long, const uint8_t *,           \
     unsigned long long, const uint8_t *, const uint8_t *, const uint8_t *))                                     \
  X(int, crypto_aead_chacha20poly1305_ietf_decrypt_detached,                                                     \
    (uint8_t *, uint8_t *, const uint8_t *, unsigned long long, const uint8_t *, const uint8_t *,                \
     unsigned long long, const uint8_t *, const uint8_t *))
#define DECLARE(result, name, arguments) static result(*name) arguments;
SYMBOLS(DECLARE)

enum { KEY_LEN = 32, STATE_LEN = 1024 }; /* the state has 512 octets so far; checked when opened */

struct na_key {
  _Alignas(CACHE_LINE) uint8_t state[STATE_LEN]; /* expanded for AES, the key itself for ChaCha20 */
  uint8_t salt[SALT_LEN];
};

static struct fynx_aead_ops offered[2];
static size_t offered_len;
static char version[160] = "not opened";
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static int opened;

static int na_key_put(const struct fynx_aead_ops *ops, void *where, const uint8_t *key, size_t key_len,
                      const uint8_t *salt) {
  if (key_len != KEY_LEN || salt == NULL) return -1;
  struct na_key *made = where;
  if (ops->encr_id == ENCR_CHACHA20_POLY1305) memcpy(made->state, key, KEY_LEN);
  if (ops->encr_id == ENCR_AES_GCM_16) crypto_aead_aes256gcm_beforenm(made->state, key);
  memcpy(made->salt, salt, SALT_LEN);
  return 0;
}

static void *na_key_new(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt) {
  return fynx_key_made(ops, key, key_len, salt);
}

static void na_key_free(void *key) {
  if (key == NULL) return;
  fynx_wipe(key, sizeof(struct na_key));
  free(key);
}

static void *na_thr_new(void *key) { return key; }

static void na_thr_free(void *thr) { (void)thr; }

static void na_sealed(struct fynx_packet *packet, int rc) {
  packet->rc = rc == 0 ? 0 : -1;
  if (rc != 0) fynx_wipe(packet->out, packet->len + TAG_LEN);
}

static void na_opened(struct fynx_packet *packet, int rc) {
  packet->rc = rc == 0 ? 0 : -1;
  if (rc != 0) fynx_wipe(packet->out, packet->len);
}

static void na_gcm_seal(void *thr, struct fynx_packet *packets, uint32_t n) {
  const struct na_key *key = thr;
  uint8_t nonce[NONCE_LEN];
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    fynx_nonce(nonce, key->salt, p->iv);
    na_sealed(p, crypto_aead_aes256gcm_encrypt_detached_afternm(p->out, p->out + p->len, NULL, p->in, p->len, p->aad,
                                                                 p->aad_len, NULL, nonce, key->state));
  }
}

static void na_gcm_open(void *thr, struct fynx_packet *packets, uint32_t n) {
  const struct na_key *key = thr;
  uint8_t nonce[NONCE_LEN];
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    fynx_nonce(nonce, key->salt, p->iv);
    na_opened(p, crypto_aead_aes256gcm_decrypt_detached_afternm(p->out, NULL, p->in, p->len, p->in + p->len, p->aad,
                                                                 p->aad_len, nonce, key->state));
  }
}

static void na_chacha_seal(void *thr, struct fynx_packet *packets, uint32_t n) {
  const struct na_key *key = thr;
  uint8_t nonce[NONCE_LEN];
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    fynx_nonce(nonce, key->salt, p->iv);
    na_sealed(p, crypto_aead_chacha20poly1305_ietf_encrypt_detached(p->out, p->out + p->len, NULL, p->in, p->len,
                                                                     p->aad, p->aad_len, NULL, nonce, key->state));
  }
}

static void na_chacha_open(void *thr, struct fynx_packet *packets, uint32_t n) {
  const struct na_key *key = thr;
  uint8_t nonce[NONCE_LEN];
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    fynx_nonce(nonce, key->salt, p->iv);
    na_opened(p, crypto_aead_chacha20poly1305_ietf_decrypt_detached(p->out, NULL, p->in, p->len, p->in + p->len,
                                                                     p->aad, p->aad_len, nonce, key->state));
  }
}

static void na_offer(const char *name, int encr_id, void (*seal)(void *, struct fynx_packet *, uint32_t),
                     void (*open)(void *, struct fynx_packet *, uint32_t)) {
  struct fynx_aead_ops *ops = &offered[offered_len++];
  *ops = fynx_aead("sodium", name, encr_id, KEY_LEN);
  ops->flags = FYNX_OPS_THREADSAFE_KEY;
  ops->key_new = na_key_new;
  ops->key_put = na_key_put;
  ops->key_room = sizeof(struct na_key);
  ops->key_free = na_key_free;
  ops->thr_new = na_thr_new;
  ops->thr_free = na_thr_free;
  ops->seal = seal;
  ops->open = open;
}

static int na_load(const char *path) {
  void *library = dlopen(path != NULL && *path != '\0' ? path : "libsodium.so.23", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(version, sizeof version, "not available: %s", dlerror());
    return 0;
  }
#define LOAD(result, name, arguments)                                       \
  if (!fynx_symbol(library, #name, &name, sizeof name)) {                   \
    snprintf(version, sizeof version, "not available: it lacks %s", #name); \
    return 0;                                                               \
  }
  SYMBOLS(LOAD)
  if (sodium_init() >= 0) return 1;
  snprintf(version, sizeof version, "not available: sodium_init failed");
  return 0;
}

int fynx_provider_open(const char *path) {
  pthread_mutex_lock(&opening);
  if (!opened && na_load(path)) {
    int aes = crypto_aead_aes256gcm_is_available() == 1 && crypto_aead_aes256gcm_statebytes() <= STATE_LEN;
    na_offer("chacha20poly1305", ENCR_CHACHA20_POLY1305, na_chacha_seal, na_chacha_open);
    if (aes) na_offer("aes256gcm16", ENCR_AES_GCM_16, na_gcm_seal, na_gcm_open);
    snprintf(version, sizeof version, "libsodium of PyNaCl (%s AES-256-GCM)", aes ? "with" : "without");
    opened = 1;
  }
  pthread_mutex_unlock(&opening);
  return opened ? 0 : -1;
}

uintptr_t fynx_provider_ops(int encr_id, int key_bits, int integ_id) {
  for (size_t i = 0; i < offered_len; i++) {
    int fixed = encr_id == ENCR_CHACHA20_POLY1305 && key_bits == 0; /* its transform carries no key length */
    if (offered[i].encr_id == encr_id && integ_id == 0 && (fixed || key_bits == 8 * KEY_LEN))
      return (uintptr_t)&offered[i];
  }
  return 0;
}

const char *fynx_provider_version(void) { return version; }
