//! Sets of registers and stack slots as the log lists them.

use std::fmt;

/// Registers as the log lists them: `r0,r3`.
pub(crate) struct RegList(pub u16);

impl fmt::Display for RegList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for i in (0..16).filter(|i| self.0 >> i & 1 != 0) {
            write!(f, "{comma}r{i}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// Slots as the log lists them: `-8,-24`.
pub(crate) struct SlotList(pub u64);

impl fmt::Display for SlotList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for i in (0..64).filter(|i| self.0 >> i & 1 != 0) {
            write!(f, "{comma}{}", -8 * (i + 1))?;
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_those_of_the_log() {
        assert_eq!(RegList(0x15).to_string(), "r0,r2,r4");
        assert_eq!(SlotList(0x15).to_string(), "-8,-24,-40");
        assert_eq!(SlotList(0).to_string(), "");
    }
}
