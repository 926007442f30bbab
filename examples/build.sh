#!/bin/sh
# Builds every example's object beside its source. Needs clang, llvm-strip and libbpf's headers (Debian: clang llvm
# libbpf-dev); for those in Rust a nightly rustc too, whose LLVM is no newer than clang's.
set -eu
cd "$(dirname "$0")"
CLANG=${CLANG:-clang} STRIP=${STRIP:-llvm-strip} INCLUDE=${INCLUDE:-/usr/include} RUSTC=${RUSTC:-rustc}
FLAGS="-O2 -g -mcpu=v3 --target=bpfel"
for source in */*.c */*.rs; do
  [ -e "$source" ] || continue
  name=$(basename "$source")
  object=${name%.*}.o
  (
    cd "$(dirname "$source")"
    case $name in
      *.c)
        $CLANG $FLAGS -D__TARGET_ARCH_x86 -ffile-prefix-map="$PWD"=. -ffile-prefix-map="$INCLUDE"=/usr/include -I"$INCLUDE" \
          -I/usr/include/"$(uname -m)"-linux-gnu -c "$name" -o "$object"
        ;;
      *.rs)
        # The compiler writes LLVM's own form for this target; clang makes an object of it.
        $RUSTC --edition 2021 --target bpfel-unknown-none -O -g -C panic=abort --emit=llvm-bc \
          --remap-path-prefix "$PWD"=. "$name" -o "${object%.o}.bc"
        $CLANG $FLAGS -c "${object%.o}.bc" -o "$object"
        rm "${object%.o}.bc"
        ;;
    esac
    # Only the compiler's debug records go; types and line records stay.
    $STRIP -g "$object"
  )
done
