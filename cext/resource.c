/* resource.c: a Child SA for each worker (RFC 9611): which of the SAs with the same selectors a sender uses, decided when one
 * comes or goes. The policy finds any one of them; its table leads each sender to its own. */
#include <stdlib.h>

#include "core.h"

static bool alike(const struct fynx_child *a, const struct fynx_child *b) {
  size_t n = (size_t)a->n_local + a->n_remote;
  return a->tag == b->tag && a->n_local == b->n_local && a->n_remote == b->n_remote &&
         memcmp(a->ranges, b->ranges, n * sizeof a->ranges[0]) == 0;
}

/* What the sender would rather use: its own, else one that is nobody's, else any; of equals the newest. */
static int rank(const struct fynx_child *c, uint32_t sender) {
  if (c->resource && c->resource == sender) return 2;
  return c->resource ? 0 : 1;
}

static bool better(const struct fynx_child *one, const struct fynx_child *other, uint32_t sender) {
  int a = rank(one, sender), b = rank(other, sender);
  return a != b ? a > b : one->serial > other->serial;
}

/* To the best for each sender, or with NULL each to itself: then the policy alone chooses. */
static void lead(struct fynx_child *child, const struct fynx_child *const *best) {
  for (uint32_t i = 0; i < child->out->n_thr; i++) atomic_store(&child->out->own[i], (best ? best[i] : child)->out);
}

/* A table only where senders differ: one worker has all SAs for itself. */
int fynx_resource_prepare(struct fynx_plane *plane, struct fynx_child *child) {
  struct fynx_sa_out *out = child->out;
  if (plane->n_tx <= 2) return 0;
  out->own = calloc(out->n_thr, sizeof *out->own);
  if (!out->own) return FYNX_E_MEMORY;
  for (uint32_t i = 0; i < out->n_thr; i++) atomic_init(&out->own[i], out);
  return 0;
}

/* Before the policy leads to `child`, and after it was unlinked, while it may still be in use. With the control mutex held. */
void fynx_resource_follow(struct fynx_plane *plane, struct fynx_child *child) {
  const struct fynx_child *best[FYNX_TX_MAX] = {0};
  if (!child->out->own || (!plane->n_bound && !child->resource)) return;
  for (struct fynx_child *c = plane->children; !plane->n_bound && c; c = c->next) lead(c, NULL); /* the last bound one went */
  if (!plane->n_bound) return;
  for (const struct fynx_child *c = plane->children; c; c = c->next)
    for (uint32_t i = 0; c->active && i < c->out->n_thr && alike(c, child); i++)
      if (!best[i] || better(c, best[i], i)) best[i] = c;
  for (struct fynx_child *c = plane->children; c; c = c->next)
    if (c->active && alike(c, child)) lead(c, best);
}
