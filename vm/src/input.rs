//! The input of a run, prepared as `BPF_PROG_TEST_RUN` prepares it, and its output.

mod method;
mod netfilter;
mod test_run;

pub use test_run::{context_for, data_out, output, unwrap_frame};

use crate::Errno;
pub use crate::packet::Origin;
use crate::packet::{FRAME, HEADROOM, starts_at_link};
use crate::run::Run;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::ctx::{Context, context_of};
use ebpfkit_abi::net::ETH_HLEN;

/// Why an input does not fit a program. The kernel refuses it with [`InputError::errno`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Fewer bytes than an Ethernet header.
    #[error("a packet of {0} bytes; an Ethernet header has 14")]
    ShortPacket(usize),
    /// More bytes than a test-run takes.
    #[error("a packet of {found} bytes; {kind} programs get at most {most} in one piece")]
    LongPacket {
        /// Bytes given.
        found: usize,
        /// Program type.
        kind: ProgType,
        /// Bytes taken.
        most: usize,
    },
    /// An IP packet that ends inside its header.
    #[error("{found} bytes behind the Ethernet header; the IP header that it announces has {expected}")]
    ShortHeader {
        /// Bytes given.
        found: usize,
        /// Bytes of the header.
        expected: usize,
    },
    /// A context with something behind its last field.
    #[error("a context of {found} bytes; {name} has {expected}, and what follows has to be zero")]
    ContextSize {
        /// Bytes given.
        found: usize,
        /// Name of the context.
        name: &'static str,
        /// Its bytes.
        expected: usize,
    },
    /// A field of the context has a value that cannot be given.
    #[error("{field} of {name} is {value}: {why}")]
    Field {
        /// Name of the context.
        name: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is expected.
        why: &'static str,
        /// The error number that a test-run gives.
        errno: Errno,
    },
    /// A device that the world does not have.
    #[error("{field} of {name} is {index}: there is no such device")]
    NoDevice {
        /// Name of the context.
        name: &'static str,
        /// Name of the field.
        field: &'static str,
        /// `ifindex`.
        index: u32,
    },
    /// A context with fewer bytes than the program accesses.
    #[error("a context of {found} bytes; the program accesses {needed}")]
    ShortContext {
        /// Bytes given.
        found: usize,
        /// Bytes that the program accesses.
        needed: usize,
    },
    /// A context with more bytes than one can have.
    #[error("a context of {found} bytes; {kind} programs get at most {most}")]
    LongContext {
        /// Bytes given.
        found: usize,
        /// Program type.
        kind: ProgType,
        /// Bytes taken.
        most: usize,
    },
    /// Fewer or more arguments than a method has.
    #[error("arguments of {found} bytes; the method has {expected}, eight for each argument")]
    Arguments {
        /// Bytes given.
        found: usize,
        /// Bytes of the method's arguments.
        expected: usize,
    },
    /// An argument that is never null.
    #[error("argument {number} is null, which the method is never given")]
    NullArgument {
        /// Which, from 0.
        number: usize,
    },
    /// Neither IPv4 nor IPv6.
    #[error("a packet of type {0:#06x}; hooks of netfilter see those of IPv4 (0x0800) and IPv6 (0x86dd)")]
    NotInternet(u16),
    /// What the program gets is laid out by types that are not known.
    #[error("{0} programs get structs of the kernel, and its types are not known")]
    NoTypes(ProgType),
    /// The program type takes no packet.
    #[error("{0} programs take no packet")]
    NoPacket(ProgType),
}

impl InputError {
    /// The error number that `BPF_PROG_TEST_RUN` gives for such an input.
    pub fn errno(&self) -> Errno {
        match self {
            Self::ContextSize { .. } => Errno::E2BIG,
            Self::NoDevice { .. } => Errno::ENODEV,
            Self::Field { errno, .. } => *errno,
            Self::NotInternet(_) => Errno::EPROTO,
            // Packets of one page are refused at once, those of several when there are no more pages.
            Self::LongPacket { kind: ProgType::Xdp, .. } => Errno::ENOMEM,
            _ => Errno::EINVAL,
        }
    }
}

/// Whether programs of this type work on a packet.
pub fn takes_packet(kind: ProgType) -> bool {
    use ProgType as P;
    matches!(
        kind,
        P::Xdp
            | P::SchedCls
            | P::SchedAct
            | P::SocketFilter
            | P::CgroupSkb
            | P::LwtIn
            | P::LwtOut
            | P::LwtXmit
            | P::LwtSeg6local
            | P::SkSkb
            | P::FlowDissector
            | P::Netfilter
            | P::Unspec
    )
}

