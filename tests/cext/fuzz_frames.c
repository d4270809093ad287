/* fuzz_frames.c: libFuzzer on the cutting and joining of frames: nothing is read or written outside, and what was joined
 * is cut again into as many packets. */
#include "util.h"
#include "vnet.h"
#include "world.h"

static uint8_t room[1 << 22], again[1 << 22];

static uint32_t records(const uint8_t *data, size_t size) {
  uint32_t n = 0;
  for (size_t at = 0; at < size; n++) {
    uint32_t length;
    memcpy(&length, data + at, sizeof length);
    at += 4 + fynx_align(length, 4);
  }
  return n;
}

static void joined(const uint8_t *data, size_t size) {
  uint32_t lengths[80], n = 0, back = 0;
  static uint8_t packets[1 << 20];
  size_t put = 0;
  while (n < 80 && size > 2) {
    uint32_t want = data[0] == 0xff ? 1400 : data[0], have = (uint32_t)(size - 2 < want ? size - 2 : want);
    uint32_t times = data[1] % 8u + 1;
    for (; times && n < 80; times--) {
      memcpy(packets + put, data + 2, have);
      put += lengths[n++] = have;
    }
    data += 2 + have;
    size -= 2 + have;
  }
  size_t made = fynx_join_run(packets, lengths, n, 1, room, sizeof room);
  for (size_t at = 0; at < made;) {
    uint32_t length;
    memcpy(&length, room + at, sizeof length);
    CHECK(length >= sizeof(struct fynx_vnet));
    const uint8_t *frame = room + at + 4;
    uint32_t octets = length - (uint32_t)sizeof(struct fynx_vnet);
    size_t cut = fynx_split_run(frame, frame + sizeof(struct fynx_vnet), octets, again, sizeof again);
    back += octets ? records(again, cut) : 1;
    at += 4 + fynx_align(length, 4);
  }
  CHECK(back == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint32_t head = sizeof(struct fynx_vnet);
  if (size < 1 + head) return 0;
  if (data[0] & 1)
    joined(data + 1, size - 1);
  else
    fynx_split_run(data + 1, data + 1 + head, (uint32_t)(size - 1 - head), room, sizeof room);
  return 0;
}
