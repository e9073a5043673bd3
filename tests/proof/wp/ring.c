/* prove: gemlet_ring_slots gemlet_ring_slot gemlet_ring_seen gemlet_ring_last gemlet_ring_reaches
 * Rings of keys and values: a chunk's tokens see nothing that the chunk has overwritten; a span has the slots of the positions that
 * were asked for, in order, each within the ring; who reaches back finds all that is seen. */
#include "model/text/ring.h"

/*@ requires 0 < context && 0 < chunk;
  @ assigns \nothing;
  @ ensures most: 0 < \result <= context;
  @ ensures whole: window == 0 ==> \result == context;
  @ ensures enough: \result == context || \result >= window + chunk; */
static uint32_t gemlet_ring_slots(uint32_t window, uint32_t chunk, uint32_t context);

/*@ requires 0 < slots;
  @ assigns \nothing;
  @ ensures within: \result < slots;
  @ ensures place: \result == position % slots; */
static size_t gemlet_ring_slot(uint32_t slots, size_t position);

/*@ assigns \nothing;
  @ ensures seen: \result == (window == 0 || end <= window ? end : window); */
static size_t gemlet_ring_seen(uint32_t window, size_t end);

/*@ requires 0 < slots && seen <= slots && seen <= end;
  @ assigns \nothing;
  @ ensures all: \result.count + \result.wrapped == seen;
  @ ensures within: \result.first + \result.count <= slots && \result.wrapped <= \result.first;
  @ ensures place: \result.first == (end - seen) % slots;
  @ ensures wraps: \result.wrapped > 0 ==> \result.first + \result.count == slots; */
static gemlet_ring_span gemlet_ring_last(uint32_t slots, size_t end, size_t seen);

/*@ requires length <= written && length < SIZE_MAX;
  @ requires window != 0 || written <= slots;
  @ assigns \nothing;
  @ ensures kept: \result ==> \forall integer p; 0 <= p < length && (window == 0 || p > length - window) ==> p >= written - slots;
  @ ensures lost: !\result ==> \exists integer p; 0 <= p <= length && p > length - window && p < written - slots; */
static bool gemlet_ring_reaches(uint32_t slots, uint32_t window, size_t written, size_t length);
