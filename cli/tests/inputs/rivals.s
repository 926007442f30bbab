; Two programs for a hook that takes one, and one for a function that no kernel has.
.license "GPL"
.section xdp
.func drop
  r0 = 1
  exit
.func pass
  r0 = 2
  exit
.section fentry/no_such_function
.func nowhere
  r0 = 0
  exit
