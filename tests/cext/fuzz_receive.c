/* fuzz_receive.c: libFuzzer on the receive path: wild datagrams, and well-sealed ones around wild inner packets, for SAs of
 * every kind: tunnel mode, extended sequence numbers, aggregation, transport mode, and one that comes after its packets. */
#include "replay.h"
#include "util.h"
#include "world.h"

enum { TUNNEL, ESN, SHARED, TRANSPORT, KINDS };
static const struct fynx_selector here = {.start = {198, 18, 1, 9}, .end = {198, 18, 1, 9}, .end_port = 65535, .family = 4};
static const struct fynx_selector there = {.start = {198, 18, 2, 7}, .end = {198, 18, 2, 7}, .end_port = 65535, .family = 4};

static struct fynx_plane *plane;

static uint32_t spi_of(uint32_t kind) { return 0x1001 + 0x10 * kind; }

/* Seals `text` for one of the plane's own SAs, so that everything behind the ICV check is reached. */
static uint32_t sealed(const uint8_t *text, uint32_t size, uint32_t kind, uint32_t number, uint8_t *out) {
  static const uint8_t key[16] = "one key for all", salt[4] = "salt";
  uint8_t aad[12], iv[8] = {0};
  uint32_t aad_len = kind == ESN ? 12 : 8;
  fynx_put32(aad, spi_of(kind));
  fynx_put32(aad + 4, 0);
  fynx_put32(aad + aad_len - 4, number);
  fynx_put32(iv + 4, number);
  fynx_put32(out, spi_of(kind));
  fynx_put32(out + 4, number);
  memcpy(out + 8, iv, 8);
  CHECK(fynx_ops_seal1((uintptr_t)&toy_ops, key, salt, iv, aad, aad_len, text, size, out + 16) == 0);
  return 16 + size + 8;
}

/* New for each input, so that what it does depends on it alone. */
static void install(struct fynx_child *child[KINDS]) {
  for (uint32_t kind = 0; kind < KINDS; kind++) {
    struct fynx_child_spec spec = world_spec(kind + 1, spi_of(kind), 0x2001 + kind, 64);
    spec.esn = kind == ESN;
    spec.aggfrag = kind == SHARED;
    if (kind == TRANSPORT) {
      spec.transport = spec.n_local = spec.n_remote = 1;
      spec.local = &here, spec.remote = &there;
      spec.translated = 1;
      memcpy(spec.source, here.start, 4), memcpy(spec.destination, here.start, 4);
    }
    CHECK(fynx_child_install(plane, &spec, &child[kind]) == 0);
  }
}

/* The input is a list of packets: length (2 octets), kind (1 octet), octets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t stream[1 << 18], room[1 << 18], raw[2048];
  uint32_t lengths[64], n = 0;
  size_t at = 0, put = 0;
  struct fynx_path path = world_path(2, 4500);
  struct fynx_child *child[KINDS], *late;
  if (!plane) CHECK(plane = fynx_plane_new(1024, 1));
  install(child);
  uint32_t awaited = fynx_spi_reserve(plane);
  while (n < 64 && size - at > 3) {
    uint32_t want = fynx_be16(data + at) % 2048u, kind = data[at + 2];
    uint32_t have = want < size - at - 3 ? want : (uint32_t)(size - at - 3);
    const uint8_t *from = data + at + 3;
    if (kind & 1) {
      lengths[n] = sealed(from, have, kind >> 6, kind >> 1 & 31u, stream + put);
    } else {
      memcpy(stream + put, from, have);
      if (kind & 2 && have >= 4) fynx_put32(stream + put, awaited);
      lengths[n] = have;
    }
    memcpy(raw, from, have);
    int head = fynx_raw_run(kind & 4 ? 1 : 0, raw, have);
    CHECK(head < 0 || (uint32_t)head <= have);
    put += lengths[n++];
    at += 3 + have;
  }
  CHECK(fynx_plane_receive(plane, &path, stream, lengths, n) == 0);
  CHECK(world_install(plane, KINDS + 1, awaited, 0x3001, 64, &late) == 0); /* what waited for it is opened now */
  CHECK(fynx_plane_receive_clear(plane, stream, lengths, n) == 0);
  CHECK(fynx_plane_send(plane, stream, lengths, n, room, sizeof room) >= 0);
  while (fynx_plane_recv(plane, 64, room, sizeof room)) {
  }
  fynx_plane_drain(plane, room, sizeof room);
  for (uint32_t kind = 0; kind < KINDS; kind++) CHECK(fynx_child_remove(plane, child[kind]) == 0);
  CHECK(fynx_child_remove(plane, late) == 0);
  return 0;
}
