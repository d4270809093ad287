/* core.h: private types of the plane. Control side calls under the plane's mutex; workers read what is published. */
#ifndef FYNX_CORE_H
#define FYNX_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "drops.h"
#include "flow.h"
#include "replay.h"
#include "ring.h"
#include "spd.h"
#include "util.h"
#include "vault.h"

#define FYNX_BATCH 64u
#define FYNX_HEAD 64u              /* room before an inner packet for ESP header and IV */
#define FYNX_TAIL 192u             /* room behind it for padding, trailer, ICV */
#define FYNX_INNER_MAX 65535u
#define FYNX_DATAGRAM_MAX 65507u   /* largest UDP payload over IPv4 */
#define FYNX_STRIDE (1031u * 64u)  /* of a receive slot: an odd number of cache lines spreads them over the sets */
#define FYNX_SEND_ARENA (1u << 20)
#define FYNX_CACHE 1024u           /* flows remembered by a worker */
#define FYNX_RX_MAX 16u
#define FYNX_TX_MAX 16u
#define FYNX_SOCKETS_MAX 16u
#define FYNX_IV_POOL 4096u
#define FYNX_PADDED_STRIDE (FYNX_HEAD + FYNX_PADDED_MAX + FYNX_TAIL) /* of a place for a padded packet */
#define FYNX_SPARE (FYNX_BATCH * 33024u) /* for packets that share a buffer, so each is half as long as one at most */
#define FYNX_LINE _Alignas(64)

enum fynx_action { FYNX_DISCARD = 0, FYNX_BYPASS = 1, FYNX_PROTECT = 2, FYNX_NONE = 3 };
enum fynx_upcall_kind { FYNX_UP_ACQUIRE = 1, FYNX_UP_EXPIRE, FYNX_UP_PATH, FYNX_UP_IKE, FYNX_UP_SPI, FYNX_UP_SEALED, FYNX_UP_WORKER };
enum fynx_worker_state { FYNX_WORKER_NONE = 0, FYNX_WORKER_RUNS, FYNX_WORKER_LOST }; /* LOST: ended unasked */

struct fynx_endpoint { /* where an SA sends; replaced as a whole by `move` */
  struct fynx_path path;
  int32_t socket; /* index, -1 none */
  uint32_t name_len;
  uint32_t control_len;
  uint32_t zero;
  _Alignas(8) uint8_t name[32];    /* struct sockaddr_in or _in6 */
  _Alignas(8) uint8_t control[48]; /* IP_PKTINFO or IPV6_PKTINFO */
};

struct fynx_sa_counters {
  _Atomic uint64_t packets;
  _Atomic uint64_t bytes;
  _Atomic uint64_t drops[FYNX_SA_DROP_COUNT];
};

struct fynx_sa_out { /* RFC 4301 section 4.4.2, outbound; first line constant, second written per batch */
  FYNX_LINE const struct fynx_aead_ops *ops;
  _Atomic(struct fynx_endpoint *) endpoint;
  uint64_t handle;
  uint64_t soft_limit;
  uint64_t hard_limit;
  uint32_t spi;
  uint8_t iv_len;
  uint8_t icv_len;
  uint8_t block;
  uint8_t esn;
  void *key;
  uint16_t n_thr;
  uint8_t header; /* of IP, that stays outside in transport mode; 0 in tunnel mode */
  uint8_t implicit_iv; /* `iv_len` is 0 then, and the cipher gets 8 octets */
  uint8_t aggfrag; /* how inner packets share payloads (RFC 9347); 0: they do not */
  uint16_t pad_to;     /* octets of an inner packet at least; 0: as it is, FYNX_PATH: as the path takes */
  FYNX_LINE _Atomic uint64_t sequence; /* last one given out */
  _Atomic uint32_t soft_told;
  _Atomic uint32_t hard_told;
  _Atomic uint64_t look_ms; /* when to look at the path's MTU again */
  _Atomic uint32_t limit;   /* the largest inner packet that the path takes whole */
  atomic_flag packing;      /* the payloads that carry one inner packet follow each other (RFC 9347 section 2.2.3) */
  uint16_t aggfrag_size;    /* of a payload at most; 0: what the path takes; never written later */
  _Atomic(struct fynx_sa_out *) *own; /* by sender: which SA it uses in place of this one; NULL: this one */
  struct fynx_pace *pace;   /* that sends by the clock; NULL: none; never written later */
  FYNX_LINE struct fynx_sa_counters counters;
  FYNX_LINE void *thr[]; /* by sender */
};
_Static_assert(offsetof(struct fynx_sa_out, sequence) == 64, "the constant line of an outbound SA is one line");
_Static_assert(offsetof(struct fynx_sa_out, counters) == 128, "the written line of an outbound SA is one line");

