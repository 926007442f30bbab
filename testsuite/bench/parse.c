/* Ethernet, VLAN tags, IPv4 or IPv6, TCP or UDP: the port decides. */
#include "bench.h"

#define BE16(p) ((u16)(p)[0] << 8 | (p)[1])

static inline u64 work(u8 *data, u8 *end)
{
	u8 *p = data + 14, proto;
	u16 type;

	if (p > end)
		return 1;
	type = BE16(data + 12);
	for (u32 i = 0; i < 2; i++) {
		if (type != 0x8100 && type != 0x88a8)
			break;
		if (p + 4 > end)
			return 1;
		type = BE16(p + 2);
		p += 4;
	}
	if (type == 0x0800) {
		u32 len;
		if (p + 20 > end)
			return 1;
		len = (p[0] & 15) * 4;
		if (p[0] >> 4 != 4 || len < 20)
			return 1;
		if (BE16(p + 6) & 0x3fff)
			return 2;
		proto = p[9];
		p += len;
	} else if (type == 0x86dd) {
		if (p + 40 > end)
			return 1;
		proto = p[6];
		p += 40;
	} else {
		return 2;
	}
	if (proto == 6) {
		if (p + 20 > end)
			return 1;
		if (p[13] & 2)
			return 3;
	} else if (proto == 17) {
		if (p + 8 > end)
			return 1;
	} else {
		return 2;
	}
	return BE16(p + 2) == 443 ? 4 : 2;
}
PROGRAM(work)
