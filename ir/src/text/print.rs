//! Printing. Values are renumbered in order of definition, so equal programs print alike.

use std::collections::HashMap;
use std::fmt::{self, Display, Write};

use super::Attribute;
use crate::module::{Function, Loc, Module, OpNode, Region, Value};
use crate::{Relation, Sym};

/// What the text shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrintOptions {
    /// Source locations behind every op.
    pub locations: bool,
}

/// The text of a module.
pub fn print_module(module: &Module, options: PrintOptions) -> String {
    let functions: Vec<String> = module
        .functions
        .values()
        .map(|f| print_function(f, options))
        .collect();
    functions.join("\n")
}

/// The text of one function.
pub fn print_function(function: &Function, options: PrintOptions) -> String {
    let mut printer = Printer {
        function,
        options,
        names: HashMap::new(),
        out: String::new(),
    };
    // Writing to a string cannot fail.
    let _ = printer.function();
    printer.out
}

impl Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print_module(self, PrintOptions::default()))
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print_function(self, PrintOptions::default()))
    }
}

struct Printer<'a> {
    function: &'a Function,
    options: PrintOptions,
    names: HashMap<Value, usize>,
    out: String,
}

/// An attribute as a `Display`.
struct Shown<'a>(&'a dyn Attribute);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f)
    }
}

impl Printer<'_> {
    fn function(&mut self) -> fmt::Result {
        let function = self.function;
        write!(self.out, "func {}(", Shown(&function.name))?;
        for (i, (&value, name)) in function
            .params()
            .iter()
            .zip(&function.param_names)
            .enumerate()
        {
            let own = if function.owned[i] { "own " } else { "" };
            let comma = if i == 0 { "" } else { ", " };
            write!(self.out, "{comma}{own}{} ", Shown(name))?;
            self.define(value)?;
        }
        self.out.push_str(") -> (");
        for (i, (value, name)) in function
            .body
            .yields
            .iter()
            .zip(&function.result_names)
            .enumerate()
        {
            let comma = if i == 0 { "" } else { ", " };
            write!(self.out, "{comma}{}: {}", Shown(name), function.ty(*value))?;
        }
        self.out.push(')');
        if let Some(library) = &function.library {
            write!(self.out, " library {} {{", Shown(&library.symbol))?;
            for (i, (name, value)) in library.attributes.iter().enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                write!(self.out, "{comma}{} = {}", Shown(name), Shown(value))?;
            }
            self.out.push('}');
        }
        for require in &function.requires {
            let relation = relation_text(require.relation);
            let message = Shown(&require.message);
            write!(
                self.out,
                "\n  require {} {relation} 0 {message}",
                require.dim
            )?;
            self.loc(require.loc)?;
        }
        self.loc(function.loc)?;
        self.out.push_str(" {\n");
        self.ops(&function.body, 1)?;
        self.terminator("return", &function.body.yields, 1)?;
        self.out.push_str("}\n");
        Ok(())
    }

    fn define(&mut self, value: Value) -> fmt::Result {
        let name = self.names.len();
        self.names.insert(value, name);
        write!(self.out, "%{name}: {}", self.function.ty(value))
    }

    fn use_value(&mut self, value: Value) -> fmt::Result {
        match self.names.get(&value) {
            Some(name) => write!(self.out, "%{name}"),
            // Ill-formed IR still prints, so that the verifier's message can show it.
            None => write!(self.out, "%undefined{}", value.0),
        }
    }

    fn ops(&mut self, region: &Region, depth: usize) -> fmt::Result {
        region
            .ops
            .iter()
            .try_for_each(|node| self.node(node, depth))
    }

    fn node(&mut self, node: &OpNode, depth: usize) -> fmt::Result {
        indent(&mut self.out, depth);
        for (i, &result) in node.results.iter().enumerate() {
            self.out.push_str(if i == 0 { "" } else { ", " });
            self.define(result)?;
        }
        if !node.results.is_empty() {
            self.out.push_str(" = ");
        }
        self.out.push_str(node.op.name());
        for (i, &operand) in node.operands.iter().enumerate() {
            self.out.push_str(if i == 0 { " " } else { ", " });
            self.use_value(operand)?;
        }
        self.attributes(node)?;
        self.loc(node.loc)?;
        for region in &node.regions {
            self.out.push_str(" (");
            for (i, &arg) in region.args.iter().enumerate() {
                self.out.push_str(if i == 0 { "" } else { ", " });
                self.define(arg)?;
            }
            self.out.push_str(") {\n");
            self.ops(region, depth + 1)?;
            self.terminator("yield", &region.yields, depth + 1)?;
            indent(&mut self.out, depth);
            self.out.push('}');
        }
        self.out.push('\n');
        Ok(())
    }

    fn attributes(&mut self, node: &OpNode) -> fmt::Result {
        let named_by_kind = node.op.name() != node.op.info().mnemonic;
        let mut text = String::new();
        node.op.for_each_attribute(|name, value| {
            if !(named_by_kind && name == "kind") {
                let comma = if text.is_empty() { "" } else { ", " };
                let _ = write!(text, "{comma}{name} = {}", Shown(value));
            }
        });
        if text.is_empty() {
            Ok(())
        } else {
            write!(self.out, " {{{text}}}")
        }
    }

    fn terminator(&mut self, word: &str, values: &[Value], depth: usize) -> fmt::Result {
        indent(&mut self.out, depth);
        self.out.push_str(word);
        for (i, &value) in values.iter().enumerate() {
            self.out.push_str(if i == 0 { " " } else { ", " });
            self.use_value(value)?;
        }
        self.out.push('\n');
        Ok(())
    }

    fn loc(&mut self, loc: Option<Loc>) -> fmt::Result {
        match loc {
            Some(loc) if self.options.locations => {
                let Loc { file, line, column } = loc;
                write!(
                    self.out,
                    " loc({}:{line}:{column})",
                    Shown(&file.as_str().to_owned())
                )
            }
            _ => Ok(()),
        }
    }
}

/// The comparison with zero that stands for a relation.
pub fn relation_text(relation: Relation) -> &'static str {
    match relation {
        Relation::Zero => "==",
        Relation::NonZero => "!=",
        Relation::NonNegative => ">=",
    }
}

/// Whether a name can stand without quotes.
pub fn is_plain(name: Sym) -> bool {
    let text = name.as_str();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(word)
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}
