/* pace.h: outbound SAs that send by the clock: payloads at a constant rate (RFC 9347 section 2.2), or dummies (RFC 4303
 * section 2.6). */
#ifndef FYNX_PACE_H
#define FYNX_PACE_H

#include "core.h"

struct fynx_pace { /* of an outbound SA; the pacer's, except the queue, which senders fill */
  struct fynx_ring queue; /* inner packets that wait for their turn; none without aggregation */
  struct fynx_sa_out *sa;
  struct fynx_pace *next;
  uint64_t every_ns;
  uint64_t due_ns;
  uint32_t jitter; /* thousandths of `every_ns` */
  uint32_t len;    /* of a dummy; 0: at random */
  uint32_t done;   /* octets of the oldest in the queue that are sent */
  bool linked;
};

/* pace.c; under the control mutex. `begin` and `end` cannot fail. */
int fynx_pace_new(struct fynx_plane *plane, struct fynx_sa_out *sa, const struct fynx_child_spec *spec);
void fynx_pace_begin(struct fynx_plane *plane, struct fynx_pace *pace);
void fynx_pace_end(struct fynx_plane *plane, struct fynx_pace *pace);
void fynx_pace_free(struct fynx_pace *pace);
void fynx_pace_stop(struct fynx_plane *plane);

/* Seals and sends `n` dummies, of a batch at most; the caller has the worker for itself, online. */
void fynx_dummies(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t n, uint32_t len);
/* iptfs_out.c: seals and sends `n` payloads of what waits, or of padding. */
void fynx_agg_paced(struct fynx_worker *w, struct fynx_pace *pace, uint32_t n);

#endif
