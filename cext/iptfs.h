/* iptfs.h: aggregation and fragmentation of inner packets (RFC 9347): an ESP payload is a piece of one stream of packets. */
#ifndef FYNX_IPTFS_H
#define FYNX_IPTFS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "drops.h"

#define FYNX_AGG_NEXT 144u        /* AGGFRAG_PAYLOAD, section 6.1 */
#define FYNX_AGG_HEAD 4u          /* of sub-type 0, the only one that we send */
#define FYNX_AGG_WINDOW 4u        /* outer packets that may come out of order, the awaited one included (section 2.2.3) */
#define FYNX_AGG_PIECE 9216u      /* octets kept of one that came early; longer ones lose their inner fragments */
#define FYNX_AGG_LARGEST 9216u    /* payload that we make */
#define FYNX_AGG_SMALLEST 64u

enum { FYNX_AGG_ON = 1, FYNX_AGG_WHOLE = 2, FYNX_AGG_PAD = 4 }; /* of an outbound SA: no fragments; all equally long */

struct fynx_agg_piece { /* what an early packet has of inner packets that others began or end */
  uint64_t sequence;
  uint32_t offset;
  uint32_t head;
  uint32_t tail;
  bool idle; /* nothing but padding */
  bool used;
};

struct fynx_agg_in { /* of an inbound SA; all that it ever needs */
  pthread_mutex_t lock;
  uint64_t next; /* sequence number whose turn it is */
  uint32_t have; /* octets of the inner packet that is under way */
  uint32_t need; /* of it; 0: not known yet */
  bool open;
  struct fynx_agg_piece piece[FYNX_AGG_WINDOW];
  uint8_t part[65536];
  uint8_t room[FYNX_AGG_WINDOW][FYNX_AGG_PIECE];
};

/* Where inner packets go. `kept`: the octets are good until the next call only. */
struct fynx_agg_sink {
  void (*take)(struct fynx_agg_sink *sink, uint8_t *packet, uint32_t len, bool kept);
  void (*lost)(struct fynx_agg_sink *sink, enum fynx_verdict why);
};

struct fynx_agg_in *fynx_agg_new(void);
void fynx_agg_free(struct fynx_agg_in *a);
/* One payload, whose sequence number comes for the first time. Whole inner packets go on at once; the pieces of others
 * wait for each other. */
void fynx_agg_open(struct fynx_agg_in *a, uint64_t sequence, uint8_t *payload, uint32_t len, struct fynx_agg_sink *sink);

#endif
