//! What can go wrong between here and the kernel.

/// Why a request to the kernel failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// This machine has no bpf(2), or not for this user.
    #[error("the kernel's bpf(2) cannot be used here: {0}")]
    Unavailable(String),
    /// A command failed.
    #[error("{command}: {} (errno {errno})", errno_name(*errno))]
    Call {
        /// Command and object, such as `BPF_MAP_CREATE flows`.
        command: String,
        /// Error number.
        errno: i32,
    },
    /// The kernel refused the object's types.
    #[error("BPF_BTF_LOAD: {} (errno {errno}): {}", errno_name(*errno), last_line(log))]
    Btf {
        /// Error number.
        errno: i32,
        /// The kernel's log.
        log: String,
    },
    /// Something is larger than the interface can say.
    #[error("{what} of more than 4 GiB")]
    TooLarge {
        /// What.
        what: &'static str,
    },
    /// The packet that comes out of a run is larger than any that is expected.
    #[error("BPF_PROG_TEST_RUN: a packet of {size} bytes came out, more than there is room for")]
    Grown {
        /// Bytes of the packet.
        size: u32,
    },
    /// A key or value has the wrong size.
    #[error("{what} of {found} bytes; the map wants {expected}")]
    Size {
        /// Key or value.
        what: &'static str,
        /// Bytes given.
        found: usize,
        /// Bytes wanted.
        expected: usize,
    },
    /// The program cannot be loaded for a reason that is known before the kernel is asked.
    #[error("{0}")]
    Unloadable(String),
}

impl KernelError {
    /// The error of a command, with the system's current error number.
    pub(crate) fn call(command: impl Into<String>, errno: i32) -> Self {
        Self::Call { command: command.into(), errno }
    }

    /// Says why bpf(2) did not answer the first question.
    pub(crate) fn unavailable(errno: i32) -> Self {
        Self::Unavailable(match errno {
            libc::EPERM | libc::EACCES => {
                "permission denied; it needs root, or CAP_BPF with CAP_PERFMON and CAP_NET_ADMIN".into()
            }
            libc::ENOSYS => "this kernel has no bpf(2)".into(),
            _ => errno_name(errno),
        })
    }

    /// The error number, where the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { errno, .. } | Self::Btf { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// The system's text for an error number.
pub(crate) fn errno_name(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn last_line(log: &str) -> &str {
    log.trim_end().lines().last().unwrap_or("no log")
}
