/* encap.c: seals one batch of inner packets (RFC 4303 section 3.3), outbound policy first (RFC 4301 section 5.1). */
#include <sys/random.h>

#include "core.h"
#include "iptfs.h"

enum { NO_NEXT_HEADER = 59, UNKNOWN_PATH = 1280 };

static void tell_expired(struct fynx_worker *w, struct fynx_sa_out *sa, bool hard) {
  _Atomic uint32_t *told = hard ? &sa->hard_told : &sa->soft_told;
  if (!atomic_exchange(told, 1)) fynx_upcall_expire(w, sa->handle, hard);
}

static void classify(struct fynx_worker *w, const struct fynx_spd *spd, struct fynx_slot *slot) {
  if (!fynx_flow_parse(slot->data, slot->len, &slot->flow)) {
    fynx_drop(w, slot, FYNX_DROP_OUTBOUND_HEADER);
    return;
  }
  slot->len = slot->flow.total;
  const struct fynx_rule *rule = fynx_spd_cached(w, spd, &slot->flow);
  if (!rule) {
    fynx_drop(w, slot, FYNX_DROP_NO_POLICY);
  } else if (rule->action == FYNX_DISCARD) {
    fynx_drop(w, slot, FYNX_DROP_DISCARD);
  } else if (rule->action == FYNX_BYPASS) {
    fynx_drop(w, slot, FYNX_DROP_BYPASS);
  } else if (!rule->out) {
    fynx_upcall_acquire(w, rule, &slot->flow);
    fynx_drop(w, slot, FYNX_DROP_NO_SA);
  } else {
    struct fynx_sa_out *out = fynx_resource_own(w, rule->out);
    slot->sa = out;
    slot->handle = out->handle;
    if (out->header && !fynx_transport_takes(slot->data)) {
      fynx_mtu_refuse(w, slot, out);
      fynx_drop_sa(w, &out->counters, slot, FYNX_DROP_TRANSPORT);
    } else if (!fynx_mtu_pass(w, slot, out)) {
      fynx_drop_sa(w, &out->counters, slot, FYNX_DROP_PATH_MTU);
    }
  }
}

/* What the slot before got, the one that follows it gets; what was dropped is looked at one by one, to be counted. */
static void classify_next(struct fynx_worker *w, const struct fynx_spd *spd, struct fynx_slot *slot) {
  slot->verdict = FYNX_PASS;
  slot->sa = NULL;
  w->wide = 0;
  if (!slot->follows || slot[-1].verdict != FYNX_PASS) {
    classify(w, spd, slot);
    return;
  }
  slot->sa = slot[-1].sa;
  slot->handle = slot[-1].handle;
  slot->flow.key.family = slot[-1].flow.key.family;
}

/* CBC needs an IV that nobody can predict (RFC 3602 section 3): taken from a pool that the kernel fills. */
static bool random_iv(struct fynx_worker *w, uint8_t *iv, uint32_t len) {
  if (w->iv_at + len > FYNX_IV_POOL) {
    if (getrandom(w->iv_pool, FYNX_IV_POOL, 0) != (ssize_t)FYNX_IV_POOL) return false;
    w->iv_at = 0;
  }
  memcpy(iv, w->iv_pool + w->iv_at, len);
  fynx_wipe(w->iv_pool + w->iv_at, len);
  w->iv_at += len;
  return true;
}

/* Outside as inside: DSCP (RFC 4301 section 5.1.2.1), and ECN in the normal mode of RFC 6040 section 4.1. */
static uint8_t traffic_class(const uint8_t *packet) {
  if (packet[0] >> 4 == 4) return packet[1];
  return (uint8_t)(packet[0] << 4 | packet[1] >> 4);
}

/* Puts the packet where there is room around it. */
static void settle(struct fynx_worker *w, struct fynx_slot *slot) {
  uint8_t *place = w->padded + (size_t)(slot - w->slot) * FYNX_PADDED_STRIDE + FYNX_HEAD;
  if (slot->data != place) memcpy(place, slot->data, slot->len); /* a dummy lies there already */
  slot->data = place;
}

static bool same_wrap(const struct fynx_wrap *wrap, const struct fynx_sa_out *sa) {
  return wrap->ahead == 8u + sa->iv_len && wrap->block == sa->block && wrap->icv_len == sa->icv_len;
}

/* Makes room for padding that hides how long the packet is (RFC 4303 section 2.7): returns its octets, which are zero. Not
 * in transport mode, where not every protocol says where it ends. */
static uint32_t widen(struct fynx_worker *w, const struct fynx_sa_out *sa, struct fynx_slot *slot) {
  uint32_t limit = atomic_load_explicit(&sa->limit, memory_order_relaxed);
  uint32_t path = limit == FYNX_INNER_MAX ? UNKNOWN_PATH : limit;
  uint32_t target = sa->pad_to == FYNX_PATH ? path : sa->pad_to < limit ? sa->pad_to : limit;
  if (target > FYNX_PADDED_MAX) target = FYNX_PADDED_MAX;
  if (slot->len >= target || sa->header || sa->aggfrag) return 0;
  settle(w, slot);
  memset(slot->data + slot->len, 0, target - slot->len);
  return target - slot->len;
}

