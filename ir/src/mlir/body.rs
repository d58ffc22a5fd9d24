//! Reading the blocks of functions: regions, ops, and what makes one of several values.

use super::encode::Fields;
use super::import::Importer;
use super::read::Ty;
use super::types::tuple;
use super::{DIALECT, PACK, YIELD};
use crate::module::{Function, OpNode, Region, Value};
use crate::ops::RegionTypes;
use crate::text::ParseError;
use crate::{Op, Type};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    One(Value),
    /// Several values as one.
    Pack(Vec<Value>),
}

impl Bound {
    fn values(&self) -> &[Value] {
        match self {
            Bound::One(value) => std::slice::from_ref(value),
            Bound::Pack(values) => values,
        }
    }
}

impl<'s> Importer<'s> {
    fn error<T>(&mut self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(self.reader.cursor.error(message))
    }

    pub(super) fn bind(&mut self, name: &'s str, bound: Vec<Bound>) -> Result<(), ParseError> {
        if self.names.insert(name, bound).is_some() {
            return self.error(format!("`{name}` is defined twice"));
        }
        self.defined.push(name);
        Ok(())
    }

    /// `^bb0(%a: f32, %b: i64):`
    pub(super) fn label_types(&mut self) -> Result<Vec<(&'s str, Type)>, ParseError> {
        self.reader.cursor.name("^")?;
        let mut args = Vec::new();
        if self.reader.cursor.sees("(") {
            args = self.reader.list("(", ")", |r| {
                let name = r.cursor.name("%")?;
                r.cursor.expect(":")?;
                let ty = r.ty()?;
                let ty = r.one(ty)?;
                r.loc()?;
                Ok((name, ty))
            })?;
        }
        self.reader.cursor.expect(":")?;
        Ok(args)
    }

    pub(super) fn label(&mut self, function: &mut Function) -> Result<Vec<Value>, ParseError> {
        let mut values = Vec::new();
        for (name, ty) in self.label_types()? {
            let value = function.new_value(ty);
            self.bind(name, vec![Bound::One(value)])?;
            values.push(value);
        }
        Ok(values)
    }

    fn region(&mut self, function: &mut Function) -> Result<Region, ParseError> {
        let outer = self.defined.len();
        let mut region = Region::default();
        self.reader.cursor.expect("{")?;
        if self.reader.cursor.sees("^") {
            region.args = self.label(function)?;
        }
        self.block(function, &mut region, YIELD)?;
        for name in self.defined.drain(outer..) {
            self.names.remove(name);
        }
        Ok(region)
    }

    /// Statements up to and with the terminator and the closing brace.
    pub(super) fn block(
        &mut self,
        function: &mut Function,
        region: &mut Region,
        terminator: &str,
    ) -> Result<(), ParseError> {
        loop {
            if self.reader.cursor.sees("}") {
                return self.error(format!("expected `{terminator}` at the end of the block"));
            }
            let names = self.result_names()?;
            self.reader.cursor.space();
            let start = self.reader.cursor.at;
            let generic = self.reader.cursor.sees("\"");
            let name = match generic {
                true => self.reader.cursor.text()?,
                false => {
                    let word = self.reader.cursor.word().unwrap_or_default();
                    match word {
                        "return" => "func.return".to_owned(),
                        "unrealized_conversion_cast" => PACK.to_owned(),
                        word => word.to_owned(),
                    }
                }
            };
            if name == terminator && names.is_empty() {
                region.yields = self.terminator(function, generic, start)?;
                if self.reader.cursor.sees("^") {
                    return self.error("regions have one block");
                }
                return self.reader.cursor.expect("}");
            }
            if name == PACK {
                self.pack(function, names, generic, start)?;
                continue;
            }
            let own = name.strip_prefix(DIALECT).and_then(|n| n.strip_prefix('.'));
            match own {
                Some(own) if generic => {
                    let node = self.node(function, own, names, start)?;
                    region.ops.push(node);
                }
                _ => {
                    let message = match name.as_str() {
                        "" => "expected an op".to_owned(),
                        name => format!(
                            "unknown op `{name}`: ops of the dialect are written as `\"{DIALECT}.name\"(...)`, and this block ends with `{terminator}`"
                        ),
                    };
                    return Err(self.reader.cursor.error_at(start, message));
                }
            }
        }
    }

    /// `%0, %1:2 =`
    fn result_names(&mut self) -> Result<Vec<(&'s str, usize)>, ParseError> {
        let mut names = Vec::new();
        while self.reader.cursor.sees("%") {
            let name = self.reader.cursor.name("%")?;
            let count = match self.reader.cursor.accept(":") {
                true => self.reader.cursor.number()?,
                false => 1,
            };
            names.push((name, count));
            if !self.reader.cursor.accept(",") {
                self.reader.cursor.expect("=")?;
                break;
            }
        }
        Ok(names)
    }

