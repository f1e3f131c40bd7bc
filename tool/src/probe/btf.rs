//! Reads BTF, the kernel's description of its own types: member offsets, enum values, which functions and
//! tracepoints exist. Format: Documentation/bpf/btf.rst in the kernel tree.

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// Types of one kernel.
pub(super) struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Byte position of each type; index 0 (void) is unused.
    types: Vec<u32>,
    structs: Names,
    functions: Names,
    typedefs: Names,
    /// Byte positions of enum types.
    enums: Vec<u32>,
}

/// Where names of one kind stand in the string table, and the types that bear them. A list, not a map: a kernel
/// has a hundred thousand names, of which a few dozen are ever asked for.
type Names = Vec<(u32, u32)>;

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Bits from the start of the structure.
    pub(super) bit: u32,
}

impl Field {
    /// Byte that holds the member (for a bit field: its first bit).
    pub(super) const fn byte(self) -> u32 {
        self.bit / 8
    }

    /// Position of a bit field's first bit in that byte.
    pub(super) const fn shift(self) -> u32 {
        self.bit % 8
    }
}

/// Type header: name, kind, number of members, kind flag, size or referenced type.
struct Header {
    name: u32,
    kind: u32,
    vlen: u32,
    kind_flag: bool,
    size_or_type: u32,
}

impl Btf {
    /// Parses a BTF blob (`/sys/kernel/btf/vmlinux`).
    ///
    /// # Errors
    /// A sentence saying what is wrong with the data.
    pub(super) fn parse(data: Vec<u8>) -> Result<Btf, String> {
        let short = || "it ends in the middle".to_owned();
        if data.is_empty() {
            return Err("it is empty".into());
        }
        let magic = data.get(..2).map(|b| u16::from_le_bytes([b[0], b[1]])).ok_or_else(short)?;
        if magic != MAGIC {
            return Err("it does not start with the BTF magic number".into());
        }
        let header = u32_at(&data, 4).ok_or_else(short)? as usize;
        let type_start = header + u32_at(&data, 8).ok_or_else(short)? as usize;
        let type_end = type_start + u32_at(&data, 12).ok_or_else(short)? as usize;
        let strings = header + u32_at(&data, 16).ok_or_else(short)? as usize;
        if type_end > data.len() || strings > data.len() {
            return Err(short());
        }
        let mut btf = Btf {
            data,
            strings,
            types: vec![0],
            structs: Names::new(),
            functions: Names::new(),
            typedefs: Names::new(),
            enums: Vec::new(),
        };
        let mut at = type_start;
        while at < type_end {
            at = btf.index_type(at).ok_or_else(short)?;
        }
        Ok(btf)
    }

    /// Notes the type at byte `at`; returns where the next one starts.
    fn index_type(&mut self, at: usize) -> Option<usize> {
        let id = self.types.len() as u32;
        self.types.push(at as u32);
        let header = self.header_at(at)?;
        match header.kind {
            KIND_STRUCT | KIND_UNION if header.name != 0 => self.structs.push((header.name, id)),
            KIND_FUNC => self.functions.push((header.name, id)),
            KIND_TYPEDEF => self.typedefs.push((header.name, id)),
            KIND_ENUM => self.enums.push(at as u32),
            _ => {}
        }
        let extra = match header.kind {
            KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
            KIND_ARRAY => 12,
            KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * header.vlen,
            KIND_ENUM | KIND_FUNC_PROTO => 8 * header.vlen,
            _ => 0,
        };
        Some(at + 12 + extra as usize)
    }

    /// The type of this name.
    fn find(&self, names: &Names, name: &str) -> Option<u32> {
        names.iter().find(|(at, _)| self.is_string(*at, name.as_bytes())).map(|(_, id)| *id)
    }

    /// Whether the string at `offset` is `text`.
    fn is_string(&self, offset: u32, text: &[u8]) -> bool {
        let rest = self.data.get(self.strings + offset as usize..).unwrap_or_default();
        rest.starts_with(text) && rest.get(text.len()) == Some(&0)
    }

    fn header_at(&self, at: usize) -> Option<Header> {
        let info = u32_at(&self.data, at + 4)?;
        Some(Header {
            name: u32_at(&self.data, at)?,
            kind: (info >> 24) & 0x1f,
            vlen: info & 0xffff,
            kind_flag: info >> 31 != 0,
            size_or_type: u32_at(&self.data, at + 8)?,
        })
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let rest = self.data.get(self.strings + offset as usize..)?;
        rest.split(|b| *b == 0).next()
    }

