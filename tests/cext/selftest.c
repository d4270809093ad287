/* selftest.c: the replay window and the record ring, number by number (RFC 6479), under the sanitizers. */
#include "replay.h"
#include "ring.h"
#include "world.h"

struct step {
  uint64_t number;
  bool wanted;
};

static void run(uint32_t size, const struct step *steps, size_t n) {
  uint64_t *bits = malloc(sizeof *bits * fynx_window_words(size));
  struct fynx_window window;
  CHECK(bits);
  fynx_window_init(&window, size, bits);
  for (size_t i = 0; i < n; i++) {
    CHECK(fynx_window_check(&window, steps[i].number) == steps[i].wanted);
    CHECK(fynx_window_commit(&window, steps[i].number) == steps[i].wanted);
    CHECK(!fynx_window_commit(&window, steps[i].number));
  }
  free(bits);
}

static void edges(uint32_t w) {
  const uint64_t far = UINT64_MAX - 3;
  const struct step steps[] = {
      {0, false},       {1, true},           {2, true},          {2, false},           {w, true},
      {w + 1, true},    {1, false},          {3, true},          {3, false},           {w + 2, true},
      {4, true},        {5, true},           {2 * w + 1, true},  {w + 1, false},       {w + 3, true},
      {w + 2, false},   {100ull * w, true},  {99ull * w, false}, {99ull * w + 1, true}, {0, false},
      {1ull << 32, true}, {(1ull << 32) - w, false}, {(1ull << 32) - w + 1, true}, {(1ull << 32) - 1, true},
      {far, true},      {far - w, false},    {far - w + 1, true}, {UINT64_MAX, true},   {UINT64_MAX, false},
  };
  run(w, steps, sizeof steps / sizeof steps[0]);
}

static void every_number_once(uint32_t w) {
  uint64_t *bits = malloc(sizeof *bits * fynx_window_words(w));
  struct fynx_window window;
  CHECK(bits);
  fynx_window_init(&window, w, bits);
  for (uint64_t top = 1; top < 5ull * w; top += 1 + top % 7) {
    CHECK(fynx_window_commit(&window, top) == true);
    for (uint64_t back = 1; back < w && back < top; back += 13) {
      bool first = fynx_window_check(&window, top - back);
      CHECK(fynx_window_commit(&window, top - back) == first);
      CHECK(!fynx_window_check(&window, top - back));
    }
  }
  free(bits);
}

static void ring(void) {
  struct fynx_ring r = {0};
  uint8_t record[700];
  size_t len;
  CHECK(fynx_ring_init(&r, 4096) == 0);
  CHECK(!fynx_ring_peek(&r, &len));
  for (unsigned round = 0; round < 5000; round++) {
    unsigned pushed = 0, size = round * 31 % 650;
    memset(record, (int)round, sizeof record);
    while (fynx_ring_push(&r, record, size / 3, record + size / 3, size - size / 3)) pushed++;
    CHECK(pushed >= 4);
    for (; pushed; pushed--) {
      const uint8_t *got = fynx_ring_peek(&r, &len);
      CHECK(got && len == size && memcmp(got, record, len) == 0);
      fynx_ring_pop(&r);
    }
    CHECK(!fynx_ring_peek(&r, &len));
  }
  CHECK(fynx_ring_push(&r, record, 700, record, 4096 - 700) == 0);
  fynx_ring_free(&r);
}

int main(void) {
  const uint32_t sizes[] = {32, 63, 64, 65, 128, 1000, 1024, 4096, 16384};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    edges(sizes[i]);
    every_number_once(sizes[i]);
  }
  ring();
  return 0;
}
