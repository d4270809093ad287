/* rules.c: changes of the SPD (RFC 4301 section 4.4.1). Each makes a new snapshot that shares with the old one the pages
 * and buckets it does not touch; what it replaces goes with the old one, when the workers have left that. */
#include <stdlib.h>

#include "core.h"

#define LAST_PRIORITY INT32_MAX /* of an SA that has no PROTECT policy of its own */
#define FULL (2u * FYNX_PAGE)   /* entries for each page, before there are more pages */

struct change {
  struct fynx_plane *plane;
  struct fynx_spd *old;
  struct fynx_spd *spd;
  struct fynx_block *made;
  struct fynx_block *gone;
};

static void *make(struct change *c, size_t size) {
  struct fynx_block *block = malloc(size);
  if (!block) return NULL;
  *block = (struct fynx_block){.made = c->made};
  c->made = block;
  return block;
}

static void drop(struct change *c, void *object) {
  struct fynx_block *block = object;
  if (!block) return;
  block->gone = c->gone;
  c->gone = block;
}

/* `pages` 0: what the old snapshot holds. Else an empty one of so many. */
static int begin(struct change *c, struct fynx_plane *plane, uint32_t pages, uint32_t more_shapes) {
  struct fynx_spd *old = atomic_load(&plane->spd);
  *c = (struct change){.plane = plane, .old = old};
  bool copy = pages == 0;
  uint32_t n_pages = copy ? old->n_pages : pages, shapes = (copy ? old->n_shapes : 0) + more_shapes;
  if (shapes > FYNX_SHAPES) shapes = FYNX_SHAPES;
  size_t fixed = sizeof *c->spd + n_pages * sizeof(struct fynx_page *);
  struct fynx_spd *spd = c->spd = make(c, fixed + shapes * sizeof(struct fynx_shape));
  if (!spd) return FYNX_E_MEMORY;
  spd->generation = plane->generation + 1;
  spd->n = copy ? old->n : 0;
  spd->n_entries = copy ? old->n_entries : 0;
  spd->n_shapes = copy ? old->n_shapes : 0;
  spd->n_pages = n_pages;
  spd->n_own = plane->n_own;
  spd->own = (uint8_t(*)[16])(void *)plane->own;
  spd->shape = (struct fynx_shape *)(void *)((uint8_t *)spd + fixed);
  for (uint32_t i = 0; i < n_pages; i++) spd->page[i] = copy ? old->page[i] : NULL;
  if (spd->n_shapes) memcpy(spd->shape, old->shape, spd->n_shapes * sizeof spd->shape[0]);
  return 0;
}

static int abandon(struct change *c) {
  while (c->made) {
    struct fynx_block *block = c->made;
    c->made = block->made;
    free(block);
  }
  return FYNX_E_MEMORY;
}

static void release(void *snapshot) {
  struct fynx_block *block = snapshot;
  while (block) {
    struct fynx_block *next = block->gone;
    free(block);
    block = next;
  }
}

static int publish(struct change *c) {
  c->plane->generation = c->spd->generation;
  if (c->old) c->old->block.gone = c->gone;
  atomic_store(&c->plane->spd, c->spd);
  return fynx_retire(c->plane, c->old, release);
}

/* Everything of a snapshot that is followed by one made anew. */
static void drop_content(struct change *c, const struct fynx_spd *spd) {
  for (uint32_t i = 0; spd && i < spd->n_pages; i++) {
    for (uint32_t k = 0; spd->page[i] && k < FYNX_PAGE; k++) drop(c, spd->page[i]->bucket[k]);
    drop(c, spd->page[i]);
  }
}

/* The place of a bucket in a page that this change may write to. */
static struct fynx_bucket **place(struct change *c, uint32_t hash) {
  struct fynx_page **at = &c->spd->page[hash / FYNX_PAGE & (c->spd->n_pages - 1)], *old = *at;
  if (!old || old->generation != c->spd->generation) {
    struct fynx_page *page = make(c, sizeof *page);
    if (!page) return NULL;
    page->generation = c->spd->generation;
    for (uint32_t i = 0; i < FYNX_PAGE; i++) page->bucket[i] = old ? old->bucket[i] : NULL;
    drop(c, old);
    *at = page;
  }
  return &(*at)->bucket[hash % FYNX_PAGE];
}

