/* perpacket.c: perpacket DEVICE SIDE LOCAL REMOTE: ESP in UDP, a packet for each system call, a thread each way.
 *
 * The yardstick for what batches bring: same cipher (AES-128-GCM of ipsec-mb), same packets, nothing else.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fynx.h"
#include "util.h"

enum { PORT = 4500, AES_GCM_16 = 20, HEAD = 16, ROOM = 65536 + 64 };

int fynx_provider_open(const char *path);
uintptr_t fynx_provider_ops(int encr_id, int key_bits, int integ_id);

static int tun, out;
static uint32_t spi_out, spi_in;
static const struct fynx_aead_ops *ops;
static void *thr;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void *send_all(void *argument) {
  static uint8_t esp[ROOM];
  uint64_t sequence = 0;
  (void)argument;
  for (;;) {
    ssize_t got = read(tun, esp + HEAD, 65000);
    if (got <= 0) continue;
    uint32_t len = (uint32_t)got, pad = (0u - (len + 2)) & 3u;
    uint8_t *tail = esp + HEAD + len, version = esp[HEAD] >> 4;
    fynx_put32(esp, spi_out);
    fynx_put32(esp + 4, (uint32_t)++sequence);
    fynx_put64(esp + 8, sequence);
    for (uint32_t i = 0; i < pad; i++) tail[i] = (uint8_t)(i + 1);
    tail[pad] = (uint8_t)pad;
    tail[pad + 1] = version == 4 ? 4 : 41;
    struct fynx_packet p = {.in = esp + HEAD, .out = esp + HEAD, .len = len + pad + 2, .aad = esp, .aad_len = 8,
                            .iv = esp + 8};
    ops->seal(thr, &p, 1);
    if (send(out, esp, HEAD + p.len + ops->icv_len, 0) < 0) continue;
  }
  return NULL;
}

static void receive_all(void) {
  static uint8_t esp[ROOM];
  for (;;) {
    ssize_t got = recv(out, esp, sizeof esp, 0);
    if (got < HEAD + 2 + ops->icv_len || fynx_be32(esp) != spi_in) continue;
    struct fynx_packet p = {.in = esp + HEAD, .out = esp + HEAD, .len = (uint32_t)got - HEAD - ops->icv_len,
                            .aad = esp, .aad_len = 8, .iv = esp + 8};
    ops->open(thr, &p, 1);
    if (p.rc || p.out[p.len - 2] > p.len - 2) continue;
    if (write(tun, p.out, p.len - 2 - p.out[p.len - 2]) < 0) continue;
  }
}

static socklen_t name_of(const char *text, struct sockaddr_storage *name) {
  struct sockaddr_in *four = (struct sockaddr_in *)name;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)name;
  memset(name, 0, sizeof *name);
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(PORT);
    return sizeof *four;
  }
  if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) exit(2);
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(PORT);
  return sizeof *six;
}

int main(int argc, char **argv) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  struct sockaddr_storage local, remote;
  pthread_t sender;
  if (argc != 5) return 2;
  int left = strcmp(argv[2], "left") == 0, room = 4 << 20;
  spi_out = left ? 0x1001 : 0x1002;
  spi_in = left ? 0x1002 : 0x1001;
  if (fynx_provider_open(NULL)) die("libIPSec_MB.so.1");
  ops = (const struct fynx_aead_ops *)fynx_provider_ops(AES_GCM_16, 128, 0);
  static const uint8_t key[16] = {1}, salt[4] = {2};
  if (!ops || !(thr = ops->thr_new(ops->key_new(ops, key, sizeof key, salt)))) die("AES-128-GCM");
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", argv[1]);
  tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0 || ioctl(tun, TUNSETIFF, &request)) die("/dev/net/tun");
  socklen_t len = name_of(argv[3], &local);
  out = socket(local.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (out < 0 || bind(out, (struct sockaddr *)&local, len)) die("bind");
  name_of(argv[4], &remote);
  if (connect(out, (struct sockaddr *)&remote, len)) die("connect");
  setsockopt(out, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  setsockopt(out, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  if (pthread_create(&sender, NULL, send_all, NULL)) die("pthread_create");
  receive_all();
  return 0;
}
