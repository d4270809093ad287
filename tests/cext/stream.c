/* stream.c: frames of many packets through two planes at once, both ways, while the path changes, counters are read, and,
 * with a fourth argument, workers are restarted or end by themselves, or what is sent leaves by the clock; for the thread
 * sanitizer. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "drops.h"
#include "util.h"
#include "vnet.h"
#include "world.h"

#define LITTLE 2000 /* ten of them, as the device holds at most, are not much */
#define MUCH 40000
#define QUEUES 2u
#define TIDE_MS 100u

struct side {
  struct fynx_plane *plane;
  struct fynx_child *child;
  int host[QUEUES];
  int device[QUEUES];
  int udp[QUEUES];
  uint16_t port[QUEUES];
  struct fynx_child *bound; /* of one worker; the other side does not know it */
};

struct user { /* of one queue of one side */
  struct side *side;
  uint32_t queue;
};

static struct side sides[2];
static uint32_t queues = 1; /* and sockets: with two, each has a sender and a receiver of its own */
static uint32_t spin_us;
static bool paced; /* what is sent leaves at a constant rate, and dummies of another SA beside it */
static atomic_int halt;
static atomic_ullong received;
static bool restarting;
static atomic_int deaths;              /* that the cipher shall still bring to whoever calls it */
static _Atomic uint64_t seen[2][1u << 18]; /* sequence numbers that were sealed, by SPI */

/* Called in the sender's thread: no number may come twice under one key, whoever seals and whoever ended in between. */
static void watch(struct fynx_packet *packets, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    if (fynx_be32(packets[i].aad) > 0x1002) continue; /* of one worker, that comes and goes */
    uint64_t number = fynx_be64(packets[i].iv), bit = UINT64_C(1) << number % 64;
    CHECK(number / 64 < sizeof seen[0] / sizeof seen[0][0]);
    CHECK(!(atomic_fetch_or(&seen[fynx_be32(packets[i].aad) & 1][number / 64], bit) & bit));
  }
  int left = atomic_load(&deaths);
  if (left && atomic_compare_exchange_strong(&deaths, &left, left - 1)) pthread_exit(NULL);
}

static uint64_t restarts(struct fynx_plane *plane) {
  uint64_t counters[64], drops[64], sum = 0;
  struct fynx_worker_info info;
  for (uint32_t i = 0; i < fynx_worker_count(plane); i++) {
    CHECK(fynx_worker_info(plane, i, &info, counters, drops) == 0);
    sum += info.restarts;
  }
  return sum;
}

static uint64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Of the queues between their two threads; each began with the sender's. */
static uint64_t handovers(struct fynx_plane *plane) {
  uint64_t counters[64], drops[64];
  fynx_plane_counters(plane, counters, drops);
  return counters[FYNX_COUNT_HANDOVERS];
}

/* A TCP segment of 198.18.2.7 for 198.18.1.9 that the device leaves to be cut. */
static void fill(uint8_t *frame, uint16_t payload) {
  const struct fynx_vnet vnet = {.flags = 1, .type = FYNX_VNET_TCP4, .size = 1000, .csum_start = 20, .csum_offset = 16};
  memcpy(frame, &vnet, sizeof vnet);
  world_inner(frame + 10, (uint16_t)(40 + payload));
  frame[10 + 9] = 6;
  frame[10 + 32] = 5 << 4;
  frame[10 + 33] = 0x10;
}

/* Little, which the receiver of the queue sends, and much, for which the sender reads the device, in turn. */
static void *host(void *argument) {
  const struct user *user = argument;
  int fd = user->side->host[user->queue];
  static _Thread_local uint8_t frames[2][10 + 40 + MUCH], room[1 << 17];
  fill(frames[0], LITTLE);
  fill(frames[1], MUCH);
  while (!atomic_load(&halt)) {
    struct pollfd fds = {.fd = fd, .events = POLLIN};
    bool much = milliseconds() / TIDE_MS % 8 == 0;
    ssize_t size = 10 + 40 + (much ? MUCH : LITTLE);
    CHECK(send(fd, frames[much], (size_t)size, 0) == size || errno == EAGAIN || errno == ENOBUFS);
    for (int got = 0; got < 64 && poll(&fds, 1, 1) == 1; got++) {
      CHECK(recv(fd, room, sizeof room, 0) >= 10 + 40 + 1000);
      atomic_fetch_add(&received, 1);
    }
  }
  return NULL;
}

/* Another SA for the worker whose turn it is, and none for the other: they share the first one. */
static void bind_one(struct side *s, uint32_t turn) {
  const uint32_t spis[2] = {fynx_spi_reserve(s->plane), 0x2000 + turn};
  if (s->bound) CHECK(fynx_child_remove(s->plane, s->bound) == 0);
  CHECK(world_bound(s->plane, 1000 + turn, spis, 64, 1 + turn % queues, &s->bound) == 0);
}