struct fynx_sa_in {
  FYNX_LINE const struct fynx_aead_ops *ops;
  uint64_t handle;
  const struct fynx_range *local;
  const struct fynx_range *remote;
  uint32_t spi;
  uint16_t n_local;
  uint16_t n_remote;
  uint8_t iv_len;
  uint8_t icv_len;
  uint8_t align;
  bool esn : 1;
  bool implicit_iv : 1; /* as in the other direction */
  uint8_t n_thr;
  uint8_t header; /* of IP, made anew in transport mode; 0 in tunnel mode */
  uint16_t fix;   /* of checksums behind a NAT in transport mode; 0: none */
  void *key;
  void **thr; /* by receiver */
  FYNX_LINE atomic_flag lock; /* of this line; held for the arithmetic only, never around the cipher */
  uint8_t moved;              /* `told` holds a path that was reported */
  struct fynx_window window;
  struct fynx_addr peer; /* where it should come from */
  FYNX_LINE struct fynx_addr told;
  struct fynx_agg_in *agg; /* of payloads that inner packets share; NULL: none are taken */
  FYNX_LINE struct fynx_sa_counters counters;
};
_Static_assert(offsetof(struct fynx_sa_in, lock) == 64, "the constant line of an inbound SA is one line");
_Static_assert(offsetof(struct fynx_sa_in, counters) == 192, "inbound counters stand apart");

struct fynx_child { /* cold: a pair of SAs as the control side knows it */
  struct fynx_vault *vault; /* of its keys */
  struct fynx_child *next;
  struct fynx_child *previous;
  struct fynx_sa_in *in;
  struct fynx_sa_out *out;
  struct fynx_range *ranges; /* local, then remote */
  struct fynx_rule *rule;    /* NULL: it stands in no snapshot of the SPD */
  uint64_t serial;
  uint64_t handle;
  uint32_t tag;
  uint32_t resource; /* the worker that sends on it; 0: all */
  uint16_t n_local;
  uint16_t n_remote;
  bool active; /* stands in the SPD */
  bool dead;
};

struct fynx_cached {
  struct fynx_flow_key key;
  uint64_t generation;
  const struct fynx_rule *rule;
};

struct fynx_slot { /* one packet of a batch */
  uint8_t *data;
  uint32_t len;
  uint8_t verdict;
  uint8_t follows; /* of the flow of the slot before, and equal in all that the SPD looks at */
  uint8_t tos;     /* of the datagram outside */
  uint8_t crowded; /* stands behind another one in its buffer: there is no room before it */
  uint8_t tight;   /* room as an SA with the worker's `laid` around packets needs it, and no more */
  void *sa;
  struct fynx_sa_out *out; /* that sealed it */
  uint64_t sequence;
  uint64_t handle;
  const struct fynx_endpoint *endpoint;
  struct fynx_path path;
  struct fynx_flow flow;
};

struct fynx_wrap { /* what an SA puts around a packet; `ahead`, header and IV, is 0 when none was seen yet */
  uint8_t ahead, block, icv_len;
};

struct fynx_counters {
  _Atomic uint64_t counter[FYNX_COUNT_COUNT];
  _Atomic uint64_t drops[FYNX_DROP_COUNT];
};

