/* child.c: installs, moves, removes Child SAs (RFC 4301 section 4.4.2); keys are wiped by their provider when freed. */
#include <malloc.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core.h"
#include "iptfs.h"
#include "pace.h"

/* Without ESN: tell at 13/16 of the numbers, which lies between 75 and 90 per cent (RFC 4303 section 3.3.3). */
#define SOFT_32 (UINT64_C(13) << 28)
#define SOFT_64 (UINT64_C(13) << 60)

static bool takes_place(const struct fynx_aead_ops *ops) { /* an older provider's structure ends before */
  return ops->size >= offsetof(struct fynx_aead_ops, key_put) + sizeof ops->key_put && ops->key_put;
}

/* In the plane's memory for keys where the provider can. */
static void *key_new(struct fynx_vault *vault, const struct fynx_aead_ops *ops, const uint8_t *key, const uint8_t *salt) {
  void *made = takes_place(ops) ? fynx_vault_take(vault, ops->key_room) : NULL;
  if (!made) return ops->key_new(ops, key, ops->key_len, salt);
  if (ops->key_put(ops, made, key, ops->key_len, salt) == 0) return made;
  fynx_vault_give(vault, made);
  return NULL;
}

static void key_free(struct fynx_vault *vault, const struct fynx_aead_ops *ops, void *key) {
  if (key && !fynx_vault_give(vault, key)) ops->key_free(key);
}

static void free_threads(const struct fynx_aead_ops *ops, void **thr, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (thr[i]) ops->thr_free(thr[i]);
}

static void out_free(struct fynx_vault *vault, struct fynx_sa_out *sa) {
  if (!sa) return;
  free_threads(sa->ops, sa->thr, sa->n_thr);
  key_free(vault, sa->ops, sa->key);
  free(atomic_load(&sa->endpoint));
  free((void *)sa->own);
  fynx_pace_free(sa->pace);
  fynx_wipe(sa, sizeof *sa);
  free(sa);
}

static void in_free(struct fynx_vault *vault, struct fynx_sa_in *sa) {
  if (!sa) return;
  free_threads(sa->ops, sa->thr, sa->n_thr);
  key_free(vault, sa->ops, sa->key);
  fynx_agg_free(sa->agg);
  fynx_wipe(sa, sizeof *sa);
  free(sa);
}

void fynx_child_free(void *object) {
  struct fynx_child *child = object;
  in_free(child->vault, child->in);
  out_free(child->vault, child->out);
  free(child->rule);
  free(child->ranges);
  free(child);
}

/* One context for each worker of the direction, so that the loops allocate nothing. */
static int make_threads(const struct fynx_aead_ops *ops, void *key, void **thr, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (!(thr[i] = ops->thr_new(key))) return FYNX_E_KEY;
  return 0;
}

static void *zeroed(size_t size) {
  void *p = aligned_alloc(64, fynx_align(size, 64));
  if (p) memset(p, 0, fynx_align(size, 64));
  return p;
}

static int out_new(struct fynx_plane *plane, const struct fynx_child_spec *spec, struct fynx_sa_out **result) {
  const struct fynx_aead_ops *ops = (const struct fynx_aead_ops *)spec->ops;
  uint32_t n = plane->n_tx;
  struct fynx_sa_out *sa = zeroed(sizeof *sa + n * sizeof(void *));
  if (!sa) return FYNX_E_MEMORY;
  *result = sa;
  sa->ops = ops;
  sa->handle = spec->handle;
  sa->spi = spec->spi_out;
  sa->iv_len = spec->implicit_iv ? 0 : ops->iv_len;
  sa->implicit_iv = spec->implicit_iv != 0;
  sa->pad_to = (uint16_t)spec->pad_to;
  sa->icv_len = ops->icv_len;
  sa->block = ops->block < 4 ? 4 : ops->block;
  sa->esn = spec->esn != 0;
  sa->hard_limit = spec->esn ? UINT64_MAX - UINT32_MAX : UINT32_MAX;
  sa->soft_limit = spec->esn ? SOFT_64 : SOFT_32;
  sa->n_thr = (uint16_t)n;
  atomic_flag_clear(&sa->packing);
  sa->key = key_new(&plane->vault, ops, spec->key_out, spec->salt_out);
  struct fynx_endpoint *endpoint = calloc(1, sizeof *endpoint);
  if (!endpoint) return FYNX_E_MEMORY;
  fynx_endpoint_build(plane, endpoint, &spec->path);
  atomic_store(&sa->endpoint, endpoint);
  atomic_init(&sa->limit, FYNX_INNER_MAX);
  fynx_mtu_look(plane, sa, endpoint);
  return sa->key ? make_threads(ops, sa->key, sa->thr, n) : FYNX_E_KEY;
}

