/* threads.h: how the plane's threads begin and end, and what they tell the control side; a part of core.h, which has the
 * types. */
#ifndef FYNX_THREADS_H
#define FYNX_THREADS_H

/* worker.c */
int fynx_spawn(pthread_t *thread, const char *name, void *(*entry)(void *), void *argument);
int fynx_worker_begin(struct fynx_worker *w);
void fynx_workers_stop(struct fynx_plane *plane);
void fynx_workers_revive(struct fynx_plane *plane);

/* duty.c */
void fynx_nudge(struct fynx_worker *w);
void fynx_calm(struct fynx_worker *w);
void fynx_take_back(struct fynx_worker *receiver);

/* upcall.c */
uint64_t fynx_now_ms(void);
void fynx_upcall_push(struct fynx_worker *w, struct fynx_upcall *record, const uint8_t *data, uint32_t data_len);
void fynx_upcall_acquire(struct fynx_worker *w, const struct fynx_rule *rule, const struct fynx_flow *flow);
void fynx_upcall_expire(struct fynx_worker *w, uint64_t handle, bool hard);
void fynx_upcall_path(struct fynx_worker *w, uint64_t handle, const struct fynx_path *path);
void fynx_upcall_ike(struct fynx_worker *w, const struct fynx_path *path, const uint8_t *data, uint32_t len);
void fynx_upcall_spi(struct fynx_worker *w, const struct fynx_path *path, uint32_t spi);
void fynx_upcall_sealed(struct fynx_worker *w, const struct fynx_slot *slot);

#endif