struct fynx_worker { /* everything one thread touches; one sender and one receiver make a pair */
  FYNX_LINE _Atomic uint64_t epoch; /* 0: offline, holds no pointer into the tables */
  FYNX_LINE struct fynx_counters counters;
  FYNX_LINE struct fynx_plane *plane;
  struct fynx_ring upcalls;
  struct fynx_ring inner;
  uint32_t index; /* into the thr arrays of its direction */
  int tun;        /* -1: none */
  uint8_t *arena;
  size_t arena_size;
  uint8_t *spare; /* of a receiver, behind the arena */
  size_t spare_at;
  uint32_t sockets[FYNX_SOCKETS_MAX];
  uint32_t n_sockets;
  uint32_t wide;      /* what the last packet of the batch must be cut to; 0: nothing to cut */
  uint32_t told;      /* answers about sizes that may still be given */
  uint64_t told_ms;
  uint64_t tokens_ms; /* rate limit of unknown-SPI upcalls */
  uint32_t tokens;
  bool aggregated; /* a slot of the batch waits for `fynx_agg_out` or `fynx_agg_unpack` */
  struct fynx_wrap laid;   /* for which the tight slots of the batch have room */
  struct fynx_wrap wrap;   /* of the SA that sealed last */
  struct fynx_agg_out *agg; /* of a sender */
  void (*flush)(struct fynx_worker *w, uint32_t n); /* sends sealed slots before there are more */
  uint8_t *out; /* of a caller that takes them himself */
  size_t out_room;
  uint32_t iv_at;
  uint8_t *iv_pool;
  uint8_t *padded; /* a place for each slot, for SAs that pad; pages that nobody touches cost nothing */
  struct fynx_cached *cache;
  struct fynx_io *io;
  pthread_t thread;
  bool started;
  bool receiver;
  int stop_fd;
  _Atomic int32_t cpu; /* to which it is bound; -1: to none */
  uint32_t turn;
  uint32_t pause_ms; /* before it begins */
  uint64_t began_ms;
  _Atomic int asked; /* to end; 0: not */
  struct fynx_worker *pair; /* of a sender the receiver of its queue, and the other way round; NULL: none */
  _Atomic int awake;        /* of a receiver: it looks at what is ready */
  _Atomic int lent;         /* of a sender: its receiver reads the device */
  uint64_t busy_ms;         /* when it last had much to send */
  struct fynx_sa_out *packs; /* whose `packing` this sender holds */
  _Atomic int state; /* enum fynx_worker_state */
  _Atomic uint32_t restarts;
  struct fynx_slot slot[FYNX_BATCH];
  struct fynx_packet packet[FYNX_BATCH];
  uint8_t aad[FYNX_BATCH][16]; /* and an implicit IV, in it or behind it */
  uint8_t member[FYNX_BATCH];
};

struct fynx_socket {
  int fd;
  int family;
  uint16_t port;
  bool raw; /* ESP without UDP */
};

enum fynx_spi_state { FYNX_SPI_FREE = 0, FYNX_SPI_RESERVED, FYNX_SPI_USED };

struct fynx_retired {
  struct fynx_retired *next;
  uint64_t epoch;
  void (*release)(void *object);
  void *object;
};

struct fynx_plane {
  FYNX_LINE _Atomic(struct fynx_sa_in *) *table; /* by SPI & mask */
  uint32_t mask;
  int event_fd;
  int inner_fd;
  bool inproc;
  _Atomic(struct fynx_spd *) spd;
  FYNX_LINE _Atomic uint64_t epoch;
  _Atomic int stopping;
  FYNX_LINE pthread_mutex_t control; /* installs, removes, policies */
  pthread_mutex_t sending;           /* one caller at a time in fynx_plane_send */
  pthread_mutex_t receiving;
  pthread_mutex_t draining;
  pthread_mutex_t threads; /* that begin and end */
  struct fynx_worker *tx[FYNX_TX_MAX]; /* [0] is the caller's own */
  struct fynx_worker *rx[FYNX_RX_MAX];
  uint32_t n_tx;
  uint32_t n_rx;
  struct fynx_socket sockets[FYNX_SOCKETS_MAX];
  uint32_t n_sockets;
  uint32_t n_raw;
  _Atomic uint8_t *spi_state;  /* written under `control`; a worker looks at them for packets of no SA */
  _Atomic uint32_t *spi_value; /* of reserved ones */
  struct fynx_early *early;
  struct fynx_child *children;
  struct fynx_policies *policies;
  uint8_t *own; /* addresses of this host, 16 octets each, sorted */
  uint32_t n_own;
  struct fynx_retired *retired;
  struct fynx_vault vault; /* under the control mutex */
  struct fynx_pacer *pacer; /* NULL: no SA wanted one */
  uint64_t serial;
  uint64_t generation;
  uint32_t n_children;
  uint32_t n_bound; /* of them to a worker */
  uint32_t spread;  /* SPIs given out: each receiver gets as many SAs */
  uint32_t n_retired;
  struct fynx_options options;
  bool vnet; /* frames of the TUN device carry a virtio-net header */
  bool tso;  /* and may hold many packets of a TCP flow, */
  bool uso;  /* or of a UDP flow */
  bool gro;
  _Atomic int gso;
  uint32_t mtu; /* of the TUN device */
  _Atomic uint32_t narrowest; /* the least limit that any SA had */
  int owner; /* process id: a fork must not seal with this plane */
  bool started;
  bool frozen; /* an SA exists: workers are fixed */
};

/* epoch.c */
void fynx_online(struct fynx_worker *w);
void fynx_offline(struct fynx_worker *w);
int fynx_retire(struct fynx_plane *plane, void *object, void (*release)(void *object));
void fynx_reclaim(struct fynx_plane *plane, bool wait);
void fynx_reclaim_pending(struct fynx_plane *plane);

