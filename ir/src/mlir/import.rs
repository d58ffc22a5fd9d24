//! Reading a module in the dialect, as [`super::export`] writes it or as MLIR's tools print it.
//!
//! The text is not trusted: nesting, memory and work are bounded, every error has a line and a column, and
//! what was read is verified.

use std::collections::HashMap;

use super::body::Bound;
use super::encode::Fields;
use super::functions;
use super::read::Reader;
use crate::module::{Function, Module};
use crate::text::ParseError;
use crate::verify::{Stage, is_legal, verify};
use crate::{Op, Sym, Type};

/// Reads a module and verifies it. Returns the first stage at which all its ops are legal.
///
/// # Errors
/// Text that is not MLIR, ops of other dialects, and IR that is not valid, each with its place.
pub fn import(source: &str) -> Result<(Module, Stage), ParseError> {
    let mut importer = Importer {
        reader: Reader::new(source),
        module: Module::default(),
        starts: HashMap::new(),
        stages: vec![Stage::Source, Stage::Fused, Stage::Loop],
        narrowed: "func.func",
        names: HashMap::new(),
        defined: Vec::new(),
    };
    importer.items(false)?;
    let (module, stage) = (importer.module, importer.stages[0]);
    match verify(&module, stage) {
        Ok(()) => Ok((module, stage)),
        Err(error) => {
            let start = importer.starts.get(&error.function).copied();
            let op = error.op.map(|op| format!(", at `{op}`"));
            let (function, op) = (error.function, op.unwrap_or_default());
            let message = format!("in @{function}{op}: {}", error.message);
            let cursor = &importer.reader.cursor;
            Err(cursor.error_at(start.unwrap_or_default(), message))
        }
    }
}

pub(super) struct Importer<'s> {
    pub(super) reader: Reader<'s>,
    module: Module,
    /// Where functions begin.
    starts: HashMap<Sym, usize>,
    /// Those at which all ops so far are legal; at least one.
    stages: Vec<Stage>,
    /// The last op that ruled a stage out.
    narrowed: &'static str,
    /// Values of the function by name, one for each result that the name stands for.
    pub(super) names: HashMap<&'s str, Vec<Bound>>,
    /// Names in scope, in order of definition.
    pub(super) defined: Vec<&'s str>,
}

impl<'s> Importer<'s> {
    /// What stands at the top, or within a module.
    fn items(&mut self, within: bool) -> Result<(), ParseError> {
        loop {
            match self.reader.cursor.peek() {
                None if !within => return Ok(()),
                Some('}') if within => return Ok(()),
                Some('#' | '!') => {
                    self.reader.alias_definition()?;
                    continue;
                }
                Some('^') if within => {
                    self.label(&mut Function::new(""))?;
                    continue;
                }
                _ => {}
            }
            let start = self.reader.cursor.at;
            let generic = self.reader.cursor.sees("\"");
            let name = match generic {
                true => self.reader.cursor.text()?,
                false => self.reader.cursor.word().unwrap_or_default().to_owned(),
            };
            match name.as_str() {
                "module" | "builtin.module" if !within => self.inner_module(generic)?,
                "func.func" if generic => self.generic_function(start)?,
                "func.func" | "func" => self.function(start)?,
                _ => {
                    let message = match within {
                        true => "expected a function: `func.func @name(...)`",
                        false => "expected `module` or `func.func`",
                    };
                    return Err(self.reader.cursor.error_at(start, message));
                }
            }
        }
    }

    fn inner_module(&mut self, generic: bool) -> Result<(), ParseError> {
        let mut ignored = Fields::default();
        if generic {
            self.reader.cursor.expect("(")?;
            self.reader.cursor.expect(")")?;
            self.properties(&mut ignored)?;
            self.reader.cursor.expect("(")?;
        } else {
            if self.reader.cursor.sees("@") {
                self.reader.cursor.symbol()?;
            }
            if self.reader.cursor.accept_word("attributes") {
                self.reader.fields(&mut ignored)?;
            }
        }
        self.reader.cursor.expect("{")?;
        self.items(true)?;
        self.reader.cursor.expect("}")?;
        if generic {
            self.reader.cursor.expect(")")?;
            if self.reader.cursor.sees("{") {
                self.reader.fields(&mut ignored)?;
            }
            self.reader.cursor.expect(":")?;
            self.reader.signature()?;
        }
        self.reader.loc().map(drop)
    }

    pub(super) fn properties(&mut self, fields: &mut Fields) -> Result<(), ParseError> {
        if self.reader.cursor.accept("<{") {
            self.reader.cursor.at -= 1;
            self.reader.fields(fields)?;
            self.reader.cursor.expect(">")?;
        }
        Ok(())
    }

