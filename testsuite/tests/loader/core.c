/* CO-RE relocations of every kind. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fixture.h"

struct moved { u32 value; u8 in_anonymous; u16 list[8]; } core;
struct narrow { u32 unsigned_field; s32 signed_field; void *pointer; u32 gone; } core;
struct bits { u32 low : 5; s32 wide : 30; } core;
struct twice { u32 b; } core;
struct same { u32 a; } core;
struct absent { u32 x; } core;
struct moved___local { u64 first; struct absent *not_there; } core;
struct has_more { int a; char name[16]; } core;
struct has_less { int a; } core;
union choice { u32 b; } core;
enum color { GREEN = 1, RED = 2, BLUE = 3, NEGATIVE = 4 };
enum big { LARGE = 1ULL << 40 };
typedef u64 count_t;
struct flexible { int len; u32 items[]; } core;
struct deep { int x; struct moved nested[2]; } core;

SEC("socket") int offsets(struct moved *m) { return m->value + m->in_anonymous + m->list[3]; }
SEC("socket") int flavour(struct moved___local *m) { return m->first; }
SEC("socket") int missing_field(struct moved___local *m) { return m->not_there != 0; }
SEC("socket") int missing_type(struct absent *a) { return a->x; }
SEC("socket") int size_of_unsigned(struct narrow *n) { return n->unsigned_field; }
SEC("socket") int size_of_signed(struct narrow *n) { return n->signed_field; }
SEC("socket") int store(struct narrow *n) { n->unsigned_field = 1; n->pointer = n; return 0; }
SEC("socket") int ambiguous(struct twice *t) { return t->b; }
SEC("socket") int agreeing(struct same *s) { return s->a; }
SEC("socket") int too_long(struct moved *m) { return m->list[7]; }
SEC("socket") int flexible(struct flexible *f) { return f->items[5]; }
SEC("socket") int nested(struct deep *d) { return d->x + d->nested[1].list[2]; }
SEC("socket") int of_union(union choice *c) { return c->b; }
SEC("socket") int field_facts(void *ctx) {
  struct moved *m = 0; struct bits *b = 0; struct narrow *n = 0; struct moved___local *l = 0;
  return field(m->list, BYTE_SIZE) + field(m->value, EXISTS) * 2 + field(l->not_there, EXISTS) * 4 +
         field(n->signed_field, SIGNED) * 8 + field(b->low, BYTE_OFFSET) * 16 + field(b->low, LSHIFT) * 32 +
         field(b->low, RSHIFT) * 64 + field(b->wide, BYTE_SIZE) * 128 + field(b->wide, LSHIFT) * 256 +
         field(b->wide, SIGNED) * 512;
}
SEC("socket") int guarded(struct narrow *n) { return field(n->gone, EXISTS) ? n->gone : 0; }
SEC("socket") u64 type_facts(void *ctx) {
  return type_info(struct moved, 0) + type_info(struct absent, 0) * 2 + type_info(struct moved, 1) * 4 +
         type_info(struct has_more, 2) * 8 + type_info(struct moved, 2) * 16 + type_info(count_t, 0) * 32;
}
SEC("socket") u64 type_numbers(void *ctx) { return type_id(struct moved, 0) + type_id(struct moved, 1); }
SEC("socket") u64 enumerators(void *ctx) {
  return enumerator(enum color, RED, 1) + enumerator(enum color, NEGATIVE, 1) * 2 + enumerator(enum color, GREEN, 0) * 4 +
         enumerator(enum color, BLUE, 0) * 8 + enumerator(enum big, LARGE, 1) * 16;
}
SEC("socket") u64 missing_enumerator(void *ctx) { return enumerator(enum color, BLUE, 1); }