/* sad.c */
struct fynx_sa_in *fynx_sad_find(struct fynx_plane *plane, uint32_t spi);
void fynx_sa_lock(struct fynx_sa_in *sa);
void fynx_sa_unlock(struct fynx_sa_in *sa);
int fynx_sad_claim(struct fynx_plane *plane, uint32_t spi);
void fynx_sad_publish(struct fynx_plane *plane, struct fynx_sa_in *sa);
void fynx_sad_withdraw(struct fynx_plane *plane, uint32_t spi);

/* early.c */
int fynx_early_new(struct fynx_plane *plane);
void fynx_early_free(struct fynx_plane *plane);
struct fynx_sa_in *fynx_early_hold(struct fynx_worker *w, struct fynx_slot *slot, uint32_t spi);
void fynx_early_settle(struct fynx_plane *plane, uint32_t spi);

/* spd.c */
const struct fynx_rule *fynx_spd_find(const struct fynx_spd *spd, const struct fynx_flow *flow);
const struct fynx_rule *fynx_spd_cached(struct fynx_worker *w, const struct fynx_spd *spd,
                                        const struct fynx_flow *flow);
const struct fynx_rule *fynx_spd_clear(const struct fynx_spd *spd, const struct fynx_flow *flow);
bool fynx_spd_own(const struct fynx_spd *spd, const struct fynx_flow *flow);
struct fynx_range *fynx_ranges_new(const struct fynx_selector *a, uint32_t n_a, const struct fynx_selector *b,
                                   uint32_t n_b);
bool fynx_ranges_match(const struct fynx_range *ranges, uint32_t n, const struct fynx_flow *flow, bool source);

/* policy.c */
void fynx_policies_free(void *policies);

/* rules.c */
int fynx_rules_add(struct fynx_plane *plane, struct fynx_child *child);
int fynx_rules_drop(struct fynx_plane *plane, const struct fynx_child *child);
int fynx_rules_reset(struct fynx_plane *plane, struct fynx_policies *policies);
int fynx_rules_publish(struct fynx_plane *plane);
void fynx_rules_free(struct fynx_plane *plane);

/* child.c */
void fynx_child_free(void *child);
size_t fynx_child_memory(const struct fynx_child *child);
void fynx_endpoint_build(struct fynx_plane *plane, struct fynx_endpoint *endpoint, const struct fynx_path *path);

#include "batch.h"
#include "threads.h"

/* netio.c, send.c, tun.c */
int fynx_io_new(struct fynx_worker *w);
void *fynx_tx_main(void *worker);
void *fynx_rx_main(void *worker);
void fynx_send_slots(struct fynx_worker *w, uint32_t n);
void fynx_deliver(struct fynx_worker *w, uint32_t n);

void fynx_answer(struct fynx_worker *w, uint8_t *packet, uint32_t len);

/* mtu.c */
void fynx_mtu_look(struct fynx_plane *plane, struct fynx_sa_out *sa, const struct fynx_endpoint *e);
bool fynx_mtu_pass(struct fynx_worker *w, struct fynx_slot *slot, struct fynx_sa_out *sa);
void fynx_mtu_refuse(struct fynx_worker *w, const struct fynx_slot *slot, const struct fynx_sa_out *sa);
uint32_t fynx_mtu_cut(struct fynx_worker *w, uint32_t n, uint32_t limit);

/* plane.c */
struct fynx_worker *fynx_worker_new(struct fynx_plane *plane, bool receiver);
void fynx_worker_free(struct fynx_worker *w);

/* How many packets a batch may begin with: some room is left where the last may have to be cut. */
static inline uint32_t fynx_batch(const struct fynx_plane *plane, uint32_t *narrowest) {
  *narrowest = atomic_load_explicit(&plane->narrowest, memory_order_relaxed);
  return *narrowest < plane->mtu ? FYNX_BATCH / 2 : FYNX_BATCH;
}

static inline void fynx_count(struct fynx_worker *w, enum fynx_counter which, uint64_t n) { /* one writer */
  _Atomic uint64_t *c = &w->counters.counter[which];
  atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void fynx_drop(struct fynx_worker *w, struct fynx_slot *slot, enum fynx_verdict why) {
  _Atomic uint64_t *c = &w->counters.drops[why];
  atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
  slot->verdict = (uint8_t)why;
}

static inline void fynx_drop_sa(struct fynx_worker *w, struct fynx_sa_counters *sa, struct fynx_slot *slot,
                                enum fynx_verdict why) {
  atomic_fetch_add_explicit(&sa->drops[why], 1, memory_order_relaxed);
  fynx_drop(w, slot, why);
}

#endif
