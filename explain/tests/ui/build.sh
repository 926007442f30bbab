#!/bin/sh
# Builds the objects beside their sources. Needs clang 20 or newer, LLVM's tools and libbpf's headers. Those in Rust need a
# nightly rustc with the component rust-src, whose LLVM is no newer than clang's: its `core` is compiled for eBPF first.
set -eu
cd "$(dirname "$0")"
CLANG=${CLANG:-clang} RUSTC=${RUSTC:-rustc +nightly}
core=
# The library, as an archive for the compiler and as LLVM's own form for the linker.
build_core() {
    core=${CORE:-$(mktemp -d)}
    [ -e "$core/libcore.rlib" ] && return
    library=$($RUSTC --print sysroot)/lib/rustlib/src/rust/library
    $RUSTC --edition 2024 --target bpfel-unknown-none --crate-type rlib --crate-name core -O -C panic=abort \
        -C codegen-units=1 --remap-path-prefix "$library"=/rust --emit=llvm-bc,link -A warnings \
        "$library/core/src/lib.rs" --out-dir "$core"
    printf '#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n' > "$core/builtins.rs"
    $RUSTC --edition 2024 --target bpfel-unknown-none --crate-type rlib --crate-name compiler_builtins -O \
        -C panic=abort -A warnings --extern core="$core/libcore.rlib" "$core/builtins.rs" --out-dir "$core"
}
llvm() { name=$1; shift; "$(dirname "$(command -v "$CLANG")")/$name" "$@"; }
for source in ${*:-*.c rust*.rs}; do
    object=${source%.*}.o
    case $source in
    *.c)
        flags=$(sed -n 's|^// flags: ||p' "$source")
        # shellcheck disable=SC2086
        "$CLANG" -O2 -g --target=bpfel -mcpu=v3 -Wno-everything -D__TARGET_ARCH_x86 -ffile-prefix-map="$PWD"=. \
            -isystem "/usr/include/$(uname -m)-linux-gnu" ${CFLAGS:-} $flags -c "$source" -o "$object"
        ;;
    *.rs)
        [ -n "$core" ] || build_core
        $RUSTC --edition 2024 --target bpfel-unknown-none --crate-type lib -O -g -C panic=abort -A warnings \
            --emit=llvm-bc --remap-path-prefix "$PWD"=. --extern core="$core/libcore.rlib" -Z unstable-options \
            --extern compiler_builtins="$core/libcompiler_builtins.rlib" "$source" -o "$core/own.bc"
        llvm llvm-link --only-needed "$core/own.bc" "$core/core.bc" -o "$core/all.bc"
        # Everything is inlined, as linkers for eBPF do it: functions that panic are cold, and would stand apart.
        llvm llvm-dis "$core/all.bc" -o - | sed -E '/^attributes/{s/\bcold\b//;s/\bnoinline\b//}' > "$core/all.ll"
        public=$(grep -oE 'pub extern "C" fn [a-z_0-9]+|static [A-Z_]+' "$source" | awk '{print $NF}' | paste -sd, -)
        llvm opt -inline-threshold=100000 -passes='internalize,globaldce,default<O2>' \
            -internalize-public-api-list="$public" "$core/all.ll" -o "$core/small.bc"
        "$CLANG" -O2 -g -mcpu=v3 --target=bpfel -c "$core/small.bc" -o "$object"
        ;;
    esac
    # What compilers say of inlined functions is kept where a program is about that.
    grep -q "^// debug: " "$source" || llvm llvm-strip -g "$object"
done