static struct fynx_bucket *copied(struct change *c, struct fynx_bucket *old, uint32_t room) {
  struct fynx_bucket *bucket = make(c, sizeof *bucket + room * sizeof bucket->entry[0]);
  if (!bucket) return NULL;
  bucket->generation = c->spd->generation;
  bucket->n = old ? old->n : 0;
  bucket->room = room;
  if (bucket->n) memcpy(bucket->entry, old->entry, bucket->n * sizeof bucket->entry[0]);
  drop(c, old);
  return bucket;
}

static int put(struct change *c, const struct fynx_entry *entry) {
  struct fynx_bucket **at = place(c, entry->hash);
  if (!at) return FYNX_E_MEMORY;
  uint32_t n = *at ? (*at)->n : 0;
  bool ours = *at && (*at)->generation == c->spd->generation;
  if (!ours || n == (*at)->room) {
    struct fynx_bucket *bucket = copied(c, *at, ours ? 2 * n : n + 1);
    if (!bucket) return FYNX_E_MEMORY;
    *at = bucket;
  }
  struct fynx_entry *entries = (*at)->entry;
  uint32_t low = 0, high = n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (fynx_order_before(&entries[middle].rule->order, &entry->rule->order))
      low = middle + 1;
    else
      high = middle;
  }
  memmove(entries + low + 1, entries + low, (n - low) * sizeof *entries);
  entries[low] = *entry;
  (*at)->n++;
  return 0;
}

static int take(struct change *c, const struct fynx_entry *entry) {
  struct fynx_bucket **at = place(c, entry->hash);
  if (!at) return FYNX_E_MEMORY;
  uint32_t n = 0;
  if (!*at) return 0;
  if ((*at)->generation != c->spd->generation) {
    struct fynx_bucket *bucket = copied(c, *at, (*at)->n);
    if (!bucket) return FYNX_E_MEMORY;
    *at = bucket;
  }
  for (uint32_t i = 0; i < (*at)->n; i++)
    if ((*at)->entry[i].rule != entry->rule || (*at)->entry[i].remote != entry->remote)
      (*at)->entry[n++] = (*at)->entry[i];
  (*at)->n = n;
  if (n == 0) {
    drop(c, *at);
    *at = NULL;
  }
  return 0;
}

/* How many of the first bits two addresses have in common. */
static uint32_t common(const uint64_t a[2], const uint64_t b[2], uint8_t family) {
  uint64_t high = a[0] ^ b[0], low = a[1] ^ b[1];
  if (family == 4) return low ? (uint32_t)__builtin_clzll(low) - 32 : 32;
  if (high) return (uint32_t)__builtin_clzll(high);
  return low ? 64 + (uint32_t)__builtin_clzll(low) : 128;
}

static void mask(uint32_t bits, uint8_t family, uint64_t out[2]) {
  if (family == 4) bits += 96;
  out[0] = family == 4 || bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : ~(UINT64_MAX >> bits);
  out[1] = bits <= 64 ? 0 : bits == 128 ? UINT64_MAX : ~(UINT64_MAX >> (bits - 64));
  if (family == 4) out[1] &= UINT32_MAX;
}

/* Where the rule stands by its remote range `i`; false: it has nothing of that family on our side. Some lengths count as
 * the shorter one before, so that there are few. */
