/* policy.c: the static policies: BYPASS, DISCARD, and PROTECT that waits for its SA (RFC 4301 section 4.4.1). */
#include <stdlib.h>

#include "core.h"

static void policies_free(void *object) {
  struct fynx_policies *policies = object;
  for (uint32_t i = 0; policies && i < policies->n; i++) free(policies->policy[i].ranges);
  free(policies);
}

static struct fynx_policies *policies_new(const struct fynx_policy_spec *specs, uint32_t n) {
  struct fynx_policies *policies = calloc(1, sizeof *policies + (size_t)n * sizeof(struct fynx_policy));
  if (!policies) return NULL;
  for (uint32_t i = 0; i < n; i++) {
    const struct fynx_policy_spec *spec = &specs[i];
    struct fynx_policy *p = &policies->policy[policies->n++];
    p->ranges = fynx_ranges_new(spec->local, spec->n_local, spec->remote, spec->n_remote);
    if (!p->ranges || spec->action > FYNX_PROTECT) {
      policies_free(policies);
      return NULL;
    }
    p->priority = spec->priority;
    p->rank = i;
    p->tag = spec->tag;
    p->action = (uint8_t)spec->action;
    p->n_local = (uint16_t)spec->n_local;
    p->n_remote = (uint16_t)spec->n_remote;
    atomic_init(&p->acquire_after_ms, 0);
  }
  return policies;
}

int fynx_plane_policies(struct fynx_plane *plane, const struct fynx_policy_spec *specs, uint32_t n) {
  struct fynx_policies *policies = policies_new(specs, n);
  if (!policies) return FYNX_E_ARGUMENT;
  pthread_mutex_lock(&plane->control);
  struct fynx_policies *old = plane->policies;
  plane->policies = policies;
  int rc = fynx_rules_reset(plane);
  if (rc == 0) {
    rc = fynx_retire(plane, old, policies_free);
  } else {
    plane->policies = old;
    fynx_rules_restore(plane);
    policies_free(policies);
  }
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
