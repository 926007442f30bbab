#!/bin/bash -eu
# The same build as for OSS-Fuzz.
exec bash "$SRC/ebpfkit/oss-fuzz/build.sh"
