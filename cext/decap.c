/* decap.c: opens one batch of ESP packets (RFC 4303 section 3.4), then the inbound policy (RFC 4301 section 5.2). */
#include "core.h"
#include "iptfs.h"

enum { NEXT_IPV4 = 4, NEXT_IPV6 = 41, NEXT_NONE = 59 };

static void find_sa(struct fynx_worker *w, struct fynx_slot *slot) {
  slot->verdict = FYNX_PASS;
  slot->sa = NULL;
  if (slot->len < 8) {
    fynx_drop(w, slot, FYNX_DROP_SHORT);
    return;
  }
  uint32_t spi = fynx_be32(slot->data);
  struct fynx_sa_in *sa = spi < 256 ? NULL : fynx_sad_find(w->plane, spi);
  if (!sa) sa = fynx_early_hold(w, slot, spi);
  if (slot->verdict == FYNX_HELD) return;
  if (!sa) {
    fynx_drop(w, slot, FYNX_DROP_UNKNOWN_SPI);
    if (spi >= 256) fynx_upcall_spi(w, &slot->path, spi);
    return;
  }
  uint32_t overhead = 8u + sa->iv_len + sa->icv_len;
  if (slot->len < overhead + 2 || (slot->len - overhead) % sa->align) {
    fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_LENGTH);
    return;
  }
  slot->sa = sa;
  slot->handle = sa->handle;
}

/* Members whose number may still be accepted, before any cipher runs (RFC 4303 section 3.4.3). High halves are inferred
 * from the window as it stands before the batch, which errs only for jumps of 2^31 within one. */
static uint32_t admit(struct fynx_worker *w, struct fynx_sa_in *sa, uint32_t from, uint32_t n) {
  uint32_t count = 0;
  fynx_sa_lock(sa);
  for (uint32_t i = from; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS || slot->sa != sa) continue;
    slot->sequence = fynx_window_infer(&sa->window, fynx_be32(slot->data + 4), sa->esn);
    if (fynx_window_check(&sa->window, slot->sequence))
      w->member[count++] = (uint8_t)i;
    else
      fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_REPLAY);
    slot->sa = NULL;
  }
  fynx_sa_unlock(sa);
  return count;
}

static void prepare(struct fynx_worker *w, const struct fynx_sa_in *sa, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    struct fynx_slot *slot = &w->slot[w->member[i]];
    uint8_t *aad = w->aad[i], *body = slot->data + 8 + sa->iv_len;
    const uint8_t *implicit = fynx_aad(aad, sa->spi, slot->sequence, sa->esn);
    w->packet[i] = (struct fynx_packet){.in = body, .out = body, .len = slot->len - 8u - sa->iv_len - sa->icv_len,
                                        .aad = aad, .aad_len = sa->esn ? 12 : 8,
                                        .iv = sa->implicit_iv ? implicit : slot->data + 8};
  }
}

/* A newest packet from elsewhere is reported once per place (RFC 7296 section 2.23). With the SA's lock held. */
static bool moved(struct fynx_sa_in *sa, const struct fynx_addr *from) {
  if (memcmp(&sa->peer, from, sizeof *from) == 0) {
    sa->moved = 0;
    return false;
  }
  if (sa->moved && memcmp(&sa->told, from, sizeof *from) == 0) return false;
  sa->told = *from;
  sa->moved = 1;
  return true;
}

/* After the tags: takes the numbers, so that the second of two equal ones in a batch is caught here; the window is
 * looked at first, and so a batch counts what the same packets one by one would. */
static void commit(struct fynx_worker *w, struct fynx_sa_in *sa, uint32_t count) {
  const struct fynx_path *seen = NULL;
  fynx_sa_lock(sa);
  for (uint32_t i = 0; i < count; i++) {
    struct fynx_slot *slot = &w->slot[w->member[i]];
    uint64_t top = sa->window.top;
    if (!fynx_window_check(&sa->window, slot->sequence))
      fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_REPLAY);
    else if (w->packet[i].rc)
      fynx_drop_sa(w, &sa->counters, slot, FYNX_DROP_INTEGRITY);
    else if (fynx_window_commit(&sa->window, slot->sequence) && slot->sequence > top && moved(sa, &slot->path.remote))
      seen = &slot->path;
  }
  fynx_sa_unlock(sa);
  if (seen) fynx_upcall_path(w, sa->handle, seen);
}

static void set_ecn(uint8_t *packet, uint8_t ecn) {
  if (packet[0] >> 4 == 6) {
    packet[1] = (uint8_t)((packet[1] & ~0x30) | ecn << 4);
    return;
  }
  uint32_t before = fynx_be16(packet), sum = (uint16_t)~fynx_be16(packet + 10);
  packet[1] = (uint8_t)((packet[1] & ~3) | ecn);
  sum += (uint16_t)~before + (uint32_t)fynx_be16(packet); /* RFC 1624 section 3 */
  sum = (sum & UINT16_MAX) + (sum >> 16);
  sum = ~((sum & UINT16_MAX) + (sum >> 16));
  packet[10] = (uint8_t)(sum >> 8);
  packet[11] = (uint8_t)sum;
}

