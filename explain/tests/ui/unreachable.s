; Code stands behind the end that nothing leads to.
.section tc
.func f
  r0 = 0
  exit
  r0 = 1
  exit
