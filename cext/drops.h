/* drops.h: every refusal and every counter has one name; enum, text and storage come from these lists. */
#ifndef FYNX_DROPS_H
#define FYNX_DROPS_H

/* Refusals that belong to a Security Association: counted there and in the worker. */
#define FYNX_SA_DROPS(X)                                                        \
  X(LENGTH, "length")             /* body shorter than a trailer, or no multiple of the block */ \
  X(REPLAY, "replay")             /* seen before, left of the window, or sequence number 0 */ \
  X(INTEGRITY, "integrity")       /* the ICV does not hold */                   \
  X(PADDING, "padding")           /* pad length beyond the body, or pad octets not 1, 2, 3 */ \
  X(DUMMY, "dummy")               /* next header 59 (RFC 4303 section 2.6) */    \
  X(NEXT_HEADER, "next_header")   /* not 4 or 41, or it does not fit the packet inside */ \
  X(INNER_HEADER, "inner_header") /* the inner IP header is malformed */        \
  X(INNER_SOURCE, "inner_source") /* inner source is ours, loopback, multicast or no address */ \
  X(SELECTORS, "selectors")       /* inner packet outside the SA's traffic selectors */ \
  X(CONGESTION, "congestion")     /* marked outside, and the inner packet cannot carry the mark (RFC 6040) */ \
  X(SEQUENCE, "sequence")         /* sequence numbers used up (RFC 4303 section 3.3.3) */ \
  X(TOO_BIG, "too_big")           /* sealed packet larger than a datagram */     \
  X(TRANSPORT, "transport")       /* a fragment or IP options, which transport mode cannot carry (RFC 4303 section 3.1.1) */ \
  X(PATH_MTU, "path_mtu")         /* larger than the path takes, and not to be cut: the sender was told */ \
  X(AGG_HEADER, "aggfrag_header")   /* AGGFRAG payload too short, or of an unknown sub-type (RFC 9347 section 6.1) */ \
  X(AGG_BLOCK, "aggfrag_block")     /* a data block that is no IP packet; the rest of the payload goes with it */ \
  X(AGG_OFFSET, "aggfrag_offset")   /* BlockOffset at odds with the packet that is under way */ \
  X(AGG_PARTIAL, "aggfrag_partial") /* an inner packet, some of whose fragments are lost */ \
  X(PACE_QUEUE, "pace_queue")       /* more than the constant rate carries, or its SA has ended */ \
  X(SEAL, "seal")                 /* the cipher refused to seal, or no IV was to be had */

/* Refusals before or after any SA. */
#define FYNX_PLANE_DROPS(X)                                                     \
  X(SHORT, "short")               /* datagram without room for an ESP header */ \
  X(RAW_HEADER, "raw_header")     /* from a raw socket, without a whole IPv4 header before ESP */ \
  X(RAW_FRAGMENT, "raw_fragment") /* from a raw socket, a piece of a packet */ \
  X(UNKNOWN_SPI, "unknown_spi")   /* no such SA (RFC 4303 section 3.4.2) */      \
  X(NO_POLICY, "no_policy")       /* nothing in the SPD fits */                 \
  X(NO_SA, "no_sa")               /* PROTECT without an SA: never in clear */   \
  X(DISCARD, "discard")           /* the SPD says DISCARD */                    \
  X(BYPASS, "bypass_unsupported") /* the SPD says BYPASS, and there is no clear way out of here */ \
  X(CLEAR, "clear_protected")     /* came in clear, and the SPD says PROTECT */ \
  X(OUTBOUND_HEADER, "outbound_header") /* inner packet malformed before sealing */ \
  X(INNER_FULL, "inner_full")     /* nobody takes the received packets */       \
  X(TUN_FRAME, "tun_frame")       /* the TUN device gave a frame that makes no sense */ \
  X(TUN_WRITE, "tun_write")       /* the TUN device refused the packet */       \
  X(NO_SOCKET, "no_socket")       /* no socket for the SA's path */             \
  X(UPCALL_FULL, "upcall_full")   /* the slow path is full */                   \
  X(SEND_AGAIN, "send_again")     /* the socket's buffer stayed full (EAGAIN, ENOBUFS) */ \
  X(SEND_SIZE, "send_size")       /* EMSGSIZE */                                \
  X(SEND_ERROR, "send_error")     /* the system refused to send, for another reason */

#define FYNX_DROPS(X) FYNX_SA_DROPS(X) FYNX_PLANE_DROPS(X)

/* What a worker counts besides. */
#define FYNX_COUNTERS(X) \
  X(PACKETS_IN, "packets_in")     \
  X(BYTES_IN, "bytes_in")         \
  X(PACKETS_OUT, "packets_out")   \
  X(BYTES_OUT, "bytes_out")       \
  X(DUMMIES_OUT, "dummies_out")   \
  X(BATCHES_IN, "batches_in")     \
  X(BATCHES_OUT, "batches_out")   \
  X(RECEIVES, "receives")         \
  X(SENDS, "sends")               \
  X(RECEIVE_BUFFERS, "receive_buffers") \
  X(SEND_MESSAGES, "send_messages") \
  X(RAW_IN, "raw_in")             \
  X(RAW_OUT, "raw_out")           \
  X(AGGREGATES_IN, "aggregates_in") \
  X(AGGREGATES_OUT, "aggregates_out") \
  X(IDLE_OUT, "idle_out")         /* of them, nothing but padding */ \
  X(PACED_LATE, "paced_late")     /* the clock was missed by so much that some were left out */ \
  X(HANDOVERS, "handovers")       /* the receiver of a queue began to read what is sent, too */ \
  X(SPLIT_SENDS, "split_sends")   \
  X(TOO_BIG_TOLD, "too_big_told") \
  X(FRAGMENTED, "fragmented")     \
  X(WAKEUPS, "wakeups")           /* from a sleep, or from spinning */ \
  X(TUN_READS, "tun_reads")       \
  X(TUN_WRITES, "tun_writes")     \
  X(KEEPALIVES, "keepalives")     \
  X(EARLY, "early")               /* ESP that came before its SA, and waited */ \
  X(IKE_MESSAGES, "ike_messages") \
  X(ACQUIRES, "acquires")         \
  X(PATHS_SEEN, "paths_seen")     \
  X(RECEIVE_ERRORS, "receive_errors") \
  X(TUN_ERRORS, "tun_errors")

#define FYNX_X_ENUM(id, text) FYNX_DROP_##id,
enum fynx_verdict { FYNX_DROPS(FYNX_X_ENUM) FYNX_DROP_COUNT, FYNX_ELSEWHERE = 0xfd, FYNX_HELD = 0xfe, FYNX_PASS = 0xff };
#undef FYNX_X_ENUM

#define FYNX_X_ONE(id, text) +1
enum { FYNX_SA_DROP_COUNT = 0 FYNX_SA_DROPS(FYNX_X_ONE) };
#undef FYNX_X_ONE

#define FYNX_X_ENUM(id, text) FYNX_COUNT_##id,
enum fynx_counter { FYNX_COUNTERS(FYNX_X_ENUM) FYNX_COUNT_COUNT };
#undef FYNX_X_ENUM

#endif
