/* batch.h: what the packets of one batch go through, between reading and writing; a part of core.h, which has the types. */
#ifndef FYNX_BATCH_H
#define FYNX_BATCH_H

/* encap.c, decap.c: one batch of slots, data and len filled in, verdict FYNX_PASS */
uint32_t fynx_encap(struct fynx_worker *w, uint32_t n); /* returns how many slots there are now */
void fynx_decap(struct fynx_worker *w, uint32_t n);

/* Padding that makes `len` octets and two more a multiple of the block (RFC 4303 section 2.4). */
static inline uint32_t fynx_padding(uint8_t block, uint32_t len) { return (0u - (len + 2)) & (block - 1u); }

void fynx_seal(struct fynx_worker *w, struct fynx_sa_out *sa, uint32_t n); /* members [0, n), of one SA */
enum fynx_verdict fynx_police(const struct fynx_worker *w, const struct fynx_sa_in *sa, struct fynx_slot *slot,
                              const struct fynx_slot *before);

/* resource.c */
int fynx_resource_prepare(struct fynx_plane *plane, struct fynx_child *child);
void fynx_resource_follow(struct fynx_plane *plane, struct fynx_child *child);

static inline struct fynx_sa_out *fynx_resource_own(const struct fynx_worker *w, struct fynx_sa_out *sa) {
  return sa->own ? atomic_load_explicit(&sa->own[w->index], memory_order_acquire) : sa;
}

/* iptfs_out.c */
int fynx_agg_prepare(struct fynx_plane *plane);
uint32_t fynx_agg_limit(const struct fynx_sa_out *sa);
uint32_t fynx_agg_out(struct fynx_worker *w, uint32_t n);
void fynx_agg_unpack(struct fynx_worker *w, uint32_t n);

/* transport.c */
uint8_t fynx_transport_header(const struct fynx_child *child);
uint16_t fynx_transport_fix(const struct fynx_child *child, const uint8_t *source, const uint8_t *destination);
bool fynx_transport_takes(const uint8_t *packet);
uint8_t fynx_transport_cut(struct fynx_slot *slot, uint8_t header);
enum fynx_verdict fynx_transport_restore(struct fynx_worker *w, const struct fynx_sa_in *sa, struct fynx_slot *slot,
                                         uint8_t next);

#endif
