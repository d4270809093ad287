/* traffic.c: traffic between two network namespaces from one process: sender threads in one, the receiver in the other.
 *
 * traffic NETNS-FROM NETNS-TO SOURCE DESTINATION tcp STREAMS SECONDS
 * traffic NETNS-FROM NETNS-TO SOURCE DESTINATION udp SIZE SECONDS
 *
 * TCP: blocks of 128 KiB as fast as they go. UDP: datagrams of SIZE octets, handed to the kernel many at a time
 * (UDP_SEGMENT) by a sender that keeps a fixed number of them under way, as a window does; what has not come within a
 * millisecond counts as lost. Prints: octets and packets in the measured time, that time, octets in all, packets sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#define UDP_SEGMENT 103
#define UDP_GRO 104
#define BLOCK (128u * 1024u)
#define STREAMS_MAX 16
#define UNDER_WAY 448u
#define BURST 64u
#define WARM_S 0.25

static const char *from, *to;
static struct sockaddr_storage source, destination;
static socklen_t name_len;
static double seconds;
static uint32_t size;
static _Atomic int measuring, done;
static _Atomic uint64_t octets, packets, octets_all, arrived, sent;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some;
static _Atomic int waiting;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void enter(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET)) die(path);
  close(fd);
}

static void address(const char *text, uint16_t port, struct sockaddr_storage *name) {
  struct sockaddr_in *four = (struct sockaddr_in *)name;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)name;
  memset(name, 0, sizeof *name);
  if (strchr(text, ':')) {
    *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) die(text);
    name_len = sizeof *six;
  } else {
    *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, text, &four->sin_addr) != 1) die(text);
    name_len = sizeof *four;
  }
}

static int open_socket(const char *netns, int type, const struct sockaddr_storage *name) {
  int on = 1;
  enter(netns);
  int fd = socket(name->ss_family, type | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) die("socket");
  if (bind(fd, (const struct sockaddr *)name, name_len)) die("bind");
  return fd;
}

static void count(uint64_t n, uint64_t of) {
  atomic_fetch_add(&octets_all, n);
  if (!atomic_load(&measuring)) return;
  atomic_fetch_add(&octets, n);
  atomic_fetch_add(&packets, of);
}

static void *tcp_take(void *argument) {
  int fd = (int)(intptr_t)argument;
  struct timeval patience = {.tv_sec = 2};
  uint8_t *block = malloc(BLOCK);
  ssize_t got;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  while (block && (got = recv(fd, block, BLOCK, 0)) > 0) count((uint64_t)got, 0);
  free(block);
  close(fd);
  return NULL;
}

static void *tcp_give(void *argument) {
  (void)argument;
  struct timeval patience = {.tv_sec = 5};
  int fd = open_socket(from, SOCK_STREAM, &source);
  uint8_t *block = calloc(1, BLOCK);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const char *congestion = getenv("BENCH_CONGESTION"); /* not whatever this machine is set to */
  if (congestion && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, (socklen_t)strlen(congestion)))
    die(congestion);
  if (!block || connect(fd, (struct sockaddr *)&destination, name_len)) die("connect");
  while (!atomic_load(&done) && send(fd, block, BLOCK, MSG_NOSIGNAL) > 0) {
  }
  struct linger off = {.l_onoff = 1}; /* what is still queued is nobody's business */
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
  close(fd);
  free(block);
  return NULL;
}

static void *udp_take(void *argument) {
  int fd = (int)(intptr_t)argument, on = 1, room = 8 << 20;
  struct timeval patience = {.tv_usec = 100000};
  setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  uint8_t *block = malloc(BLOCK);
  while (block && !atomic_load(&done)) {
    ssize_t got = recv(fd, block, BLOCK, 0);
    if (got <= 0) continue;
    uint64_t n = ((uint64_t)got + size - 1) / size;
    count((uint64_t)got, n);
    atomic_fetch_add(&arrived, n);
    if (!atomic_load(&waiting)) continue;
    pthread_mutex_lock(&mutex);
    pthread_cond_signal(&some);
    pthread_mutex_unlock(&mutex);
  }
  free(block);
  close(fd);
  return NULL;
}

