/* rules.c: the rules of the SPD, kept sorted, copied into a snapshot at each change (RFC 4301 section 4.4.1). */
#include <stdlib.h>

#include "core.h"

#define LAST_PRIORITY INT32_MAX /* of an SA that has no PROTECT policy of its own */

static int compare_rule(const void *a, const void *b) {
  const struct fynx_rule *x = a, *y = b;
  if (x->priority != y->priority) return x->priority < y->priority ? -1 : 1;
  if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
  if (x->serial == y->serial) return 0;
  return x->serial > y->serial ? -1 : 1; /* SAs before the bare policy, the newest first */
}

static const struct fynx_policy *policy_of(const struct fynx_policies *policies, uint32_t tag) {
  for (uint32_t i = 0; policies && i < policies->n; i++)
    if (policies->policy[i].action == FYNX_PROTECT && policies->policy[i].tag == tag) return &policies->policy[i];
  return NULL;
}

static struct fynx_rule rule_of_child(const struct fynx_plane *plane, const struct fynx_child *c) {
  const struct fynx_policy *policy = policy_of(plane->policies, c->tag);
  return (struct fynx_rule){.priority = policy ? policy->priority : LAST_PRIORITY,
                            .rank = policy ? policy->rank : 0,
                            .serial = c->serial,
                            .local = c->ranges,
                            .remote = c->ranges + c->n_local,
                            .n_local = c->n_local,
                            .n_remote = c->n_remote,
                            .action = FYNX_PROTECT,
                            .tag = c->tag,
                            .out = c->out};
}

static struct fynx_rule rule_of_policy(struct fynx_policy *p) {
  return (struct fynx_rule){.priority = p->priority,
                            .rank = p->rank,
                            .local = p->ranges,
                            .remote = p->ranges + p->n_local,
                            .n_local = p->n_local,
                            .n_remote = p->n_remote,
                            .action = p->action,
                            .tag = p->tag,
                            .policy = p};
}

static int reserve(struct fynx_plane *plane, uint32_t n) {
  if (n <= plane->rules_room) return 0;
  uint32_t room = fynx_pow2(n < 16 ? 16 : n);
  struct fynx_rule *rules = realloc(plane->rules, room * sizeof *rules);
  if (!rules) return FYNX_E_MEMORY;
  plane->rules = rules;
  plane->rules_room = room;
  return 0;
}

/* Puts the child's rule in its place. With the control mutex held, as all here. */
int fynx_rules_add(struct fynx_plane *plane, const struct fynx_child *child) {
  struct fynx_rule rule = rule_of_child(plane, child);
  int rc = reserve(plane, plane->n_rules + 1);
  if (rc) return rc;
  uint32_t low = 0, high = plane->n_rules;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (compare_rule(&plane->rules[middle], &rule) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  memmove(plane->rules + low + 1, plane->rules + low, (plane->n_rules - low) * sizeof rule);
  plane->rules[low] = rule;
  plane->n_rules++;
  return fynx_rules_publish(plane);
}

int fynx_rules_drop(struct fynx_plane *plane, const struct fynx_child *child) {
  uint32_t at = 0;
  while (at < plane->n_rules && plane->rules[at].out != child->out) at++;
  if (at == plane->n_rules) return 0;
  plane->n_rules--;
  memmove(plane->rules + at, plane->rules + at + 1, (plane->n_rules - at) * sizeof plane->rules[0]);
  return fynx_rules_publish(plane);
}

/* All rules anew, after the static policies changed. */
int fynx_rules_reset(struct fynx_plane *plane) {
  uint32_t n_static = plane->policies ? plane->policies->n : 0;
  int rc = reserve(plane, plane->n_children + n_static);
  if (rc) return rc;
  plane->n_rules = 0;
  for (const struct fynx_child *c = plane->children; c; c = c->next)
    if (c->active) plane->rules[plane->n_rules++] = rule_of_child(plane, c);
  for (uint32_t i = 0; i < n_static; i++)
    plane->rules[plane->n_rules++] = rule_of_policy(&plane->policies->policy[i]);
  if (plane->n_rules) qsort(plane->rules, plane->n_rules, sizeof plane->rules[0], compare_rule);
  return fynx_rules_publish(plane);
}

/* A new immutable snapshot for the workers; the old one goes when they have left it. */
int fynx_rules_publish(struct fynx_plane *plane) {
  struct fynx_spd *old = atomic_load(&plane->spd);
  size_t own_at = sizeof(struct fynx_spd) + (size_t)plane->n_rules * sizeof(struct fynx_rule);
  struct fynx_spd *spd = malloc(own_at + (size_t)plane->n_own * 16);
  if (!spd) return FYNX_E_MEMORY;
  spd->generation = ++plane->generation;
  spd->n = plane->n_rules;
  spd->n_own = plane->n_own;
  spd->own = (uint8_t(*)[16])(void *)((uint8_t *)spd + own_at);
  if (spd->n) memcpy(spd->rule, plane->rules, spd->n * sizeof spd->rule[0]);
  if (spd->n_own) memcpy(spd->own, plane->own, (size_t)spd->n_own * 16);
  atomic_store(&plane->spd, spd);
  return fynx_retire(plane, old, free);
}

/* After a failed reset: the rules that the workers' snapshot has, which is the old one. */
void fynx_rules_restore(struct fynx_plane *plane) {
  const struct fynx_spd *spd = atomic_load(&plane->spd);
  plane->n_rules = spd->n;
  if (spd->n) memcpy(plane->rules, spd->rule, spd->n * sizeof spd->rule[0]);
}
