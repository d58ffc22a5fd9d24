//! What chooses: `fuse`, `layout`, `cost` and `derivative`, from the tree to the data that passes follow.

use aiai_ir::ops::Row;
use aiai_ir::policy::{
    COST_PARAMS, CostChoice, Derivative, FUSE_SIZES, FuseChoice, LAYOUT_CLASSES, LAYOUT_PARTS,
    LAYOUT_SIZES, LayoutChoice, LayoutForm, OpClass, Policies,
};
use aiai_ir::schedule::Part;
use aiai_ir::{BinaryKind, DType, Dim, Function, Instance, Op, Relation, Sym, Type, UnaryKind};

use super::context::Env;
use super::program::Program;
use super::rules::instance_env;
use super::schedules::listed;
use super::value::GArg;
use super::{Elaborator, FnInfo};
use crate::ast::{self, Ident, Item};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::suggest::nearest;

/// Dimensions of the tensors that a derivative is made for, at most.
const MOST_AXES: usize = 8;

impl Program {
    /// What the program's own files choose, in the order of the text.
    pub fn policies(&self) -> Result<Policies, Diagnostics> {
        let mut all = Policies::default();
        if !self.own_files().any(|file| file.items.iter().any(chooses)) {
            return Ok(all);
        }
        let found = self.elaborated(|e| {
            for file in self.own_files() {
                let mut more = e.policies_of(&file.items);
                all.fuse.append(&mut more.fuse);
                all.layouts.append(&mut more.layouts);
                all.costs.append(&mut more.costs);
                all.derivatives.append(&mut more.derivatives);
            }
            all.module = std::mem::take(&mut e.module);
        });
        match found.is_empty() {
            true => Ok(all),
            false => Err(found),
        }
    }
}

fn chooses(item: &Item) -> bool {
    matches!(
        item,
        Item::Fuse(_) | Item::Layout(_) | Item::Cost(_) | Item::Derivative(_)
    )
}

impl<'p> Elaborator<'p> {
    /// What a file chooses; those with findings are left out.
    pub(crate) fn policies_of(&mut self, items: &'p [Item]) -> Policies {
        let mut all = Policies::default();
        for item in items {
            match item {
                Item::Fuse(def) => all.fuse.extend(self.fuse_choice(def)),
                Item::Layout(def) => all.layouts.extend(self.layout_choice(def)),
                Item::Cost(def) => all.costs.extend(self.cost_choice(def)),
                Item::Derivative(def) => all.derivatives.extend(self.derivative(def)),
                Item::Use(_)
                | Item::Module(_)
                | Item::Fn(_)
                | Item::Rule(_)
                | Item::Rules(_)
                | Item::Schedule(_)
                | Item::Test(_)
                | Item::Prop(_)
                | Item::Bench(_) => {}
            }
        }
        all
    }

    fn fuse_choice(&mut self, def: &ast::Fuse) -> Option<FuseChoice> {
        let (producer, consumer) = (self.class(def.producer), self.class(def.consumer));
        let guard = self.guard_over(FUSE_SIZES, &def.constraints)?;
        Some(FuseChoice {
            producer: producer?,
            consumer: consumer?,
            guard,
            doc: def.doc.text(),
            loc: Some(self.sources.loc(def.producer.span)),
        })
    }

    fn layout_choice(&mut self, def: &ast::Layout) -> Option<LayoutChoice> {
        let op = self.class(def.op)?;
        if !LAYOUT_CLASSES.contains(&op) {
            let names: Vec<&str> = LAYOUT_CLASSES.iter().map(|class| class.name()).collect();
            self.unknown_choice(
                "class of operations with operands in panels",
                def.op,
                &names,
            );
            return None;
        }
        let guard = self.guard_over(LAYOUT_SIZES, &def.constraints)?;
        let mut choices: Vec<(Part, LayoutForm)> = Vec::new();
        for choice in &def.choices {
            let name = choice.part.name.as_str();
            let part = Part::from_name(name).filter(|_| LAYOUT_PARTS.contains(&name));
            let Some(part) = part else {
                self.unknown_choice("part", choice.part, LAYOUT_PARTS);
                return None;
            };
            if choices.iter().any(|known| known.0 == part) {
                let message = format!("`{}` is chosen twice", choice.part.name);
                self.report(Diagnostic::new("E0202", choice.part.span, message));
                return None;
            }
            choices.push((part, self.form(choice)?));
        }
        Some(LayoutChoice {
            op,
            guard,
            choices,
            doc: def.doc.text(),
            loc: Some(self.sources.loc(def.op.span)),
        })
    }

    fn form(&mut self, choice: &ast::Choice) -> Option<LayoutForm> {
        match (choice.form.name.as_str(), choice.sizes.as_slice()) {
            ("plain", []) => Some(LayoutForm::Plain),
            ("blocked", [size]) if (1..=1 << 16).contains(&size.value) => {
                Some(LayoutForm::Blocked(size.value as i64))
            }
            ("plain" | "blocked", _) => {
                let message = format!("`{}` with other numbers than it takes", choice.form.name);
                let diagnostic = Diagnostic::new("E0121", choice.span, message);
                self.report(
                    diagnostic.help("write `plain`, or `blocked(n)` with n from 1 to 65536"),
                );
                None
            }
            _ => {
                self.unknown_choice("layout", choice.form, &["plain", "blocked"]);
                None
            }
        }
    }

    fn class(&mut self, name: Ident) -> Option<OpClass> {
        let found = OpClass::from_name(name.name.as_str());
        if found.is_none() {
            let names: Vec<&str> = OpClass::ALL.iter().map(|class| class.name()).collect();
            self.unknown_choice("class of operations", name, &names);
        }
        found
    }

