//! What functions carry beside their bodies, as attributes whose names start with `aiai.`.

use super::attr::Attr;
use super::encode::{Encoded, Fields, Misfit};
use super::types::entry;
use crate::module::{Function, Library, Loc, Require};
use crate::text::relation_text;
use crate::{Dim, Literal, PrintOptions, Relation, Sym};

const NAME: &str = "aiai.name";
const OWNED: &str = "aiai.own";
const LIBRARY: &str = "aiai.library";
const REQUIRES: &str = "aiai.requires";

fn text(sym: Sym) -> Attr {
    Attr::Text(sym.as_str().to_owned())
}

/// Attributes of a parameter.
pub fn param(function: &Function, at: usize) -> Vec<(String, Attr)> {
    let name = function.param_names.get(at);
    let mut entries: Vec<_> = name
        .map(|name| entry(NAME, text(*name)))
        .into_iter()
        .collect();
    if function.owned.get(at) == Some(&true) {
        entries.push(entry(OWNED, Attr::Unit));
    }
    entries
}

/// Attributes of a result.
pub fn result(function: &Function, at: usize) -> Vec<(String, Attr)> {
    let name = function.result_names.get(at);
    name.map(|name| entry(NAME, text(*name)))
        .into_iter()
        .collect()
}

/// Attributes of the function itself.
pub fn attributes(function: &Function, options: PrintOptions) -> Vec<(String, Attr)> {
    let mut entries = Vec::new();
    if let Some(library) = &function.library {
        let named = |(name, value): (&Sym, &Literal)| entry(name.as_str(), value.encode());
        let attributes = library.attributes.iter().map(named).collect();
        let parts = vec![
            entry("name", text(library.symbol)),
            entry("attributes", Attr::Dictionary(attributes)),
        ];
        entries.push(entry(LIBRARY, Attr::Dictionary(parts)));
    }
    if !function.requires.is_empty() {
        let requires = function.requires.iter().map(|r| require(r, options));
        entries.push(entry(REQUIRES, Attr::Array(requires.collect())));
    }
    entries
}

fn require(require: &Require, options: PrintOptions) -> Attr {
    let mut parts = vec![
        entry("dim", require.dim.encode()),
        entry("is", Attr::Text(relation_text(require.relation).into())),
        entry("message", require.message.encode()),
    ];
    if let Some(loc) = require.loc.filter(|_| options.locations) {
        let number = |n: u32| Attr::Int(i64::from(n));
        let place = vec![text(loc.file), number(loc.line), number(loc.column)];
        parts.push(entry("loc", Attr::Array(place)));
    }
    Attr::Dictionary(parts)
}

/// The name and the flag of a parameter.
pub fn take_param(mut fields: Fields, at: usize) -> Result<(Sym, bool), Misfit> {
    let name: Option<String> = fields.find(NAME)?;
    let owned = match fields.find::<Attr>(OWNED)? {
        None => false,
        Some(Attr::Unit) => true,
        Some(_) => return Err(misfit(&fields, format!("`{OWNED}` has no value"))),
    };
    fields.finish()?;
    let name = name.unwrap_or_else(|| format!("arg{at}"));
    Ok((Sym::new(&name), owned))
}

/// The name of a result.
pub fn take_result(mut fields: Fields, at: usize) -> Result<Sym, Misfit> {
    let name: Option<String> = fields.find(NAME)?;
    fields.finish()?;
    Ok(Sym::new(&name.unwrap_or_else(|| format!("result{at}"))))
}

/// The library function and the requirements.
pub fn take_attributes(fields: &mut Fields, function: &mut Function) -> Result<(), Misfit> {
    if let Some(mut parts) = dictionary(fields, LIBRARY)? {
        let symbol: String = parts.take("name")?;
        let entries: Attr = parts.take("attributes")?;
        parts.finish()?;
        let Attr::Dictionary(entries) = entries else {
            return Err(misfit(
                fields,
                format!("`{LIBRARY}`: attributes have names"),
            ));
        };
        let mut library = Library {
            symbol: Sym::new(&symbol),
            attributes: Default::default(),
        };
        for (name, value) in entries {
            let value = Literal::decode(value)
                .map_err(|e| misfit(fields, format!("`{LIBRARY}`: `{name}`: {e}")))?;
            library.attributes.insert(Sym::new(&name), value);
        }
        function.library = Some(library);
    }
    let requires: Option<Vec<Attr>> = fields.find(REQUIRES)?;
    for attr in requires.unwrap_or_default() {
        let parts = as_fields(attr, fields.offset)?;
        let Some(parts) = parts else {
            return Err(misfit(fields, format!("`{REQUIRES}` lists dictionaries")));
        };
        function.requires.push(take_require(parts)?);
    }
    Ok(())
}

fn take_require(mut parts: Fields) -> Result<Require, Misfit> {
    let dim: Dim = parts.take("dim")?;
    let is: String = parts.take("is")?;
    let relation = [Relation::Zero, Relation::NonZero, Relation::NonNegative]
        .into_iter()
        .find(|relation| relation_text(*relation) == is);
    let relation =
        relation.ok_or_else(|| misfit(&parts, "`is`: expected `==`, `!=` or `>=`".into()))?;
    let message = parts.take("message")?;
    let loc = match parts.find::<Vec<Attr>>("loc")? {
        None => None,
        Some(place) => {
            let place = place_of(place);
            Some(place.ok_or_else(|| {
                misfit(&parts, "`loc`: expected a file, a line and a column".into())
            })?)
        }
    };
    parts.finish()?;
    Ok(Require {
        dim,
        relation,
        message,
        loc,
    })
}

fn place_of(place: Vec<Attr>) -> Option<Loc> {
    let Ok([Attr::Text(file), Attr::Int(line), Attr::Int(column)]) = <[Attr; 3]>::try_from(place)
    else {
        return None;
    };
    Some(Loc {
        file: Sym::new(&file),
        line: u32::try_from(line).ok()?,
        column: u32::try_from(column).ok()?,
    })
}

fn misfit(fields: &Fields, message: String) -> Misfit {
    Misfit {
        offset: fields.offset,
        message,
    }
}

/// A dictionary as fields, where the attribute is there.
fn dictionary(fields: &mut Fields, name: &str) -> Result<Option<Fields>, Misfit> {
    let Some(attr) = fields.find::<Attr>(name)? else {
        return Ok(None);
    };
    match as_fields(attr, fields.offset)? {
        Some(parts) => Ok(Some(parts)),
        None => Err(misfit(fields, format!("`{name}`: expected a dictionary"))),
    }
}

fn as_fields(attr: Attr, offset: usize) -> Result<Option<Fields>, Misfit> {
    let Attr::Dictionary(entries) = attr else {
        return Ok(None);
    };
    let mut fields = Fields::new(offset);
    for (name, value) in entries {
        fields.push(name, value, offset)?;
    }
    Ok(Some(fields))
}

/// A list of dictionaries, one for each parameter or result.
pub fn lists(fields: &mut Fields, name: &str) -> Result<Vec<Fields>, Misfit> {
    let items: Option<Vec<Attr>> = fields.find(name)?;
    let mut found = Vec::new();
    for item in items.unwrap_or_default() {
        match as_fields(item, fields.offset)? {
            Some(item) => found.push(item),
            None => return Err(misfit(fields, format!("`{name}` lists dictionaries"))),
        }
    }
    Ok(found)
}
