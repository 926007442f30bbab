//! From a verifier rejection to its cause, its place in the source and its remedy.
#![deny(missing_docs)]
