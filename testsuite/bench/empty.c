/* Nothing: the cost of a run. */
#include "bench.h"

static inline u64 work(u8 *data, u8 *end)
{
	return 2;
}
PROGRAM(work)
