/* ipsecmb.c: provider on Intel's multi-buffer library (libIPSec_MB.so.1): AES-GCM, and ChaCha20-Poly1305 as jobs.
 *
 * AES-GCM calls the functions that the library exports for each instruction set, chosen by what the processor has and
 * taken only if they give the known answers: a key once made is read only, and no manager is needed. ChaCha20-Poly1305
 * is faster as a job than direct; jobs need a manager, and each operating-system thread gets its own.
 */
#include "provider.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* -------------------------------------------------------------------------------------------- the library's shapes */

enum { GCM_KEY_SIZE = 4096, GCM_CONTEXT_SIZE = 256 }; /* 1008 and 96 octets in 1.3; more than any release has */

typedef void gcm_pre(const void *key, void *expanded);
typedef void gcm_crypt(const void *expanded, void *context, uint8_t *out, const uint8_t *in, uint64_t len,
                       const uint8_t *iv, const uint8_t *aad, uint64_t aad_len, uint8_t *tag, uint64_t tag_len);

/* A job of 1.3, the release whose layout was looked at; another release does AES-GCM alone. */
struct mb_job {
  const void *enc_keys, *dec_keys;
  uint64_t key_len;
  const uint8_t *src;
  uint8_t *dst;
  uint64_t cipher_start, cipher_len, hash_start, hash_len;
  const uint8_t *iv;
  uint64_t iv_len;
  uint8_t *tag;
  uint64_t tag_len;
  const void *aad;
  uint64_t aad_len;
  void *aead_context;
  int status, cipher_mode, direction, hash_alg, chain_order;
};
enum { CIPHER_CHACHA20_POLY1305 = 19, AUTH_CHACHA20_POLY1305 = 29, ENCRYPT = 1, DECRYPT = 2, COMPLETED = 3 };
enum { ORDER_CIPHER_HASH = 1, ORDER_HASH_CIPHER = 2, JOBS_VERSION = 0x0103 };

struct mb_mgr { /* its beginning, which the library promises to keep */
  uint64_t flags, features, reserved[5];
  uint32_t used_arch;
  int error;
  struct mb_job *(*get_next_job)(struct mb_mgr *);
  struct mb_job *(*submit_job)(struct mb_mgr *);
  struct mb_job *(*submit_job_nocheck)(struct mb_mgr *);
  struct mb_job *(*get_completed_job)(struct mb_mgr *);
  struct mb_job *(*flush_job)(struct mb_mgr *);
};

static struct mb_mgr *(*alloc_mb_mgr)(uint64_t);
static void (*free_mb_mgr)(struct mb_mgr *);
static void (*init_mb_mgr_auto)(struct mb_mgr *, int *);
static unsigned (*imb_get_version)(void);
static const char *(*imb_get_version_str)(void);

/* --------------------------------------------------------------------------------------------------------- AES-GCM */

struct mb_gcm {
  const char *name;
  int key_len;
  gcm_pre *pre;
  gcm_crypt *seal, *open;
};
static struct mb_gcm gcms[] = {{.name = "aes128gcm16", .key_len = 16},
                               {.name = "aes192gcm16", .key_len = 24},
                               {.name = "aes256gcm16", .key_len = 32}};

struct mb_key {
  const struct mb_gcm *gcm;
  uint8_t salt[SALT_LEN];
  _Alignas(CACHE_LINE) uint8_t expanded[]; /* ChaCha20: the key itself */
};
static size_t expanded_size = 64; /* as much as the library writes, found when it is opened */

static struct fynx_aead_ops offered[4];
static size_t offered_len;
static char version[160] = "not opened";
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static int opened;
static pthread_key_t managers;

static int mb_key_put(const struct fynx_aead_ops *ops, void *where, const uint8_t *key, size_t key_len,
                      const uint8_t *salt) {
  struct mb_key *made = where;
  if (key_len != ops->key_len || salt == NULL) return -1;
  made->gcm = ops->user;
  memcpy(made->salt, salt, SALT_LEN);
  if (made->gcm != NULL) made->gcm->pre(key, made->expanded);
  else memcpy(made->expanded, key, key_len);
  return 0;
}

