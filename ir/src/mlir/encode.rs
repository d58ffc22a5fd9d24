//! Attributes of ops as attributes of MLIR, and back.

use std::collections::BTreeMap;

use super::attr::Attr;
use super::irdl::Schema;
use super::types::element;
use super::{ACCESS, map};
use crate::text::parse_dim;
use crate::{AffineMap, DType, Dim, Literal, Sym, Type};

/// A value that an attribute of MLIR can stand for.
pub trait Encoded {
    fn encode(&self) -> Attr;

    /// The value again, or a sentence that says what is expected.
    fn decode(attr: Attr) -> Result<Self, String>
    where
        Self: Sized;

    /// Which attributes [`Encoded::encode`] gives.
    fn schema() -> Schema
    where
        Self: Sized;

    fn encode_list(items: &[Self]) -> Attr
    where
        Self: Sized,
    {
        Attr::Array(items.iter().map(Self::encode).collect())
    }

    fn decode_list(attr: Attr) -> Result<Vec<Self>, String>
    where
        Self: Sized,
    {
        match attr {
            Attr::Array(items) => items.into_iter().map(Self::decode).collect(),
            _ => Err("expected a list".into()),
        }
    }

    fn list_schema() -> Schema
    where
        Self: Sized,
    {
        Schema::Base("array")
    }
}

impl<T: Encoded> Encoded for Vec<T> {
    fn encode(&self) -> Attr {
        T::encode_list(self)
    }

    fn decode(attr: Attr) -> Result<Vec<T>, String> {
        T::decode_list(attr)
    }

    fn schema() -> Schema {
        T::list_schema()
    }
}

/// A number where it is constant, otherwise its text.
impl Encoded for Dim {
    fn encode(&self) -> Attr {
        match self.as_const() {
            Some(value) => Attr::Int(value),
            None => Attr::Text(self.to_string()),
        }
    }

    fn decode(attr: Attr) -> Result<Dim, String> {
        match attr {
            Attr::Int(value) => Ok(Dim::from(value)),
            Attr::Text(text) => {
                parse_dim(&text).map_err(|e| format!("in the dimension `{text}`: {}", e.message))
            }
            _ => Err("expected a dimension: a number or a text".into()),
        }
    }

    fn schema() -> Schema {
        Schema::AnyOf(vec![Schema::Base("integer"), Schema::Base("string")])
    }
}

impl Encoded for Option<Dim> {
    fn encode(&self) -> Attr {
        self.as_ref().map_or(Attr::Unit, Dim::encode)
    }

    fn decode(attr: Attr) -> Result<Option<Dim>, String> {
        match attr {
            Attr::Unit => Ok(None),
            attr => Dim::decode(attr).map(Some),
        }
    }

    fn schema() -> Schema {
        Schema::AnyOf(vec![Schema::Base("unit"), Dim::schema()])
    }
}

impl Encoded for usize {
    fn encode(&self) -> Attr {
        // No axis is beyond the range of i64.
        Attr::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }

    fn decode(attr: Attr) -> Result<usize, String> {
        let value = i64::decode(attr)?;
        usize::try_from(value).map_err(|_| "expected a number of at least 0".into())
    }

    fn schema() -> Schema {
        i64::schema()
    }

    fn encode_list(items: &[usize]) -> Attr {
        let number = |item: &usize| i64::try_from(*item).unwrap_or(i64::MAX);
        Attr::Ints(items.iter().map(number).collect())
    }

    fn decode_list(attr: Attr) -> Result<Vec<usize>, String> {
        let Attr::Ints(items) = attr else {
            return Err("expected a list such as `array<i64: 0, 1>`".into());
        };
        items
            .into_iter()
            .map(|item| usize::decode(Attr::Int(item)))
            .collect()
    }

    fn list_schema() -> Schema {
        Schema::Base("dense_array")
    }
}

impl Encoded for i64 {
    fn encode(&self) -> Attr {
        Attr::Int(*self)
    }

    fn decode(attr: Attr) -> Result<i64, String> {
        match attr {
            Attr::Int(value) => Ok(value),
            _ => Err("expected an integer".into()),
        }
    }

    fn schema() -> Schema {
        Schema::Base("integer")
    }
}

impl Encoded for bool {
    fn encode(&self) -> Attr {
        Attr::Bool(*self)
    }

    fn decode(attr: Attr) -> Result<bool, String> {
        match attr {
            Attr::Bool(value) => Ok(value),
            _ => Err("expected `true` or `false`".into()),
        }
    }

    fn schema() -> Schema {
        Schema::AnyOf([false, true].map(|b| Schema::Is(b.encode())).to_vec())
    }
}

impl Encoded for DType {
    fn encode(&self) -> Attr {
        Attr::Type(Type::scalar(*self))
    }

    fn decode(attr: Attr) -> Result<DType, String> {
        match attr {
            Attr::Type(ty) if ty.is_scalar() => Ok(ty.dtype()),
            _ => {
                let names = DType::ALL.map(element).join(", ");
                Err(format!("expected one of {names}"))
            }
        }
    }

    fn schema() -> Schema {
        let is = |dtype: DType| Schema::Is(dtype.encode());
        Schema::AnyOf(DType::ALL.map(is).to_vec())
    }
}

