//! Who uses a map whose values hold more than bytes: pointers, locks, lists.
//!
//! A program without checks trusts what it finds there. So all programs that use such a map have to be verified, with the
//! same types; or none is.

use ebpfkit_object::Btf;
use std::sync::{Arc, OnceLock};

/// What the programs that use a map have in common.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// They were verified.
    pub verified: bool,
    /// The types that they bring along, which the fields of values are described with.
    pub types: Option<Arc<Btf>>,
}

impl User {
    fn is_like(&self, other: &Self) -> bool {
        let same_types = match (&self.types, &other.types) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        // Programs that nobody has verified trust nothing.
        self.verified == other.verified && (same_types || !self.verified)
    }
}

/// The users of one map: the first decides.
#[derive(Debug, Default)]
pub(crate) struct Users(OnceLock<User>);

impl Users {
    /// Whether the user may be one of them, now that it is or is not.
    pub(crate) fn admit(&self, user: &User) -> bool {
        self.0.get_or_init(|| user.clone()).is_like(user)
    }

    /// What they have in common, if there are any.
    pub(crate) fn get(&self) -> Option<&User> {
        self.0.get()
    }
}
