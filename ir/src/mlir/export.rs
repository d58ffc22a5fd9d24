//! Writing a module in the dialect.
//!
//! Values are numbered in order of definition, per function. Ops stand in MLIR's generic syntax, functions
//! as `func.func`.

use std::collections::HashMap;
use std::fmt::Write;

use super::attr::{Attr, dictionary, quoted};
use super::types::{Shown, tuple};
use super::{DIALECT, PACK, YIELD, functions};
use crate::module::{Function, Loc, Module, OpNode, Region, Value};
use crate::ops::Slot;
use crate::{Op, PrintOptions, Type};

/// The text of a module.
pub fn export(module: &Module, options: PrintOptions) -> String {
    let mut out = String::from("module {\n");
    for function in module.functions.values() {
        let mut writer = Writer {
            function,
            options,
            names: HashMap::new(),
            count: 0,
            out,
        };
        writer.function();
        out = writer.out;
    }
    out.push_str("}\n");
    out
}

struct Writer<'a> {
    function: &'a Function,
    options: PrintOptions,
    names: HashMap<Value, String>,
    /// How many names were given.
    count: usize,
    out: String,
}

/// What stands at one place among operands or results: a value, or several of different types as one.
struct Place<'v> {
    values: &'v [Value],
    packed: bool,
}

