/* dummies.c: a dummy is no larger than what the path takes once it is sealed, in both modes (RFC 4303 section 2.6). */
#include "core.h"
#include "world.h"

enum { PATH = 1000, AROUND = 8 + 8 + 8, BLOCK = 4, SIZE = 2000 }; /* ESP and the IV before, the ICV behind */

static const struct fynx_selector here = {
    .start = {198, 18, 1, 9}, .end = {198, 18, 1, 9}, .end_port = 65535, .family = 4};
static const struct fynx_selector there = {
    .start = {198, 18, 2, 7}, .end = {198, 18, 2, 7}, .end_port = 65535, .family = 4};

/* The size of the ESP packet around a dummy of SIZE octets, where the path takes one of PATH. */
static uint64_t sealed(uint32_t transport) {
  static uint64_t room[512]; /* for each packet its handle, its length, itself */
  struct fynx_plane *plane = fynx_plane_new(16, 1);
  struct fynx_child_spec spec = world_spec(1, 0x1001, 0x2001, 64);
  struct fynx_child *child;
  CHECK(plane);
  spec.transport = transport;
  spec.local = &here, spec.remote = &there;
  spec.n_local = spec.n_remote = 1;
  CHECK(!fynx_child_install(plane, &spec, &child));
  CHECK(!child->out->header == !transport);
  /* As mtu.c has it: packets are compared with their IP header, which stays outside in transport mode. */
  atomic_store(&child->out->limit, (PATH - AROUND) / BLOCK * BLOCK - 2u + child->out->header);
  CHECK(fynx_child_dummies(plane, child, 1, SIZE, (uint8_t *)room, sizeof room) > 0);
  fynx_plane_free(plane);
  return room[1];
}

int main(void) {
  for (uint32_t transport = 0; transport < 2; transport++) CHECK(sealed(transport) <= PATH);
  CHECK(sealed(0) == sealed(1) && sealed(1) > PATH - BLOCK);
  return 0;
}
