/* fuzz_aggfrag.c: libFuzzer on AGGFRAG payloads (RFC 9347): any octets, any order; what comes out is one IP packet each. */
#include "iptfs.h"
#include "util.h"
#include "world.h"

static uint64_t taken;

static void take(struct fynx_agg_sink *sink, uint8_t *packet, uint32_t len, bool kept) {
  (void)sink, (void)kept;
  CHECK(len >= 20 && len <= 65535);
  CHECK(packet[0] >> 4 == 4 ? fynx_be16(packet + 2) == len : packet[0] >> 4 == 6 && fynx_be16(packet + 4) + 40u == len);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < len; i++) sum += packet[i]; /* each octet can be read */
  taken += sum;
}

static void lost(struct fynx_agg_sink *sink, enum fynx_verdict why) {
  (void)sink;
  CHECK(why < FYNX_DROP_COUNT);
}

/* The input is a list of payloads: length (2 octets), step of the sequence number (1 octet, signed), octets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fynx_agg_sink sink = {take, lost};
  struct fynx_agg_in *a = fynx_agg_new();
  uint64_t sequence = 4;
  CHECK(a);
  for (size_t at = 0; size - at > 3;) {
    uint32_t want = fynx_be16(data + at), have = want < size - at - 3 ? want : (uint32_t)(size - at - 3);
    int8_t step = (int8_t)data[at + 2];
    uint8_t *payload = malloc(have + 1); /* by itself, so that a read beyond it is seen */
    CHECK(payload);
    memcpy(payload, data + at + 3, have);
    sequence = step == INT8_MIN ? sequence << 8 : sequence + (uint64_t)(int64_t)step;
    if (!sequence || sequence > UINT32_MAX) sequence = 4;
    fynx_agg_open(a, sequence, payload, have, &sink);
    free(payload);
    at += 3 + have;
  }
  fynx_agg_free(a);
  return 0;
}
