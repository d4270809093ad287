/* duty.c: who reads a queue of the TUN device. While little comes from it (acknowledgements, echoes), the receiver of the
 * queue does it behind what it has just delivered: the answer leaves with no other thread to wake up. More than that goes
 * to the sender's own thread, so that both directions work at once. One of the two has the queue at any time, and with it
 * all that the sender's worker holds; only who has it gives it away. */
#include <unistd.h>

#include "netio.h"

#define MUCH (FYNX_BATCH / 2) /* packets of one batch */
#define QUIET_MS 50u   /* without a batch of many before the receiver gets the queue */
#define SERVED_MOST 4u /* batches behind one of those received, which wait meanwhile */

static bool much(const struct fynx_worker *sender, uint32_t n) { return n >= MUCH || sender->io->split_end; }

void fynx_nudge(struct fynx_worker *w) {
  static const uint64_t one = 1;
  if (write(w->stop_fd, &one, sizeof one) < 0) return; /* full: it is readable anyway */
}

void fynx_calm(struct fynx_worker *w) {
  uint64_t ignored;
  while (read(w->stop_fd, &ignored, sizeof ignored) > 0) {
  }
}

void fynx_tx_batch(struct fynx_worker *w, uint32_t n) {
  if (much(w, n)) w->busy_ms = fynx_now_ms();
  fynx_online(w);
  n = fynx_encap(w, n);
  fynx_send_slots(w, n);
  fynx_offline(w);
}

bool fynx_lent(const struct fynx_worker *sender) { return atomic_load(&sender->lent) != 0; }

void fynx_take_back(struct fynx_worker *receiver) {
  struct fynx_worker *sender = receiver->pair;
  if (!receiver->receiver || !sender || !fynx_lent(sender)) return;
  atomic_store(&sender->lent, 0);
  fynx_nudge(sender);
}

static bool awake(const struct fynx_worker *receiver) { return atomic_load(&receiver->awake) != 0; }

/* Of the sender, with nothing to read: 0 when the queue is lent, else how many milliseconds to wait before asking again, -1
 * when there is no need. */
int fynx_lend(struct fynx_worker *sender) {
  struct fynx_worker *receiver = sender->pair;
  if (!receiver || !awake(receiver)) return -1;
  uint64_t quiet_ms = fynx_now_ms() - sender->busy_ms;
  if (quiet_ms < QUIET_MS) return (int)(QUIET_MS - quiet_ms);
  fynx_count(sender, FYNX_COUNT_HANDOVERS, 1);
  atomic_store(&sender->lent, 1);
  if (awake(receiver)) /* else it ended meanwhile, and looks whether it has something to give back, or has looked */
    fynx_nudge(receiver);
  else
    fynx_take_back(receiver);
  return 0;
}

/* Of the receiver: what the device has for the sender, if the queue is lent. */
void fynx_serve(struct fynx_worker *receiver) {
  struct fynx_worker *sender = receiver->pair;
  if (!sender || !fynx_lent(sender)) return;
  for (uint32_t turns = 0; turns < SERVED_MOST; turns++) {
    uint32_t n = fynx_tun_read(sender);
    bool over = much(sender, n) || sender->io->failures, dry = !n || sender->io->dry;
    sender->io->dry = false;
    if (n) fynx_tx_batch(sender, n);
    if (over) fynx_take_back(receiver);
    if (over || dry) return;
  }
}
