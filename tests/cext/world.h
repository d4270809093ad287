/* world.h: SAs, policies and packets for the C programs that test the plane. */
#ifndef FYNX_TEST_WORLD_H
#define FYNX_TEST_WORLD_H

#include <stdio.h>

#include "api.h"
#include "cipher.h"

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);           \
      abort();                                                                  \
    }                                                                           \
  } while (0)

static const struct fynx_selector world_everything[2] = {
    {.end = {255, 255, 255, 255}, .end_port = 65535, .family = 4},
    {.end = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
     .end_port = 65535,
     .family = 6},
};

static struct fynx_path world_path(uint8_t last, uint16_t port) {
  struct fynx_path path = {.local.port = 4500, .remote.port = port};
  memcpy(path.local.ip, (uint8_t[16]){[10] = 0xff, 0xff, 127, 0, 0, 1}, 16);
  memcpy(path.remote.ip, (uint8_t[16]){[10] = 0xff, 0xff, 127, 0, 0, last}, 16);
  return path;
}

static struct fynx_child_spec world_spec(uint64_t handle, uint32_t spi_in, uint32_t spi_out, uint32_t window) {
  static const uint8_t key[16] = "one key for all", salt[4] = "salt";
  return (struct fynx_child_spec){.handle = handle,
                                  .tag = (uint32_t)handle,
                                  .spi_in = spi_in,
                                  .spi_out = spi_out,
                                  .window = window,
                                  .outbound = 1,
                                  .ops = (uintptr_t)&toy_ops,
                                  .key_in = key,
                                  .key_out = key,
                                  .salt_in = salt,
                                  .salt_out = salt,
                                  .path = world_path(1, 4500),
                                  .local = world_everything,
                                  .remote = world_everything,
                                  .n_local = 2,
                                  .n_remote = 2};
}

static int world_bound(struct fynx_plane *plane, uint64_t handle, const uint32_t spis[2], uint32_t window, uint32_t resource,
                       struct fynx_child **child) {
  struct fynx_child_spec spec = world_spec(handle, spis[0], spis[1], window);
  spec.resource = resource;
  if (resource) spec.tag = 1;
  return fynx_child_install(plane, &spec, child);
}

static int world_install(struct fynx_plane *plane, uint64_t handle, uint32_t spi_in, uint32_t spi_out, uint32_t window,
                         struct fynx_child **child) {
  const uint32_t spis[2] = {spi_in, spi_out};
  return world_bound(plane, handle, spis, window, 0, child);
}

/* A UDP packet of `size` octets from 198.18.2.7 to 198.18.1.9. */
static void world_inner(uint8_t *p, uint16_t size) {
  memset(p, 0, size);
  const uint8_t head[28] = {0x45, 0, (uint8_t)(size >> 8), (uint8_t)size, 0, 0, 0, 0, 64, 17, 0, 0,
                            198,  18, 2, 7, 198, 18, 1, 9, 3, 232, 7, 208};
  memcpy(p, head, sizeof head);
}

#endif