/* Waits until fewer are under way; returns how many count as lost, because nothing came for a millisecond. */
static uint64_t wait_for_room(uint64_t out, uint64_t lost) {
  uint64_t seen = atomic_load(&arrived);
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += 1000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  pthread_mutex_lock(&mutex);
  atomic_store(&waiting, 1);
  int late = 0;
  while (!late && out - lost - atomic_load(&arrived) >= UNDER_WAY)
    late = pthread_cond_timedwait(&some, &mutex, &until) == ETIMEDOUT;
  atomic_store(&waiting, 0);
  pthread_mutex_unlock(&mutex);
  uint64_t there = atomic_load(&arrived);
  return late && there == seen ? out - there : lost;
}

static void *udp_give(void *argument) {
  (void)argument;
  int fd = open_socket(from, SOCK_DGRAM, &source), segment = (int)size;
  uint32_t burst = 65000 / size < BURST ? 65000 / size : BURST;
  uint8_t *block = calloc(burst, size);
  if (!block || connect(fd, (struct sockaddr *)&destination, name_len)) die("connect");
  if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment)) die("UDP_SEGMENT");
  uint64_t out = 0, lost = 0;
  while (!atomic_load(&done)) {
    if (lost + atomic_load(&arrived) > out) lost = out - atomic_load(&arrived); /* what was late came after all */
    if (out - lost - atomic_load(&arrived) >= UNDER_WAY) {
      lost = wait_for_room(out, lost);
      continue;
    }
    if (send(fd, block, (size_t)burst * size, 0) > 0) out += burst;
    atomic_store(&sent, out);
  }
  close(fd);
  free(block);
  return NULL;
}

static void rest(double s) {
  struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)(1e9 * (s - (double)(time_t)s))};
  while (nanosleep(&t, &t) && errno == EINTR) {
  }
}

static pthread_t begin(void *(*entry)(void *), intptr_t argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, entry, (void *)argument)) die("pthread_create");
  return thread;
}

int main(int argc, char **argv) {
  if (argc != 8) return 2;
  int tcp = strcmp(argv[5], "tcp") == 0, streams = tcp ? atoi(argv[6]) : 1;
  pthread_condattr_t clock;
  from = argv[1], to = argv[2], seconds = atof(argv[7]), size = tcp ? 1 : (uint32_t)atoi(argv[6]);
  if (streams < 1 || streams > STREAMS_MAX || !size) return 2;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&some, &clock);
  address(argv[3], 0, &source);
  address(argv[4], 7000, &destination);
  int fd = open_socket(to, tcp ? SOCK_STREAM : SOCK_DGRAM, &destination);
  if (tcp && listen(fd, STREAMS_MAX)) die("listen");
  pthread_t givers[STREAMS_MAX], takers[STREAMS_MAX];
  for (int i = 0; i < streams; i++) {
    givers[i] = begin(tcp ? tcp_give : udp_give, 0);
    int taker = tcp ? accept4(fd, NULL, NULL, SOCK_CLOEXEC) : fd;
    if (taker < 0) die("accept");
    takers[i] = begin(tcp ? tcp_take : udp_take, taker);
  }
  rest(WARM_S);
  double start = now();
  atomic_store(&measuring, 1);
  rest(seconds);
  atomic_store(&measuring, 0);
  double took = now() - start;
  atomic_store(&done, 1);
  printf("%llu %llu %.6f %llu %llu\n", (unsigned long long)atomic_load(&octets),
         (unsigned long long)atomic_load(&packets), took, (unsigned long long)atomic_load(&octets_all),
         (unsigned long long)atomic_load(&sent));
  fflush(stdout);
  for (int i = 0; i < streams; i++) pthread_join(givers[i], NULL), pthread_join(takers[i], NULL);
  return 0;
}