static void *mb_key_new(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt) {
  return fynx_key_made(ops, key, key_len, salt);
}

static void mb_key_free(void *key) {
  if (key == NULL) return;
  fynx_wipe(key, sizeof(struct mb_key) + expanded_size);
  free(key);
}

static void *mb_thr_new(void *key) { return key; }

static void mb_thr_free(void *thr) { (void)thr; }

/* Compares the computed tag with the received one and settles the packet. */
static void mb_settle(struct fynx_packet *packet, const uint8_t *tag, const uint8_t *received) {
  packet->rc = fynx_differ(tag, received, TAG_LEN) == 0 ? 0 : -1;
  if (packet->rc != 0) fynx_wipe(packet->out, packet->len);
}

static void mb_gcm_seal(void *thr, struct fynx_packet *packets, uint32_t n) {
  const struct mb_key *key = thr;
  _Alignas(CACHE_LINE) uint8_t context[GCM_CONTEXT_SIZE];
  uint8_t nonce[16] = {0};
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    fynx_nonce(nonce, key->salt, p->iv);
    key->gcm->seal(key->expanded, context, p->out, p->in, p->len, nonce, p->aad, p->aad_len, p->out + p->len, TAG_LEN);
    p->rc = 0;
  }
  fynx_wipe(context, sizeof context);
}

static void mb_gcm_open(void *thr, struct fynx_packet *packets, uint32_t n) {
  const struct mb_key *key = thr;
  _Alignas(CACHE_LINE) uint8_t context[GCM_CONTEXT_SIZE];
  uint8_t nonce[16] = {0}, tag[TAG_LEN];
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    fynx_nonce(nonce, key->salt, p->iv);
    key->gcm->open(key->expanded, context, p->out, p->in, p->len, nonce, p->aad, p->aad_len, tag, TAG_LEN);
    mb_settle(p, tag, p->in + p->len);
  }
  fynx_wipe(context, sizeof context);
}

/* ----------------------------------------------------------------------------------------------- ChaCha20-Poly1305 */

static void mb_manager_free(void *manager) { free_mb_mgr(manager); }

/* The manager of this thread, made at its first batch. */
static struct mb_mgr *mb_manager(void) {
  struct mb_mgr *manager = pthread_getspecific(managers);
  if (manager != NULL) return manager;
  manager = alloc_mb_mgr(0);
  if (manager == NULL) return NULL;
  int arch = 0;
  init_mb_mgr_auto(manager, &arch);
  if (pthread_setspecific(managers, manager) == 0) return manager;
  free_mb_mgr(manager);
  return NULL;
}

/* One job, waited for: this cipher completes in submit, and flush is there should a release queue it. */
static int mb_job_run(struct mb_mgr *manager, const struct mb_key *key, const struct fynx_packet *packet, int direction,
                      uint8_t *tag) {
  uint8_t nonce[NONCE_LEN];
  fynx_nonce(nonce, key->salt, packet->iv);
  struct mb_job *job = manager->get_next_job(manager);
  job->enc_keys = job->dec_keys = key->expanded;
  job->key_len = 32;
  job->src = packet->in;
  job->dst = packet->out;
  job->cipher_start = job->hash_start = 0;
  job->cipher_len = job->hash_len = packet->len;
  job->iv = nonce;
  job->iv_len = NONCE_LEN;
  job->tag = tag;
  job->tag_len = TAG_LEN;
  job->aad = packet->aad;
  job->aad_len = packet->aad_len;
  job->cipher_mode = CIPHER_CHACHA20_POLY1305;
  job->hash_alg = AUTH_CHACHA20_POLY1305;
  job->direction = direction;
  job->chain_order = direction == ENCRYPT ? ORDER_CIPHER_HASH : ORDER_HASH_CIPHER;
  struct mb_job *done = manager->submit_job(manager);
  if (done == NULL) done = manager->flush_job(manager);
  return done == job && done->status == COMPLETED;
}

static void mb_chacha_seal(void *thr, struct fynx_packet *packets, uint32_t n) {
  struct mb_mgr *manager = mb_manager();
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    int good = manager != NULL && mb_job_run(manager, thr, p, ENCRYPT, p->out + p->len);
    p->rc = good ? 0 : -1;
    if (!good) fynx_wipe(p->out, p->len + TAG_LEN);
  }
}

