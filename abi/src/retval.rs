//! Names of the values that programs return, by program type.

use crate::ProgType;

const XDP: &[(i32, &str)] = &[(0, "XDP_ABORTED"), (1, "XDP_DROP"), (2, "XDP_PASS"), (3, "XDP_TX"), (4, "XDP_REDIRECT")];
const TC: &[(i32, &str)] = &[
    (-1, "TC_ACT_UNSPEC"),
    (0, "TC_ACT_OK"),
    (1, "TC_ACT_RECLASSIFY"),
    (2, "TC_ACT_SHOT"),
    (3, "TC_ACT_PIPE"),
    (4, "TC_ACT_STOLEN"),
    (5, "TC_ACT_QUEUED"),
    (6, "TC_ACT_REPEAT"),
    (7, "TC_ACT_REDIRECT"),
    (8, "TC_ACT_TRAP"),
];
const SK: &[(i32, &str)] = &[(0, "SK_DROP"), (1, "SK_PASS")];
const LWT: &[(i32, &str)] = &[(0, "BPF_OK"), (2, "BPF_DROP"), (7, "BPF_REDIRECT"), (128, "BPF_LWT_REROUTE")];
const FLOW: &[(i32, &str)] = &[(0, "BPF_OK"), (2, "BPF_DROP"), (129, "BPF_FLOW_DISSECTOR_CONTINUE")];
const NETFILTER: &[(i32, &str)] = &[(0, "NF_DROP"), (1, "NF_ACCEPT")];

/// The return values of a program type that have names; none where values are plain numbers.
pub fn retval_names(kind: ProgType) -> &'static [(i32, &'static str)] {
    use ProgType as P;
    match kind {
        P::Xdp => XDP,
        P::SchedCls | P::SchedAct => TC,
        P::SkSkb | P::SkMsg | P::SkLookup | P::SkReuseport => SK,
        P::LwtIn | P::LwtOut | P::LwtXmit | P::LwtSeg6local => LWT,
        P::FlowDissector => FLOW,
        P::Netfilter => NETFILTER,
        _ => &[],
    }
}

/// The name of a return value; `None` where values are plain numbers.
pub fn retval_name(kind: ProgType, value: u32) -> Option<&'static str> {
    retval_names(kind).iter().find(|(n, _)| *n == value as i32).map(|(_, name)| *name)
}

/// The return value that a text names: by its name, or a number that may be signed.
pub fn retval_of(kind: ProgType, text: &str) -> Option<u32> {
    let named = retval_names(kind).iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    let number = || text.parse::<u32>().ok().or_else(|| text.parse::<i32>().ok().map(|n| n as u32));
    named.map(|(n, _)| *n as u32).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_type() {
        assert_eq!(retval_name(ProgType::Xdp, 2), Some("XDP_PASS"));
        assert_eq!(retval_name(ProgType::SchedCls, u32::MAX), Some("TC_ACT_UNSPEC"));
        assert_eq!(retval_name(ProgType::Kprobe, 0), None);
        assert_eq!(retval_of(ProgType::Xdp, "xdp_tx"), Some(3));
        assert_eq!(retval_of(ProgType::SchedCls, "-1"), Some(u32::MAX));
        assert_eq!(retval_of(ProgType::Xdp, "TC_ACT_OK"), None);
    }
}