impl Encoded for Sym {
    fn encode(&self) -> Attr {
        Attr::Symbol(self.as_str().to_owned())
    }

    fn decode(attr: Attr) -> Result<Sym, String> {
        match attr {
            Attr::Symbol(name) => Ok(Sym::new(&name)),
            _ => Err("expected a name that starts with `@`".into()),
        }
    }

    fn schema() -> Schema {
        Schema::Base("symbol_ref")
    }
}

/// As it is: for what may be any attribute.
impl Encoded for Attr {
    fn encode(&self) -> Attr {
        self.clone()
    }

    fn decode(attr: Attr) -> Result<Attr, String> {
        Ok(attr)
    }

    fn schema() -> Schema {
        Schema::Any
    }
}

impl Encoded for String {
    fn encode(&self) -> Attr {
        Attr::Text(self.clone())
    }

    fn decode(attr: Attr) -> Result<String, String> {
        match attr {
            Attr::Text(text) => Ok(text),
            _ => Err("expected a quoted text".into()),
        }
    }

    fn schema() -> Schema {
        Schema::Base("string")
    }
}

impl Encoded for Type {
    fn encode(&self) -> Attr {
        Attr::Type(self.clone())
    }

    fn decode(attr: Attr) -> Result<Type, String> {
        match attr {
            Attr::Type(ty) => Ok(ty),
            _ => Err("expected a type".into()),
        }
    }

    fn schema() -> Schema {
        Schema::Base("type")
    }
}

impl Encoded for Literal {
    fn encode(&self) -> Attr {
        Attr::Literal(self.clone())
    }

    fn decode(attr: Attr) -> Result<Literal, String> {
        match attr {
            Attr::Literal(value) => Ok(value),
            _ => Err("expected a constant such as `dense<0> : tensor<4xi64>`".into()),
        }
    }

    fn schema() -> Schema {
        Schema::Base("dense_int_or_fp_elements")
    }
}

/// An affine map alone where all its numbers are constant, otherwise with the dimensions that its symbols
/// stand for.
impl Encoded for AffineMap {
    fn encode(&self) -> Attr {
        let (map, symbols) = map::abstracted(self);
        let bare = Attr::Map {
            indices: map::indices(&map),
            symbols: symbols.len(),
            map,
        };
        if symbols.is_empty() {
            return bare;
        }
        Attr::Own {
            name: ACCESS.into(),
            params: vec![bare, symbols.encode()],
        }
    }

    fn decode(attr: Attr) -> Result<AffineMap, String> {
        match attr {
            Attr::Map {
                map, symbols: 0, ..
            } => Ok(map),
            Attr::Own { name, params } if name == ACCESS => {
                let Ok([Attr::Map { map, symbols, .. }, dims]) = <[Attr; 2]>::try_from(params)
                else {
                    return Err("expected an affine map and the dimensions of its symbols".into());
                };
                let dims = Vec::<Dim>::decode(dims)?;
                if dims.len() != symbols {
                    return Err(format!("{} dimensions for {symbols} symbols", dims.len()));
                }
                Ok(map::filled(&map, &dims))
            }
            _ => Err("expected an affine map whose symbols have dimensions".into()),
        }
    }

    fn schema() -> Schema {
        Schema::AnyOf(vec![Schema::Base("affine_map"), Schema::Declared(ACCESS)])
    }
}

/// An attribute that does not fit, by its position in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub offset: usize,
    pub message: String,
}

/// Attributes that were read and not yet taken.
#[derive(Debug, Default)]
pub struct Fields {
    /// Where the op or function stands.
    pub offset: usize,
    items: BTreeMap<String, (Attr, usize)>,
}

impl Fields {
    pub(super) fn new(offset: usize) -> Fields {
        Fields {
            offset,
            items: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, name: String, attr: Attr, offset: usize) -> Result<(), Misfit> {
        if self.items.contains_key(&name) {
            let message = format!("`{name}` is given twice");
            return Err(Misfit { offset, message });
        }
        self.items.insert(name, (attr, offset));
        Ok(())
    }

    /// The attribute of this name, if it is there.
    pub fn find<T: Encoded>(&mut self, name: &str) -> Result<Option<T>, Misfit> {
        let Some((attr, offset)) = self.items.remove(name) else {
            return Ok(None);
        };
        match T::decode(attr) {
            Ok(value) => Ok(Some(value)),
            Err(message) => Err(Misfit {
                offset,
                message: format!("`{name}`: {message}"),
            }),
        }
    }

    /// The attribute of this name.
    pub fn take<T: Encoded>(&mut self, name: &str) -> Result<T, Misfit> {
        self.find(name)?.ok_or_else(|| Misfit {
            offset: self.offset,
            message: format!("the attribute `{name}` is missing"),
        })
    }

    /// An error where attributes are left.
    pub(super) fn finish(self) -> Result<(), Misfit> {
        let left = self.items.into_iter().min_by_key(|item| item.1.1);
        match left {
            None => Ok(()),
            Some((name, (_, offset))) => Err(Misfit {
                offset,
                message: format!("unknown attribute `{name}`"),
            }),
        }
    }
}