    fn operand(&mut self) -> Result<Bound, ParseError> {
        self.reader.cursor.space();
        let start = self.reader.cursor.at;
        let name = self.reader.cursor.name("%")?;
        let at = match self.reader.cursor.accept("#") {
            true => self.reader.cursor.number()?,
            false => 0usize,
        };
        let bound = self
            .names
            .get(name)
            .and_then(|bound| bound.get(at))
            .cloned();
        let Some(bound) = bound else {
            let message = format!("`{name}` is not defined");
            return Err(self.reader.cursor.error_at(start, message));
        };
        self.reader.cursor.charge(bound.values().len())?;
        Ok(bound)
    }

    fn operands(&mut self, close: &str) -> Result<Vec<Bound>, ParseError> {
        let mut operands = Vec::new();
        while self.reader.cursor.sees("%") {
            operands.push(self.operand()?);
            if !self.reader.cursor.accept(",") {
                break;
            }
        }
        self.reader.cursor.expect(close)?;
        Ok(operands)
    }

    fn terminator(
        &mut self,
        function: &Function,
        generic: bool,
        start: usize,
    ) -> Result<Vec<Value>, ParseError> {
        let mut ignored = Fields::default();
        let (operands, types) = if generic {
            self.reader.cursor.expect("(")?;
            let operands = self.operands(")")?;
            if self.reader.cursor.sees("{") {
                self.reader.fields(&mut ignored)?;
            }
            self.reader.cursor.expect(":")?;
            (operands, self.reader.signature()?.0)
        } else if self.reader.cursor.sees("%") {
            let operands = self.operands(":")?;
            (operands, self.types()?)
        } else {
            (Vec::new(), Vec::new())
        };
        self.reader.loc()?;
        self.same_types(function, &operands, &types, start)?;
        Ok(flat(&operands))
    }

    /// Types separated by commas.
    fn types(&mut self) -> Result<Vec<Ty>, ParseError> {
        let mut types = vec![self.reader.ty()?];
        while self.reader.cursor.accept(",") {
            types.push(self.reader.ty()?);
        }
        Ok(types)
    }

