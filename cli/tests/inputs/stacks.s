; A map whose values are as large as its loader says.
.license "GPL"
.map stacks stack_trace key_size=4 value_size=0 max_entries=0
.section raw_tp/sched_switch
.func stack
  r2 = stacks ll
  r3 = 0
  call bpf_get_stackid
  r0 = 0
  exit
