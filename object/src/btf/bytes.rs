//! The bytes of a set of types: shared, or mapped for as long as the process lives.

use std::sync::Arc;

/// Bytes that many may hold.
#[derive(Clone, Debug)]
pub struct Bytes(Holder);

#[derive(Clone, Debug)]
enum Holder {
    Shared(Arc<[u8]>),
    Owned(Arc<Vec<u8>>),
    Fixed(&'static [u8]),
}

impl Bytes {
    /// Bytes that stay where they are, such as the kernel's types mapped into memory.
    pub const fn fixed(bytes: &'static [u8]) -> Self {
        Self(Holder::Fixed(bytes))
    }

    /// Bytes that were just made; they are not copied.
    pub fn owned(bytes: Vec<u8>) -> Self {
        Self(Holder::Owned(Arc::new(bytes)))
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::fixed(&[])
    }
}

impl<T: Into<Arc<[u8]>>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(Holder::Shared(bytes.into()))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Holder::Shared(bytes) => bytes,
            Holder::Owned(bytes) => bytes,
            Holder::Fixed(bytes) => bytes,
        }
    }
}
