# A probe of a process may sleep.
# with: accepted
# without: rejected
.license "GPL"
.section uprobe.s
.func int witness(struct pt_regs *ctx)
    r0 = 0
    exit
