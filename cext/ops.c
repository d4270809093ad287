/* ops.c: one packet, or a loop of packets, through a provider's operations: known answers and measurements. */
#include <stdlib.h>
#include <time.h>

#include "core.h"

struct session {
  const struct fynx_aead_ops *ops;
  void *key;
  void *thr;
};

static void session_end(struct session *s) {
  if (s->thr) s->ops->thr_free(s->thr);
  if (s->key) s->ops->key_free(s->key);
}

static int session_begin(struct session *s, uintptr_t address, const uint8_t *key, const uint8_t *salt) {
  *s = (struct session){.ops = (const struct fynx_aead_ops *)address};
  if (!s->ops || s->ops->abi != FYNX_ABI) return FYNX_E_ARGUMENT;
  s->key = s->ops->key_new(s->ops, key, s->ops->key_len, salt);
  if (s->key) s->thr = s->ops->thr_new(s->key);
  if (s->thr) return 0;
  session_end(s);
  return FYNX_E_KEY;
}

static int one(bool seal, uintptr_t ops, const uint8_t *key, const uint8_t *salt, struct fynx_packet *packet) {
  struct session s;
  int rc = session_begin(&s, ops, key, salt);
  if (rc) return rc;
  (seal ? s.ops->seal : s.ops->open)(s.thr, packet, 1);
  session_end(&s);
  return packet->rc ? FYNX_E_KEY : 0;
}

int fynx_ops_seal1(uintptr_t ops, const uint8_t *key, const uint8_t *salt, const uint8_t *iv, const uint8_t *aad,
                   uint32_t aad_len, const uint8_t *in, uint32_t len, uint8_t *out) {
  struct fynx_packet packet = {.in = in, .out = out, .len = len, .aad = aad, .aad_len = aad_len, .iv = iv};
  return one(true, ops, key, salt, &packet);
}

int fynx_ops_open1(uintptr_t ops, const uint8_t *key, const uint8_t *salt, const uint8_t *iv, const uint8_t *aad,
                   uint32_t aad_len, const uint8_t *in, uint32_t len, uint8_t *out) {
  struct fynx_packet packet = {.in = in, .out = out, .len = len, .aad = aad, .aad_len = aad_len, .iv = iv};
  return one(false, ops, key, salt, &packet);
}

int fynx_ops_batch(uintptr_t ops, const uint8_t *key, const uint8_t *salt, struct fynx_packet *packets, uint32_t n,
                   int opening) {
  struct session s;
  int rc = session_begin(&s, ops, key, salt);
  if (rc) return rc;
  (opening ? s.ops->open : s.ops->seal)(s.thr, packets, n);
  session_end(&s);
  return 0;
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t timed(struct session *s, struct fynx_packet *packets, uint8_t *ivs, uint32_t batch, uint64_t count) {
  uint64_t sequence = 0;
  int64_t begin = nanoseconds();
  for (uint64_t done = 0; done < count; done += batch) {
    for (uint32_t i = 0; i < batch; i++) fynx_put64(ivs + 16u * i + 8, ++sequence);
    s->ops->seal(s->thr, packets, batch);
  }
  return nanoseconds() - begin;
}

int64_t fynx_bench_loop(uintptr_t ops, const uint8_t *key, const uint8_t *salt, uint32_t size, uint32_t batch,
                        uint64_t count) {
  struct session s;
  if (batch == 0 || batch > FYNX_BATCH || size > FYNX_INNER_MAX) return FYNX_E_ARGUMENT;
  int rc = session_begin(&s, ops, key, salt);
  if (rc) return rc;
  size_t stride = fynx_align(size + FYNX_TAIL, 64) | 64;
  uint8_t *memory = calloc(batch, stride), *ivs = calloc(batch, 16);
  struct fynx_packet packets[FYNX_BATCH];
  uint8_t aad[12] = {0};
  int64_t taken = FYNX_E_MEMORY;
  if (memory && ivs) {
    for (uint32_t i = 0; i < batch; i++) {
      uint8_t *p = memory + i * stride;
      packets[i] = (struct fynx_packet){.in = p, .out = p, .len = size, .aad = aad, .aad_len = 8,
                                        .iv = ivs + 16u * i + (s.ops->iv_len == 8 ? 8 : 0)};
    }
    taken = timed(&s, packets, ivs, batch, count);
  }
  free(memory);
  free(ivs);
  session_end(&s);
  return taken;
}

int fynx_window_run(uint32_t size, int esn, const uint64_t *seqs, uint32_t n, uint8_t *accepted, uint64_t *inferred,
                    uint64_t start) {
  struct fynx_window window;
  if (size < FYNX_WINDOW_MIN || size > FYNX_WINDOW_MAX) return FYNX_E_ARGUMENT;
  uint64_t *bits = malloc(sizeof *bits * fynx_window_words(size));
  if (!bits) return FYNX_E_MEMORY;
  fynx_window_init(&window, size, bits);
  window.top = start;
  for (uint32_t i = 0; i < n; i++) {
    inferred[i] = esn ? fynx_window_infer(&window, (uint32_t)seqs[i], true) : seqs[i];
    accepted[i] = fynx_window_check(&window, inferred[i]) && (!esn || inferred[i] == seqs[i]);
    if (accepted[i]) accepted[i] = fynx_window_commit(&window, inferred[i]);
  }
  free(bits);
  return 0;
}
