/* keys.c: where keys lie and what remains of them, and that packets allocate nothing once an SA stands. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core.h"
#include "world.h"

/* Every allocation of the program is counted. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
static atomic_ulong allocations;

void *malloc(size_t n) { return atomic_fetch_add(&allocations, 1), __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return atomic_fetch_add(&allocations, 1), __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return atomic_fetch_add(&allocations, 1), __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return atomic_fetch_add(&allocations, 1), __libc_memalign(a, n); }

static const uint8_t secret[16] = "one key for all";

static int put(const struct fynx_aead_ops *ops, void *where, const uint8_t *key, size_t key_len, const uint8_t *salt) {
  struct toy_key *k = where;
  (void)ops;
  memcpy(&k->k, key, sizeof k->k);
  memcpy((uint8_t *)where + 64, key, key_len);
  k->k ^= salt[0];
  return 0;
}

static struct fynx_aead_ops placed;

static struct fynx_child *install(struct fynx_plane *plane, uint32_t spi_in, uint32_t spi_out) {
  struct fynx_child *child;
  static const uint8_t salt[4] = "salt";
  struct fynx_child_spec spec = {.handle = spi_in, .tag = 1, .spi_in = spi_in, .spi_out = spi_out, .window = 1024,
                                 .outbound = 1, .ops = (uintptr_t)&placed, .key_in = secret, .key_out = secret,
                                 .salt_in = salt, .salt_out = salt, .path = world_path(1, 4500),
                                 .local = world_everything, .remote = world_everything, .n_local = 2, .n_remote = 2};
  CHECK(fynx_child_install(plane, &spec, &child) == 0);
  return child;
}

static bool clear(const uint8_t *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i]) return false;
  return true;
}

/* The flags of the mapping that holds `p`, from /proc/self/smaps. */
static void flags_of(const void *p, char *flags, size_t room) {
  char line[512];
  bool inside = false;
  FILE *maps = fopen("/proc/self/smaps", "r");
  CHECK(maps);
  *flags = 0;
  while (fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2) inside = (uintptr_t)p >= from && (uintptr_t)p < to;
    if (inside && strncmp(line, "VmFlags:", 8) == 0) snprintf(flags, room, "%s ", line + 8);
  }
  fclose(maps);
}

static void keys_are_locked_undumped_and_wiped(void) {
  struct fynx_plane *plane = fynx_plane_new(64, 1);
  struct fynx_child *first = install(plane, 0x1001, 0x1002), *second = install(plane, 0x1003, 0x1004);
  uint8_t *keys[] = {first->in->key, first->out->key, second->in->key, second->out->key};
  char flags[512];
  int status;
  flags_of(keys[0], flags, sizeof flags);
  CHECK(strstr(flags, " lo ") && strstr(flags, " dd ") && strstr(flags, " wf "));
  for (int i = 0; i < 4; i++) CHECK(memcmp(keys[i] + 64, secret, sizeof secret) == 0);
  pid_t child = fork();
  if (child == 0) _exit(!clear(keys[0] - (uintptr_t)keys[0] % 4096, 4096));
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(fynx_child_remove(plane, first) == 0);
  CHECK(clear(keys[0], 128) && clear(keys[1], 128)); /* the arena still stands: nothing of the removed ones is in it */
  CHECK(memcmp(keys[2] + 64, secret, sizeof secret) == 0);
  CHECK(install(plane, 0x1005, 0x1006)->in->key == keys[1]); /* and their places are used again */
  fynx_plane_free(plane);
}

static void without_locked_memory_it_works_and_says_so(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    const struct rlimit none = {0, 0};
    struct fynx_plane_info info;
    CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (getuid() != 0 || seteuid(65534) == 0));
    struct fynx_plane *plane = fynx_plane_new(64, 1);
    install(plane, 0x1001, 0x1002);
    fynx_plane_info(plane, &info);
    CHECK(info.keys_locked == 0 && info.keys_unlocked == FYNX_VAULT_CHUNK);
    fynx_plane_free(plane);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static int bound(uint16_t *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

static void packets_allocate_nothing(void) {
  enum { N = 16, SIZE = 200 };
  static uint8_t data[N * SIZE], room[1 << 18];
  uint32_t lengths[N], got = 0;
  uint16_t near_port, far_port;
  struct fynx_plane *near = fynx_plane_new(64, 1), *far = fynx_plane_new(64, 1);
  int near_fd = bound(&near_port), far_fd = bound(&far_port);
  CHECK(fynx_plane_add_socket(near, near_fd, AF_INET, near_port) >= 0 && fynx_plane_start(near) == 0);
  CHECK(fynx_plane_add_socket(far, far_fd, AF_INET, far_port) >= 0 && fynx_plane_start(far) == 0);
  struct fynx_path path = world_path(1, far_port);
  install(far, 0x1001, 0x1002);
  CHECK(fynx_child_move(near, install(near, 0x1002, 0x1001), &path) == 0);
  for (uint32_t i = 0; i < N; i++) {
    world_inner(data + i * SIZE, SIZE);
    lengths[i] = SIZE;
  }
  atomic_store(&allocations, 0);
  while (got < 2000) {
    struct pollfd fds = {.fd = fynx_plane_inner_fd(far), .events = POLLIN};
    CHECK(fynx_plane_send(near, data, lengths, N, NULL, 0) == 0);
    if (poll(&fds, 1, 1000) != 1) continue;
    size_t size = fynx_plane_recv(far, 1024, room, sizeof room);
    got += (uint32_t)(size / (SIZE + 4));
  }
  CHECK(atomic_load(&allocations) == 0);
  fynx_plane_free(near);
  fynx_plane_free(far);
  close(near_fd);
  close(far_fd);
}

static void a_pair_of_sas_is_small(void) {
  struct fynx_plane_info info;
  struct fynx_plane *plane = fynx_plane_new(64, 1);
  placed.key_room = 1088; /* the largest that a provider of AES-GCM asks for, with its key schedule */
  install(plane, 0x1001, 0x1002);
  fynx_plane_info(plane, &info);
  CHECK(info.bytes_per_sa > 2 * placed.key_room && info.bytes_per_sa <= 4096);
  fynx_plane_free(plane);
}

int main(void) {
  placed = toy_ops;
  placed.key_put = put;
  placed.key_room = 128;
  keys_are_locked_undumped_and_wiped();
  without_locked_memory_it_works_and_says_so();
  packets_allocate_nothing();
  a_pair_of_sas_is_small();
  return 0;
}
