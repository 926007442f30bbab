# Three frames that fit where they take multiples of 16 bytes.
# with: accepted
# without: rejected
# without message: combined stack size of 3 calls is 544. Too large
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u64 *)(r10 - 176) = 0
    call second
    r0 = 0
    exit
.func static second
    *(u64 *)(r10 - 176) = 0
    call third
    r0 = 0
    exit
.func static third
    *(u64 *)(r10 - 160) = 0
    r0 = 0
    exit