    /// The structure behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<(usize, Header)> {
        for _ in 0..16 {
            let at = *self.types.get(id as usize)? as usize;
            let header = self.header_at(at)?;
            match header.kind {
                KIND_TYPEDEF | KIND_CONST | KIND_VOLATILE | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = header.size_or_type;
                }
                _ => return Some((at, header)),
            }
        }
        None
    }

    /// Where `path` (`member` or `member.member`, through anonymous structures and unions) stands in `structure`.
    pub(super) fn field(&self, structure: &str, path: &str) -> Option<Field> {
        let mut id = self.find(&self.structs, structure)?;
        let mut bit = 0;
        for name in path.split('.') {
            let (member_type, at) = self.member(id, name.as_bytes())?;
            bit += at;
            id = member_type;
        }
        Some(Field { bit })
    }

    /// Type and bit offset of a member.
    fn member(&self, id: u32, name: &[u8]) -> Option<(u32, u32)> {
        let (at, header) = self.resolve(id)?;
        if header.kind != KIND_STRUCT && header.kind != KIND_UNION {
            return None;
        }
        for n in 0..header.vlen as usize {
            let base = at + 12 + 12 * n;
            let member_name = self.string(u32_at(&self.data, base)?)?;
            let member_type = u32_at(&self.data, base + 4)?;
            let raw = u32_at(&self.data, base + 8)?;
            let bit = if header.kind_flag { raw & 0xff_ffff } else { raw };
            if member_name == name {
                return Some((member_type, bit));
            }
            if member_name.is_empty()
                && let Some((inner, inner_bit)) = self.member(member_type, name)
            {
                return Some((inner, bit + inner_bit));
            }
        }
        None
    }

    /// Size of a structure in bytes.
    pub(super) fn size_of(&self, structure: &str) -> Option<u32> {
        let (_, header) = self.resolve(self.find(&self.structs, structure)?)?;
        Some(header.size_or_type)
    }

    /// Value of an enumerator, whatever its enum.
    pub(super) fn enumerator(&self, name: &str) -> Option<i64> {
        self.enums.iter().find_map(|at| self.value_in(*at as usize, name.as_bytes()))
    }

    /// Value of an enumerator of the enum at byte `at`.
    fn value_in(&self, at: usize, name: &[u8]) -> Option<i64> {
        let header = self.header_at(at)?;
        let found = (0..header.vlen as usize)
            .map(|n| at + 12 + 8 * n)
            .find(|at| u32_at(&self.data, *at).is_some_and(|offset| self.is_string(offset, name)))?;
        u32_at(&self.data, found + 4).map(|value| i64::from(value.cast_signed()))
    }

    /// Whether the kernel has this function with a BTF signature.
    pub(super) fn has_function(&self, name: &str) -> bool {
        self.function(name).is_some()
    }

    /// The number of a function's type, for attaching to it.
    pub(super) fn function(&self, name: &str) -> Option<u32> {
        self.find(&self.functions, name)
    }

    /// Number of arguments of a tracepoint, `None` when the kernel does not have it.
    pub(super) fn tracepoint_args(&self, name: &str) -> Option<u32> {
        let typedef = self.find(&self.typedefs, &format!("btf_trace_{name}"))?;
        let (_, pointer) = self.resolve(typedef)?;
        let (_, proto) = self.resolve(pointer.size_or_type)?;
        // The first parameter is the tracepoint's private data.
        Some(proto.vlen.saturating_sub(1))
    }
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_data_is_named() {
        assert!(Btf::parse(Vec::new()).is_err_and(|e| e.contains("empty")));
        assert!(Btf::parse(vec![1, 2, 3, 4]).is_err_and(|e| e.contains("magic")));
        assert!(Btf::parse(vec![0x9f, 0xeb, 1, 0, 24, 0]).is_err_and(|e| e.contains("middle")));
    }

    /// A blob of two structures, written by hand: `struct out { u32 a; struct { u32 b:3; u32 c:5; }; }`.
    #[test]
    fn members_are_found_through_anonymous_structures() {
        let strings = b"\0out\0a\0b\0c\0u32\0";
        let name = |s: &[u8]| strings.windows(s.len()).position(|w| w == s).unwrap() as u32;
        let mut types: Vec<u32> = Vec::new();
        types.extend([name(b"u32\0"), KIND_INT << 24, 4, 32]); // 1
        types.extend([0, 1 << 31 | KIND_STRUCT << 24 | 2, 4]); // 2: anonymous
        types.extend([name(b"b\0"), 1, 3 << 24, name(b"c\0"), 1, 5 << 24 | 3]);
        types.extend([name(b"out\0"), KIND_STRUCT << 24 | 2, 8]); // 3
        types.extend([name(b"a\0"), 1, 0, 0, 2, 32]);
        let bytes: Vec<u8> = types.iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, bytes.len() as u32, bytes.len() as u32, strings.len() as u32] {
            blob.extend(word.to_le_bytes());
        }
        blob.extend(&bytes);
        blob.extend(strings);
        let btf = Btf::parse(blob).unwrap();
        assert_eq!(btf.field("out", "a"), Some(Field { bit: 0 }));
        let c = btf.field("out", "c").unwrap();
        assert_eq!((c.byte(), c.shift()), (4, 3));
        assert_eq!(btf.field("out", "d"), None);
        assert_eq!(btf.size_of("out"), Some(8));
    }
}
