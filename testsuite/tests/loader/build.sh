#!/bin/sh
# Builds the fixtures' objects beside their sources. Needs clang 20 or newer and llvm-strip.
set -eu
cd "$(dirname "$0")"
CLANG=${CLANG:-clang} STRIP=${STRIP:-llvm-strip}
for source in *.c; do
  $CLANG -O2 -g -mcpu=v3 --target=bpfel -ffile-prefix-map="$PWD"=. -Wno-everything -c "$source" -o "${source%.c}.o"
  $STRIP -g "${source%.c}.o"
done
$CLANG -O2 -g -mcpu=v3 --target=bpfeb -ffile-prefix-map="$PWD"=. -Wno-everything -c subprograms.c -o big-endian.o
$STRIP -g big-endian.o