/* What the path marked outside (RFC 6040 section 4.2); false: the packet must not go on. */
static bool carry_congestion(uint8_t *packet, uint8_t outer) {
  enum { NOT_ECT = 0, ECT_1 = 1, ECT_0 = 2, CE = 3 };
  uint8_t inner = packet[0] >> 4 == 4 ? packet[1] & 3 : packet[1] >> 4 & 3;
  outer &= 3;
  if (outer == CE && inner == NOT_ECT) return false;
  if ((outer == CE && inner != CE) || (outer == ECT_1 && inner == ECT_0)) set_ecn(packet, outer);
  return true;
}

static enum fynx_verdict tunnelled(const struct fynx_slot *slot, uint8_t next) {
  if (next != NEXT_IPV4 && next != NEXT_IPV6) return FYNX_DROP_NEXT_HEADER;
  if (slot->len == 0) return FYNX_DROP_INNER_HEADER;
  return slot->data[0] >> 4 == (next == NEXT_IPV4 ? 4 : 6) ? FYNX_PASS : FYNX_DROP_NEXT_HEADER;
}

/* FYNX_PASS, or why not. Looks at nothing outside `len` octets; the ICV has vouched for all of them. */
static enum fynx_verdict strip(struct fynx_worker *w, const struct fynx_sa_in *sa, struct fynx_slot *slot,
                               uint8_t *body, uint32_t len) {
  uint32_t pad = body[len - 2];
  uint8_t next = body[len - 1];
  if (pad > len - 2) return FYNX_DROP_PADDING;
  const uint8_t *padding = body + len - 2 - pad;
  for (uint32_t i = 0; i < pad; i++)
    if (padding[i] != i + 1) return FYNX_DROP_PADDING;
  if (next == NEXT_NONE) return FYNX_DROP_DUMMY;
  slot->data = body;
  slot->len = len - 2 - pad;
  if (next == FYNX_AGG_NEXT && sa->agg) return FYNX_ELSEWHERE;
  return sa->header ? fynx_transport_restore(w, sa, slot, next) : tunnelled(slot, next);
}

/* The policy. `before` passed it, in this batch and of this SA: what has its selectors needs no second look. */
enum fynx_verdict fynx_police(const struct fynx_worker *w, const struct fynx_sa_in *sa, struct fynx_slot *slot,
                              const struct fynx_slot *before) {
  uint32_t total = before ? fynx_flow_next(before->data, slot->data, slot->len) : 0;
  if (total) {
    slot->len = total;
    return sa->header || carry_congestion(slot->data, slot->tos) ? FYNX_PASS : FYNX_DROP_CONGESTION;
  }
  if (!fynx_flow_parse(slot->data, slot->len, &slot->flow)) return FYNX_DROP_INNER_HEADER;
  slot->len = slot->flow.total;
  if (fynx_flow_martian(&slot->flow) || fynx_spd_own(atomic_load(&w->plane->spd), &slot->flow))
    return FYNX_DROP_INNER_SOURCE;
  if (!fynx_ranges_match(sa->remote, sa->n_remote, &slot->flow, true) ||
      !fynx_ranges_match(sa->local, sa->n_local, &slot->flow, false))
    return FYNX_DROP_SELECTORS;
  return sa->header || carry_congestion(slot->data, slot->tos) ? FYNX_PASS : FYNX_DROP_CONGESTION;
}

static void open_group(struct fynx_worker *w, struct fynx_sa_in *sa, uint32_t from, uint32_t n) {
  uint64_t packets = 0, bytes = 0;
  const struct fynx_slot *before = NULL;
  uint32_t count = admit(w, sa, from, n);
  if (!count) return;
  prepare(w, sa, count);
  sa->ops->open(sa->thr[w->index], w->packet, count);
  commit(w, sa, count);
  for (uint32_t i = 0; i < count; i++) {
    struct fynx_slot *slot = &w->slot[w->member[i]];
    if (w->packet[i].rc) fynx_wipe(w->packet[i].out, w->packet[i].len); /* nothing unauthentic stays in memory */
    if (slot->verdict != FYNX_PASS) continue;
    enum fynx_verdict verdict = strip(w, sa, slot, w->packet[i].out, w->packet[i].len);
    if (verdict == FYNX_ELSEWHERE) {
      slot->verdict = FYNX_ELSEWHERE;
      slot->sa = sa;
      w->aggregated = true;
      continue;
    }
    if (verdict == FYNX_PASS) verdict = fynx_police(w, sa, slot, before);
    if (verdict != FYNX_PASS) {
      fynx_drop_sa(w, &sa->counters, slot, verdict);
      continue;
    }
    before = slot;
    packets++;
    bytes += slot->len;
  }
  atomic_fetch_add_explicit(&sa->counters.packets, packets, memory_order_relaxed);
  atomic_fetch_add_explicit(&sa->counters.bytes, bytes, memory_order_relaxed);
  fynx_count(w, FYNX_COUNT_PACKETS_IN, packets);
  fynx_count(w, FYNX_COUNT_BYTES_IN, bytes);
}

/* Slots hold ESP packets; afterwards those that pass hold inner packets. */
void fynx_decap(struct fynx_worker *w, uint32_t n) {
  w->spare_at = 0;
  w->aggregated = false;
  for (uint32_t i = 0; i < n; i++) find_sa(w, &w->slot[i]);
  for (uint32_t i = 0; i < n; i++)
    if (w->slot[i].verdict == FYNX_PASS && w->slot[i].sa) open_group(w, w->slot[i].sa, i, n);
  if (w->aggregated) fynx_agg_unpack(w, n);
  fynx_count(w, FYNX_COUNT_BATCHES_IN, 1);
}
