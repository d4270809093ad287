/* fynx.h: the one public header of the Fynx data plane, and the ABI of cipher providers.
 *
 * A provider exports a getter that returns a `const struct fynx_aead_ops *`; Python hands the pointer to the
 * plane as an integer. The folder of this file is `fynx.get_include()`.
 *
 * The promise: within FYNX_ABI 1 no field moves, changes its type or its meaning; fields are only ever appended to
 * struct fynx_aead_ops, and `size` tells how many of them exist, so that an old binary stays good. struct fynx_packet
 * never changes its size. What must break gets another FYNX_ABI; a provider of another one is refused by name at boot.
 * Licence: MIT OR Apache-2.0.
 */
#ifndef FYNX_H
#define FYNX_H

#include <stdint.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FYNX_ABI 1u

/* Flags of struct fynx_aead_ops. */
#define FYNX_OPS_THREADSAFE_KEY 1u /* thr_new may return the key object itself; nothing is written per packet */
#define FYNX_OPS_SLOW 2u           /* crosses into Python: `status` says so */

/* One packet of a batch, as a cipher sees it.
 *
 * seal: `in` is plaintext of `len` octets; write `len` octets of ciphertext to `out`, then icv_len octets of ICV.
 * open: `in` is ciphertext of `len` octets followed by the ICV; write `len` octets of plaintext to `out`.
 * `out` may equal `in`; other overlap does not occur. `iv` points at the iv_len octets on the wire. `aad` is the ESP
 * header: 8 octets, SPI | sequence number; 12 with ESN, SPI | high | low (RFC 4106 section 5). A combined ENCR+INTEG ops
 * computes its ICV over SPI | low | IV | ciphertext, and with ESN appends the high half (RFC 4303 section 2.8).
 * rc: 0 on success, anything else is a failure of this packet alone; after a failed open `out` is wiped.
 */
struct fynx_packet {
  const uint8_t *in;
  uint8_t *out;
  uint32_t len;
  uint32_t aad_len;
  const uint8_t *aad;
  const uint8_t *iv; /* iv_len octets */
  int32_t rc;
  uint32_t reserved;
};

/* A cipher, or a cipher combined with an integrity algorithm, for ESP (RFC 4303).
 *
 * key: encryption key, then integrity key (both as KEYMAT gives them, RFC 7296 section 2.17), without the salt.
 * The key object is shared by all threads; `thr_new` makes what one thread needs besides. `seal` and `open` handle
 * `n` packets of one key and may be called from any thread, one thread at a time for each thread object.
 */
struct fynx_aead_ops {
  uint32_t abi;
  uint32_t size;
  const char *name;      /* "aes128gcm16" */
  const char *provider;  /* "libcrypto" */
  uint16_t encr_id;      /* IANA transform type 1 */
  uint16_t integ_id;     /* IANA transform type 3; 0 for AEAD */
  uint16_t key_len;      /* octets: encryption key and integrity key together */
  uint8_t salt_len;
  uint8_t iv_len;        /* on the wire: 8 for AEAD, 16 for CBC, 0 for NULL */
  uint8_t icv_len;
  uint8_t block;         /* padding alignment: 4 for AEAD and stream ciphers, 16 for CBC */
  uint16_t reserved;
  uint32_t flags;
  void *(*key_new)(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt);
  void (*key_free)(void *key); /* wipes */
  void *(*thr_new)(void *key);
  void (*thr_free)(void *thr); /* wipes */
  void (*seal)(void *thr, struct fynx_packet *packets, uint32_t n);
  void (*open)(void *thr, struct fynx_packet *packets, uint32_t n);
  void *user; /* the provider's own */
  /* Optional, both or neither: the plane gives the memory of a key, locked and left out of core dumps, zeroed, on a cache
   * line of its own; `key_put` fills it like `key_new` and returns 0. The plane wipes it, and `key_free` is not called. */
  size_t key_room;
  int (*key_put)(const struct fynx_aead_ops *ops, void *where, const uint8_t *key, size_t key_len, const uint8_t *salt);
};

#ifdef __cplusplus
}
#endif
#endif
