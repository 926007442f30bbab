#include <linux/bpf.h>
int f(void) { return 0; }
