// Reads the buttons of a remote control that speaks JVC's protocol: a long pulse and a long space, then sixteen bits,
// each a pulse and a space, which is short for zero and longer for one.
#include <linux/bpf.h>
#include <linux/lirc.h>
#include <bpf/bpf_helpers.h>

#define UNIT 525
#define BITS 16
#define PROTOCOL_OTHER 1

struct state {
	__u32 bits;
	__u16 code;
	__u8 header;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct state);
	__uint(max_entries, 1);
} states SEC(".maps");

// Whether a time is so many units long, give or take half a unit.
static int is(__u32 time, __u32 units)
{
	return time + UNIT / 2 > units * UNIT && time < units * UNIT + UNIT / 2;
}

SEC("lirc_mode2")
int jvc(unsigned int *sample)
{
	__u32 key = 0, time = LIRC_VALUE(*sample);
	struct state *s = bpf_map_lookup_elem(&states, &key);

	if (!s)
		return 0;
	if (LIRC_IS_PULSE(*sample)) {
		if (is(time, 16)) {
			s->header = 1;
			s->bits = s->code = 0;
		} else if (!is(time, 1)) {
			s->header = 0;
		}
		return 0;
	}
	if (!LIRC_IS_SPACE(*sample) || !s->header)
		return 0;
	if (s->header == 1) {
		s->header = is(time, 8) ? 2 : 0;
		return 0;
	}
	// The lowest bit comes first.
	s->code = s->code >> 1 | (is(time, 3) ? 1 << 15 : 0);
	if (++s->bits < BITS)
		return 0;
	bpf_rc_keydown(sample, PROTOCOL_OTHER, s->code, 0);
	bpf_printk("device %d, button %d", s->code & 0xff, s->code >> 8);
	s->header = 0;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
