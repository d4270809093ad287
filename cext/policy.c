/* policy.c: the static policies: BYPASS, DISCARD, and PROTECT that waits for its SA (RFC 4301 section 4.4.1). */
#include <stdlib.h>

#include "core.h"

void fynx_policies_free(void *object) {
  struct fynx_policies *policies = object;
  if (!policies) return;
  for (uint32_t i = 0; i < policies->n; i++) free(policies->policy[i].ranges);
  free(policies->protect);
  free(policies);
}

static bool fill(struct fynx_policy *p, const struct fynx_policy_spec *spec, uint32_t rank) {
  p->ranges = fynx_ranges_new(spec->local, spec->n_local, spec->remote, spec->n_remote);
  if (!p->ranges || spec->action > FYNX_PROTECT) return false;
  p->rule = (struct fynx_rule){.order = {.priority = spec->priority, .rank = rank},
                               .local = p->ranges,
                               .remote = p->ranges + spec->n_local,
                               .n_local = (uint16_t)spec->n_local,
                               .n_remote = (uint16_t)spec->n_remote,
                               .action = (uint8_t)spec->action,
                               .tag = spec->tag,
                               .policy = p};
  atomic_init(&p->acquire_after_ms, 0);
  return true;
}

static int by_tag(const void *a, const void *b) {
  const struct fynx_rule *x = &(*(struct fynx_policy *const *)a)->rule, *y = &(*(struct fynx_policy *const *)b)->rule;
  if (x->tag != y->tag) return x->tag < y->tag ? -1 : 1;
  return (x->order.rank > y->order.rank) - (x->order.rank < y->order.rank);
}

static struct fynx_policies *policies_new(const struct fynx_policy_spec *specs, uint32_t n) {
  struct fynx_policies *policies = calloc(1, sizeof *policies + (size_t)n * sizeof(struct fynx_policy));
  if (!policies) return NULL;
  policies->protect = calloc((size_t)n + 1, sizeof(struct fynx_policy *));
  bool good = policies->protect != NULL;
  for (uint32_t i = 0; good && i < n; i++) {
    struct fynx_policy *p = &policies->policy[policies->n++];
    good = fill(p, &specs[i], i);
    if (good && p->rule.action == FYNX_PROTECT) policies->protect[policies->n_protect++] = p;
  }
  if (good) {
    qsort((void *)policies->protect, policies->n_protect, sizeof(struct fynx_policy *), by_tag);
    return policies;
  }
  fynx_policies_free(policies);
  return NULL;
}

int fynx_plane_policies(struct fynx_plane *plane, const struct fynx_policy_spec *specs, uint32_t n) {
  struct fynx_policies *policies = policies_new(specs, n);
  if (!policies) return FYNX_E_ARGUMENT;
  pthread_mutex_lock(&plane->control);
  struct fynx_policies *old = plane->policies;
  int rc = fynx_rules_reset(plane, policies);
  if (plane->policies == policies)
    fynx_retire(plane, old, fynx_policies_free);
  else
    fynx_policies_free(policies);
  fynx_reclaim(plane, false);
  pthread_mutex_unlock(&plane->control);
  return rc;
}

/* What would become of this outbound inner packet: an action, or FYNX_NONE. */
int fynx_plane_match(struct fynx_plane *plane, const uint8_t *packet, uint32_t len) {
  struct fynx_flow flow;
  if (!fynx_flow_parse(packet, len, &flow)) return FYNX_E_ARGUMENT;
  pthread_mutex_lock(&plane->control);
  const struct fynx_spd *spd = atomic_load(&plane->spd);
  const struct fynx_rule *rule = fynx_spd_find(spd, &flow);
  int action = rule ? rule->action : FYNX_NONE;
  pthread_mutex_unlock(&plane->control);
  return action;
}
