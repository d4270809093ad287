/* trial.c: cutting and joining of frames without a device, for comparison with the reference. */
#include <stdlib.h>

#include "core.h"
#include "vnet.h"

static bool record(uint8_t *out, size_t room, size_t *at, const struct iovec *parts, uint32_t n) {
  uint32_t length = 0;
  for (uint32_t i = 0; i < n; i++) length += (uint32_t)parts[i].iov_len;
  if (4 + fynx_align(length, 4) > room - *at) return false;
  memcpy(out + *at, &length, sizeof length);
  size_t to = *at + 4;
  for (uint32_t i = 0; i < n; i++) {
    memcpy(out + to, parts[i].iov_base, parts[i].iov_len);
    to += parts[i].iov_len;
  }
  *at += 4 + fynx_align(length, 4);
  return true;
}

size_t fynx_split_run(const uint8_t *header, const uint8_t *frame, uint32_t len, uint8_t *out, size_t room) {
  struct fynx_split split;
  struct fynx_vnet vnet;
  size_t at = 0;
  uint8_t *copy = malloc(len + 1u), *packet = malloc(len + 1u);
  memcpy(&vnet, header, sizeof vnet);
  if (copy && packet) {
    memcpy(copy, frame, len);
    if (fynx_split_begin(&split, copy, len, &vnet)) {
      struct iovec one = {.iov_base = copy, .iov_len = len};
      if (!split.size && len) record(out, room, &at, &one, 1);
      while (split.size && fynx_split_more(&split)) {
        one = (struct iovec){.iov_base = packet, .iov_len = fynx_split_next(&split, packet)};
        if (!record(out, room, &at, &one, 1)) break;
      }
    }
  }
  free(copy);
  free(packet);
  return at;
}

static void flush(struct fynx_join *join, uint8_t *out, size_t room, size_t *at) {
  if (!join->n) return;
  fynx_join_finish(join);
  join->iov[0] = (struct iovec){.iov_base = &join->vnet, .iov_len = sizeof join->vnet};
  record(out, room, at, join->iov, join->pieces + 1);
}

size_t fynx_join_run(const uint8_t *data, const uint32_t *lengths, uint32_t n, int udp, uint8_t *out, size_t room) {
  struct fynx_join join = {0};
  size_t at = 0, size = 1;
  for (uint32_t i = 0; i < n; i++) size += lengths[i];
  uint8_t *copy = malloc(size), *packet = copy;
  if (!copy) return 0;
  memcpy(copy, data, size - 1);
  for (uint32_t i = 0; i < n; packet += lengths[i++]) {
    if (join.n && fynx_join_add(&join, packet, lengths[i])) continue;
    flush(&join, out, room, &at);
    fynx_join_begin(&join, packet, lengths[i], udp != 0);
  }
  flush(&join, out, room, &at);
  free(copy);
  return at;
}