static void *watcher(void *argument) {
  static _Thread_local uint8_t room[1 << 18];
  uint64_t counters[64], drops[64];
  (void)argument;
  for (uint32_t turn = 0; !atomic_load(&halt); turn++) {
    for (int i = 0; i < 2; i++) {
      struct fynx_plane_info info;
      struct fynx_path path = world_path(1, sides[1 - i].port[turn % queues]);
      CHECK(fynx_child_move(sides[i].plane, sides[i].child, &path) == 0);
      fynx_plane_drain(sides[i].plane, room, sizeof room);
      fynx_plane_counters(sides[i].plane, counters, drops);
      fynx_plane_info(sides[i].plane, &info);
      CHECK(info.vnet && info.tso);
      if (restarting && turn % 16 == 0) CHECK(fynx_worker_restart(sides[i].plane, 1 + turn / 16 % queues) == 0);
    }
    if (restarting && turn % 4 == 1)
      for (int i = 0; i < 2; i++) bind_one(&sides[i], turn / 4);
    if (restarting && turn % 256 == 8) atomic_store(&deaths, 2);
    nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
  }
  return NULL;
}

static void open_queue(struct side *s, uint32_t queue) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int pair[2];
  s->udp[queue] = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(bind(s->udp[queue], (struct sockaddr *)&address, len) == 0);
  CHECK(getsockname(s->udp[queue], (struct sockaddr *)&address, &len) == 0);
  s->port[queue] = ntohs(address.sin_port);
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
  s->host[queue] = pair[0];
  s->device[queue] = pair[1];
  CHECK(fynx_plane_add_socket(s->plane, s->udp[queue], AF_INET, s->port[queue]) >= 0);
  CHECK(fynx_plane_add_tun(s->plane, s->device[queue], 1400) >= 0);
}

static void open_side(struct side *s) {
  const struct fynx_options options = {.vnet = FYNX_FORCE, .spin_us = spin_us, .n_cpus = queues - 1};
  struct fynx_plane_info info;
  s->plane = fynx_plane_new(16, 0);
  CHECK(s->plane && fynx_plane_options(s->plane, &options) == 0);
  for (uint32_t i = 0; i < queues; i++) open_queue(s, i);
  CHECK(fynx_plane_start(s->plane) == 0);
  fynx_plane_info(s->plane, &info);
  CHECK(info.threads == 2 * queues);
}

static void install(uint32_t i) {
  struct fynx_child_spec spec = world_spec(1, 0x1001 + i, 0x1002 - i, 1024), dummies = world_spec(2, 0x2005 + i, 0x2006 - i, 64);
  struct fynx_child *ignored;
  if (paced) {
    dummies.pace_ns = 300000;
    dummies.pace_jitter = 500;
    CHECK(fynx_child_install(sides[i].plane, &dummies, &ignored) == 0);
    spec.aggfrag = 1;
    spec.aggfrag_size = 1300;
    spec.pace_ns = 100000;
  }
  CHECK(fynx_child_install(sides[i].plane, &spec, &sides[i].child) == 0);
}

int main(int argc, char **argv) {
  struct user users[2 * QUEUES];
  pthread_t threads[2 * QUEUES], watching;
  if (argc > 2) queues = (uint32_t)atoi(argv[2]);
  if (argc > 3) spin_us = (uint32_t)atoi(argv[3]);
  restarting = argc > 4 && !strcmp(argv[4], "restart");
  if (restarting) toy_watch = watch;
  for (int i = 0; i < 2; i++) open_side(&sides[i]);
  paced = argc > 4 && !strcmp(argv[4], "paced");
  for (uint32_t i = 0; i < 2; i++) install(i);
  for (uint32_t i = 0; i < 2 * queues; i++) {
    users[i] = (struct user){&sides[i % 2], i / 2};
    CHECK(pthread_create(&threads[i], NULL, host, &users[i]) == 0);
  }
  CHECK(pthread_create(&watching, NULL, watcher, NULL) == 0);
  sleep(argc > 1 ? (unsigned)atoi(argv[1]) : 2);
  atomic_store(&halt, 1);
  for (uint32_t i = 0; i < 2 * queues; i++) pthread_join(threads[i], NULL);
  pthread_join(watching, NULL);
  for (uint32_t i = 0; i < 2 && restarting; i++) CHECK(restarts(sides[i].plane) > 8);
  for (uint32_t i = 0; i < 2; i++) CHECK(handovers(sides[i].plane) > queues);
  for (uint32_t i = 0; i < 2; i++) {
    fynx_plane_free(sides[i].plane);
    for (uint32_t q = 0; q < queues; q++) {
      close(sides[i].udp[q]);
      close(sides[i].host[q]);
      close(sides[i].device[q]);
    }
  }
  CHECK(atomic_load(&toy_keys) == 0);
  CHECK(atomic_load(&received) > 0);
  printf("%llu frames\n", (unsigned long long)atomic_load(&received));
  return 0;
}
