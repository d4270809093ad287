/* load.c: opens lwIP once in a process and refuses a build whose structures are not those of lwip.h. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "stack.h"

struct lwip_calls lwip;

static char why[160] = "not opened";
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static bool opened;

struct lwip_addr lwip_address(const uint8_t *octets, int version) {
  struct lwip_addr made = {.type = version == 6 ? LWIP_V6 : LWIP_V4};
  memcpy(made.word, octets, version == 6 ? 16 : 4);
  return made;
}

static bool pbufs_fit(void) {
  static const uint8_t pattern[77] = {1, 2, 3, [76] = 4};
  struct lwip_pbuf *p = lwip.pbuf_alloc(LWIP_PBUF_RAW, sizeof pattern, LWIP_PBUF_RAM);
  if (p == NULL) return false;
  bool fits = p->next == NULL && p->tot_len == sizeof pattern && p->len == sizeof pattern && p->payload != NULL &&
              lwip.pbuf_take(p, pattern, sizeof pattern) == LWIP_OK && !memcmp(p->payload, pattern, sizeof pattern);
  lwip.pbuf_free(p);
  return fits;
}

static bool connections_fit(void) {
  struct lwip_tcp *tcp = lwip.tcp_new_ip_type(LWIP_V4);
  if (tcp == NULL) return false;
  struct lwip_addr any = {.type = LWIP_V4};
  bool fits = tcp->prio == LWIP_PRIO_NORMAL && tcp->mss == LWIP_MSS_AT_FIRST && tcp->snd_buf == LWIP_SNDBUF &&
              tcp->flags == 0 && lwip.tcp_bind(tcp, &any, 50505) == LWIP_OK && tcp->local_port == 50505;
  lwip.tcp_close(tcp);
  return fits;
}

static int8_t probe(struct lwip_netif *netif) {
  netif->output = netif->output_ip6 = fynx_net_send;
  return LWIP_OK;
}

static bool interfaces_fit(void) {
  static struct lwip_netif netif;
  const uint8_t octets[4] = {192, 0, 2, 1};
  uint32_t ip, mask = UINT32_MAX, none = 0;
  memcpy(&ip, octets, sizeof ip);
  int marker = 0;
  if (lwip.netif_add(&netif, &ip, &mask, &none, &marker, probe, lwip.ip_input) != &netif) return false;
  lwip.netif_ip6_addr_set_parts(&netif, 1, 0x11111111, 2, 3, 4);
  lwip.netif_ip6_addr_set_state(&netif, 1, LWIP_PREFERRED);
  bool fits = netif.ip.word[0] == ip && netif.mask.word[0] == mask && netif.state == &marker &&
              netif.input == lwip.ip_input && netif.ip6[1].word[0] == 0x11111111 && netif.ip6[1].type == LWIP_V6 &&
              netif.ip6_state[1] == LWIP_PREFERRED && netif.flags == 0 && netif.mtu == 0;
  netif.hwaddr_len = 0;
  lwip.netif_set_up(&netif);
  fits = fits && netif.flags == LWIP_UP;
  lwip.netif_set_link_up(&netif);
  fits = fits && netif.flags == (LWIP_UP | LWIP_LINK_UP);
  lwip.netif_remove(&netif);
  return fits;
}

static const char *find(void *library) {
#define LWIP_FIND(result, name, arguments)              \
  {                                                     \
    void *found = dlsym(library, #name);                \
    if (found == NULL) return #name;                    \
    memcpy(&lwip.name, &found, sizeof found);           \
  }
  LWIP_SYMBOLS(LWIP_FIND)
#undef LWIP_FIND
  return NULL;
}

static int load(const char *path, uint32_t seed) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(why, sizeof why, "%s is not installed", path);
    return -1;
  }
  const char *missing = find(library);
  uint32_t *ticks = dlsym(library, "tcp_ticks");
  if (missing != NULL || ticks == NULL) {
    snprintf(why, sizeof why, "%s has no %s", path, missing ? missing : "tcp_ticks");
    return -1;
  }
  lwip.lwip_init();
  *ticks = seed; /* sequence numbers start from it (tcp_next_iss) */
  if (sizeof(void *) != 8 || !pbufs_fit() || !connections_fit() || !interfaces_fit()) {
    snprintf(why, sizeof why, "%s was built in another way than Debian's liblwip0 2.1", path);
    return -1;
  }
  snprintf(why, sizeof why, "%s", path);
  return 0;
}

int fynx_lwip_open(const char *path, uint32_t seed) {
  static bool tried_in_vain;
  pthread_mutex_lock(&opening);
  if (!opened && !tried_in_vain) {
    opened = load(path, seed) == 0;
    tried_in_vain = !opened && lwip.lwip_init != NULL;
  }
  int result = opened ? 0 : -1;
  pthread_mutex_unlock(&opening);
  return result;
}

const char *fynx_lwip_why(void) { return why; }

bool fynx_stack_is_open(void) { return opened; }
