/* raw.c: ESP straight in IP (protocol 50, RFC 4303 section 2) as raw sockets give it: IPv4 with its header, IPv6 without.
 *
 * The kernel has no segmentation offload for it: one packet is one message. Fragments outside are joined by the kernel. */
#include "netio.h"

enum { ESP = 50 };

/* FYNX_PASS, or why not; `data` and `len` are then what stands behind the IP header. */
enum fynx_verdict fynx_raw_strip(bool four, uint8_t **data, uint32_t *len) {
  const uint8_t *p = *data;
  if (!four) return FYNX_PASS;
  if (*len < 20 || p[0] >> 4 != 4) return FYNX_DROP_RAW_HEADER;
  uint32_t head = (p[0] & 15u) * 4, total = fynx_be16(p + 2);
  if (head < 20 || head > total || total > *len || p[9] != ESP) return FYNX_DROP_RAW_HEADER;
  if (fynx_be16(p + 6) & 0x3fff) return FYNX_DROP_RAW_FRAGMENT;
  *data += head;
  *len = total - head;
  return FYNX_PASS;
}

/* Message of a raw socket; false when it was dropped. */
bool fynx_raw_take(struct fynx_worker *w, const struct fynx_socket *socket, uint8_t **data, uint32_t *len) {
  struct fynx_slot nobody;
  enum fynx_verdict verdict = fynx_raw_strip(socket->family == AF_INET, data, len);
  fynx_count(w, FYNX_COUNT_RAW_IN, 1);
  if (verdict == FYNX_PASS) return true;
  fynx_drop(w, &nobody, verdict);
  return false;
}

int fynx_raw_run(int four, const uint8_t *packet, uint32_t len) {
  uint8_t *data = (uint8_t *)(uintptr_t)packet;
  enum fynx_verdict verdict = fynx_raw_strip(four != 0, &data, &len);
  return verdict == FYNX_PASS ? (int)(data - packet) : -1 - (int)verdict;
}
