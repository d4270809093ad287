/* null.c: a cipher that does nothing, in the shape of AES-GCM: the yardstick for all that is not the cipher. */
#include "fynx.h"

static uint8_t nothing;

static void *key_new(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt) {
  (void)ops, (void)key, (void)key_len, (void)salt;
  return &nothing;
}

static void nop(void *object) { (void)object; }

static void *thr_new(void *key) { return key; }

static void pass(void *thr, struct fynx_packet *packets, uint32_t n) {
  (void)thr;
  for (uint32_t i = 0; i < n; i++) packets[i].rc = 0;
}

static const struct fynx_aead_ops ops = {
    .abi = FYNX_ABI, .size = sizeof ops, .name = "null", .provider = "bench", .encr_id = 20, .key_len = 16,
    .salt_len = 4, .iv_len = 8, .icv_len = 16, .block = 4, .flags = FYNX_OPS_THREADSAFE_KEY, .key_new = key_new,
    .key_free = nop, .thr_new = thr_new, .thr_free = nop, .seal = pass, .open = pass};

const struct fynx_aead_ops *bench_null_ops(void) { return &ops; }
