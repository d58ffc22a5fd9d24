//! The header of an `.npy` array: a magic string, a version, and a Python dictionary of three entries.

use std::io::Read;

use crate::DType;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The largest header that is read; that of an array of rank 64 is far below.
const MAX_HEADER: usize = 1 << 16;
const MAX_RANK: usize = 64;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub column_major: bool,
    /// The elements are big endian.
    pub swap_bytes: bool,
}

/// Type strings without their byte order; one-byte types have none.
const DTYPES: [(&str, DType); 12] = [
    ("b1", DType::Bool),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("u1", DType::U8),
    ("u2", DType::U16),
    ("u4", DType::U32),
    ("u8", DType::U64),
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
];

/// The header of a little-endian row-major array; `None` for bf16.
pub(super) fn write(dtype: DType, shape: &[usize]) -> Option<Vec<u8>> {
    let (code, _) = DTYPES.iter().find(|&&(_, d)| d == dtype)?;
    let order = if dtype.bytes() == 1 { '|' } else { '<' };
    let mut extents: String = shape.iter().map(|n| format!("{n}, ")).collect();
    if shape.len() != 1 {
        extents.truncate(extents.len().saturating_sub(2));
    }
    let extents = extents.trim_end();
    let text =
        format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': ({extents}), }}");
    // Magic, version and length take 10 bytes; data starts at a multiple of 64, after a newline.
    let padded = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend(u16::try_from(padded).ok()?.to_le_bytes());
    header.extend(text.as_bytes());
    header.resize(10 + padded - 1, b' ');
    header.push(b'\n');
    Some(header)
}

impl Header {
    /// Reads a header up to the first byte of the data.
    pub fn read(from: &mut impl Read) -> Result<Header, String> {
        let mut start = [0; 8];
        from.read_exact(&mut start)
            .map_err(|_| "it ends within its header")?;
        if &start[..6] != MAGIC {
            return Err("it does not start as an npy array does".into());
        }
        let length = match start[6] {
            1 => {
                let mut bytes = [0; 2];
                from.read_exact(&mut bytes)
                    .map_err(|_| "it ends within its header")?;
                u16::from_le_bytes(bytes).into()
            }
            2 | 3 => {
                let mut bytes = [0; 4];
                from.read_exact(&mut bytes)
                    .map_err(|_| "it ends within its header")?;
                u32::from_le_bytes(bytes) as usize
            }
            version => return Err(format!("version {version} is not known")),
        };
        if length > MAX_HEADER {
            return Err(format!(
                "its header would have {length} bytes; at most {MAX_HEADER} are read"
            ));
        }
        let mut text = vec![0; length];
        from.read_exact(&mut text)
            .map_err(|_| "it ends within its header")?;
        let text = String::from_utf8(text).map_err(|_| "its header is not text")?;
        parse(&text)
    }
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn parse(text: &str) -> Result<Header, String> {
    let mut scanner = Scanner { rest: text };
    let (mut descr, mut column_major, mut shape) = (None, None, None);
    scanner.expect("{")?;
    while !scanner.accept("}") {
        let key = scanner.string()?;
        scanner.expect(":")?;
        match key {
            "descr" => descr = Some(scanner.string()?),
            "fortran_order" => column_major = Some(scanner.boolean()?),
            "shape" => shape = Some(scanner.shape()?),
            other => return Err(format!("its header has an unknown key `{other}`")),
        }
        if !scanner.accept(",") {
            scanner.expect("}")?;
            break;
        }
    }
    let descr = descr.ok_or("its header lacks `descr`")?;
    let (order, code) = descr.split_at_checked(1).ok_or("its `descr` is empty")?;
    let dtype = DTYPES
        .iter()
        .find(|&&(c, _)| c == code)
        .map(|&(_, dtype)| dtype);
    let (Some(dtype), "<" | ">" | "|" | "=") = (dtype, order) else {
        return Err(format!("dtype `{descr}` is not supported"));
    };
    Ok(Header {
        dtype,
        shape: shape.ok_or("its header lacks `shape`")?,
        column_major: column_major.ok_or("its header lacks `fortran_order`")?,
        swap_bytes: order == ">",
    })
}

/// Reads the few forms of Python literals that headers have.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn accept(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(token) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.accept(token) {
            return Ok(());
        }
        let found: String = self.rest.trim_start().chars().take(12).collect();
        Err(format!("its header has {found:?} where `{token}` belongs"))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept("'") { '\'' } else { '"' };
        if quote == '"' {
            self.expect("\"")?;
        }
        let (text, rest) = self
            .rest
            .split_once(quote)
            .ok_or("its header has an open string")?;
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        if self.accept("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            let rest = self.rest.trim_start();
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            let extent = digits.parse().map_err(|_| "its header has a bad shape")?;
            self.rest = after;
            shape.push(extent);
            if shape.len() > MAX_RANK {
                return Err(format!("its rank is above {MAX_RANK}"));
            }
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(shape)
    }
}
