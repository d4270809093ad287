/* caller.c: batches that come from the library instead of devices: sealed and opened in the caller's thread. */
#include <unistd.h>

#include "pace.h"

static bool foreign(const struct fynx_plane *plane) { return (int)getpid() != plane->owner; }

/* Copies as many packets as one batch takes behind each other into the arena; false: one is too long. */
static uint32_t load(struct fynx_worker *w, const uint8_t **data, const uint32_t *lengths, uint32_t n) {
  uint32_t count = 0, narrowest, most = fynx_batch(w->plane, &narrowest);
  size_t at = 0;
  while (count < n && count < most && (count == 0 || lengths[count - 1] <= narrowest)) {
    uint32_t len = lengths[count] > FYNX_INNER_MAX ? FYNX_INNER_MAX + 1 : lengths[count];
    if (w->arena_size - at < FYNX_HEAD + (size_t)len + FYNX_TAIL) break;
    w->slot[count] = (struct fynx_slot){.data = w->arena + at + FYNX_HEAD, .len = len};
    memcpy(w->slot[count].data, *data, len);
    *data += lengths[count];
    at += fynx_align(FYNX_HEAD + (size_t)len + FYNX_TAIL, 64);
    count++;
  }
  return count;
}

static void give_back(struct fynx_worker *w, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    struct fynx_slot *slot = &w->slot[i];
    if (slot->verdict != FYNX_PASS) continue;
    uint64_t head[2] = {slot->handle, slot->len};
    size_t need = sizeof head + fynx_align(slot->len, 8);
    if (need > w->out_room) {
      fynx_drop(w, slot, FYNX_DROP_SEND_AGAIN);
      continue;
    }
    memcpy(w->out, head, sizeof head);
    memcpy(w->out + sizeof head, slot->data, slot->len);
    w->out += need;
    w->out_room -= need;
  }
}

int64_t fynx_plane_send(struct fynx_plane *plane, const uint8_t *data, const uint32_t *lengths, uint32_t n,
                        uint8_t *out, size_t room) {
  if (foreign(plane)) return FYNX_E_FORK; /* the child would repeat its parent's sequence numbers, and so its IVs */
  struct fynx_worker *w = plane->tx[0];
  pthread_mutex_lock(&plane->sending);
  w->flush = plane->n_sockets ? fynx_send_slots : give_back;
  w->out = out;
  w->out_room = room;
  for (uint32_t at = 0; at < n;) {
    uint32_t count = load(w, &data, lengths + at, n - at);
    fynx_online(w);
    w->flush(w, fynx_encap(w, count));
    fynx_offline(w);
    at += count;
  }
  room -= w->out_room;
  pthread_mutex_unlock(&plane->sending);
  return (int64_t)room;
}

int64_t fynx_child_dummies(struct fynx_plane *plane, struct fynx_child *child, uint32_t n, uint32_t len, uint8_t *out,
                           size_t room) {
  if (foreign(plane)) return FYNX_E_FORK;
  if (child->out->aggfrag) return FYNX_E_STATE; /* an SA of RFC 9347 has padding of its own */
  if (len < FYNX_DUMMY_LEAST || len > FYNX_PADDED_MAX) return FYNX_E_ARGUMENT;
  struct fynx_worker *w = plane->tx[0];
  pthread_mutex_lock(&plane->sending);
  w->flush = plane->n_sockets ? fynx_send_slots : give_back;
  w->out = out;
  w->out_room = room;
  for (uint32_t at = 0, count; at < n; at += count) {
    count = n - at < FYNX_BATCH ? n - at : FYNX_BATCH;
    fynx_online(w);
    fynx_dummies(w, child->out, count, len);
    fynx_offline(w);
  }
  room -= w->out_room;
  pthread_mutex_unlock(&plane->sending);
  return (int64_t)room;
}

int64_t fynx_plane_receive(struct fynx_plane *plane, const struct fynx_path *path, const uint8_t *data,
                           const uint32_t *lengths, uint32_t n) {
  if (foreign(plane)) return FYNX_E_FORK;
  struct fynx_worker *w = plane->rx[0];
  pthread_mutex_lock(&plane->receiving);
  for (uint32_t at = 0; at < n;) {
    uint32_t count = load(w, &data, lengths + at, n - at);
    for (uint32_t i = 0; i < count; i++) w->slot[i].path = *path;
    fynx_online(w);
    fynx_decap(w, count);
    fynx_deliver(w, count);
    fynx_offline(w);
    at += count;
  }
  pthread_mutex_unlock(&plane->receiving);
  return 0;
}

/* The clear side: only what the SPD bypasses may come in without ESP (RFC 4301 section 5.2). */
static void judge_clear(struct fynx_worker *w, const struct fynx_spd *spd, struct fynx_slot *slot) {
  slot->verdict = FYNX_PASS;
  if (!fynx_flow_parse(slot->data, slot->len, &slot->flow)) {
    fynx_drop(w, slot, FYNX_DROP_INNER_HEADER);
    return;
  }
  slot->len = slot->flow.total;
  const struct fynx_rule *rule = fynx_spd_clear(spd, &slot->flow);
  if (!rule)
    fynx_drop(w, slot, FYNX_DROP_NO_POLICY);
  else if (rule->action == FYNX_PROTECT)
    fynx_drop(w, slot, FYNX_DROP_CLEAR);
  else if (rule->action == FYNX_DISCARD)
    fynx_drop(w, slot, FYNX_DROP_DISCARD);
}

int64_t fynx_plane_receive_clear(struct fynx_plane *plane, const uint8_t *data, const uint32_t *lengths, uint32_t n) {
  struct fynx_worker *w = plane->rx[0];
  pthread_mutex_lock(&plane->receiving);
  for (uint32_t at = 0; at < n;) {
    uint32_t count = load(w, &data, lengths + at, n - at);
    fynx_online(w);
    const struct fynx_spd *spd = atomic_load(&plane->spd);
    for (uint32_t i = 0; i < count; i++) judge_clear(w, spd, &w->slot[i]);
    fynx_deliver(w, count);
    fynx_offline(w);
    at += count;
  }
  pthread_mutex_unlock(&plane->receiving);
  return 0;
}

/* Moves records of one ring to `out`; true when some stayed behind. */
static bool take(struct fynx_ring *ring, uint32_t *limit, uint8_t *out, size_t room, size_t *at) {
  const uint8_t *packet;
  size_t len;
  while ((packet = fynx_ring_peek(ring, &len))) {
    size_t need = 4 + fynx_align(len, 4);
    if (*limit == 0 || need > room - *at) return true;
    uint32_t length = (uint32_t)len;
    memcpy(out + *at, &length, sizeof length);
    memcpy(out + *at + 4, packet, len);
    *at += need;
    *limit -= 1;
    fynx_ring_pop(ring);
  }
  return false;
}

size_t fynx_plane_recv(struct fynx_plane *plane, uint32_t limit, uint8_t *out, size_t room) {
  static const uint64_t one = 1;
  uint64_t ignored;
  size_t at = 0;
  bool left = false;
  if (plane->inner_fd < 0) return 0;
  pthread_mutex_lock(&plane->draining);
  if (read(plane->inner_fd, &ignored, sizeof ignored) < 0) ignored = 0;
  for (uint32_t i = 0; i < plane->n_rx; i++) left |= take(&plane->rx[i]->inner, &limit, out, room, &at);
  if (left && write(plane->inner_fd, &one, sizeof one) < 0) left = false;
  pthread_mutex_unlock(&plane->draining);
  return at;
}
