/* tables.c: how fast the tables of the plane are filled and looked up, and what an SA takes; called from Python. */
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "core.h"

struct tables {
  struct fynx_plane *plane;
  uint32_t n;
  uint32_t *spis;
  struct fynx_child **children;
};

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint32_t draw(uint64_t *state) { /* reproducible, and quick beside what is measured */
  *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

static void selector(struct fynx_selector *s, uint8_t first, uint32_t number, uint32_t width) {
  *s = (struct fynx_selector){.end_port = UINT16_MAX, .family = 4};
  fynx_put32(s->start, (uint32_t)first << 24 | number << width);
  fynx_put32(s->end, fynx_be32(s->start) | ((1u << width) - 1));
}

static int install(struct tables *t, uintptr_t ops, uint32_t window, int outbound) {
  static const uint8_t key[32] = {1}, salt[4] = {2};
  for (uint32_t i = 0; i < t->n; i++) {
    struct fynx_selector near, far;
    selector(&near, 198, i & 0xffff, 4);
    selector(&far, 10, i, 4);
    t->spis[i] = fynx_spi_reserve(t->plane);
    struct fynx_child_spec spec = {.handle = i + 1, .tag = i + 1, .spi_in = t->spis[i], .spi_out = 0x1000 + i,
                                   .window = window, .outbound = outbound != 0, .ops = ops, .key_in = key,
                                   .key_out = key, .salt_in = salt, .salt_out = salt, .local = &near, .remote = &far,
                                   .n_local = 1, .n_remote = 1};
    if (fynx_child_install(t->plane, &spec, &t->children[i])) return -1;
  }
  return 0;
}

void tables_free(struct tables *t) {
  if (!t) return;
  if (t->plane) fynx_plane_free(t->plane);
  free(t->spis);
  free(t->children);
  free(t);
}

static size_t in_use(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* `n` SA pairs; the nanoseconds that took, and the octets of the heap. NULL when they cannot be installed. */
struct tables *tables_new(uintptr_t ops, uint32_t n, uint32_t window, int outbound, int64_t *took, int64_t *octets) {
  struct tables *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->n = n;
  t->plane = fynx_plane_new(2 * n, 1);
  t->spis = calloc(n ? n : 1, sizeof *t->spis);
  t->children = calloc(n ? n : 1, sizeof(void *));
  size_t before = in_use();
  int64_t start = nanoseconds();
  int bad = !t->plane || !t->spis || !t->children || install(t, ops, window, outbound);
  *took = nanoseconds() - start;
  *octets = (int64_t)(in_use() - before);
  if (!bad) return t;
  tables_free(t);
  return NULL;
}

/* Inbound SAs by SPI, in random order; nanoseconds for all, or -1 when one is not found. */
int64_t tables_find_sas(struct tables *t, uint32_t count) {
  uint64_t state = 1, found = 0;
  int64_t start = nanoseconds();
  for (uint32_t i = 0; i < count; i++) found += fynx_sad_find(t->plane, t->spis[draw(&state) % t->n]) != NULL;
  int64_t took = nanoseconds() - start;
  return found == count ? took : -1;
}

/* `n` policies, each for a remote network of its own. */
int tables_policies(struct tables *t, uint32_t n) {
  struct fynx_selector *s = calloc(2 * (size_t)n, sizeof *s);
  struct fynx_policy_spec *specs = calloc(n, sizeof *specs);
  int rc = s && specs ? 0 : -1;
  for (uint32_t i = 0; rc == 0 && i < n; i++) {
    selector(&s[2 * i], 198, 0, 24);
    selector(&s[2 * i + 1], 10, i, 4);
    specs[i] = (struct fynx_policy_spec){.priority = (int32_t)i, .action = FYNX_BYPASS, .n_local = 1, .n_remote = 1,
                                         .local = &s[2 * i], .remote = &s[2 * i + 1]};
  }
  if (rc == 0) rc = fynx_plane_policies(t->plane, specs, n);
  free(s);
  free(specs);
  return rc;
}

static void packet_to(struct fynx_flow *flow, uint32_t destination) {
  *flow = (struct fynx_flow){.total = 1400};
  flow->key = (struct fynx_flow_key){.src[1] = 198u << 24 | 9, .dst[1] = destination, .sport = 7, .dport = 8,
                                     .protocol = 17, .family = 4, .flags = FYNX_FLOW_PORTS};
}

/* The policy of a packet to a random one of `n` networks: in the tables, or in the cache of a worker, for 16 flows that
 * take turns. Nanoseconds for all, or -1 when one is not found. */
int64_t tables_find_policies(struct tables *t, uint32_t n, int cached, uint32_t count) {
  const struct fynx_spd *spd = atomic_load(&t->plane->spd);
  struct fynx_flow flows[16];
  uint64_t state = 1, found = 0;
  for (uint32_t i = 0; i < 16; i++) {
    packet_to(&flows[i], 10u << 24 | (draw(&state) % n) << 4 | 1);
    if (cached) fynx_spd_cached(t->plane->tx[0], spd, &flows[i]);
  }
  int64_t start = nanoseconds();
  for (uint32_t i = 0; i < count; i++) {
    const struct fynx_flow *flow = &flows[i & 15];
    found += (cached ? fynx_spd_cached(t->plane->tx[0], spd, flow) : fynx_spd_find(spd, flow)) != NULL;
  }
  int64_t took = nanoseconds() - start;
  return found == count ? took : -1;
}
