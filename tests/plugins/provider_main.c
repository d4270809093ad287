/* provider_main.c: drives a provider without Python, for the sanitizers: every ops, lengths around every stride, forged
 * packets, threads. Buffers have the exact size, so that a single octet beyond is seen. Prints one line per ops.
 */
#include "provider.h"

enum { THREADS = 4, ROUNDS = 40, MOST = 1500 };

struct suite {
  int encr_id, key_bits, integ_id;
};
static const struct suite suites[] = {
    {20, 128, 0}, {20, 192, 0}, {20, 256, 0}, {28, 0, 0},    {12, 128, 12}, {12, 128, 13}, {12, 128, 14}, {12, 192, 12},
    {12, 192, 13}, {12, 192, 14}, {12, 256, 12}, {12, 256, 13}, {12, 256, 14}, {11, 0, 12},   {11, 0, 13},   {11, 0, 14}};

struct job {
  const struct fynx_aead_ops *ops;
  void *key;
  int failed;
};

static int once(const struct fynx_aead_ops *ops, void *thread, uint32_t len, uint32_t aad_len, int in_place) {
  size_t icv_len = ops->icv_len;
  uint8_t *plain = malloc(len + 1), *sealed = malloc(len + icv_len), *back = malloc(len + icv_len);
  uint8_t *aad = malloc(aad_len), *iv = malloc((size_t)ops->iv_len + 1);
  int failed = 0;
  if (!plain || !sealed || !back || !aad || !iv) abort();
  memset(plain, 7, len);
  memset(aad, 3, aad_len);
  memset(iv, (int)(len & 255), ops->iv_len);
  if (in_place) memcpy(sealed, plain, len);
  struct fynx_packet packet = {in_place ? sealed : plain, sealed, len, aad_len, aad, iv, 9, 0};
  ops->seal(thread, &packet, 1);
  failed |= packet.rc;
  memcpy(back, sealed, len + icv_len);
  packet = (struct fynx_packet){in_place ? back : sealed, back, len, aad_len, aad, iv, 9, 0};
  ops->open(thread, &packet, 1);
  failed |= packet.rc | memcmp(back, plain, len);
  sealed[len + icv_len - 1] ^= 1;
  packet = (struct fynx_packet){sealed, back, len, aad_len, aad, iv, 0, 0};
  ops->open(thread, &packet, 1);
  failed |= packet.rc == 0;
  for (uint32_t i = 0; i < len; i++) failed |= back[i];
  free(plain), free(sealed), free(back), free(aad), free(iv);
  return failed;
}

static void *work(void *argument) {
  struct job *job = argument;
  uint32_t block = job->ops->block < 16 ? 1 : 16;
  void *thread = job->ops->thr_new(job->key);
  if (thread == NULL) abort();
  for (uint32_t round = 0; round < ROUNDS; round++) {
    uint32_t len = round * 37 % MOST;
    job->failed |= once(job->ops, thread, len - len % block, round % 2 ? 8 : 12, round % 3 == 0);
  }
  job->failed |= once(job->ops, thread, MOST - MOST % block, 8, 1) | once(job->ops, thread, 0, 12, 0);
  job->ops->thr_free(thread);
  return NULL;
}

static int exercise(const struct fynx_aead_ops *ops) {
  uint8_t material[128], salt[SALT_LEN] = {1, 2, 3, 4};
  struct job jobs[THREADS];
  pthread_t threads[THREADS];
  int failed = 0;
  memset(material, 5, sizeof material);
  void *key = ops->key_new(ops, material, ops->key_len, salt);
  if (key == NULL) return 1;
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (struct job){ops, key, 0};
    if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0) abort();
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    failed |= jobs[i].failed;
  }
  ops->key_free(key);
  return failed;
}

int main(void) {
  int failed = fynx_provider_open("");
  printf("version %s\n", fynx_provider_version());
  for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
    uintptr_t address = fynx_provider_ops(suites[i].encr_id, suites[i].key_bits, suites[i].integ_id);
    if (address == 0) continue;
    const struct fynx_aead_ops *ops = (const void *)address;
    int bad = exercise(ops);
    printf("%s %s\n", bad ? "FAILED" : "ok", ops->name);
    failed |= bad;
  }
  return failed != 0;
}
