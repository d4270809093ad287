/* fuzz_receive.c: libFuzzer on the receive path: wild datagrams, and well-sealed ones around wild inner packets. */
#include "replay.h"
#include "util.h"
#include "world.h"

static struct fynx_plane *plane;

/* Seals `text` for the plane's own SA, so that everything behind the ICV check is reached. */
static uint32_t sealed(const uint8_t *text, uint32_t size, uint32_t number, uint8_t *out) {
  static const uint8_t key[16] = "one key for all", salt[4] = "salt";
  uint8_t aad[8], iv[8] = {0};
  fynx_put32(aad, 0x1001);
  fynx_put32(aad + 4, number);
  fynx_put32(iv + 4, number);
  memcpy(out, aad, 8);
  memcpy(out + 8, iv, 8);
  CHECK(fynx_ops_seal1((uintptr_t)&toy_ops, key, salt, iv, aad, 8, text, size, out + 16) == 0);
  return 16 + size + 8;
}

static void prepare(void) {
  struct fynx_child *child;
  plane = fynx_plane_new(16, 1);
  CHECK(plane && world_install(plane, 1, 0x1001, 0x1002, 64, &child) == 0);
}

/* The input is a list of packets: length (2 octets), kind (1 octet), octets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t stream[1 << 17], room[1 << 18];
  uint32_t lengths[64], n = 0;
  size_t at = 0, put = 0;
  struct fynx_path path = world_path(2, 4500);
  if (!plane) prepare();
  while (n < 64 && size - at > 3) {
    uint32_t want = fynx_be16(data + at) % 2048u, kind = data[at + 2];
    uint32_t have = want < size - at - 3 ? want : (uint32_t)(size - at - 3);
    const uint8_t *from = data + at + 3;
    if (kind & 1) {
      lengths[n] = sealed(from, have, kind >> 1, stream + put);
    } else {
      memcpy(stream + put, from, have);
      lengths[n] = have;
    }
    put += lengths[n++];
    at += 3 + have;
  }
  CHECK(fynx_plane_receive(plane, &path, stream, lengths, n) == 0);
  CHECK(fynx_plane_receive_clear(plane, stream, lengths, n) == 0);
  CHECK(fynx_plane_send(plane, stream, lengths, n, room, sizeof room) >= 0);
  while (fynx_plane_recv(plane, 64, room, sizeof room)) {
  }
  fynx_plane_drain(plane, room, sizeof room);
  return 0;
}