static int in_new(struct fynx_plane *plane, const struct fynx_child_spec *spec, struct fynx_sa_in **result) {
  const struct fynx_aead_ops *ops = (const struct fynx_aead_ops *)spec->ops;
  uint32_t n = plane->n_rx;
  size_t words = fynx_window_words(spec->window);
  struct fynx_sa_in *sa = zeroed(sizeof *sa + words * sizeof(uint64_t) + n * sizeof(void *));
  if (!sa) return FYNX_E_MEMORY;
  *result = sa;
  sa->ops = ops;
  sa->handle = spec->handle;
  sa->spi = spec->spi_in;
  sa->iv_len = spec->implicit_iv ? 0 : ops->iv_len;
  sa->implicit_iv = spec->implicit_iv != 0;
  sa->icv_len = ops->icv_len;
  sa->align = ops->block < 4 ? 4 : ops->block;
  sa->esn = spec->esn != 0;
  sa->peer = spec->path.remote;
  sa->n_thr = (uint8_t)n;
  sa->thr = (void **)(void *)((uint64_t *)(void *)(sa + 1) + words);
  atomic_flag_clear(&sa->lock);
  fynx_window_init(&sa->window, spec->window, (uint64_t *)(void *)(sa + 1));
  sa->key = key_new(&plane->vault, ops, spec->key_in, spec->salt_in);
  return sa->key ? make_threads(ops, sa->key, sa->thr, n) : FYNX_E_KEY;
}

static bool paced_well(const struct fynx_child_spec *spec) {
  if (!spec->pace_ns) return !spec->pace_jitter && !spec->dummy_len;
  if (spec->pace_ns < FYNX_PACE_LEAST_NS || spec->pace_jitter > 1000) return false;
  if (spec->aggfrag) return !spec->pace_jitter && !spec->dummy_len; /* the rate is constant, padding its own */
  return !spec->dummy_len || (spec->dummy_len >= FYNX_DUMMY_LEAST && spec->dummy_len <= FYNX_PADDED_MAX);
}

static bool acceptable(const struct fynx_child_spec *spec) {
  const struct fynx_aead_ops *ops = (const struct fynx_aead_ops *)spec->ops;
  if (!ops || ops->abi != FYNX_ABI || ops->size < offsetof(struct fynx_aead_ops, user)) return false;
  if (8u + ops->iv_len > FYNX_HEAD || ops->iv_len > 16 || ops->icv_len > 64 || ops->block > 64) return false;
  if (ops->block & (ops->block - 1)) return false;
  if (spec->implicit_iv && (ops->iv_len != 8 || ops->integ_id)) return false; /* CBC needs one that nobody can predict */
  if (spec->pad_to > FYNX_PADDED_MAX && spec->pad_to != FYNX_PATH) return false;
  if (spec->window < FYNX_WINDOW_MIN || spec->window > FYNX_WINDOW_MAX) return false;
  if (spec->aggfrag_size && (spec->aggfrag_size < FYNX_AGG_SMALLEST || spec->aggfrag_size > FYNX_AGG_LARGEST)) return false;
  if (!paced_well(spec)) return false;
  if (spec->aggfrag && (spec->transport || spec->aggfrag > UINT8_MAX)) return false;
  if (spec->resource > FYNX_TX_MAX) return false;
  return spec->n_local && spec->n_remote && spec->spi_out > 255;
}

