//! eBPF assembler and disassembler, in pseudo-C and in mnemonics.
#![deny(missing_docs)]
