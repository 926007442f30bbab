#!/bin/sh
# Builds every example's object beside its source. Needs clang, llvm-strip and libbpf's headers (Debian: clang llvm libbpf-dev).
set -eu
cd "$(dirname "$0")"
CLANG=${CLANG:-clang} STRIP=${STRIP:-llvm-strip} INCLUDE=${INCLUDE:-/usr/include}
for source in */*.c; do
  object=${source%.c}.o
  (cd "$(dirname "$source")" && $CLANG -O2 -g -mcpu=v3 --target=bpfel -D__TARGET_ARCH_x86 \
    -ffile-prefix-map="$PWD"=. -I"$INCLUDE" -I/usr/include/"$(uname -m)"-linux-gnu \
    -c "$(basename "$source")" -o "$(basename "$object")")
  # Only the compiler's debug records go; types and line records stay.
  $STRIP -g "$object"
done
