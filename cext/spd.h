/* spd.h: the SPD that workers look into (RFC 4301 section 4.4.1): an immutable snapshot that shares with the one before
 * all that did not change. Rules lie in buckets by the prefixes that hold their addresses. */
#ifndef FYNX_SPD_H
#define FYNX_SPD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow.h"

#define FYNX_PAGE 64u    /* buckets in a page */
#define FYNX_SHAPES 462u /* that there can be: 33 * 5 of IPv4, and 33 * 9 of IPv6 by steps of 4 and 16 bits */

struct fynx_sa_out;
struct fynx_policy;

struct fynx_block { /* begins all that a snapshot is made of */
  struct fynx_block *made; /* for the change under way: freed if that fails */
  struct fynx_block *gone; /* with the change under way: freed when no worker has the old snapshot */
};

struct fynx_order { /* of look-up: the least comes first */
  int32_t priority;
  uint32_t rank;   /* place in the list of policies */
  uint64_t serial; /* SAs before the bare policy, the newest first */
};

struct fynx_rule { /* one line of the SPD; never written once it is in a snapshot */
  struct fynx_block block;
  struct fynx_order order;
  const struct fynx_range *local;
  const struct fynx_range *remote;
  uint16_t n_local;
  uint16_t n_remote;
  uint8_t action;
  uint32_t tag;
  struct fynx_sa_out *out;
  struct fynx_policy *policy;
};

struct fynx_policy {
  struct fynx_rule rule; /* of itself; an SA for it has one of its own that stands before */
  struct fynx_range *ranges;
  _Atomic uint64_t acquire_after_ms;
};

struct fynx_policies { /* the static part, replaced as a whole */
  uint32_t n;
  uint32_t n_protect;
  struct fynx_policy **protect; /* by tag, then by rank */
  struct fynx_policy policy[];
};

struct fynx_entry { /* one remote range of a rule */
  const struct fynx_rule *rule;
  uint32_t hash;
  uint32_t remote;
};

struct fynx_bucket { /* in order of look-up */
  struct fynx_block block;
  uint64_t generation; /* that made it; no other writes to it */
  uint32_t n;
  uint32_t room;
  struct fynx_entry entry[];
};

struct fynx_page {
  struct fynx_block block;
  uint64_t generation;
  struct fynx_bucket *bucket[FYNX_PAGE];
};

struct fynx_shape { /* rules whose addresses share prefixes of these lengths */
  struct fynx_order first; /* not after any of theirs */
  uint64_t remote[2];      /* masks */
  uint64_t local[2];
  uint32_t n; /* entries */
  uint8_t family;
};

struct fynx_spd { /* immutable once published */
  struct fynx_block block;
  uint64_t generation;
  uint32_t n;         /* rules */
  uint32_t n_entries; /* a rule has one for each of its remote ranges */
  uint32_t n_own;
  uint32_t n_shapes;
  uint32_t n_pages; /* a power of two */
  uint8_t (*own)[16];       /* sorted, IPv4 mapped */
  struct fynx_shape *shape; /* sorted by `first`; behind the pages */
  struct fynx_page *page[];
};

static inline bool fynx_order_before(const struct fynx_order *a, const struct fynx_order *b) {
  if (a->priority != b->priority) return a->priority < b->priority;
  if (a->rank != b->rank) return a->rank < b->rank;
  return a->serial > b->serial;
}

static inline uint32_t fynx_shape_hash(const struct fynx_shape *s, const uint64_t remote[2], const uint64_t local[2]) {
  uint64_t h = (remote[1] & s->remote[1]) * UINT64_C(0x9e3779b97f4a7c15) + (s->remote[1] ^ s->remote[0] << 1);
  h = (h ^ h >> 32 ^ (remote[0] & s->remote[0])) * UINT64_C(0xc2b2ae3d27d4eb4f);
  h = (h ^ h >> 29 ^ (local[1] & s->local[1])) * UINT64_C(0x165667b19e3779f9) + s->local[1];
  h = (h ^ h >> 32 ^ (local[0] & s->local[0])) * UINT64_C(0xd6e8feb86659fd93) + s->family;
  return (uint32_t)((h ^ h >> 29) * UINT64_C(0xff51afd7ed558ccd) >> 32);
}

#endif