static bool shape_of(const struct fynx_rule *rule, uint32_t i, struct fynx_shape *shape, const uint64_t **near) {
  const struct fynx_range *remote = &rule->remote[i];
  bool four = remote->family == 4;
  uint32_t bits = four ? 32 : 128;
  *near = NULL;
  for (uint32_t k = 0; k < rule->n_local; k++) {
    const struct fynx_range *local = &rule->local[k];
    if (local->family != remote->family) continue;
    if (!*near) *near = local->start;
    uint32_t first = common(*near, local->start, local->family), last = common(*near, local->end, local->family);
    if (first < bits) bits = first;
    if (last < bits) bits = last;
  }
  *shape = (struct fynx_shape){.first = rule->order, .family = remote->family};
  mask(common(remote->start, remote->end, remote->family) & (four ? ~0u : ~3u), remote->family, shape->remote);
  mask(bits & (four ? ~7u : ~15u), remote->family, shape->local);
  return *near != NULL;
}

static bool alike(const struct fynx_shape *a, const struct fynx_shape *b) {
  return a->family == b->family && memcmp(a->remote, b->remote, sizeof a->remote) == 0 &&
         memcmp(a->local, b->local, sizeof a->local) == 0;
}

/* Counts an entry in, and keeps the shapes sorted. */
static void shape_in(struct fynx_spd *spd, const struct fynx_shape *wanted) {
  uint32_t i = 0;
  while (i < spd->n_shapes && !alike(&spd->shape[i], wanted)) i++;
  if (i == spd->n_shapes) spd->shape[spd->n_shapes++] = *wanted;
  struct fynx_shape shape = spd->shape[i];
  shape.n++;
  if (fynx_order_before(&wanted->first, &shape.first)) shape.first = wanted->first;
  for (; i > 0 && fynx_order_before(&shape.first, &spd->shape[i - 1].first); i--) spd->shape[i] = spd->shape[i - 1];
  spd->shape[i] = shape;
}

static void shape_out(struct fynx_spd *spd, const struct fynx_shape *wanted) {
  uint32_t i = 0;
  while (i < spd->n_shapes && !alike(&spd->shape[i], wanted)) i++;
  if (i == spd->n_shapes || --spd->shape[i].n) return;
  spd->n_shapes--;
  memmove(&spd->shape[i], &spd->shape[i + 1], (spd->n_shapes - i) * sizeof spd->shape[0]);
}

static int each_range(struct change *c, const struct fynx_rule *rule, bool in) {
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < rule->n_remote; i++) {
    struct fynx_shape shape;
    const uint64_t *near;
    if (!shape_of(rule, i, &shape, &near)) continue;
    struct fynx_entry entry = {.rule = rule, .hash = fynx_shape_hash(&shape, rule->remote[i].start, near), .remote = i};
    rc = in ? put(c, &entry) : take(c, &entry);
    if (in)
      shape_in(c->spd, &shape);
    else
      shape_out(c->spd, &shape);
    c->spd->n_entries += in ? 1 : UINT32_MAX;
  }
  c->spd->n += in ? 1 : UINT32_MAX;
  return rc;
}

static const struct fynx_policy *policy_of(const struct fynx_policies *policies, uint32_t tag) {
  uint32_t low = 0, high = policies ? policies->n_protect : 0, n = high;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (policies->protect[middle]->rule.tag < tag)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n && policies->protect[low]->rule.tag == tag ? policies->protect[low] : NULL;
}

static struct fynx_rule *rule_of(struct change *c, const struct fynx_policies *policies, const struct fynx_child *child) {
  struct fynx_rule *rule = make(c, sizeof *rule);
  if (!rule) return NULL;
  const struct fynx_policy *policy = policy_of(policies, child->tag);
  struct fynx_block block = rule->block;
  *rule = (struct fynx_rule){.block = block,
                             .order = {.priority = policy ? policy->rule.order.priority : LAST_PRIORITY,
                                       .rank = policy ? policy->rule.order.rank : 0,
                                       .serial = child->serial},
                             .local = child->ranges,
                             .remote = child->ranges + child->n_local,
                             .n_local = child->n_local,
                             .n_remote = child->n_remote,
                             .action = FYNX_PROTECT,
                             .tag = child->tag,
                             .out = child->out};
  return rule;
}

