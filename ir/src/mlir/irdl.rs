//! The declaration of the dialect in IRDL, derived from the op table.
//!
//! IRDL holds a constraint that two places share to be the same type or attribute at both. So every place
//! has a constraint of its own, except operands and results that are of one type.

use std::fmt::Write;

use super::attr::Attr;
use super::types::element;
use super::{ACCESS, DIALECT, DIMS};
use crate::ops::{Class, Row, Slot};
use crate::{DType, Type};

/// Which attributes or types may stand in a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    Any,
    /// Any of this name in MLIR's builtin dialect.
    Base(&'static str),
    /// Any of this builtin type.
    BaseType(&'static str),
    /// An attribute that the dialect declares.
    Declared(&'static str),
    Is(Attr),
    AnyOf(Vec<Schema>),
}

/// The text of the module that declares the dialect.
pub fn declaration() -> String {
    let mut out = format!("irdl.dialect @{DIALECT} {{\n");
    let array = Schema::Base("array");
    attribute(
        &mut out,
        DIMS,
        "The dimensions that a type shows as `?`: texts, or numbers below 0.",
        &[("dims", array.clone())],
    );
    attribute(
        &mut out,
        ACCESS,
        "An affine map, and the dimension that each of its symbols stands for.",
        &[("map", Schema::Base("affine_map")), ("symbols", array)],
    );
    for row in Row::ALL {
        for name in row.names() {
            operation(&mut out, *row, name);
        }
    }
    out.push_str("}\n");
    out
}

fn attribute(out: &mut String, name: &str, doc: &str, params: &[(&str, Schema)]) {
    let _ = writeln!(out, "  // {doc}\n  irdl.attribute @{name} {{");
    let mut writer = Writer::new(out);
    let params: Vec<String> = params
        .iter()
        .map(|(name, schema)| format!("{name}: {}", writer.constraint(schema)))
        .collect();
    writer.line(&format!("irdl.parameters({})", params.join(", ")));
    out.push_str("  }\n");
}

fn operation(out: &mut String, row: Row, name: &str) {
    for line in row.info().doc.lines() {
        let _ = writeln!(out, "  //{line}");
    }
    let _ = writeln!(out, "  irdl.operation @{name} {{");
    let mut writer = Writer::new(out);
    let signature = row.signature();
    writer.slots("operands", signature.operands);
    writer.slots("results", signature.results);
    let attributes: Vec<String> = row
        .schemas()
        .iter()
        .filter(|(attribute, _)| row.names().len() == 1 || *attribute != "kind")
        .map(|(attribute, schema)| format!("\"{attribute}\" = {}", writer.constraint(schema)))
        .collect();
    if !attributes.is_empty() {
        writer.line(&format!("irdl.attributes {{{}}}", attributes.join(", ")));
    }
    let regions: Vec<String> = signature
        .regions
        .iter()
        .map(|region| format!("{region}: {}", writer.value("irdl.region with size 1")))
        .collect();
    if !regions.is_empty() {
        writer.line(&format!("irdl.regions({})", regions.join(", ")));
    }
    out.push_str("  }\n");
}

/// The body of a definition while it is written.
struct Writer<'o> {
    out: &'o mut String,
    values: usize,
    /// The constraint of all operands and results of one type.
    same: Option<String>,
}

impl Writer<'_> {
    fn new(out: &mut String) -> Writer<'_> {
        Writer {
            out,
            values: 0,
            same: None,
        }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "    {text}");
    }

    fn value(&mut self, text: &str) -> String {
        let name = format!("%{}", self.values);
        self.values += 1;
        self.line(&format!("{name} = {text}"));
        name
    }

    fn constraint(&mut self, schema: &Schema) -> String {
        match schema {
            Schema::Any => self.value("irdl.any"),
            Schema::Base(name) => self.value(&format!("irdl.base \"#builtin.{name}\"")),
            Schema::BaseType(name) => self.value(&format!("irdl.base \"!builtin.{name}\"")),
            Schema::Declared(name) => self.value(&format!("irdl.base @{DIALECT}::@{name}")),
            Schema::Is(attr) => self.value(&format!("irdl.is {attr}")),
            Schema::AnyOf(choices) => {
                let choices: Vec<String> = choices
                    .iter()
                    .map(|choice| self.constraint(choice))
                    .collect();
                self.value(&format!("irdl.any_of({})", choices.join(", ")))
            }
        }
    }

    fn slots(&mut self, what: &str, slots: &[Slot]) {
        let mut texts = Vec::new();
        for slot in slots {
            let constraint = self.class(slot);
            let many = if slot.many { "variadic " } else { "" };
            texts.push(format!("{}: {many}{constraint}", slot.name));
        }
        if !texts.is_empty() {
            self.line(&format!("irdl.{what}({})", texts.join(", ")));
        }
    }

    fn class(&mut self, slot: &Slot) -> String {
        let scalar = |dtype: DType| Schema::Is(Attr::Type(Type::scalar(dtype)));
        let mut tensor: Vec<Schema> = DType::ALL.into_iter().map(scalar).collect();
        tensor.extend(["tensor", "vector"].map(Schema::BaseType));
        if slot.many {
            // Several values of different types stand as one.
            tensor.push(Schema::BaseType("tuple"));
        }
        let tensor = Schema::AnyOf(tensor);
        match slot.class {
            Class::Tensor => self.constraint(&tensor),
            Class::Same => match self.same.clone() {
                Some(same) => same,
                None => {
                    let same = self.constraint(&tensor);
                    self.same = Some(same.clone());
                    same
                }
            },
            Class::Index => self.constraint(&scalar(DType::I64)),
            Class::Flag => self.value(&format!("irdl.is {}", element(DType::Bool))),
            Class::Buffer => self.constraint(&Schema::BaseType("memref")),
            Class::Any => self.constraint(&Schema::Any),
        }
    }
}
