.syntax mnemonic
.license "Dual MIT/GPL"
.map hits percpu_array value=u64 max_entries=1

.section tc
count:                     ; the label names the program
    stw [r10-4], 0
    mov r2, r10
    add r2, -4
    lddw r1, hits
    call bpf_map_lookup_elem
    jeq r0, 0, exit
    mov r1, 1
    lock add [r0], r1
    mov r0, 0
    exit