static int add_policies(struct change *c, const struct fynx_policies *policies) {
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && policies && i < policies->n; i++) rc = each_range(c, &policies->policy[i].rule, true);
  return rc;
}

/* The same rules in more pages. */
static int spread(struct change *c, struct fynx_plane *plane) {
  int rc = begin(c, plane, 4 * atomic_load(&plane->spd)->n_pages, FYNX_SHAPES);
  if (rc == 0) rc = add_policies(c, plane->policies);
  for (const struct fynx_child *child = plane->children; rc == 0 && child; child = child->next)
    if (child->rule) rc = each_range(c, child->rule, true);
  if (rc) return abandon(c);
  drop_content(c, c->old);
  return publish(c);
}

/* Puts the child's rule in its place, instead of one that it has. With the control mutex held, as all here. */
int fynx_rules_add(struct fynx_plane *plane, struct fynx_child *child) {
  struct change c;
  const struct fynx_spd *spd = atomic_load(&plane->spd);
  if (spd->n_entries > FULL * spd->n_pages && spread(&c, plane)) return FYNX_E_MEMORY;
  int rc = begin(&c, plane, 0, child->n_remote);
  struct fynx_rule *rule = rc ? NULL : rule_of(&c, plane->policies, child);
  if (!rule || each_range(&c, rule, true)) return abandon(&c);
  if (child->rule && each_range(&c, child->rule, false)) return abandon(&c);
  drop(&c, child->rule);
  child->rule = rule;
  return publish(&c);
}

/* The rule itself stays with the child, since workers may still read it. */
int fynx_rules_drop(struct fynx_plane *plane, const struct fynx_child *child) {
  struct change c;
  if (!child->rule) return 0;
  if (begin(&c, plane, 0, 0) || each_range(&c, child->rule, false)) return abandon(&c);
  return publish(&c);
}

static uint32_t pages_for(const struct fynx_plane *plane, const struct fynx_policies *policies) {
  uint32_t entries = 0;
  for (uint32_t i = 0; policies && i < policies->n; i++) entries += policies->policy[i].rule.n_remote;
  for (const struct fynx_child *child = plane->children; child; child = child->next) entries += child->n_remote;
  return fynx_pow2(entries / FYNX_PAGE + 1);
}

/* All rules anew for other static policies. `plane->policies` are the old ones when it fails. */
int fynx_rules_reset(struct fynx_plane *plane, struct fynx_policies *policies) {
  struct change c;
  struct fynx_rule **rules = calloc(plane->n_children + 1, sizeof(struct fynx_rule *));
  if (!rules) return FYNX_E_MEMORY;
  int rc = begin(&c, plane, pages_for(plane, policies), FYNX_SHAPES);
  if (rc == 0) rc = add_policies(&c, policies);
  uint32_t n = 0;
  for (const struct fynx_child *child = plane->children; rc == 0 && child; child = child->next, n++)
    if (child->active) rc = (rules[n] = rule_of(&c, policies, child)) ? each_range(&c, rules[n], true) : FYNX_E_MEMORY;
  if (rc) {
    free(rules);
    return abandon(&c);
  }
  n = 0;
  for (struct fynx_child *child = plane->children; child; child = child->next, n++) {
    if (!child->active) continue;
    drop(&c, child->rule);
    child->rule = rules[n];
  }
  free(rules);
  drop_content(&c, c.old);
  plane->policies = policies;
  return publish(&c);
}

/* The same rules with our own addresses as they are now. */
int fynx_rules_publish(struct fynx_plane *plane) {
  struct change c;
  return begin(&c, plane, atomic_load(&plane->spd) ? 0 : 1, 0) ? abandon(&c) : publish(&c);
}

void fynx_rules_free(struct fynx_plane *plane) {
  struct change c = {.plane = plane};
  struct fynx_spd *spd = atomic_exchange(&plane->spd, NULL);
  drop_content(&c, spd);
  release(c.gone);
  free(spd);
}
