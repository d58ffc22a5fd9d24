//! Reading attributes, types and locations of MLIR, and the short names that MLIR gives them.

use std::collections::HashMap;

use super::attr::Attr;
use super::cursor::Cursor;
use super::encode::{Encoded, Fields};
use super::types::element;
use super::{DIALECT, DIMS, dense};
use crate::module::Loc;
use crate::text::ParseError;
use crate::{DType, Dim, Sym, Type};

/// The type of a value of MLIR.
#[derive(Clone, Debug, PartialEq)]
pub enum Ty {
    One(Type),
    /// Several values as one.
    Tuple(Vec<Type>),
}

/// A cursor that knows what short names stand for.
pub struct Reader<'s> {
    pub cursor: Cursor<'s>,
    /// `#map` and the like: where what they stand for begins.
    aliases: HashMap<&'s str, usize>,
}

impl<'s> Reader<'s> {
    pub fn new(source: &'s str) -> Reader<'s> {
        Reader {
            cursor: Cursor::new(source),
            aliases: aliases(source),
        }
    }

    /// Items between two marks, separated by commas.
    pub fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.cursor.expect(open)?;
        let mut items = Vec::new();
        if self.cursor.accept(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.cursor.accept(close) {
                return Ok(items);
            }
            self.cursor.expect(",")?;
        }
    }