    /// What makes one of several values, or several of one.
    fn pack(
        &mut self,
        function: &Function,
        names: Vec<(&'s str, usize)>,
        generic: bool,
        start: usize,
    ) -> Result<(), ParseError> {
        let (operands, types, results) = if generic {
            self.reader.cursor.expect("(")?;
            let operands = self.operands(")")?;
            self.reader.cursor.expect(":")?;
            let (types, results) = self.reader.signature()?;
            (operands, types, results)
        } else {
            let (mut operands, mut types) = (Vec::new(), Vec::new());
            if self.reader.cursor.sees("%") {
                operands = self.operands(":")?;
                types = self.types()?;
            }
            self.reader.cursor.expect_word("to")?;
            (operands, types, self.types()?)
        };
        self.reader.loc()?;
        self.same_types(function, &operands, &types, start)?;
        let values = flat(&operands);
        let count: usize = results.iter().map(|ty| types_of(ty).len()).sum();
        let wanted = results.iter().flat_map(types_of);
        let same = values
            .iter()
            .zip(wanted)
            .all(|(v, ty)| function.ty(*v) == ty);
        if count != values.len() || !same {
            let message = format!("`{PACK}` makes tuples of values and values of tuples only");
            return Err(self.reader.cursor.error_at(start, message));
        }
        self.bind_results(names, &results, &values, start)
    }

    fn same_types(
        &mut self,
        function: &Function,
        operands: &[Bound],
        types: &[Ty],
        start: usize,
    ) -> Result<(), ParseError> {
        let counts = (operands.len(), types.len());
        if counts.0 != counts.1 {
            let message = format!("{} operands, but types of {}", counts.0, counts.1);
            return Err(self.reader.cursor.error_at(start, message));
        }
        for (operand, ty) in operands.iter().zip(types) {
            let types: Vec<&Type> = operand.values().iter().map(|v| function.ty(*v)).collect();
            let kind = matches!(operand, Bound::One(_)) == matches!(ty, Ty::One(_));
            if !kind || !types.iter().copied().eq(types_of(ty)) {
                let shown = |types: &[&Type]| tuple(types);
                let (is, wanted) = (
                    shown(&types),
                    shown(&types_of(ty).iter().collect::<Vec<_>>()),
                );
                let message = format!("an operand is of `{is}`, not of `{wanted}`");
                return Err(self.reader.cursor.error_at(start, message));
            }
        }
        Ok(())
    }

    /// Binds the names of results, each of which is a value or a tuple.
    fn bind_results(
        &mut self,
        names: Vec<(&'s str, usize)>,
        results: &[Ty],
        values: &[Value],
        start: usize,
    ) -> Result<(), ParseError> {
        let mut values = values.iter().copied();
        let mut bounds = results.iter().map(|ty| match ty {
            Ty::One(_) => values.next().map(Bound::One),
            Ty::Tuple(types) => Some(Bound::Pack(values.by_ref().take(types.len()).collect())),
        });
        let named = names
            .iter()
            .try_fold(0usize, |sum, name| sum.checked_add(name.1));
        // An op may leave its results without names.
        if named != Some(results.len()) && !names.is_empty() {
            let message = format!("the names are not for {} results", results.len());
            return Err(self.reader.cursor.error_at(start, message));
        }
        for (name, count) in names {
            let bound = bounds.by_ref().take(count).flatten().collect();
            self.bind(name, bound)?;
        }
        Ok(())
    }

    /// An op of the dialect, behind its name.
    fn node(
        &mut self,
        function: &mut Function,
        name: &str,
        names: Vec<(&'s str, usize)>,
        start: usize,
    ) -> Result<OpNode, ParseError> {
        self.reader.cursor.expect("(")?;
        let operands = self.operands(")")?;
        if self.reader.cursor.sees("[") {
            return self.error("ops of the dialect have no successors");
        }
        let mut fields = Fields::new(start);
        self.properties(&mut fields)?;
        let mut regions = Vec::new();
        if self.reader.cursor.accept("(") {
            loop {
                self.reader.cursor.deeper()?;
                let region = self.region(function);
                self.reader.cursor.shallower();
                regions.push(region?);
                if !self.reader.cursor.accept(",") {
                    break;
                }
            }
            self.reader.cursor.expect(")")?;
        }
        if self.reader.cursor.sees("{") {
            self.reader.fields(&mut fields)?;
        }
        self.reader.cursor.expect(":")?;
        let (types, result_types) = self.reader.signature()?;
        let loc = self.reader.loc()?;
        self.same_types(function, &operands, &types, start)?;
        let op = match Op::named_by_kind(name) {
            Some(op) => Some(op),
            None => Op::decode(name, &mut fields).map_err(|e| self.reader.cursor.misfit(e))?,
        };
        let Some(op) = op else {
            let message = format!("unknown op `{DIALECT}.{name}`");
            return Err(self.reader.cursor.error_at(start, message));
        };
        fields.finish().map_err(|e| self.reader.cursor.misfit(e))?;
        self.narrow(&op, start)?;
        let results: Vec<Type> = result_types.iter().flat_map(types_of).cloned().collect();
        let operands = flat(&operands);
        self.follows_rule(function, &op, &operands, &regions, &results, start)?;
        let results: Vec<Value> = results
            .into_iter()
            .map(|ty| function.new_value(ty))
            .collect();
        self.bind_results(names, &result_types, &results, start)?;
        Ok(OpNode {
            op,
            operands,
            results,
            regions,
            loc,
        })
    }

    /// The type rule, here where its place is known.
    fn follows_rule(
        &mut self,
        function: &Function,
        op: &Op,
        operands: &[Value],
        regions: &[Region],
        results: &[Type],
        start: usize,
    ) -> Result<(), ParseError> {
        let operands: Vec<Type> = operands.iter().map(|v| function.ty(*v).clone()).collect();
        let rims: Vec<RegionTypes> = regions.iter().map(|r| function.region_types(r)).collect();
        let problem = match op.infer(&operands, &rims) {
            Ok(inferred) if inferred == results => return Ok(()),
            Ok(inferred) => {
                let shown = |types: &[Type]| tuple(&types.iter().collect::<Vec<_>>());
                format!(
                    "has results `{}`, not `{}`",
                    shown(&inferred),
                    shown(results)
                )
            }
            Err(problem) => problem,
        };
        let message = format!("`{DIALECT}.{}`: {problem}", op.name());
        Err(self.reader.cursor.error_at(start, message))
    }
}

fn types_of(ty: &Ty) -> &[Type] {
    match ty {
        Ty::One(ty) => std::slice::from_ref(ty),
        Ty::Tuple(types) => types,
    }
}

fn flat(bounds: &[Bound]) -> Vec<Value> {
    bounds.iter().flat_map(Bound::values).copied().collect()
}
