/* storm.c: threads seal, open, install, remove, move and read one plane at once; for the thread sanitizer (row E27). */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define BATCH 16u
#define SIZE 200u

struct storm {
  struct fynx_plane *near;
  struct fynx_plane *far;
  struct fynx_child *fixed;
  uint16_t far_port;
  atomic_int halt;
  atomic_ullong received;
};

static void *sealer(void *argument) {
  struct storm *s = argument;
  static _Thread_local uint8_t data[BATCH * SIZE];
  uint32_t lengths[BATCH];
  for (uint32_t i = 0; i < BATCH; i++) {
    world_inner(data + i * SIZE, SIZE);
    lengths[i] = SIZE;
  }
  while (!atomic_load(&s->halt)) CHECK(fynx_plane_send(s->near, data, lengths, BATCH, NULL, 0) == 0);
  return NULL;
}

static void *taker(void *argument) {
  struct storm *s = argument;
  static _Thread_local uint8_t room[1 << 18];
  struct pollfd fds = {.fd = fynx_plane_inner_fd(s->far), .events = POLLIN};
  while (!atomic_load(&s->halt)) {
    if (poll(&fds, 1, 20) != 1) continue;
    size_t size = fynx_plane_recv(s->far, 64, room, sizeof room);
    for (size_t at = 0; at < size;) {
      uint32_t length;
      memcpy(&length, room + at, sizeof length);
      CHECK(length == SIZE && room[at + 4] == 0x45);
      at += 4 + (length + 3) / 4 * 4;
      atomic_fetch_add(&s->received, 1);
    }
  }
  return NULL;
}

static void *drainer(void *argument) {
  struct storm *s = argument;
  static _Thread_local uint8_t room[1 << 18];
  uint64_t counters[64], drops[64];
  struct pollfd fds = {.fd = fynx_plane_event_fd(s->far), .events = POLLIN};
  while (!atomic_load(&s->halt)) {
    poll(&fds, 1, 5);
    fynx_plane_drain(s->far, room, sizeof room);
    fynx_plane_drain(s->near, room, sizeof room);
    fynx_plane_counters(s->far, counters, drops);
    struct fynx_usage usage;
    fynx_child_usage(s->fixed, &usage);
  }
  return NULL;
}

/* Children come and go at both ends while packets of the fixed one and of them are on their way. */
static void *changer(void *argument) {
  struct storm *s = argument;
  struct fynx_policy_spec policy = {.priority = 5, .action = 2, .tag = 1, .n_local = 2, .n_remote = 2,
                                    .local = world_everything, .remote = world_everything};
  for (uint64_t handle = 10; !atomic_load(&s->halt); handle++) {
    struct fynx_child *a, *b;
    uint32_t spi = fynx_spi_reserve(s->far), mine = fynx_spi_reserve(s->near);
    struct fynx_path path = world_path(1, s->far_port);
    CHECK(world_install(s->near, handle, mine, spi, 64, &a) == 0);
    CHECK(fynx_child_move(s->near, a, &path) == 0);
    CHECK(world_install(s->far, handle, spi, mine, 64, &b) == 0); /* what came meanwhile has waited */
    CHECK(fynx_plane_policies(s->near, &policy, handle & 1) == 0);
    nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
    CHECK(fynx_child_move(s->near, s->fixed, &path) == 0);
    CHECK(fynx_child_remove(s->near, a) == 0);
    CHECK(fynx_child_remove(s->far, b) == 0);
    CHECK(fynx_plane_own_addresses(s->far, path.remote.ip, handle & 1) == 0);
  }
  return NULL;
}

static int udp_socket(uint16_t *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

int main(int argc, char **argv) {
  struct storm s = {.near = fynx_plane_new(256, 1), .far = fynx_plane_new(256, 1)};
  void *(*entries[])(void *) = {sealer, sealer, taker, drainer, changer};
  enum { THREADS = sizeof entries / sizeof entries[0] };
  pthread_t threads[THREADS];
  uint16_t near_port;
  struct fynx_child *far_child;
  int near_fd = udp_socket(&near_port), far_fd = udp_socket(&s.far_port);
  CHECK(fynx_plane_add_socket(s.near, near_fd, AF_INET, near_port) >= 0);
  CHECK(fynx_plane_add_socket(s.far, far_fd, AF_INET, s.far_port) >= 0);
  CHECK(fynx_plane_start(s.near) == 0 && fynx_plane_start(s.far) == 0);
  CHECK(world_install(s.far, 1, 0x1001, 0x1002, 1024, &far_child) == 0);
  CHECK(world_install(s.near, 1, 0x1002, 0x1001, 1024, &s.fixed) == 0);
  struct fynx_path path = world_path(1, s.far_port);
  CHECK(fynx_child_move(s.near, s.fixed, &path) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, entries[i], &s) == 0);
  sleep(argc > 1 ? (unsigned)atoi(argv[1]) : 2);
  atomic_store(&s.halt, 1);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  fynx_plane_free(s.near);
  fynx_plane_free(s.far);
  close(near_fd);
  close(far_fd);
  CHECK(atomic_load(&toy_keys) == 0);
  CHECK(atomic_load(&s.received) > 0);
  printf("%llu packets\n", (unsigned long long)atomic_load(&s.received));
  return 0;
}
