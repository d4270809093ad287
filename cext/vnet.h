/* vnet.h: frames with a virtio-net header as a TUN device gives and takes them (virtio 1.2 section 5.1.6). */
#ifndef FYNX_VNET_H
#define FYNX_VNET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define FYNX_SEGMENTS 64u /* of one frame that we make, and of one datagram batch: what every kernel takes */

#define FYNX_JOIN_GAP 256u /* between two payloads that become one piece: trailer, ICV, headers */

enum { FYNX_VNET_NEEDS_CSUM = 1, FYNX_VNET_DATA_VALID = 2 };
enum { FYNX_VNET_NONE = 0, FYNX_VNET_TCP4 = 1, FYNX_VNET_TCP6 = 4, FYNX_VNET_UDP = 5, FYNX_VNET_ECN = 0x80 };

struct fynx_vnet { /* in the machine's own order, as a TUN device has it by default */
  uint8_t flags;
  uint8_t type;
  uint16_t head;         /* of all headers; a hint */
  uint16_t size;         /* payload of one segment */
  uint16_t csum_start;   /* from where the checksum is counted */
  uint16_t csum_offset;  /* where it goes, from there */
};
_Static_assert(sizeof(struct fynx_vnet) == 10, "the header without the count of buffers");

/* split.c: one frame into packets. `begin` is false for a frame that nobody can have meant. */
struct fynx_split {
  uint8_t *frame;
  uint32_t len;
  uint32_t l4;      /* where TCP or UDP begins */
  uint32_t head;    /* all headers */
  uint32_t size;    /* payload of one segment; 0: the frame is one packet */
  uint32_t at;      /* payload done */
  uint32_t index;
  uint32_t check;   /* offset of the checksum from l4 */
  uint64_t partial; /* pseudo header without the length, and what is the same in the header of each segment */
  uint64_t ip_sum;  /* of what is the same in each IPv4 header */
};
bool fynx_split_begin(struct fynx_split *s, uint8_t *frame, uint32_t len, const struct fynx_vnet *vnet);
bool fynx_split_more(const struct fynx_split *s);
uint32_t fynx_split_left(const struct fynx_split *s); /* packets still to come */
/* The next packet at `out`, which has room for `head + size`; returns its length. Not for whole frames. */
uint32_t fynx_split_next(struct fynx_split *s, uint8_t *out);

/* join.c: consecutive packets of one flow into one frame. */
struct fynx_join {
  struct fynx_vnet vnet;
  uint32_t n;       /* packets taken */
  uint32_t pieces;  /* iov[1] begins with the whole first packet; what follows it in memory is moved up to it */
  uint8_t *end;     /* of the last piece */
  uint32_t l4;
  uint32_t head;
  uint32_t size;    /* payload of the first */
  uint32_t total;   /* octets of the frame so far */
  uint32_t sequence; /* of what must come next (TCP) */
  bool open;        /* one more may follow */
  bool pushed;
  bool verified;    /* the first packet's checksums hold */
  uint64_t pseudo;  /* header, without the length */
  struct iovec iov[1 + FYNX_SEGMENTS];
};
void fynx_join_begin(struct fynx_join *j, uint8_t *packet, uint32_t len, bool udp);
/* False: it does not belong here, and is as it was. Else up to FYNX_JOIN_GAP octets before its payload are no longer there. */
bool fynx_join_add(struct fynx_join *j, uint8_t *packet, uint32_t len);
void fynx_join_finish(struct fynx_join *j); /* vnet and iov[1 ... pieces] are then what to write behind iov[0] */

#endif