    /// `func.func @name(...) -> (...) attributes {...} {...}`, behind the first word.
    fn function(&mut self, start: usize) -> Result<(), ParseError> {
        for visibility in ["private", "public", "nested"] {
            self.reader.cursor.accept_word(visibility);
        }
        let mut function = Function::new(self.reader.cursor.symbol()?.as_str());
        self.enter();
        let params = self.reader.list("(", ")", |r| {
            let name = r.cursor.name("%")?;
            r.cursor.expect(":")?;
            let (ty, fields) = described(r)?;
            r.loc()?;
            Ok((name, ty, fields))
        })?;
        for (at, (name, ty, fields)) in params.into_iter().enumerate() {
            self.param(&mut function, at, name, ty, fields)?;
        }
        let mut results = Vec::new();
        if self.reader.cursor.accept("->") {
            results = match self.reader.cursor.sees("(") {
                true => self.reader.list("(", ")", described)?,
                // Attributes need parentheses: a brace opens the body.
                false => {
                    let ty = self.reader.ty()?;
                    vec![(self.reader.one(ty)?, Fields::new(start))]
                }
            };
        }
        let mut fields = Fields::new(start);
        if self.reader.cursor.accept_word("attributes") {
            self.reader.fields(&mut fields)?;
        }
        let mut body = std::mem::take(&mut function.body);
        self.reader.cursor.expect("{")?;
        self.block(&mut function, &mut body, "func.return")?;
        function.body = body;
        let (types, names): (Vec<Type>, Vec<Fields>) = results.into_iter().unzip();
        function.loc = self.reader.loc()?;
        self.finish(start, function, fields, Some(types), names)
    }

    /// The same in generic syntax.
    fn generic_function(&mut self, start: usize) -> Result<(), ParseError> {
        self.reader.cursor.expect("(")?;
        self.reader.cursor.expect(")")?;
        let mut fields = Fields::new(start);
        self.properties(&mut fields)?;
        let misfit = |importer: &Self, e| importer.reader.cursor.misfit(e);
        let name: String = fields.take("sym_name").map_err(|e| misfit(self, e))?;
        fields
            .find::<super::Attr>("sym_visibility")
            .and_then(|_| fields.find::<super::Attr>("function_type"))
            .map_err(|e| misfit(self, e))?;
        let params = functions::lists(&mut fields, "arg_attrs").map_err(|e| misfit(self, e))?;
        let names = functions::lists(&mut fields, "res_attrs").map_err(|e| misfit(self, e))?;
        let mut function = Function::new(name.as_str());
        self.enter();
        self.reader.cursor.expect("(")?;
        self.reader.cursor.expect("{")?;
        let args = match self.reader.cursor.sees("^") {
            true => self.label_types()?,
            false => Vec::new(),
        };
        let mut params = params.into_iter();
        for (at, (name, ty)) in args.into_iter().enumerate() {
            let fields = params.next().unwrap_or_else(|| Fields::new(start));
            self.param(&mut function, at, name, ty, fields)?;
        }
        let mut body = std::mem::take(&mut function.body);
        self.block(&mut function, &mut body, "func.return")?;
        function.body = body;
        self.reader.cursor.expect(")")?;
        if self.reader.cursor.sees("{") {
            self.reader.fields(&mut fields)?;
        }
        self.reader.cursor.expect(":")?;
        self.reader.signature()?;
        function.loc = self.reader.loc()?;
        self.finish(start, function, fields, None, names)
    }

    /// Forgets the names of the function before.
    fn enter(&mut self) {
        self.names.clear();
        self.defined.clear();
    }

    fn param(
        &mut self,
        function: &mut Function,
        at: usize,
        name: &'s str,
        ty: Type,
        fields: Fields,
    ) -> Result<(), ParseError> {
        let (label, owned) =
            functions::take_param(fields, at).map_err(|e| self.reader.cursor.misfit(e))?;
        let value = function.add_param(label, ty, owned);
        self.bind(name, vec![Bound::One(value)])
    }

    fn finish(
        &mut self,
        start: usize,
        mut function: Function,
        mut fields: Fields,
        declared: Option<Vec<Type>>,
        names: Vec<Fields>,
    ) -> Result<(), ParseError> {
        let fail =
            |importer: &Self, message: String| Err(importer.reader.cursor.error_at(start, message));
        let name = function.name;
        functions::take_attributes(&mut fields, &mut function)
            .and_then(|()| fields.finish())
            .map_err(|e| self.reader.cursor.misfit(e))?;
        if declared.is_some_and(|types| types != function.result_types()) {
            return fail(
                self,
                format!("`@{name}` returns other types than it declares"),
            );
        }
        let mut names = names.into_iter();
        for at in 0..function.body.yields.len() {
            let fields = names.next().unwrap_or_else(|| Fields::new(start));
            let name =
                functions::take_result(fields, at).map_err(|e| self.reader.cursor.misfit(e))?;
            function.result_names.push(name);
        }
        if self.module.functions.contains_key(&name) {
            return fail(self, format!("`@{name}` is defined twice"));
        }
        self.starts.insert(name, start);
        self.module.insert(function);
        Ok(())
    }

    /// Rules out the stages at which an op is not legal.
    pub(super) fn narrow(&mut self, op: &Op, start: usize) -> Result<(), ParseError> {
        let legal = |stage: &Stage| is_legal(op, *stage);
        let left: Vec<Stage> = self.stages.iter().copied().filter(legal).collect();
        if left.is_empty() {
            let (before, name) = (self.narrowed, op.name());
            let message = format!("`{name}` and `{before}` are of different levels");
            return Err(self.reader.cursor.error_at(start, message));
        }
        if left.len() < self.stages.len() {
            self.narrowed = op.name();
        }
        self.stages = left;
        Ok(())
    }
}

/// A type with the attributes behind it.
fn described(reader: &mut Reader<'_>) -> Result<(Type, Fields), ParseError> {
    reader.cursor.space();
    let mut fields = Fields::new(reader.cursor.at);
    let ty = reader.ty()?;
    let ty = reader.one(ty)?;
    if reader.cursor.sees("{") {
        reader.fields(&mut fields)?;
    }
    Ok((ty, fields))
}
