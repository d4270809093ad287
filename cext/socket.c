/* socket.c: UDP and raw sockets that the plane serves: what they must tell, and what the kernel can do in batches. */
#include <sched.h>

#include "netio.h"

/* The address to which a datagram came, and its traffic class. */
static int tell(int fd, int family) {
  int on = 1;
  if (family == AF_INET)
    return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) || setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
}

/* Best effort: larger buffers ride out a burst while the thread sleeps. */
static void enlarge(int fd) {
  int size = 4 << 20;
  int rc = setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  if (rc) rc = setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  rc = setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  if (rc) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void detect(struct fynx_plane *plane, int fd) {
  int none = 0, on = 1;
  bool first = plane->n_sockets == plane->n_raw;
  bool gso = plane->options.gso != FYNX_OFF && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
  bool gro = plane->options.gro != FYNX_OFF && setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
  atomic_store_explicit(&plane->gso, gso && (first || atomic_load(&plane->gso)), memory_order_relaxed);
  plane->gro = gro && (first || plane->gro);
}

static int add(struct fynx_plane *plane, const struct fynx_socket *socket) {
  if (plane->started || plane->frozen) return FYNX_E_STATE;
  if (plane->n_sockets == FYNX_SOCKETS_MAX) return FYNX_E_FULL;
  if (socket->family != AF_INET && socket->family != AF_INET6) return FYNX_E_ARGUMENT;
  if (tell(socket->fd, socket->family)) return FYNX_E_SYSTEM;
  enlarge(socket->fd);
  if (!socket->raw) detect(plane, socket->fd);
  plane->n_raw += socket->raw;
  plane->sockets[plane->n_sockets] = *socket;
  return (int)plane->n_sockets++;
}

/* The caller keeps the socket: nothing is duplicated, nothing is closed. */
int fynx_plane_add_socket(struct fynx_plane *plane, int fd, int family, uint16_t local_port) {
  return add(plane, &(struct fynx_socket){.fd = fd, .family = family, .port = local_port});
}

int fynx_plane_add_raw(struct fynx_plane *plane, int fd, int family) {
  return add(plane, &(struct fynx_socket){.fd = fd, .family = family, .raw = true});
}

int fynx_plane_options(struct fynx_plane *plane, const struct fynx_options *options) {
  if (plane->started || plane->frozen || plane->n_sockets || plane->n_tx > 1) return FYNX_E_STATE;
  if (options->n_cpus > sizeof options->cpus / sizeof options->cpus[0]) return FYNX_E_ARGUMENT;
  for (uint32_t i = 0; i < options->n_cpus; i++)
    if (options->cpus[i] >= CPU_SETSIZE) return FYNX_E_ARGUMENT;
  plane->options = *options;
  return 0;
}