    pub fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.cursor.deeper()?;
        let result = inner(self);
        self.cursor.shallower();
        result
    }

    /// What a short name stands for, read where it is written.
    fn alias<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        let Some(&place) = self.aliases.get(name) else {
            return Err(self.cursor.error(format!("`{name}` is not defined")));
        };
        let back = self.cursor.at;
        self.cursor.at = place;
        let value = self.nested(read);
        self.cursor.at = back;
        value
    }

    /// A definition such as `#map = affine_map<...>`: read where it is used, checked here.
    pub fn alias_definition(&mut self) -> Result<(), ParseError> {
        let mark = if self.cursor.sees("#") { "#" } else { "!" };
        let name = self.cursor.name(mark)?;
        self.cursor.expect("=")?;
        if self.aliases.get(name) != Some(&self.cursor.at) {
            return Err(self.cursor.error(format!("`{name}` is defined twice")));
        }
        if mark == "!" {
            self.ty().map(drop)
        } else if self.cursor.accept_word("loc") {
            self.place().map(drop)
        } else {
            self.attr().map(drop)
        }
    }

    /// `{name = value, flag}`
    pub fn fields(&mut self, fields: &mut Fields) -> Result<(), ParseError> {
        let entries = self.list("{", "}", |r| {
            r.cursor.space();
            let offset = r.cursor.at;
            r.entry().map(|(name, value)| (name, value, offset))
        })?;
        for (name, value, offset) in entries {
            fields
                .push(name, value, offset)
                .map_err(|e| self.cursor.misfit(e))?;
        }
        Ok(())
    }

    fn entry(&mut self) -> Result<(String, Attr), ParseError> {
        let name = if self.cursor.sees("\"") {
            self.cursor.text()?
        } else {
            let word = self.cursor.word();
            word.ok_or_else(|| self.cursor.error("expected the name of an attribute"))?
                .to_owned()
        };
        if self.cursor.accept("=") {
            Ok((name, self.attr()?))
        } else {
            Ok((name, Attr::Unit))
        }
    }

    pub fn attr(&mut self) -> Result<Attr, ParseError> {
        self.cursor.charge(1)?;
        match self.cursor.peek() {
            Some('"') => self.cursor.text().map(Attr::Text),
            Some('@') => {
                let name = self.cursor.symbol()?;
                if self.cursor.sees("::") {
                    return Err(self.cursor.error("names within modules are not supported"));
                }
                Ok(Attr::Symbol(name))
            }
            Some('[') => self
                .nested(|r| r.list("[", "]", Reader::attr))
                .map(Attr::Array),
            Some('{') => {
                let entries = self.nested(|r| r.list("{", "}", Reader::entry));
                entries.map(Attr::Dictionary)
            }
            Some('#') => self.named(),
            Some('(') => {
                let (inputs, results) = self.signature()?;
                let mut flat = |types: Vec<Ty>| types.into_iter().map(|ty| self.one(ty)).collect();
                let (inputs, results): (Result<_, _>, Result<_, _>) = (flat(inputs), flat(results));
                Ok(Attr::Function(inputs?, results?))
            }
            Some('-' | '0'..='9') => self.integer(),
            _ => self.worded(),
        }
    }

    fn integer(&mut self) -> Result<Attr, ParseError> {
        let value = self.cursor.int()?;
        if self.cursor.sees(".") {
            return Err(self.cursor.error("expected an integer"));
        }
        if self.cursor.accept(":") {
            self.cursor.expect_word("i64")?;
        }
        Ok(Attr::Int(value))
    }

    /// An attribute that begins with a word.
    fn worded(&mut self) -> Result<Attr, ParseError> {
        self.cursor.space();
        let start = self.cursor.at;
        match self.cursor.word() {
            Some("true") => Ok(Attr::Bool(true)),
            Some("false") => Ok(Attr::Bool(false)),
            Some("unit") => Ok(Attr::Unit),
            Some("affine_map") => self.affine_map(),
            Some("dense") => self.dense(),
            Some("array") => self.array(),
            _ => {
                self.cursor.at = start;
                let ty = self.ty()?;
                self.one(ty).map(Attr::Type)
            }
        }
    }

    /// An attribute of the dialect, or a short name.
    fn named(&mut self) -> Result<Attr, ParseError> {
        self.cursor.space();
        let start = self.cursor.at;
        let name = self.cursor.name("#")?;
        let own = name[1..]
            .strip_prefix(DIALECT)
            .and_then(|n| n.strip_prefix('.'));
        if let Some(own) = own {
            let params = self.nested(|r| r.list("<", ">", Reader::attr))?;
            let name = own.to_owned();
            return Ok(Attr::Own { name, params });
        }
        if name.contains('.') {
            return Err(self
                .cursor
                .error_at(start, format!("unknown attribute `{name}`")));
        }
        self.alias(name, Reader::attr)
    }

    fn array(&mut self) -> Result<Attr, ParseError> {
        self.cursor.expect("<")?;
        self.cursor.expect_word("i64")?;
        if self.cursor.accept(">") {
            return Ok(Attr::Ints(Vec::new()));
        }
        self.list(":", ">", |r| r.cursor.int()).map(Attr::Ints)
    }

    fn dense(&mut self) -> Result<Attr, ParseError> {
        self.cursor.expect("<")?;
        self.cursor.space();
        let start = self.cursor.at;
        let digits = match self.cursor.sees("\"") {
            true => Some(self.cursor.text()?),
            false => None,
        };
        let (mut texts, mut listed) = (Vec::new(), None);
        if digits.is_none() && !self.cursor.sees(">") {
            listed = Some(self.elements(&mut texts)?);
        }
        self.cursor.expect(">")?;
        self.cursor.expect(":")?;
        let ty = self.ty()?;
        let ty = self.one(ty)?;
        let extent = |dim: &Dim| usize::try_from(dim.as_const()?).ok();
        let shape: Option<Vec<usize>> = ty.shape().iter().map(extent).collect();
        let shape = shape.filter(|_| matches!(ty, Type::Tensor { .. }));
        let Some(shape) = shape else {
            let message = "a constant is a tensor of a constant shape";
            return Err(self.cursor.error_at(start, message));
        };
        self.cursor
            .charge(dense::count(&shape).unwrap_or(usize::MAX))?;
        let value = if let Some(digits) = digits {
            let digits = digits.strip_prefix("0x").unwrap_or_default();
            dense::from_digits(ty.dtype(), shape, digits)
        } else if listed.is_some_and(|listed| !listed.is_empty() && listed != shape) {
            Err("the lists do not have the shape of the type".into())
        } else {
            dense::listed(ty.dtype(), shape, &texts)
        };
        value
            .map(Attr::Literal)
            .map_err(|e| self.cursor.error_at(start, format!("the constant {e}")))
    }

    /// Elements in nested lists; returns how many stand on each level.
    fn elements(&mut self, texts: &mut Vec<&'s str>) -> Result<Vec<usize>, ParseError> {
        if !self.cursor.sees("[") {
            let text = self
                .cursor
                .run(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-'));
            if text.is_empty() {
                return Err(self.cursor.error("expected an element"));
            }
            texts.push(text);
            return Ok(Vec::new());
        }
        let parts = self.nested(|r| r.list("[", "]", |r| r.elements(texts)))?;
        let inner = parts.first().cloned().unwrap_or_default();
        if parts.iter().any(|part| *part != inner) {
            return Err(self
                .cursor
                .error("the lists of the constant differ in length"));
        }
        Ok([vec![parts.len()], inner].concat())
    }

    /// A type of a single value.
    pub fn one(&mut self, ty: Ty) -> Result<Type, ParseError> {
        match ty {
            Ty::One(ty) => Ok(ty),
            Ty::Tuple(_) => Err(self.cursor.error("a tuple cannot stand here")),
        }
    }

    pub fn ty(&mut self) -> Result<Ty, ParseError> {
        self.cursor.charge(1)?;
        self.cursor.space();
        let start = self.cursor.at;
        if self.cursor.sees("!") {
            let name = self.cursor.name("!")?;
            return self.alias(name, Reader::ty);
        }
        let word = self.cursor.word().unwrap_or_default();
        match word {
            "tensor" | "vector" => self.shaped(Type::tensor).map(Ty::One),
            "memref" => self.shaped(Type::buffer).map(Ty::One),
            "tuple" => {
                let types = self.nested(|r| {
                    r.list("<", ">", |r| {
                        let ty = r.ty()?;
                        r.one(ty)
                    })
                });
                types.map(Ty::Tuple)
            }
            word => match DType::ALL.into_iter().find(|d| element(*d) == word) {
                Some(dtype) => Ok(Ty::One(Type::scalar(dtype))),
                None if word.is_empty() => Err(self.cursor.error_at(start, "expected a type")),
                None => Err(self
                    .cursor
                    .error_at(start, format!("unknown type `{word}`"))),
            },
        }
    }

    /// `<?x4xf32, #aiai.dims<["N"]>>`
    fn shaped(&mut self, make: fn(DType, Vec<Dim>) -> Type) -> Result<Type, ParseError> {
        self.cursor.expect("<")?;
        let mut shape = Vec::new();
        loop {
            if self.cursor.accept("?") {
                shape.push(None);
            } else if self.cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
                shape.push(Some(Dim::from(self.cursor.number::<i64>()?)));
            } else {
                break;
            }
            self.cursor.charge(1)?;
            self.cursor.expect("x")?;
        }
        self.cursor.space();
        let start = self.cursor.at;
        let word = self.cursor.word().unwrap_or_default();
        let dtype = DType::ALL.into_iter().find(|d| element(*d) == word);
        let dtype = dtype.ok_or_else(|| self.cursor.error_at(start, "expected an element type"))?;
        let names = match self.cursor.accept(",") {
            true => self.dims()?,
            false => Vec::new(),
        };
        let unknown = shape.iter().filter(|dim| dim.is_none()).count();
        if names.len() != unknown {
            let names = names.len();
            let message = format!(
                "{names} names for {unknown} dimensions: `#{DIALECT}.{DIMS}<[...]>` has one for each `?`"
            );
            return Err(self.cursor.error_at(start, message));
        }
        self.cursor.expect(">")?;
        let mut names = names.into_iter();
        let shape = shape
            .into_iter()
            .filter_map(|dim| dim.or_else(|| names.next()));
        Ok(make(dtype, shape.collect()))
    }

    fn dims(&mut self) -> Result<Vec<Dim>, ParseError> {
        self.cursor.space();
        let start = self.cursor.at;
        let found = self.nested(Reader::attr)?;
        let names = match found {
            Attr::Own { name, params } if name == DIMS => match <[Attr; 1]>::try_from(params) {
                Ok([list]) => Vec::<Dim>::decode(list),
                Err(_) => Err("expected one list".into()),
            },
            _ => Err(format!("expected `#{DIALECT}.{DIMS}<[...]>`")),
        };
        names.map_err(|e| self.cursor.error_at(start, e))
    }

    /// `(f32, i64) -> f32` or `(f32) -> (f32, i64)`
    pub fn signature(&mut self) -> Result<(Vec<Ty>, Vec<Ty>), ParseError> {
        let inputs = self.list("(", ")", Reader::ty)?;
        self.cursor.expect("->")?;
        let results = match self.cursor.sees("(") {
            true => self.list("(", ")", Reader::ty)?,
            false => vec![self.ty()?],
        };
        Ok((inputs, results))
    }

    /// A location behind an op, if there is one and it is a place in a file.
    pub fn loc(&mut self) -> Result<Option<Loc>, ParseError> {
        if self.cursor.accept_word("loc") {
            self.place()
        } else {
            Ok(None)
        }
    }

    fn place(&mut self) -> Result<Option<Loc>, ParseError> {
        self.cursor.charge(1)?;
        self.cursor.expect("(")?;
        let loc = match self.cursor.peek() {
            Some('#') => {
                let name = self.cursor.name("#")?;
                self.alias(name, |r| {
                    r.cursor.expect_word("loc")?;
                    r.place()
                })?
            }
            Some('"') => {
                let file = self.cursor.text()?;
                if self.cursor.accept(":") {
                    let line = self.cursor.number()?;
                    self.cursor.expect(":")?;
                    let column = self.cursor.number()?;
                    let file = Sym::new(&file);
                    Some(Loc { file, line, column })
                } else {
                    None
                }
            }
            // Inlined, fused, unknown.
            _ => None,
        };
        self.cursor.skip_to_close()?;
        self.cursor.expect(")")?;
        Ok(loc)
    }
}

/// The short names that a text defines, and where their meanings begin. Lines that start with `#name =` do
/// nothing else.
fn aliases(source: &str) -> HashMap<&str, usize> {
    let mut found = HashMap::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        if line.trim_start().starts_with(['#', '!'])
            && let Some(equals) = line.find('=')
        {
            let name = line[..equals].trim();
            found.entry(name).or_insert(start + equals + 1);
        }
        start += line.len();
    }
    found
}
