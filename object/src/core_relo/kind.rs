//! Kinds of CO-RE relocations (`enum bpf_core_relo_kind`).

/// What a relocation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreKind {
    FieldByteOffset,
    FieldByteSize,
    FieldExists,
    FieldSigned,
    FieldLeftShift,
    FieldRightShift,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumeratorExists,
    EnumeratorValue,
    TypeMatches,
}

/// Kinds by number, with libbpf's names.
const KINDS: [(CoreKind, &str); 13] = {
    use CoreKind::*;
    [
        (FieldByteOffset, "byte_off"),
        (FieldByteSize, "byte_sz"),
        (FieldExists, "field_exists"),
        (FieldSigned, "signed"),
        (FieldLeftShift, "lshift_u64"),
        (FieldRightShift, "rshift_u64"),
        (TypeIdLocal, "local_type_id"),
        (TypeIdTarget, "target_type_id"),
        (TypeExists, "type_exists"),
        (TypeSize, "type_size"),
        (EnumeratorExists, "enumval_exists"),
        (EnumeratorValue, "enumval_value"),
        (TypeMatches, "type_matches"),
    ]
};

/// What a relocation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Field,
    Type,
    Enumerator,
}

impl CoreKind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        KINDS.get(number as usize).map(|k| k.0)
    }

    pub(crate) fn name(self) -> &'static str {
        KINDS.iter().find(|k| k.0 == self).map_or("unknown", |k| k.1)
    }

    pub(crate) fn subject(self) -> Subject {
        use CoreKind::*;
        match self {
            FieldByteOffset | FieldByteSize | FieldExists | FieldSigned | FieldLeftShift | FieldRightShift => {
                Subject::Field
            }
            TypeIdLocal | TypeIdTarget | TypeExists | TypeSize | TypeMatches => Subject::Type,
            EnumeratorExists | EnumeratorValue => Subject::Enumerator,
        }
    }
}
