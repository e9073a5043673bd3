/* prove: gemlet_times gemlet_plus gemlet_aligned gemlet_carve gemlet_padded_channels panels_of gemlet_conv_bytes gemlet_share
 * Products and sums of sizes: exact where 64 bits have room for them, UINT64_MAX where not.  What a carver counts is enough for
 * what was cut off it, or beyond all memory.  Bytes of packed convolutions: those of all panels, or 0 where 64 bits have no room
 * for them, or an int32 none for a sum.  Shares of work: in order, and all of it. */
#include <stddef.h>
#include <stdint.h>

/*@ assigns \nothing;
  @ ensures exact: a * b <= UINT64_MAX ==> \result == a * b;
  @ ensures full: a * b > UINT64_MAX ==> \result == UINT64_MAX; */
static uint64_t gemlet_times(uint64_t a, uint64_t b);

/*@ assigns \nothing;
  @ ensures exact: a + b <= UINT64_MAX ==> \result == a + b;
  @ ensures full: a + b > UINT64_MAX ==> \result == UINT64_MAX; */
static uint64_t gemlet_plus(uint64_t a, uint64_t b);

/*@ assigns \nothing;
  @ ensures enough: \result >= bytes;
  @ ensures aligned: \result == SIZE_MAX || (\result % 64 == 0 && \result - bytes < 64); */
size_t gemlet_aligned(size_t bytes);

#include "core/carver.h"
#include "core/checked.h"
#include "core/parallel.h"
#include "core/quant/conv.h"

/*@ requires \valid(carver);
  @ assigns carver->used;
  @ ensures room: carver->used >= \old(carver->used) + count * bytes || carver->used == SIZE_MAX; */
void *gemlet_carve(gemlet_carver *carver, size_t count, size_t bytes);

/*@ logic integer padded(integer channels) = (channels + GEMLET_CHANNEL_PADDING - 1) / GEMLET_CHANNEL_PADDING *
  GEMLET_CHANNEL_PADDING;
  @ logic integer panels(integer outputs) = (outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL;
  @ predicate summable(integer taps, integer channels) = channels <= GEMLET_LONGEST_SUM && channels * taps <= GEMLET_LONGEST_SUM;
  @ logic integer packed(integer outputs, integer taps, integer channels) = padded(channels) * GEMLET_CONV_PANEL * taps *
  panels(outputs); */

/*@ requires channels <= SIZE_MAX - GEMLET_CHANNEL_PADDING;
  @ assigns \nothing;
  @ ensures exact: \result == padded(channels);
  @ ensures \result % GEMLET_CHANNEL_PADDING == 0 && channels <= \result < channels + GEMLET_CHANNEL_PADDING; */
size_t gemlet_padded_channels(size_t channels);

/*@ assigns \nothing;
  @ ensures exact: \result == panels(outputs);
  @ ensures enough: \result * GEMLET_CONV_PANEL >= outputs;
  @ ensures none: \result * GEMLET_CONV_PANEL < outputs + GEMLET_CONV_PANEL; */
static size_t panels_of(size_t outputs);

/*@ assigns \nothing;
  @ ensures exact: summable(taps, channels) && packed(outputs, taps, channels) < SIZE_MAX
  @     ==> \result == packed(outputs, taps, channels);
  @ ensures none: !summable(taps, channels) || packed(outputs, taps, channels) >= SIZE_MAX ==> \result == 0; */
size_t gemlet_conv_bytes(size_t outputs, size_t taps, size_t channels);

/*@ requires task < tasks && tasks <= 64 && items <= UINT32_MAX;
  @ requires \valid(first) && \valid(end) && \separated(first, end);
  @ assigns *first, *end;
  @ ensures order: *first <= *end <= items;
  @ ensures begin: task == 0 ==> *first == 0;
  @ ensures end: task + 1 == tasks ==> *end == items; */
static void gemlet_share(size_t items, size_t task, size_t tasks, size_t *first, size_t *end);

#include "core/carver.c"
#include "core/quant/conv.c"
