//! Shapes of arguments against the parameters: what the named dimensions are, and what follows from them.

use super::{Program, RunError, Size, Slot};
use crate::DType;

/// The sizes of one call.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The value of every named dimension that a parameter binds.
    symbols: Vec<Option<i64>>,
    /// The table that the code reads.
    pub(super) table: Vec<i64>,
}

impl Program {
    /// What the shapes of the arguments bind the named dimensions to.
    ///
    /// # Errors
    /// Arguments of another number, dtype, rank or size, a broken requirement.
    pub fn bind(&self, args: &[(DType, &[usize])]) -> Result<Bound, RunError> {
        if args.len() != self.params.len() {
            let (name, expected, found) = (&self.name, self.params.len(), args.len());
            return Err(RunError::input(format!(
                "`{name}` takes {expected} arguments, got {found}"
            )));
        }
        let mut symbols: Vec<Option<i64>> = vec![None; self.symbols.len()];
        for (slot, &(dtype, shape)) in self.params.iter().zip(args) {
            if slot.dtype != dtype || slot.shape.len() != shape.len() {
                return Err(RunError::input(format!(
                    "`{}` is `{slot}`, got {dtype}{shape:?}",
                    slot.name
                )));
            }
            for (size, &found) in slot.shape.iter().zip(shape) {
                if let Some(value) = size.as_symbol().and_then(|s| symbols.get_mut(s)) {
                    value.get_or_insert(found as i64);
                }
            }
        }
        for (slot, (_, shape)) in self.params.iter().zip(args) {
            for (size, &found) in slot.shape.iter().zip(*shape) {
                let expected = size.eval(&symbols);
                if expected != Some(found as i64) {
                    let expected = expected.map_or("unknown".into(), |e| e.to_string());
                    let (name, text) = (&slot.name, &size.text);
                    return Err(RunError::input(format!(
                        "`{name}`: `{text}` is {expected}, got {found}"
                    )));
                }
            }
        }
        for require in &self.requires {
            let value = self.value(&require.size, &symbols)?;
            if !require.relation.holds(value) {
                return Err(RunError {
                    message: require.message.clone(),
                    place: require.place.clone(),
                    bad_input: true,
                });
            }
        }
        let table = self.dims.iter().map(|size| self.value(size, &symbols));
        let table = table.collect::<Result<Vec<i64>, RunError>>()?;
        Ok(Bound { symbols, table })
    }

    /// The same where only some arguments are known, as weights are when they are loaded. Sizes that do not
    /// follow from them are 0.
    ///
    /// # Errors
    /// As for [`Program::bind`], for the arguments that are known.
    pub fn bind_some(&self, args: &[Option<(DType, &[usize])>]) -> Result<Bound, RunError> {
        let mut symbols: Vec<Option<i64>> = vec![None; self.symbols.len()];
        let known = || {
            let given = self.params.iter().zip(args);
            given.filter_map(|(slot, arg)| Some((slot, (*arg)?)))
        };
        for (slot, (dtype, shape)) in known() {
            if slot.dtype != dtype || slot.shape.len() != shape.len() {
                let name = &slot.name;
                return Err(RunError::input(format!(
                    "`{name}` is `{slot}`, got {dtype}{shape:?}"
                )));
            }
            for (size, &found) in slot.shape.iter().zip(shape) {
                if let Some(value) = size.as_symbol().and_then(|s| symbols.get_mut(s)) {
                    value.get_or_insert(found as i64);
                }
            }
        }
        for (slot, (_, shape)) in known() {
            for (size, &found) in slot.shape.iter().zip(shape) {
                if size.eval(&symbols).is_some_and(|e| e != found as i64) {
                    let (name, text) = (&slot.name, &size.text);
                    return Err(RunError::input(format!(
                        "`{name}`: `{text}` is not {found}"
                    )));
                }
            }
        }
        for require in &self.requires {
            let value = require.size.eval(&symbols);
            if value.is_some_and(|value| !require.relation.holds(value)) {
                return Err(RunError {
                    message: require.message.clone(),
                    place: require.place.clone(),
                    bad_input: true,
                });
            }
        }
        let table = self
            .dims
            .iter()
            .map(|size| size.eval(&symbols).unwrap_or(0));
        let table = table.collect();
        Ok(Bound { symbols, table })
    }

    /// The shape of a result of the call.
    ///
    /// # Errors
    /// A size below 0 or beyond `i64`.
    pub fn shape(&self, result: &Slot, bound: &Bound) -> Result<Vec<usize>, RunError> {
        let sizes = result.shape.iter().map(|size| {
            let value = self.value(size, &bound.symbols)?;
            let (name, text) = (&result.name, &size.text);
            usize::try_from(value).map_err(|_| {
                RunError::input(format!("`{name}`: the size `{text}` is {value}, below 0"))
            })
        });
        sizes.collect()
    }

    fn value(&self, size: &Size, symbols: &[Option<i64>]) -> Result<i64, RunError> {
        size.eval(symbols).ok_or_else(|| {
            RunError::input(format!(
                "`{}`: the size `{}` is too large, or divides by zero",
                self.name, size.text
            ))
        })
    }
}

impl std::fmt::Display for Slot {
    /// As a type of the language: `f32[N, 3]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: Vec<&str> = self.shape.iter().map(|s| s.text.as_str()).collect();
        write!(f, "{}[{}]", self.dtype, sizes.join(", "))
    }
}