    fn unknown_choice(&mut self, kind: &str, name: Ident, known: &[&str]) {
        let message = format!("unknown {kind} `{}`", name.name);
        let help = match nearest(name.name.as_str(), known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", listed(known)),
        };
        self.report(Diagnostic::new("E0708", name.span, message).help(help));
    }

    /// A guard over sizes of given names; reported where it cannot hold.
    fn guard_over(
        &mut self,
        sizes: &[&str],
        constraints: &[ast::Constraint],
    ) -> Option<Vec<(Dim, Relation)>> {
        let mut env = Env::default();
        for size in sizes {
            env.bound.insert(Sym::new(size), GArg::Dim(Dim::sym(*size)));
        }
        let mut guard = Vec::new();
        let mut facts = aiai_ir::Facts::default();
        for constraint in constraints {
            let (relation, dim, _) = self.constraint(constraint, &mut env)?;
            if facts.check(relation, dim) == aiai_ir::Truth::False {
                let message = "the guard never holds";
                let diagnostic = Diagnostic::new("E0707", constraint.span, message);
                self.report(diagnostic.help("so nothing is chosen by it"));
                return None;
            }
            facts.assume(relation, dim);
            guard.push((dim, relation));
        }
        Some(guard)
    }

    fn cost_choice(&mut self, def: &'p ast::Function) -> Option<CostChoice> {
        let names = op_names();
        if !names.contains(&def.name.name.as_str()) {
            self.unknown_choice("operation or family", def.name, &names);
            return None;
        }
        let params = def.params.iter().map(|param| param.name.name.as_str());
        let scalar = Type::scalar(DType::I64);
        let function = if params.eq(COST_PARAMS.iter().copied()) {
            self.policy_function(def, &Instance::default())
        } else {
            None
        };
        let fits = |f: &Function| {
            f.param_types() == vec![scalar.clone(); 3] && f.result_types() == [scalar.clone()]
        };
        let Some(function) = function.filter(fits) else {
            let message = "a cost is a whole number, of three";
            let diagnostic = Diagnostic::new("E0709", def.name.span, message);
            let form = "write `cost op(points: i64, read: i64, written: i64) -> i64 { ... }`";
            self.report(diagnostic.help(form));
            return None;
        };
        Some(CostChoice {
            op: def.name.name,
            function,
            doc: def.doc.text(),
            loc: Some(self.sources.loc(def.name.span)),
        })
    }

    fn derivative(&mut self, def: &'p ast::Function) -> Option<Derivative> {
        let name = def.name.name.as_str();
        let operands = match (UnaryKind::from_name(name), BinaryKind::from_name(name)) {
            (Some(_), _) => 1,
            (None, Some(_)) => 2,
            (None, None) => {
                let unary = UnaryKind::ALL.iter().map(|kind| kind.name());
                let binary = BinaryKind::ALL.iter().map(|kind| kind.name());
                let names: Vec<&str> = unary.chain(binary).collect();
                self.unknown_choice("elementwise operation", def.name, &names);
                return None;
            }
        };
        let mut functions = Vec::new();
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            for rank in 0..=MOST_AXES {
                let mut instance = Instance::default();
                instance.ranks.insert(Sym::new("S"), rank);
                instance.dtypes.insert(Sym::new("T"), dtype);
                let function = self.policy_function(def, &instance)?;
                if !is_derivative(&function, operands) {
                    let message = format!("not the derivative of `{name}`");
                    let form = match operands {
                        1 => format!(
                            "write `derivative {name}(x: T[..S], y: T[..S], g: T[..S]) -> T[..S] {{ ... }}`: \
                                      operand, result, cotangent of the result"
                        ),
                        _ => format!(
                            "write `derivative {name}(a: T[..S], b: T[..S], y: T[..S], g: T[..S]) -> \
                                      (T[..S], T[..S]) {{ ... }}`: operands, result, cotangent of the result"
                        ),
                    };
                    self.report(Diagnostic::new("E0709", def.name.span, message).help(form));
                    return None;
                }
                functions.push((dtype, rank, function));
            }
        }
        Some(Derivative {
            op: def.name.name,
            functions,
            doc: def.doc.text(),
            loc: Some(self.sources.loc(def.name.span)),
        })
    }

    /// A definition of a pass as a function, for one instance of what it leaves open.
    fn policy_function(&mut self, def: &'p ast::Function, instance: &Instance) -> Option<Function> {
        let before = self.diagnostics.count();
        let id = self.fns.len();
        self.fns.push(FnInfo {
            def,
            owner: None,
            library: false,
        });
        let mut env = instance_env(instance);
        self.open_generics(&def.generics, &mut env);
        let (function, _) = self.open_function(id, env, &[], def.name.name.as_str());
        (self.diagnostics.count() == before).then_some(function)
    }
}

/// Whether a function takes the operands, the result and its cotangent, all of one type, to cotangents of the
/// operands.
fn is_derivative(function: &Function, operands: usize) -> bool {
    let params = function.param_types();
    let Some(first) = params.first() else {
        return false;
    };
    params.len() == operands + 2
        && params.iter().all(|ty| ty == first)
        && function.result_types() == vec![first.clone(); operands]
}

/// Operations by name, and the families of the op table.
fn op_names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Op::TABLE.iter().map(|info| info.family).collect();
    names.dedup();
    names.extend(Row::ALL.iter().flat_map(|row| row.names()));
    names
}
