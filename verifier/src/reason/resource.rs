//! Rejections by references, locks and regions.

use super::rows::reasons;

reasons! {
    /// Rejections by references, locks and regions.
    Resource => ResourceReason {
        "EBPF0401" ReferenceLeak { place: String } EINVAL, "{place} would lead to reference leak";
    }
}
