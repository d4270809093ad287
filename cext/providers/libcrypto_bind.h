/* libcrypto_bind.h: how libcrypto.c reaches OpenSSL 3: its shapes, its functions by name, and its ciphers by two ways.
 *
 * Either the functions of the default provider, taken from its dispatch table (public since 3.0: provider(7)), or EVP
 * in the same clothes.
 */
#ifndef FYNX_LIBCRYPTO_BIND_H
#define FYNX_LIBCRYPTO_BIND_H

#include <strings.h>

#include "provider.h"

/* ------------------------------------------------------------------------------------------------- OpenSSL's shapes */

struct ossl_param {
  const char *key;
  unsigned int data_type;
  void *data;
  size_t data_size;
  size_t return_size;
};
struct ossl_dispatch {
  int function_id;
  void (*function)(void);
};
struct ossl_algorithm {
  const char *names; /* separated by colons */
  const char *properties;
  const struct ossl_dispatch *functions;
  const char *description;
};
enum { PARAM_UINT = 2, PARAM_OCTETS = 5, OP_CIPHER = 2 };
enum { F_NEWCTX = 1, F_EINIT = 2, F_DINIT = 3, F_UPDATE = 4, F_FINAL = 5, F_FREECTX = 7, F_GET = 10, F_SET = 11 };

#define SYMBOLS(X)                                                                                              \
  X(const char *, OpenSSL_version, (int))                                                                       \
  X(void *, OSSL_PROVIDER_load, (void *, const char *))                                                         \
  X(const struct ossl_algorithm *, OSSL_PROVIDER_query_operation, (const void *, int, int *))                   \
  X(void *, OSSL_PROVIDER_get0_provider_ctx, (const void *))                                                    \
  X(void *, EVP_CIPHER_fetch, (void *, const char *, const char *))                                             \
  X(void, EVP_CIPHER_free, (void *))                                                                            \
  X(void *, EVP_CIPHER_CTX_new, (void))                                                                         \
  X(void, EVP_CIPHER_CTX_free, (void *))                                                                        \
  X(int, EVP_CipherInit_ex2, (void *, const void *, const uint8_t *, const uint8_t *, int, const struct ossl_param *)) \
  X(int, EVP_CipherUpdate, (void *, uint8_t *, int *, const uint8_t *, int))                                    \
  X(int, EVP_CipherFinal_ex, (void *, uint8_t *, int *))                                                        \
  X(int, EVP_CIPHER_CTX_get_params, (void *, struct ossl_param *))                                              \
  X(int, EVP_CIPHER_CTX_set_params, (void *, const struct ossl_param *))                                        \
  X(int, SHA256_Init, (void *))                                                                                 \
  X(int, SHA256_Update, (void *, const void *, size_t))                                                         \
  X(int, SHA256_Final, (uint8_t *, void *))                                                                     \
  X(int, SHA384_Init, (void *))                                                                                 \
  X(int, SHA384_Final, (uint8_t *, void *))                                                                     \
  X(int, SHA512_Init, (void *))                                                                                 \
  X(int, SHA512_Update, (void *, const void *, size_t))                                                         \
  X(int, SHA512_Final, (uint8_t *, void *))
#define DECLARE(result, name, arguments) static result(*name) arguments;
SYMBOLS(DECLARE)

/* ---------------------------------------------------------------------------------------------------------- ciphers */

enum { BLOCK = 16, CCM_NONCE_LEN = 11 }; /* RFC 4309 section 4: 3 octets of salt */

/* A cipher of OpenSSL with the shape of its provider functions; through EVP, `evp_*` below stand in. */
struct lc_cipher {
  const char *name;
  const char *keyword;
  int encr_id;
  int key_len;
  int iv_len; /* as the library wants it: of an AEAD, salt and IV */
  int icv_len;
  void *origin;
  void *(*newctx)(void *origin);
  void (*freectx)(void *ctx);
  int (*einit)(void *ctx, const uint8_t *key, size_t, const uint8_t *iv, size_t, const struct ossl_param *);
  int (*dinit)(void *ctx, const uint8_t *key, size_t, const uint8_t *iv, size_t, const struct ossl_param *);
  int (*update)(void *ctx, uint8_t *out, size_t *outl, size_t outsize, const uint8_t *in, size_t len);
  int (*final)(void *ctx, uint8_t *out, size_t *outl, size_t outsize);
  int (*get)(void *ctx, struct ossl_param *);
  int (*set)(void *ctx, const struct ossl_param *);
};

#define AEAD(its_name, word, id, octets, nonce, icv) \
  {.name = its_name, .keyword = word, .encr_id = id, .key_len = octets, .iv_len = nonce, .icv_len = icv}
#define GCM(bits) AEAD("AES-" #bits "-GCM", "aes" #bits "gcm16", ENCR_AES_GCM_16, bits / 8, NONCE_LEN, TAG_LEN)
#define CCM(bits, icv) AEAD("AES-" #bits "-CCM", "aes" #bits "ccm" #icv, ENCR_AES_CCM_##icv, bits / 8, CCM_NONCE_LEN, icv)

