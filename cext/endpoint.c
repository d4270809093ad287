/* endpoint.c: where an SA sends: socket, peer address and source address, ready for sendmmsg (RFC 3948). */
#include <netinet/in.h>
#include <sys/socket.h>

#include "core.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const uint8_t ip[16]) { return memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0; }

static bool is_any(const uint8_t ip[16]) {
  static const uint8_t zero[16];
  return memcmp(ip, zero, 16) == 0 || (is_v4(ip) && memcmp(ip + 12, zero, 4) == 0);
}

/* The socket of the path's local port, of the peer's family if there is one; an IPv6 socket may carry IPv4. Without
 * ports: a raw one of the family, or none. */
static int choose_socket(const struct fynx_plane *plane, const struct fynx_path *path) {
  bool v4 = is_v4(path->remote.ip), raw = !path->local.port && !path->remote.port;
  int best = -1, best_score = -1;
  for (uint32_t i = 0; i < plane->n_sockets; i++) {
    const struct fynx_socket *s = &plane->sockets[i];
    if ((!v4 && s->family == AF_INET) || s->raw != raw || (raw && v4 && s->family != AF_INET)) continue;
    int score = (s->port == path->local.port ? 2 : 0) + ((s->family == AF_INET) == v4 ? 1 : 0);
    if (score > best_score) {
      best = (int)i;
      best_score = score;
    }
  }
  return best;
}

static void control4(struct fynx_endpoint *e) {
  struct cmsghdr header = {
      .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
  struct in_pktinfo info = {0};
  memcpy(&info.ipi_spec_dst, e->path.local.ip + 12, 4);
  memcpy(e->control, &header, sizeof header);
  memcpy(e->control + CMSG_LEN(0), &info, sizeof info);
  e->control_len = CMSG_SPACE(sizeof info);
}

static void control6(struct fynx_endpoint *e) {
  struct cmsghdr header = {
      .cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo)), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
  struct in6_pktinfo info = {0};
  memcpy(&info.ipi6_addr, e->path.local.ip, 16);
  memcpy(e->control, &header, sizeof header);
  memcpy(e->control + CMSG_LEN(0), &info, sizeof info);
  e->control_len = CMSG_SPACE(sizeof info);
}

void fynx_endpoint_build(struct fynx_plane *plane, struct fynx_endpoint *e, const struct fynx_path *path) {
  _Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) <= sizeof e->control, "room for one control message");
  _Static_assert(sizeof(struct sockaddr_in6) <= sizeof e->name, "room for an address");
  e->path = *path;
  e->socket = choose_socket(plane, path);
  if (e->socket < 0) return;
  if (plane->sockets[e->socket].family == AF_INET) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(path->remote.port)};
    memcpy(&to.sin_addr, path->remote.ip + 12, 4);
    memcpy(e->name, &to, sizeof to);
    e->name_len = sizeof to;
    if (!is_any(path->local.ip)) control4(e);
    return;
  }
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(path->remote.port)};
  memcpy(&to.sin6_addr, path->remote.ip, 16);
  memcpy(e->name, &to, sizeof to);
  e->name_len = sizeof to;
  if (!is_any(path->local.ip)) control6(e);
}