static int build(struct fynx_plane *plane, const struct fynx_child_spec *spec, struct fynx_child *child) {
  child->vault = &plane->vault;
  child->handle = spec->handle;
  child->tag = spec->tag;
  child->resource = spec->resource;
  child->n_local = (uint16_t)spec->n_local;
  child->n_remote = (uint16_t)spec->n_remote;
  child->ranges = fynx_ranges_new(spec->local, spec->n_local, spec->remote, spec->n_remote);
  if (!child->ranges) return FYNX_E_ARGUMENT;
  int rc = in_new(plane, spec, &child->in);
  if (rc == 0) rc = out_new(plane, spec, &child->out);
  if (rc == 0) rc = fynx_resource_prepare(plane, child);
  if (rc) return rc;
  if (spec->aggfrag) {
    if (fynx_agg_prepare(plane) || !(child->in->agg = fynx_agg_new())) return FYNX_E_MEMORY;
    child->out->aggfrag = (uint8_t)spec->aggfrag;
    child->out->aggfrag_size = (uint16_t)spec->aggfrag_size;
  }
  if (spec->pace_ns && (rc = fynx_pace_new(plane, child->out, spec))) return rc;
  if (spec->transport) {
    child->in->header = child->out->header = fynx_transport_header(child);
    if (!child->in->header) return FYNX_E_ARGUMENT;
    if (spec->translated) child->in->fix = fynx_transport_fix(child, spec->source, spec->destination);
    atomic_store(&child->out->look_ms, 0); /* the header leaves more room on the path */
  }
  child->in->local = child->ranges;
  child->in->n_local = child->n_local;
  child->in->remote = child->ranges + child->n_local;
  child->in->n_remote = child->n_remote;
  return 0;
}

static void link_child(struct fynx_plane *plane, struct fynx_child *child) {
  child->next = plane->children;
  if (child->next) child->next->previous = child;
  plane->children = child;
  plane->n_children++;
  plane->n_bound += child->resource != 0;
}

static void unlink_child(struct fynx_plane *plane, struct fynx_child *child) {
  if (child->next) child->next->previous = child->previous;
  *(child->previous ? &child->previous->next : &plane->children) = child->next;
  plane->n_children--;
  plane->n_bound -= child->resource != 0;
  fynx_resource_follow(plane, child);
}

/* Inbound first, so that no answer can be lost; then outbound, unless it waits for `activate`. */
static int publish(struct fynx_plane *plane, struct fynx_child *child, bool outbound) {
  plane->frozen = true;
  child->serial = ++plane->serial;
  link_child(plane, child);
  fynx_sad_publish(plane, child->in);
  if (!outbound) return 0;
  child->active = true;
  fynx_resource_follow(plane, child);
  int rc = fynx_rules_add(plane, child);
  if (rc == 0) fynx_pace_begin(plane, child->out->pace);
  return rc;
}

static int unpublish(struct fynx_plane *plane, struct fynx_child *child) {
  fynx_sad_withdraw(plane, child->in->spi);
  unlink_child(plane, child);
  fynx_pace_end(plane, child->out->pace);
  int rc = child->active ? fynx_rules_drop(plane, child) : 0;
  return rc ? rc : fynx_retire(plane, child, fynx_child_free);
}

int fynx_child_install(struct fynx_plane *plane, const struct fynx_child_spec *spec, struct fynx_child **result) {
  if (!acceptable(spec)) return FYNX_E_ARGUMENT;
  struct fynx_child *child = calloc(1, sizeof *child);
  if (!child) return FYNX_E_MEMORY;
  pthread_mutex_lock(&plane->control);
  int rc = build(plane, spec, child);
  if (rc == 0) rc = fynx_sad_claim(plane, spec->spi_in);
  if (rc) {
    fynx_child_free(child);
  } else if ((rc = publish(plane, child, spec->outbound != 0))) {
    unpublish(plane, child); /* a worker may have seen its inbound half already: retired, not freed */
  } else {
    *result = child;
  }
  fynx_reclaim(plane, false);
  pthread_mutex_unlock(&plane->control);
  if (rc == 0) fynx_early_settle(plane, spec->spi_in);
  return rc;
}