/// Gives a run its packet and its context. An empty context means the one that a test-run makes up.
///
/// Programs of link-layer hooks see the whole frame; those of the network layer see what follows the Ethernet header.
pub fn set_input(run: &mut Run, packet: Option<&[u8]>, context: &[u8]) -> Result<(), InputError> {
    let kind = run.program().prog_type();
    if let (Some(frame), ProgType::Netfilter) = (packet, kind) {
        return netfilter::set_packet(run, frame, context);
    }
    if let Some(frame) = packet {
        test_run::check_frame(kind, frame)?;
    } else if !context.is_empty() {
        test_run::check_device(run, kind, context)?;
    }
    set_context(run, kind, context)?;
    let Some(frame) = packet else { return Ok(()) };
    if !takes_packet(kind) {
        return Err(InputError::NoPacket(kind));
    }
    if kind == ProgType::Unspec {
        run.set_packet(frame);
        return Ok(());
    }
    test_run::set_packet(run, kind, frame, context)
}

/// Sets the next frame of a stream: no checks, no change of the context but what belongs to the packet.
#[inline]
pub fn set_frame(run: &mut Run, kind: ProgType, origin: Origin, frame: &[u8]) {
    let at_link = starts_at_link(kind, origin);
    run.network_offset = if at_link { ETH_HLEN } else { 0 };
    if frame.len() > LINEAR && origin == Origin::Wire && kind == ProgType::Xdp && run.program().has_frags() {
        return set_pieces(run, frame);
    }
    if kind == ProgType::Netfilter {
        return netfilter::receive(run, frame);
    }
    run.receive(frame, at_link);
    if let Some(fields) = run.ctx.skb() {
        run.ctx.set_u32(fields.wire_len, frame.len() as u32);
    }
}

/// Bytes of a packet in the first page of a driver's, behind the headroom.
const LINEAR: usize = FRAME - HEADROOM;

/// A frame that a driver puts into several pages, for a program that takes such.
#[cold]
fn set_pieces(run: &mut Run, frame: &[u8]) {
    let (linear, frags) = frame.split_at(LINEAR);
    run.receive(linear, true);
    run.packet.set_frags(frags);
}

fn set_context(run: &mut Run, kind: ProgType, context: &[u8]) -> Result<(), InputError> {
    let needed = run.program().contract().map_or(0, |c| c.ctx_bytes());
    if !context.is_empty() {
        test_run::check_context(run, kind, context)?;
        if kind == ProgType::StructOps {
            method::check(run, context)?;
        }
        if matches!(context_of(kind), Some(Context::Plain { .. })) && context.len() < needed {
            return Err(InputError::ShortContext { found: context.len(), needed });
        }
        match context_of(kind) {
            // What a shorter context leaves out is zero.
            Some(Context::Fields { layout, .. }) if context.len() < usize::from(layout.size) => {
                let mut whole = context.to_vec();
                whole.resize(layout.size.into(), 0);
                run.set_ctx(&whole);
            }
            _ => run.set_ctx(context),
        }
        test_run::fill_in(run, kind);
        return Ok(());
    }
    match context_of(kind) {
        // The loopback device, as a test-run without a context uses it.
        Some(Context::Fields { .. }) if kind == ProgType::Xdp => {
            run.ctx.set("ingress_ifindex", 1);
        }
        Some(Context::Fields { .. }) => {
            run.ctx.set("ifindex", 1);
        }
        Some(Context::Plain { size, .. }) => run.set_default_ctx(needed.max(size.into())),
        None => {}
    }
    Ok(())
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on, if need be cut to so many bytes.
    Passes {
        /// Bytes that are kept, at most.
        keep: usize,
    },
    /// It ends here.
    Ends,
}

/// What a return value means for the packet, with the first bytes that are kept.
#[inline]
pub fn fate(kind: ProgType, retval: u32) -> Fate {
    use ProgType as P;
    let passes = match kind {
        // Pass, transmit, redirect.
        P::Xdp => matches!(retval, 2..=4),
        // Unspecified, ok, reclassify, pipe, redirect.
        P::SchedCls | P::SchedAct => matches!(retval as i32, -1 | 0 | 1 | 3 | 7),
        P::SocketFilter => return if retval == 0 { Fate::Ends } else { Fate::Passes { keep: retval as usize } },
        P::CgroupSkb => retval & 1 == 1,
        P::LwtIn | P::LwtOut | P::LwtXmit | P::LwtSeg6local => matches!(retval, 0 | 7 | 128),
        P::SkSkb => retval == 1,
        P::FlowDissector => retval != 2,
        P::Netfilter => retval == 1,
        _ => true,
    };
    if passes { Fate::Passes { keep: usize::MAX } } else { Fate::Ends }
}

/// The frame as it leaves a program: what the program sees, behind the Ethernet header if that was kept from it, with
/// the pages that it does not see. It is put together in `buffer` where it does not stand in the run as it is.
pub fn frame_after<'a>(
    run: &'a Run,
    kind: ProgType,
    origin: Origin,
    before: &[u8],
    buffer: &'a mut Vec<u8>,
) -> &'a [u8] {
    let at_link = starts_at_link(kind, origin);
    if at_link && run.packet.frags().is_empty() {
        return run.packet.bytes();
    }
    buffer.clear();
    if !at_link {
        buffer.extend_from_slice(&before[..ETH_HLEN.min(before.len())]);
    }
    buffer.extend_from_slice(run.packet.bytes());
    buffer.extend_from_slice(run.packet.frags());
    buffer
}
