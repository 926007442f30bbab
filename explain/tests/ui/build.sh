#!/bin/sh
# Builds the objects beside their sources. Needs clang 20 or newer, llvm-strip and libbpf's headers.
set -eu
cd "$(dirname "$0")"
CLANG=${CLANG:-clang} STRIP=${STRIP:-llvm-strip}
for source in ${*:-*.c}; do
    flags=$(sed -n 's|^// flags: ||p' "$source")
    # shellcheck disable=SC2086
    "$CLANG" -O2 -g --target=bpfel -mcpu=v3 -Wno-everything -D__TARGET_ARCH_x86 -ffile-prefix-map="$PWD"=. ${CFLAGS:-} $flags -c "$source" -o "${source%.c}.o"
    "$STRIP" -g "${source%.c}.o"
done
