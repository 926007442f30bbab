#!/bin/bash -eu
# Builds every target into $OUT with its seeds, as OSS-Fuzz and ClusterFuzzLite expect.
cd "$SRC/ebpfkit"
cargo run --release -p ebpfkit-testsuite -- mutate --seeds fuzz/corpus
cargo fuzz build -O
for target in fuzz/fuzz_targets/*.rs; do
  name=$(basename "$target" .rs)
  cp "fuzz/target/x86_64-unknown-linux-gnu/release/$name" "$OUT/"
  if [ -d "fuzz/corpus/$name" ]; then
    zip -jqr "$OUT/${name}_seed_corpus.zip" "fuzz/corpus/$name"
  fi
done