static void mb_chacha_open(void *thr, struct fynx_packet *packets, uint32_t n) {
  struct mb_mgr *manager = mb_manager();
  uint8_t tag[TAG_LEN];
  for (struct fynx_packet *p = packets; p < packets + n; p++) {
    if (manager != NULL && mb_job_run(manager, thr, p, DECRYPT, tag)) {
      mb_settle(p, tag, p->in + p->len);
      continue;
    }
    p->rc = -1;
    fynx_wipe(p->out, p->len);
  }
}

/* --------------------------------------------------------------------------------------- the library, opened at run time */

/* Best first; the newest AMD and Intel processors have them all. */
static int mb_has(size_t set) {
#if defined(__x86_64__)
  int aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.2");
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
  int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  unsigned a = 0, b = 0, c = 0, d = 0; /* leaf 7: VAES is bit 9 of c, VPCLMULQDQ bit 10 */
  int vaes = avx512 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 9 & 3) == 3;
  const int has[] = {vaes, avx512, avx2, __builtin_cpu_supports("avx"), 1};
  return aes && has[set];
#else
  (void)set;
  return 0;
#endif
}
static const char *const sets[] = {"vaes_avx512", "avx512", "avx_gen4", "avx_gen2", "sse"};

/* Test cases 2, 8 and 14 of the GCM specification: everything zero, one block. */
static int mb_gcm_known(const struct mb_gcm *gcm, size_t which) {
  static const uint8_t answers[3][32] = {
      {0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92, 0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78,
       0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd, 0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf},
      {0x98, 0xe7, 0x24, 0x7c, 0x07, 0xf0, 0xfe, 0x41, 0x1c, 0x26, 0x7e, 0x43, 0x84, 0xb0, 0xf6, 0x00,
       0x2f, 0xf5, 0x8d, 0x80, 0x03, 0x39, 0x27, 0xab, 0x8e, 0xf4, 0xd4, 0x58, 0x75, 0x14, 0xf0, 0xfb},
      {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18,
       0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19}};
  _Alignas(CACHE_LINE) uint8_t expanded[GCM_KEY_SIZE] = {0}, context[GCM_CONTEXT_SIZE] = {0};
  uint8_t zero[32] = {0}, out[16], tag[TAG_LEN];
  gcm->pre(zero, expanded);
  gcm->seal(expanded, context, out, zero, sizeof out, zero, zero, 0, tag, TAG_LEN);
  if (memcmp(out, answers[which], 16) != 0 || memcmp(tag, answers[which] + 16, 16) != 0) return 0;
  gcm->open(expanded, context, out, out, sizeof out, zero, zero, 0, tag, TAG_LEN);
  return memcmp(out, zero, 16) == 0 && memcmp(tag, answers[which] + 16, 16) == 0;
}