static struct lc_cipher ciphers[] = {
    GCM(128),
    GCM(192),
    GCM(256),
    CCM(128, 8),
    CCM(128, 12),
    CCM(128, 16),
    CCM(192, 8),
    CCM(192, 12),
    CCM(192, 16),
    CCM(256, 8),
    CCM(256, 12),
    CCM(256, 16),
    AEAD("ChaCha20-Poly1305", "chacha20poly1305", ENCR_CHACHA20_POLY1305, 32, NONCE_LEN, TAG_LEN),
    {.name = "AES-128-CBC", .keyword = "aes128", .encr_id = ENCR_AES_CBC, .key_len = 16, .iv_len = BLOCK},
    {.name = "AES-192-CBC", .keyword = "aes192", .encr_id = ENCR_AES_CBC, .key_len = 24, .iv_len = BLOCK},
    {.name = "AES-256-CBC", .keyword = "aes256", .encr_id = ENCR_AES_CBC, .key_len = 32, .iv_len = BLOCK},
    {.name = "NULL", .keyword = "null", .encr_id = ENCR_NULL},
};

/* ------------------------------------------------------------------------------------------------------ through EVP */

/* EVP with the shape of a provider's functions. */
struct lc_evp {
  void *ctx;
};

static void evp_freectx(void *ctx) {
  struct lc_evp *evp = ctx;
  EVP_CIPHER_CTX_free(evp->ctx);
  free(evp);
}

static void *evp_newctx(void *origin) {
  struct lc_evp *evp = fynx_aligned(sizeof *evp);
  if (evp == NULL) return NULL;
  evp->ctx = EVP_CIPHER_CTX_new();
  if (evp->ctx != NULL && EVP_CipherInit_ex2(evp->ctx, origin, NULL, NULL, 1, NULL) == 1) return evp;
  EVP_CIPHER_CTX_free(evp->ctx);
  free(evp);
  return NULL;
}

static int evp_init(void *ctx, const uint8_t *key, const uint8_t *iv, const struct ossl_param *params, int seal) {
  struct lc_evp *evp = ctx;
  return EVP_CipherInit_ex2(evp->ctx, NULL, key, iv, seal, params);
}

static int evp_einit(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *iv, size_t iv_len,
                     const struct ossl_param *params) {
  (void)key_len, (void)iv_len;
  return evp_init(ctx, key, iv, params, 1);
}

static int evp_dinit(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *iv, size_t iv_len,
                     const struct ossl_param *params) {
  (void)key_len, (void)iv_len;
  return evp_init(ctx, key, iv, params, 0);
}

static int evp_update(void *ctx, uint8_t *out, size_t *outl, size_t outsize, const uint8_t *in, size_t len) {
  struct lc_evp *evp = ctx;
  int done = 0, good = EVP_CipherUpdate(evp->ctx, out, &done, in, (int)len);
  (void)outsize;
  *outl = (size_t)done;
  return good;
}

static int evp_final(void *ctx, uint8_t *out, size_t *outl, size_t outsize) {
  struct lc_evp *evp = ctx;
  uint8_t none[BLOCK];
  int done = 0, good = EVP_CipherFinal_ex(evp->ctx, none, &done);
  (void)out, (void)outsize;
  *outl = (size_t)done;
  return good;
}

static int evp_get(void *ctx, struct ossl_param *params) {
  return EVP_CIPHER_CTX_get_params(((struct lc_evp *)ctx)->ctx, params);
}

static int evp_set(void *ctx, const struct ossl_param *params) {
  return EVP_CIPHER_CTX_set_params(((struct lc_evp *)ctx)->ctx, params);
}

static int lc_bind_evp(struct lc_cipher *cipher) {
  void *origin = EVP_CIPHER_fetch(NULL, cipher->name, NULL);
  cipher->origin = origin;
  cipher->newctx = evp_newctx;
  cipher->freectx = evp_freectx;
  cipher->einit = evp_einit;
  cipher->dinit = evp_dinit;
  cipher->update = evp_update;
  cipher->final = evp_final;
  cipher->get = evp_get;
  cipher->set = evp_set;
  return origin != NULL;
}

/* --------------------------------------------------------------------------------------- through the dispatch table */

static int lc_named(const char *names, const char *name) {
  size_t len = strlen(name);
  for (const char *at = names; at != NULL; at = strchr(at, ':')) {
    if (*at == ':') at++;
    if (strncasecmp(at, name, len) == 0 && (at[len] == '\0' || at[len] == ':')) return 1;
  }
  return 0;
}

static void lc_take(void *slot, const struct ossl_dispatch *entry) { memcpy(slot, &entry->function, sizeof(void *)); }

static void lc_bind_one(struct lc_cipher *cipher, const struct ossl_dispatch *entry) {
  switch (entry->function_id) {
    case F_NEWCTX: lc_take(&cipher->newctx, entry); break;
    case F_FREECTX: lc_take(&cipher->freectx, entry); break;
    case F_EINIT: lc_take(&cipher->einit, entry); break;
    case F_DINIT: lc_take(&cipher->dinit, entry); break;
    case F_UPDATE: lc_take(&cipher->update, entry); break;
    case F_FINAL: lc_take(&cipher->final, entry); break;
    case F_GET: lc_take(&cipher->get, entry); break;
    case F_SET: lc_take(&cipher->set, entry); break;
    default: break;
  }
}

static int lc_bind_dispatch(struct lc_cipher *cipher, const struct ossl_algorithm *algorithms, void *origin) {
  for (; algorithms != NULL && algorithms->names != NULL; algorithms++)
    if (lc_named(algorithms->names, cipher->name)) break;
  if (algorithms == NULL || algorithms->names == NULL) return 0;
  cipher->origin = origin;
  for (const struct ossl_dispatch *entry = algorithms->functions; entry->function_id != 0; entry++)
    lc_bind_one(cipher, entry);
  return cipher->newctx && cipher->freectx && cipher->einit && cipher->dinit && cipher->update && cipher->final &&
         cipher->get && cipher->set;
}

#endif
