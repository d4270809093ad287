/* early_piece.c: a payload that came early is kept before what is whole of its batch is joined over it (RFC 9347). */
#include <sys/socket.h>
#include <unistd.h>

#include "core.h"
#include "csum.h"
#include "iptfs.h"
#include "world.h"

enum { SEGMENT = 100, TRAIN = 57, SPLIT = 300, HALF = SPLIT / 2, BETWEEN = 34 };

/* A TCP segment of one flow, `number` in its order. */
static uint32_t segment(uint8_t *p, uint32_t number) {
  const uint32_t len = 40 + SEGMENT;
  world_inner(p, (uint16_t)len);
  p[6] = 0x40, p[9] = 6;
  memset(p + 20, 0, 20);
  p[20] = p[22] = 1;
  fynx_put32(p + 24, number * SEGMENT);
  p[32] = 0x50, p[33] = 0x10, p[34] = 1;
  memset(p + 40, (int)number, SEGMENT);
  fynx_csum_store(p + 10, fynx_csum(p, 20));
  fynx_csum_store(p + 36, fynx_csum_pseudo(p, 6, 20 + SEGMENT) + fynx_csum(p + 20, 20 + SEGMENT));
  return len;
}

static void slot(struct fynx_slot *s, uint8_t *data, const uint8_t *end, struct fynx_sa_in *sa, uint64_t sequence) {
  *s = (struct fynx_slot){
      .data = data, .len = (uint32_t)(end - data), .verdict = FYNX_ELSEWHERE, .sa = sa, .sequence = sequence};
}

static uint8_t *head(uint8_t *p, uint8_t offset) {
  memcpy(p, (uint8_t[4]){0, 0, 0, offset}, 4);
  return p + 4;
}

/* One batch: a train, then the third payload, then the second, with which the packet cut in two begins. */
static void batch(struct fynx_worker *w, struct fynx_child *child, const uint8_t *cut) {
  uint8_t *at = w->arena + FYNX_HEAD + 16, *payload[3];
  uint32_t number = 0;
  payload[0] = at, at = head(at, 0);
  while (number < TRAIN) at += segment(at, number++);
  slot(&w->slot[0], payload[0], at, child->in, 1);
  payload[1] = at += BETWEEN, at = head(at, HALF);
  memcpy(at, cut + HALF, HALF), at += HALF;
  while (number < TRAIN + 13) at += segment(at, number++);
  slot(&w->slot[1], payload[1], at, child->in, 3);
  payload[2] = at += BETWEEN, at = head(at, 0);
  memcpy(at, cut, HALF), at += HALF;
  slot(&w->slot[2], payload[2], at, child->in, 2);
  fynx_online(w);
  fynx_agg_unpack(w, 3);
  fynx_offline(w);
}

int main(void) {
  struct fynx_plane *plane = fynx_plane_new(64, 0);
  struct fynx_options options = {.vnet = FYNX_FORCE};
  struct fynx_child_spec spec = world_spec(1, 0x1001, 0x2001, 64);
  struct fynx_child *child;
  uint8_t cut[SPLIT], frame[70000];
  int tun[2], found = 0;
  CHECK(plane && !socketpair(AF_UNIX, SOCK_DGRAM, 0, tun));
  fynx_plane_options(plane, &options);
  CHECK(fynx_plane_add_tun(plane, tun[0], 9000) >= 0);
  spec.aggfrag = 1;
  CHECK(!fynx_child_install(plane, &spec, &child));
  world_inner(cut, SPLIT);
  memset(cut + 28, 'F', SPLIT - 28);
  fynx_csum_store(cut + 10, fynx_csum(cut, 20));
  batch(plane->rx[0], child, cut);
  for (ssize_t got; (got = recv(tun[1], frame, sizeof frame, MSG_DONTWAIT)) > 0;)
    found += got == SPLIT + 10 && !memcmp(frame + 10, cut, SPLIT); /* behind a vnet header of 10 octets */
  CHECK(found == 1);
  fynx_plane_free(plane);
  return 0;
}