/* How many octets of an expanded key the library writes, in whole cache lines: whatever lay there before is changed. */
static size_t mb_gcm_written(const struct mb_gcm *gcm) {
  static const uint8_t key[32] = {1};
  _Alignas(CACHE_LINE) uint8_t made[2][GCM_KEY_SIZE];
  size_t last = GCM_KEY_SIZE;
  for (int i = 0; i < 2; i++) {
    memset(made[i], i ? 0xff : 0, sizeof made[i]);
    gcm->pre(key, made[i]);
  }
  while (last > 0 && made[0][last - 1] != made[1][last - 1]) last--;
  return (last + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static int mb_gcm_bind(void *library, struct mb_gcm *gcm, size_t which, const char *set) {
  char pre[64], seal[64], open[64];
  int bits = 8 * gcm->key_len;
  snprintf(pre, sizeof pre, "aes_gcm_pre_%d_%s", bits, set);
  snprintf(seal, sizeof seal, "aes_gcm_enc_%d_%s", bits, set);
  snprintf(open, sizeof open, "aes_gcm_dec_%d_%s", bits, set);
  return fynx_symbol(library, pre, &gcm->pre, sizeof gcm->pre) &&
         fynx_symbol(library, seal, &gcm->seal, sizeof gcm->seal) &&
         fynx_symbol(library, open, &gcm->open, sizeof gcm->open) && mb_gcm_known(gcm, which);
}

static void mb_offer(const char *name, int encr_id, int key_len, struct mb_gcm *gcm) {
  struct fynx_aead_ops *ops = &offered[offered_len++];
  *ops = fynx_aead("ipsecmb", name, encr_id, (size_t)key_len);
  ops->flags = FYNX_OPS_THREADSAFE_KEY;
  ops->key_new = mb_key_new;
  ops->key_put = mb_key_put;
  ops->key_room = sizeof(struct mb_key) + expanded_size;
  ops->key_free = mb_key_free;
  ops->thr_new = mb_thr_new;
  ops->thr_free = mb_thr_free;
  ops->seal = gcm == NULL ? mb_chacha_seal : mb_gcm_seal;
  ops->open = gcm == NULL ? mb_chacha_open : mb_gcm_open;
  ops->user = gcm;
}

/* The best instruction set whose functions all stand and answer right; NULL when there is none. */
static const char *mb_gcm_choose(void *library) {
  for (size_t set = 0; set < sizeof sets / sizeof *sets; set++) {
    int good = mb_has(set);
    for (size_t i = 0; good && i < sizeof gcms / sizeof *gcms; i++)
      good = mb_gcm_bind(library, &gcms[i], i, sets[set]);
    if (!good) continue;
    for (size_t i = 0; i < sizeof gcms / sizeof *gcms; i++) {
      size_t size = mb_gcm_written(&gcms[i]);
      if (size > expanded_size) expanded_size = size;
    }
    for (size_t i = 0; i < sizeof gcms / sizeof *gcms; i++)
      mb_offer(gcms[i].name, ENCR_AES_GCM_16, gcms[i].key_len, &gcms[i]);
    return sets[set];
  }
  return NULL;
}

static int mb_jobs(void *library) {
  return mb_has(sizeof sets / sizeof *sets - 1) && imb_get_version() >> 8 == JOBS_VERSION &&
         fynx_symbol(library, "alloc_mb_mgr", &alloc_mb_mgr, sizeof alloc_mb_mgr) &&
         fynx_symbol(library, "free_mb_mgr", &free_mb_mgr, sizeof free_mb_mgr) &&
         fynx_symbol(library, "init_mb_mgr_auto", &init_mb_mgr_auto, sizeof init_mb_mgr_auto) &&
         pthread_key_create(&managers, mb_manager_free) == 0;
}

static int mb_load(const char *path) {
  void *library = dlopen(path != NULL && *path != '\0' ? path : "libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(version, sizeof version, "not available: %s", dlerror());
    return 0;
  }
  if (!fynx_symbol(library, "imb_get_version", &imb_get_version, sizeof imb_get_version) ||
      !fynx_symbol(library, "imb_get_version_str", &imb_get_version_str, sizeof imb_get_version_str)) {
    snprintf(version, sizeof version, "not available: it does not tell its version");
    return 0;
  }
  const char *set = mb_gcm_choose(library);
  int jobs = mb_jobs(library);
  if (jobs) mb_offer("chacha20poly1305", ENCR_CHACHA20_POLY1305, 32, NULL);
  snprintf(version, sizeof version, "%s (AES-GCM: %s, ChaCha20-Poly1305: %s)", imb_get_version_str(),
           set == NULL ? "none" : set, jobs ? "jobs" : "none");
  return 1;
}

int fynx_provider_open(const char *path) {
  pthread_mutex_lock(&opening);
  if (!opened) opened = mb_load(path);
  pthread_mutex_unlock(&opening);
  return opened ? 0 : -1;
}

uintptr_t fynx_provider_ops(int encr_id, int key_bits, int integ_id) {
  for (size_t i = 0; i < offered_len; i++) {
    int fixed = encr_id == ENCR_CHACHA20_POLY1305 && key_bits == 0; /* its transform carries no key length */
    if (offered[i].encr_id == encr_id && integ_id == 0 && (fixed || key_bits == 8 * offered[i].key_len))
      return (uintptr_t)&offered[i];
  }
  return 0;
}

const char *fynx_provider_version(void) { return version; }
