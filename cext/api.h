/* api.h: what the plane offers to Python and to C programs. The part between the marks is also the cffi declaration. */
#ifndef FYNX_API_H
#define FYNX_API_H

#include <stddef.h>
#include <stdint.h>

#include "fynx.h"

/* cdef: begin */
struct fynx_addr {
  uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
  uint16_t port;
  uint16_t zero;
};

struct fynx_path {
  struct fynx_addr local;
  struct fynx_addr remote;
};

struct fynx_selector {
  uint8_t start[16]; /* family 4: the first four octets */
  uint8_t end[16];
  uint16_t start_port;
  uint16_t end_port;
  uint8_t protocol;
  uint8_t family; /* 4 or 6 */
  uint16_t zero;
};

struct fynx_child_spec {
  uint64_t handle;
  uint32_t tag; /* links the SA to the PROTECT policy with the same tag */
  uint32_t spi_in;
  uint32_t spi_out;
  uint32_t window;
  uint32_t esn;
  uint32_t outbound;
  uint32_t pad_to;      /* inner packets are padded to so many octets (RFC 4303 section 2.7); 0: none, FYNX_PATH: the path's */
  uint32_t implicit_iv; /* RFC 8750: an AEAD whose IV is the sequence number and not sent */
  uintptr_t ops;
  const uint8_t *key_in;
  const uint8_t *salt_in;
  const uint8_t *key_out;
  const uint8_t *salt_out;
  struct fynx_path path;
  const struct fynx_selector *local;
  const struct fynx_selector *remote;
  uint32_t n_local;
  uint32_t n_remote;
  uint32_t aggfrag;        /* bits: 1 inner packets share payloads (RFC 9347), 2 none is cut, 4 all payloads are as long */
  uint32_t aggfrag_size;   /* octets of a payload at most; 0: what the path takes */
  uint32_t resource;       /* the worker that sends on it (RFC 9611); 0: all that have none of their own */
  uint64_t pace_ns;        /* from one packet of the clock to the next: payloads with aggregation, else dummies; 0: none */
  uint32_t pace_jitter;    /* thousandths of it, for dummies */
  uint32_t dummy_len;      /* octets of a dummy; 0: at random */
  uint32_t transport;      /* transport mode: the selectors are one address on each side */
  uint32_t translated;     /* a NAT: the peer counted these addresses into its checksums (RFC 3948 section 3.1.2) */
  uint8_t source[16];      /* as in a selector */
  uint8_t destination[16];
};

struct fynx_policy_spec {
  int32_t priority; /* lower is looked at first */
  uint32_t action;  /* 0 discard, 1 bypass, 2 protect */
  uint32_t tag;
  uint32_t n_local;
  uint32_t n_remote;
  const struct fynx_selector *local;
  const struct fynx_selector *remote;
};

struct fynx_upcall {
  uint32_t size; /* of this record with its data, a multiple of 8 */
  uint32_t kind; /* 1 acquire, 2 expire, 3 path, 4 ike, 5 unknown spi, 6 sealed, 7 a worker ended (tag; hard: its receiver) */
  uint64_t handle;
  uint32_t spi;
  uint32_t tag;
  struct fynx_path path;
  uint32_t hard;
  uint8_t protocol;
  uint8_t family;
  uint16_t zero;
  uint32_t data_len; /* octets behind the record */
  uint32_t reserved;
};

struct fynx_usage {
  uint64_t packets_in;
  uint64_t bytes_in;
  uint64_t packets_out;
  uint64_t bytes_out;
  uint64_t sequence_out;
  uint64_t sequence_in;
  uint64_t drops[32];
};

struct fynx_plane_info {
  uint32_t threads;
  uint32_t sas;
  uint32_t rules;
  uint32_t retired;
  uint32_t capacity;
  uint32_t running;
  uint32_t vnet; /* what was found: 0 or 1 */
  uint32_t tso;
  uint32_t uso;
  uint32_t gso;
  uint32_t gro;
  uint32_t raw; /* sockets for ESP without UDP */
  uint32_t bytes_per_sa;   /* of a pair in memory, the newest; 0: there is none */
  uint64_t keys_locked;    /* octets set aside for keys: never swapped, dumped or seen in a fork, */
  uint64_t keys_unlocked;  /* and what the system did not let us lock */
};