impl Writer<'_> {
    fn function(&mut self) {
        let function = self.function;
        let mut params = Vec::new();
        for (at, &param) in function.params().iter().enumerate() {
            let name = self.define(&[param]);
            let ty = Shown(function.ty(param));
            params.push(format!(
                "{name}: {ty}{}",
                shown(&functions::param(function, at))
            ));
        }
        let results = function.body.yields.iter().enumerate().map(|(at, &value)| {
            let ty = Shown(function.ty(value));
            format!("{ty}{}", shown(&functions::result(function, at)))
        });
        let results: Vec<String> = results.collect();
        let attributes = functions::attributes(function, self.options);
        let attributes = match attributes.is_empty() {
            true => String::new(),
            false => format!(" attributes{}", shown(&attributes)),
        };
        let _ = writeln!(
            self.out,
            "  func.func {}({}) -> ({}){attributes} {{",
            super::types::symbol(function.name.as_str()),
            params.join(", "),
            results.join(", "),
        );
        self.ops(&function.body, 2);
        self.terminator("func.return", &function.body.yields, 2);
        let _ = writeln!(self.out, "  }}{}", self.loc(function.loc));
    }

    /// The names of values that one op defines; what stands before the `=`.
    fn define(&mut self, values: &[Value]) -> String {
        let name = self.fresh();
        if let [value] = values {
            self.names.insert(*value, name.clone());
            return name;
        }
        for (at, value) in values.iter().enumerate() {
            self.names.insert(*value, format!("{name}#{at}"));
        }
        format!("{name}:{}", values.len())
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("%{}", self.count - 1)
    }

    fn used(&self, values: &[Value]) -> String {
        let name = |value: &Value| match self.names.get(value) {
            Some(name) => name.clone(),
            // Ill-formed IR is written, too, for others to complain of.
            None => format!("%undefined{}", value.0),
        };
        values.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn types(&self, values: &[Value]) -> String {
        let shown = |value: &Value| Shown(self.function.ty(*value)).to_string();
        values.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    fn tuple(&self, values: &[Value]) -> String {
        let types: Vec<&Type> = values.iter().map(|&v| self.function.ty(v)).collect();
        tuple(&types)
    }

    /// Values by the places of a signature.
    fn places<'v>(&self, values: &'v [Value], slots: &[Slot]) -> Vec<Place<'v>> {
        let one = |value| Place {
            values: std::slice::from_ref(value),
            packed: false,
        };
        let before = slots.iter().take_while(|slot| !slot.many).count();
        let after = slots.len().saturating_sub(before + 1);
        if before == slots.len() || values.len() < before + after {
            return values.iter().map(one).collect();
        }
        let (first, rest) = values.split_at(before);
        let (many, last) = rest.split_at(rest.len() - after);
        let ty = |value: &Value| self.function.ty(*value);
        let alike = many.windows(2).all(|pair| ty(&pair[0]) == ty(&pair[1]));
        let many: Vec<Place<'v>> = match alike {
            true => many.iter().map(one).collect(),
            false => vec![Place {
                values: many,
                packed: true,
            }],
        };
        let outer = |values: &'v [Value]| values.iter().map(one);
        outer(first).chain(many).chain(outer(last)).collect()
    }

    fn ops(&mut self, region: &Region, depth: usize) {
        for node in &region.ops {
            self.node(node, depth);
        }
    }

    fn node(&mut self, node: &OpNode, depth: usize) {
        let signature = node.op.row().signature();
        let loc = self.loc(node.loc);
        let (mut operands, mut operand_types) = (Vec::new(), Vec::new());
        for place in self.places(&node.operands, signature.operands) {
            let (names, types) = (self.used(place.values), self.types(place.values));
            if !place.packed {
                operands.push(names);
                operand_types.push(types);
                continue;
            }
            let (pack, ty) = (self.fresh(), self.tuple(place.values));
            self.line(
                depth,
                &format!("{pack} = \"{PACK}\"({names}) : ({types}) -> {ty}{loc}"),
            );
            operands.push(pack);
            operand_types.push(ty);
        }
        let (results, result_types, unpack) = self.results(node, signature.results);
        let attributes = self.attributes(&node.op);
        indent(&mut self.out, depth);
        let _ = write!(
            self.out,
            "{results}\"{DIALECT}.{}\"({})",
            node.op.name(),
            operands.join(", ")
        );
        self.regions(node, depth);
        let _ = writeln!(
            self.out,
            "{attributes} : ({}) -> {result_types}{loc}",
            operand_types.join(", ")
        );
        if let Some(unpack) = unpack {
            self.line(depth, &format!("{unpack}{loc}"));
        }
    }

    /// What stands before an op for its results, their types, and what takes a tuple apart.
    fn results(&mut self, node: &OpNode, slots: &[Slot]) -> (String, String, Option<String>) {
        let results = node.results.as_slice();
        let packed = self.places(results, slots).iter().any(|place| place.packed);
        if results.is_empty() {
            return (String::new(), "()".into(), None);
        }
        if !packed {
            let (names, types) = (self.define(results), self.types(results));
            let types = match results {
                [_] => types,
                _ => format!("({types})"),
            };
            return (format!("{names} = "), types, None);
        }
        let (pack, ty) = (self.fresh(), self.tuple(results));
        let names = self.define(results);
        let types = self.types(results);
        let unpack = format!("{names} = \"{PACK}\"({pack}) : ({ty}) -> ({types})");
        (format!("{pack} = "), ty, Some(unpack))
    }

    fn attributes(&self, op: &Op) -> String {
        let named_by_kind = op.row().names().len() > 1;
        // All maps of a contraction range over its whole space.
        let indices = if let Op::Contract { space, .. } = op {
            space.len()
        } else {
            0
        };
        let mut entries = Vec::new();
        op.for_each_attribute(|name, value| {
            if !(named_by_kind && name == "kind") {
                let mut attr = value.encode();
                attr.widen(indices);
                entries.push((name.to_owned(), attr));
            }
        });
        shown(&entries)
    }

    fn regions(&mut self, node: &OpNode, depth: usize) {
        for (at, region) in node.regions.iter().enumerate() {
            self.out.push_str(if at == 0 { " ({\n" } else { ", {\n" });
            if !region.args.is_empty() {
                let args = region.args.iter().map(|&arg| {
                    let name = self.define(&[arg]);
                    format!("{name}: {}", Shown(self.function.ty(arg)))
                });
                let args: Vec<String> = args.collect();
                self.line(depth, &format!("^bb0({}):", args.join(", ")));
            }
            self.ops(region, depth + 1);
            self.terminator(YIELD, &region.yields, depth + 1);
            indent(&mut self.out, depth);
            self.out.push('}');
        }
        if !node.regions.is_empty() {
            self.out.push(')');
        }
    }

    fn terminator(&mut self, name: &str, values: &[Value], depth: usize) {
        let (names, types) = (self.used(values), self.types(values));
        self.line(depth, &format!("\"{name}\"({names}) : ({types}) -> ()"));
    }

    fn line(&mut self, depth: usize, text: &str) {
        indent(&mut self.out, depth);
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Where locations are shown, unknown ones are, too: MLIR makes up places in its own text for others.
    fn loc(&self, loc: Option<Loc>) -> String {
        match loc {
            _ if !self.options.locations => String::new(),
            None => " loc(unknown)".to_owned(),
            Some(Loc { file, line, column }) => {
                format!(" loc({}:{line}:{column})", quoted(file.as_str()))
            }
        }
    }
}

/// Attributes with a space before them, or nothing.
fn shown(entries: &[(String, Attr)]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut out = String::from(" ");
    // Writing to a string cannot fail.
    let _ = dictionary(&mut out, entries);
    out
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}
