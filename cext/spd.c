/* spd.c: the Security Policy Database (RFC 4301 section 4.4.1) as an immutable, ordered snapshot. */
#include <stdlib.h>

#include "core.h"

static bool range_from(const struct fynx_selector *s, struct fynx_range *r) {
  memset(r, 0, sizeof *r);
  r->family = s->family;
  r->protocol = s->protocol;
  r->start_port = s->start_port;
  r->end_port = s->end_port;
  if (s->family == 4) {
    r->start[1] = fynx_be32(s->start);
    r->end[1] = fynx_be32(s->end);
  } else if (s->family == 6) {
    r->start[0] = fynx_be64(s->start);
    r->start[1] = fynx_be64(s->start + 8);
    r->end[0] = fynx_be64(s->end);
    r->end[1] = fynx_be64(s->end + 8);
  } else {
    return false;
  }
  return r->start_port <= r->end_port;
}

struct fynx_range *fynx_ranges_new(const struct fynx_selector *a, uint32_t n_a, const struct fynx_selector *b,
                                   uint32_t n_b) {
  if (n_a > UINT16_MAX || n_b > UINT16_MAX) return NULL;
  struct fynx_range *ranges = calloc((size_t)n_a + n_b + 1, sizeof *ranges);
  bool good = ranges != NULL;
  for (uint32_t i = 0; good && i < n_a; i++) good = range_from(&a[i], &ranges[i]);
  for (uint32_t i = 0; good && i < n_b; i++) good = range_from(&b[i], &ranges[n_a + i]);
  if (good) return ranges;
  free(ranges);
  return NULL;
}

bool fynx_ranges_match(const struct fynx_range *ranges, uint32_t n, const struct fynx_flow *flow, bool source) {
  for (uint32_t i = 0; i < n; i++)
    if (fynx_range_match(&ranges[i], &flow->key, source)) return true;
  return false;
}

static bool covers(const struct fynx_entry *entry, const struct fynx_flow *flow) {
  const struct fynx_rule *rule = entry->rule;
  return fynx_range_match(&rule->remote[entry->remote], &flow->key, false) &&
         fynx_ranges_match(rule->local, rule->n_local, flow, true);
}

/* The first rule in order that takes the flow: of each shape the flow has one bucket, and the shapes are asked as long as
 * one of theirs may come before what was found. */
const struct fynx_rule *fynx_spd_find(const struct fynx_spd *spd, const struct fynx_flow *flow) {
  const struct fynx_rule *best = NULL;
  for (uint32_t i = 0; i < spd->n_shapes; i++) {
    const struct fynx_shape *shape = &spd->shape[i];
    if (best && fynx_order_before(&best->order, &shape->first)) break;
    if (shape->family != flow->key.family) continue;
    uint32_t hash = fynx_shape_hash(shape, flow->key.dst, flow->key.src);
    const struct fynx_page *page = spd->page[hash / FYNX_PAGE & (spd->n_pages - 1)];
    const struct fynx_bucket *bucket = page ? page->bucket[hash % FYNX_PAGE] : NULL;
    for (uint32_t k = 0; bucket && k < bucket->n; k++) {
      const struct fynx_entry *entry = &bucket->entry[k];
      if (entry->hash != hash) continue;
      if (best && fynx_order_before(&best->order, &entry->rule->order)) break;
      if (!covers(entry, flow)) continue;
      best = entry->rule;
      break;
    }
  }
  return best;
}

/* The policy for a packet that came in clear: what a reply to it would have to match. */
const struct fynx_rule *fynx_spd_clear(const struct fynx_spd *spd, const struct fynx_flow *flow) {
  struct fynx_flow turned = *flow;
  for (int i = 0; i < 2; i++) {
    turned.key.src[i] = flow->key.dst[i];
    turned.key.dst[i] = flow->key.src[i];
  }
  turned.key.sport = flow->key.dport;
  turned.key.dport = flow->key.sport;
  return fynx_spd_find(spd, &turned);
}

static uint32_t hash(const struct fynx_flow_key *key) {
  uint64_t tail;
  memcpy(&tail, &key->sport, sizeof tail);
  uint64_t h = key->src[0] * UINT64_C(0x9e3779b97f4a7c15) ^ key->dst[0] * UINT64_C(0xc2b2ae3d27d4eb4f);
  h ^= key->src[1] * UINT64_C(0x165667b19e3779f9) ^ key->dst[1] * UINT64_C(0xd6e8feb86659fd93);
  h = (h ^ tail) * UINT64_C(0xff51afd7ed558ccd);
  return (uint32_t)(h >> 40) & (FYNX_CACHE - 1);
}

const struct fynx_rule *fynx_spd_cached(struct fynx_worker *w, const struct fynx_spd *spd,
                                        const struct fynx_flow *flow) {
  struct fynx_cached *c = &w->cache[hash(&flow->key)];
  if (c->generation == spd->generation && memcmp(&c->key, &flow->key, sizeof c->key) == 0) return c->rule;
  c->key = flow->key;
  c->generation = spd->generation;
  c->rule = fynx_spd_find(spd, flow);
  return c->rule;
}

static void mapped(const struct fynx_flow *flow, uint8_t out[16]) {
  memset(out, 0, 16);
  if (flow->key.family == 4) {
    out[10] = out[11] = 0xff;
    fynx_put32(out + 12, (uint32_t)flow->key.src[1]);
  } else {
    fynx_put64(out, flow->key.src[0]);
    fynx_put64(out + 8, flow->key.src[1]);
  }
}

static int compare_address(const void *a, const void *b) { return memcmp(a, b, 16); }

bool fynx_spd_own(const struct fynx_spd *spd, const struct fynx_flow *flow) {
  uint8_t source[16];
  if (spd->n_own == 0) return false;
  mapped(flow, source);
  return bsearch(source, spd->own, spd->n_own, 16, compare_address) != NULL;
}

int fynx_plane_own_addresses(struct fynx_plane *plane, const uint8_t *addresses, uint32_t n) {
  uint8_t *copy = malloc((size_t)n * 16 + 1);
  if (!copy) return FYNX_E_MEMORY;
  if (n) memcpy(copy, addresses, (size_t)n * 16);
  qsort(copy, n, 16, compare_address);
  pthread_mutex_lock(&plane->control);
  uint8_t *old = plane->own;
  uint32_t n_old = plane->n_own;
  plane->own = copy;
  plane->n_own = n;
  int rc = fynx_rules_publish(plane);
  if (rc == 0) {
    rc = fynx_retire(plane, old, free);
  } else {
    plane->own = old;
    plane->n_own = n_old;
    free(copy);
  }
  fynx_reclaim(plane, false);
  pthread_mutex_unlock(&plane->control);
  return rc;
}
