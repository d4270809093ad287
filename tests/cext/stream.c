/* stream.c: frames of many packets through two planes at once, both ways, while the path changes and counters are read;
 * for the thread sanitizer. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vnet.h"
#include "world.h"

#define PAYLOAD 5000u
#define FRAME (10u + 40u + PAYLOAD)

struct side {
  struct fynx_plane *plane;
  struct fynx_child *child;
  int host;
  int device;
  int udp;
  uint16_t port;
};

static struct side sides[2];
static atomic_int halt;
static atomic_ullong received;

static void *host(void *argument) {
  struct side *s = argument;
  static _Thread_local uint8_t frame[FRAME], room[1 << 17];
  const struct fynx_vnet vnet = {.flags = 1, .type = FYNX_VNET_TCP4, .size = 1000, .csum_start = 20, .csum_offset = 16};
  memcpy(frame, &vnet, sizeof vnet);
  world_inner(frame + 10, 40 + PAYLOAD);
  frame[10 + 9] = 6;
  frame[10 + 32] = 5 << 4;
  frame[10 + 33] = 0x10;
  while (!atomic_load(&halt)) {
    struct pollfd fds = {.fd = s->host, .events = POLLIN};
    CHECK(send(s->host, frame, sizeof frame, 0) == sizeof frame || errno == EAGAIN || errno == ENOBUFS);
    while (poll(&fds, 1, 1) == 1) {
      CHECK(recv(s->host, room, sizeof room, 0) >= 10 + 40 + 1000);
      atomic_fetch_add(&received, 1);
    }
  }
  return NULL;
}

static void *watcher(void *argument) {
  static _Thread_local uint8_t room[1 << 18];
  uint64_t counters[64], drops[64];
  (void)argument;
  while (!atomic_load(&halt)) {
    for (int i = 0; i < 2; i++) {
      struct fynx_plane_info info;
      struct fynx_path path = world_path(1, sides[1 - i].port);
      CHECK(fynx_child_move(sides[i].plane, sides[i].child, &path) == 0);
      fynx_plane_drain(sides[i].plane, room, sizeof room);
      fynx_plane_counters(sides[i].plane, counters, drops);
      fynx_plane_info(sides[i].plane, &info);
      CHECK(info.vnet && info.tso);
    }
    nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
  }
  return NULL;
}

static void open_side(struct side *s) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const struct fynx_options options = {.vnet = FYNX_FORCE};
  socklen_t len = sizeof address;
  int pair[2];
  s->plane = fynx_plane_new(16, 0);
  s->udp = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(s->plane && bind(s->udp, (struct sockaddr *)&address, len) == 0);
  CHECK(getsockname(s->udp, (struct sockaddr *)&address, &len) == 0);
  s->port = ntohs(address.sin_port);
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
  s->host = pair[0];
  s->device = pair[1];
  CHECK(fynx_plane_options(s->plane, &options) == 0);
  CHECK(fynx_plane_add_socket(s->plane, s->udp, AF_INET, s->port) >= 0);
  CHECK(fynx_plane_add_tun(s->plane, s->device, 1400) >= 0);
  CHECK(fynx_plane_start(s->plane) == 0);
}

int main(int argc, char **argv) {
  pthread_t threads[3];
  for (int i = 0; i < 2; i++) open_side(&sides[i]);
  for (uint32_t i = 0; i < 2; i++) CHECK(world_install(sides[i].plane, 1, 0x1001 + i, 0x1002 - i, 1024, &sides[i].child) == 0);
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, host, &sides[i]) == 0);
  CHECK(pthread_create(&threads[2], NULL, watcher, NULL) == 0);
  sleep(argc > 1 ? (unsigned)atoi(argv[1]) : 2);
  atomic_store(&halt, 1);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 2; i++) {
    fynx_plane_free(sides[i].plane);
    close(sides[i].udp);
    close(sides[i].host);
    close(sides[i].device);
  }
  CHECK(atomic_load(&toy_keys) == 0);
  CHECK(atomic_load(&received) > 0);
  printf("%llu frames\n", (unsigned long long)atomic_load(&received));
  return 0;
}
