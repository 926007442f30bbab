#!/bin/sh
# Builds the fixtures' objects beside their sources. Needs clang 20 or newer and llvm-strip.
set -eu
cd "$(dirname "$0")"
CLANG=${CLANG:-clang} STRIP=${STRIP:-llvm-strip}
build() {
  $CLANG -O2 -g -mcpu=v3 --target="$1" -ffile-prefix-map="$PWD"=. -Wno-everything -c "$2" -o "$3"
  $STRIP -g "$3"
}
for source in *.c link/*.c; do
  build bpfel "$source" "${source%.c}.o"
done
build bpfeb subprograms.c big-endian.o