struct fynx_worker_info { /* one sender or receiver, read while it runs */
  uint32_t number;          /* 0: what callers send and receive themselves */
  uint32_t receiver;
  uint32_t state;           /* 0 no thread, 1 runs, 2 ended unasked */
  uint32_t restarts;
  int32_t cpu;              /* to which it is bound; -1: to none */
  int32_t queue;            /* of the TUN device, from 0; -1: none */
  uint64_t upcalls_waiting; /* octets for the control side, */
  uint64_t inner_waiting;   /* for a program, */
  uint64_t sockets_waiting; /* and in its sockets */
};

struct fynx_options { /* before any socket or device is added */
  uint32_t vnet; /* headers of a TUN device: FYNX_AUTO, FYNX_OFF; FYNX_FORCE: this descriptor has them, whatever it is */
  uint32_t uso;  /* UDP in them */
  uint32_t gso;  /* datagrams sent in batches: FYNX_AUTO, FYNX_OFF */
  uint32_t gro;  /* datagrams received in batches */
  uint32_t spin_us; /* look again for so long before a thread sleeps */
  uint32_t n_cpus;
  uint16_t cpus[64]; /* to which threads are bound in turn */
};

#define FYNX_AUTO 0
#define FYNX_OFF 1
#define FYNX_FORCE 2

#define FYNX_PATH 65535
#define FYNX_PADDED_MAX 9000
#define FYNX_DUMMY_LEAST 20
#define FYNX_PACE_LEAST_NS 10000

struct fynx_plane;
struct fynx_child;

/* Results: 0 or more is success, else one of these. */
#define FYNX_E_MEMORY -1
#define FYNX_E_ARGUMENT -2
#define FYNX_E_STATE -3
#define FYNX_E_SPI -4
#define FYNX_E_KEY -5
#define FYNX_E_FULL -6
#define FYNX_E_THREAD -7
#define FYNX_E_FORK -8
#define FYNX_E_SYSTEM -9
#define FYNX_E_WORKER -10

struct fynx_plane *fynx_plane_new(uint32_t capacity, int inproc);
void fynx_plane_free(struct fynx_plane *plane);
int fynx_plane_event_fd(struct fynx_plane *plane);
int fynx_plane_inner_fd(struct fynx_plane *plane);
int fynx_plane_options(struct fynx_plane *plane, const struct fynx_options *options);
int fynx_plane_add_socket(struct fynx_plane *plane, int fd, int family, uint16_t local_port);
int fynx_plane_add_raw(struct fynx_plane *plane, int fd, int family); /* protocol 50; paths with ports 0 use it */
int fynx_plane_add_tun(struct fynx_plane *plane, int fd, uint32_t mtu);
int fynx_plane_start(struct fynx_plane *plane);
void fynx_plane_stop(struct fynx_plane *plane);
void fynx_plane_info(struct fynx_plane *plane, struct fynx_plane_info *info);
void fynx_plane_counters(struct fynx_plane *plane, uint64_t *counters, uint64_t *drops);
uint32_t fynx_worker_count(const struct fynx_plane *plane);
/* `index` from 0; arrays of `fynx_counter_count` and `fynx_drop_count`. */
int fynx_worker_info(struct fynx_plane *plane, uint32_t index, struct fynx_worker_info *info, uint64_t *counters,
                     uint64_t *drops);
/* Both threads of a number end behind the batch in hand and begin anew; the others go on. */
int fynx_worker_restart(struct fynx_plane *plane, uint32_t number);
uint32_t fynx_counter_count(void);
uint32_t fynx_drop_count(void);
uint32_t fynx_sa_drop_count(void);
const char *fynx_counter_name(uint32_t index);
const char *fynx_drop_name(uint32_t index);

uint32_t fynx_spi_reserve(struct fynx_plane *plane); /* 0: none is free */
void fynx_spi_release(struct fynx_plane *plane, uint32_t spi);
int fynx_child_install(struct fynx_plane *plane, const struct fynx_child_spec *spec, struct fynx_child **child);
int fynx_child_activate(struct fynx_plane *plane, struct fynx_child *child);
int fynx_child_move(struct fynx_plane *plane, struct fynx_child *child, const struct fynx_path *path);
/* Seals `n` packets of `len` octets that say nothing (RFC 4303 section 2.6); the rest as `fynx_plane_send`. */
int64_t fynx_child_dummies(struct fynx_plane *plane, struct fynx_child *child, uint32_t n, uint32_t len, uint8_t *out,
                           size_t room);
