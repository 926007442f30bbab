/* The primes below 448, by a sieve on the stack. */
#include "bench.h"

#define SIZE 448

static inline u64 work(u8 *data, u8 *end)
{
	u8 composite[SIZE];
	u32 count = 0;
	for (u32 i = 0; i < SIZE; i += 8)
		*(volatile u64 *)(composite + i) = 0;
	for (u32 i = 2; i * i < SIZE; i++)
		for (u32 j = i * i; j < SIZE; j += i)
			composite[j] = 1;
	for (u32 i = 2; i < SIZE; i++)
		count += 1 - composite[i];
	return count;
}
PROGRAM(work)