/* Header, padding and trailer around the packet in its slot; false when it gets no IV. */
static bool frame(struct fynx_worker *w, const struct fynx_sa_out *sa, struct fynx_slot *slot, uint32_t member) {
  uint8_t family = slot->flow.key.family, next = family == 4 ? 4 : family == 6 ? 41 : NO_NEXT_HEADER;
  slot->tos = sa->aggfrag ? 0 : traffic_class(slot->data); /* of many: RFC 9347 section 2.4 hides them */
  if (sa->aggfrag) next = FYNX_AGG_NEXT;
  if (sa->header && family) next = fynx_transport_cut(slot, sa->header);
  if (slot->tight && !same_wrap(&w->laid, sa)) settle(w, slot);
  uint32_t wide = sa->pad_to ? widen(w, sa, slot) : 0, len = slot->len + wide;
  uint32_t head = 8u + sa->iv_len, pad = fynx_padding(sa->block, len);
  uint8_t *tail = slot->data + len, *esp = slot->data - head, *iv = esp + 8;
  for (uint32_t i = 0; i < pad; i++) tail[i] = (uint8_t)(i + 1);
  tail[pad] = (uint8_t)pad;
  tail[pad + 1] = next;
  fynx_put32(esp, sa->spi);
  fynx_put32(esp + 4, (uint32_t)slot->sequence);
  if (sa->iv_len == 8)
    fynx_put64(iv, slot->sequence); /* a counter that never repeats under one key (RFC 4106 section 3.1) */
  else if (sa->iv_len && !random_iv(w, iv, sa->iv_len))
    return false;
  uint8_t *aad = w->aad[member];
  const uint8_t *implicit = fynx_aad(aad, sa->spi, slot->sequence, sa->esn);
  w->packet[member] = (struct fynx_packet){.in = slot->data, .out = slot->data, .len = len + pad + 2, .aad = aad,
                                           .aad_len = sa->esn ? 12 : 8, .iv = sa->implicit_iv ? implicit : iv};
  return true;
}

static void finish(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t n) {
  uint64_t packets = 0, bytes = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[w->member[i]];
    if (w->packet[i].rc) {
      fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_SEAL);
      continue;
    }
    if (slot->flow.key.family) {
      packets++;
      bytes += slot->len + sa->header;
    }
    slot->data -= 8u + sa->iv_len;
    slot->len = 8u + sa->iv_len + w->packet[i].len + sa->icv_len;
  }
  if (sa->aggfrag) return; /* inner packets were counted when they were taken */
  atomic_fetch_add_explicit(&sa->counters.packets, packets, memory_order_relaxed);
  atomic_fetch_add_explicit(&sa->counters.bytes, bytes, memory_order_relaxed);
  fynx_count(w, FYNX_COUNT_PACKETS_OUT, packets);
  fynx_count(w, FYNX_COUNT_BYTES_OUT, bytes);
}

static bool fits(struct fynx_worker *w, struct fynx_sa_out *sa, struct fynx_slot *slot) {
  uint32_t most = 8u + sa->iv_len + slot->len + sa->block + 1u + sa->icv_len;
  if (most <= FYNX_DATAGRAM_MAX) return true;
  fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_TOO_BIG);
  return false;
}

/* Collects what is left of one SA into w->member, in order; returns how many. */
static uint32_t gather(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t from, uint32_t n) {
  uint32_t count = 0;
  for (uint32_t i = from; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS || slot->sa != sa) continue;
    slot->sa = NULL;
    if (fits(w, sa, slot)) w->member[count++] = (uint8_t)i;
  }
  return count;
}

void fynx_seal(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t count) {
  uint32_t framed = 0;
  if (!count) return;
  const struct fynx_endpoint *endpoint = atomic_load(&sa->endpoint);
  fynx_mtu_look(w->plane, sa, endpoint);
  uint64_t next = atomic_fetch_add_explicit(&sa->sequence, count, memory_order_relaxed);
  w->wrap = (struct fynx_wrap){(uint8_t)(8 + sa->iv_len), sa->block, sa->icv_len};
  for (uint32_t i = 0; i < count; i++) {
    struct fynx_slot *slot = &w->slot[w->member[i]];
    slot->sequence = ++next;
    slot->endpoint = endpoint;
    slot->out = sa;
    if (next > sa->hard_limit)
      fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_SEQUENCE);
    else if (!frame(w, sa, slot, framed))
      fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_SEAL);
    else
      w->member[framed++] = w->member[i];
  }
  if (framed) sa->ops->seal(sa->thr[w->index], w->packet, framed);
  finish(w, sa, framed);
  if (next > sa->soft_limit) tell_expired(w, sa, false);
  if (next >= sa->hard_limit) tell_expired(w, sa, true);
}

static void seal_group(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t from, uint32_t n) {
  if (sa->aggfrag)
    w->aggregated = true; /* when all others are sealed */
  else
    fynx_seal(w, sa, gather(w, sa, from, n));
}

/* Slots hold inner packets with FYNX_HEAD octets of room before and FYNX_TAIL behind; afterwards ESP packets. */
uint32_t fynx_encap(struct fynx_worker *w, uint32_t n) {
  const struct fynx_spd *spd = atomic_load(&w->plane->spd);
  w->aggregated = false;
  for (uint32_t i = 0; i < n; i++) classify_next(w, spd, &w->slot[i]);
  if (n && w->wide) n = fynx_mtu_cut(w, n, w->wide);
  for (uint32_t i = 0; i < n; i++)
    if (w->slot[i].verdict == FYNX_PASS && w->slot[i].sa) seal_group(w, w->slot[i].sa, i, n);
  if (w->aggregated) n = fynx_agg_out(w, n);
  fynx_count(w, FYNX_COUNT_BATCHES_OUT, 1);
  return n;
}