int fynx_child_remove(struct fynx_plane *plane, struct fynx_child *child);
void fynx_child_usage(const struct fynx_child *child, struct fynx_usage *usage);
void fynx_child_set_sequence(struct fynx_child *child, uint64_t last_out); /* forwards only; for take-over and tests */
int fynx_plane_policies(struct fynx_plane *plane, const struct fynx_policy_spec *specs, uint32_t n);
int fynx_plane_own_addresses(struct fynx_plane *plane, const uint8_t *addresses, uint32_t n);
int fynx_plane_match(struct fynx_plane *plane, const uint8_t *packet, uint32_t len);

size_t fynx_plane_drain(struct fynx_plane *plane, uint8_t *out, size_t room);
/* Packets lie end to end in `data`; `lengths` gives their sizes. Sealed ones that no socket takes are written to `out`
 * as handle (8 octets, host order), length (8 octets, host order), packet, padded to 8. Returns octets, or an error. */
int64_t fynx_plane_send(struct fynx_plane *plane, const uint8_t *data, const uint32_t *lengths, uint32_t n,
                        uint8_t *out, size_t room);
int64_t fynx_plane_receive(struct fynx_plane *plane, const struct fynx_path *path, const uint8_t *data,
                           const uint32_t *lengths, uint32_t n);
int64_t fynx_plane_receive_clear(struct fynx_plane *plane, const uint8_t *data, const uint32_t *lengths, uint32_t n);
/* Received inner packets: 4 octets of length (host order), packet, padded to 4. */
size_t fynx_plane_recv(struct fynx_plane *plane, uint32_t limit, uint8_t *out, size_t room);

/* An ops made of callbacks: `crypt` gets a batch and sets rc of each packet that it could do. */
struct fynx_adapter_sizes {
  const char *name;
  uint16_t encr_id;
  uint16_t integ_id;
  uint16_t key_len;
  uint8_t salt_len;
  uint8_t iv_len;
  uint8_t icv_len;
  uint8_t block;
};

struct fynx_adapter_calls {
  void *user;
  void *(*key_new)(void *user, const uint8_t *key, size_t key_len, const uint8_t *salt);
  void (*key_free)(void *user, void *key);
  void (*crypt)(void *key, struct fynx_packet *packets, uint32_t n, int opening);
};

uintptr_t fynx_adapter_new(const struct fynx_adapter_sizes *sizes, const struct fynx_adapter_calls *calls);
void fynx_adapter_free(uintptr_t ops);

/* One packet through an ops: for known-answer tests. */
int fynx_ops_seal1(uintptr_t ops, const uint8_t *key, const uint8_t *salt, const uint8_t *iv, const uint8_t *aad,
                   uint32_t aad_len, const uint8_t *in, uint32_t len, uint8_t *out);
int fynx_ops_open1(uintptr_t ops, const uint8_t *key, const uint8_t *salt, const uint8_t *iv, const uint8_t *aad,
                   uint32_t aad_len, const uint8_t *in, uint32_t len, uint8_t *out);
/* A batch in one call of the ops; rc of each packet tells. */
int fynx_ops_batch(uintptr_t ops, const uint8_t *key, const uint8_t *salt, struct fynx_packet *packets, uint32_t n,
                   int opening);
/* `count` packets of `size` octets, `batch` at a time, sealed in place; nanoseconds, or negative. */
int64_t fynx_bench_loop(uintptr_t ops, const uint8_t *key, const uint8_t *salt, uint32_t size, uint32_t batch,
                        uint64_t count);
/* The replay window alone: commits `seqs` in order, `accepted[i]` tells; `esn` infers from the low half. */
int fynx_window_run(uint32_t size, int esn, const uint64_t *seqs, uint32_t n, uint8_t *accepted, uint64_t *inferred,
                    uint64_t start);
/* What stands before ESP in a packet of a raw socket: octets, or -1 minus the number of the drop. */
int fynx_raw_run(int four, const uint8_t *packet, uint32_t len);
/* A frame cut into packets, and packets joined: as records of `fynx_plane_recv`, each frame behind its header. */
size_t fynx_split_run(const uint8_t *vnet, const uint8_t *frame, uint32_t len, uint8_t *out, size_t room);
size_t fynx_join_run(const uint8_t *data, const uint32_t *lengths, uint32_t n, int udp, uint8_t *out, size_t room);
/* cdef: end */

#endif