/* It sends from now on, before others with the same selectors; also where it sent already. */
int fynx_child_activate(struct fynx_plane *plane, struct fynx_child *child) {
  pthread_mutex_lock(&plane->control);
  child->active = true;
  child->serial = ++plane->serial;
  fynx_resource_follow(plane, child);
  int rc = fynx_rules_add(plane, child);
  if (rc == 0) fynx_pace_begin(plane, child->out->pace);
  fynx_reclaim(plane, false);
  pthread_mutex_unlock(&plane->control);
  return rc;
}

int fynx_child_move(struct fynx_plane *plane, struct fynx_child *child, const struct fynx_path *path) {
  struct fynx_endpoint *endpoint = calloc(1, sizeof *endpoint);
  if (!endpoint) return FYNX_E_MEMORY;
  pthread_mutex_lock(&plane->control);
  fynx_endpoint_build(plane, endpoint, path);
  struct fynx_endpoint *old = atomic_exchange(&child->out->endpoint, endpoint);
  atomic_store(&child->out->look_ms, 0);
  fynx_sa_lock(child->in);
  child->in->peer = path->remote;
  child->in->moved = 0;
  fynx_sa_unlock(child->in);
  int rc = fynx_retire(plane, old, free);
  fynx_reclaim(plane, false);
  pthread_mutex_unlock(&plane->control);
  return rc;
}

/* After this returns no packet is taken or sent for the child; its keys are gone when the last batch in hand is. */
int fynx_child_remove(struct fynx_plane *plane, struct fynx_child *child) {
  pthread_mutex_lock(&plane->control);
  int rc = unpublish(plane, child);
  fynx_reclaim(plane, true);
  pthread_mutex_unlock(&plane->control);
  return rc;
}

static uint64_t relaxed(const _Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_relaxed); }

void fynx_child_usage(const struct fynx_child *child, struct fynx_usage *usage) {
  memset(usage, 0, sizeof *usage);
  usage->packets_in = relaxed(&child->in->counters.packets);
  usage->bytes_in = relaxed(&child->in->counters.bytes);
  usage->packets_out = relaxed(&child->out->counters.packets);
  usage->bytes_out = relaxed(&child->out->counters.bytes);
  uint64_t given = relaxed(&child->out->sequence);
  usage->sequence_out = given > child->out->hard_limit ? child->out->hard_limit : given;
  fynx_sa_lock(child->in);
  usage->sequence_in = child->in->window.top;
  fynx_sa_unlock(child->in);
  for (int i = 0; i < FYNX_SA_DROP_COUNT; i++)
    usage->drops[i] = relaxed(&child->in->counters.drops[i]) + relaxed(&child->out->counters.drops[i]);
}

/* Octets in memory, except what a provider allocates by itself. */
size_t fynx_child_memory(const struct fynx_child *child) {
  void *blocks[] = {(void *)(uintptr_t)child, child->in,   child->out,
                    child->ranges,            child->rule, atomic_load(&child->out->endpoint)};
  size_t sum = child->n_remote * (sizeof(struct fynx_bucket) + sizeof(struct fynx_entry));
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) sum += malloc_usable_size(blocks[i]);
  return sum + (takes_place(child->in->ops) ? 2 * fynx_align(child->in->ops->key_room, 64) : 0);
}

void fynx_child_set_sequence(struct fynx_child *child, uint64_t last_out) {
  uint64_t now = relaxed(&child->out->sequence);
  while (last_out > now && !atomic_compare_exchange_weak(&child->out->sequence, &now, last_out)) {
  }
}
