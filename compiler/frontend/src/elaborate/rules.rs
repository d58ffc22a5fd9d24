//! Rules: both sides as functions of the same parameters, for one instance: ranks, dtypes, attributes.

use std::collections::{BTreeSet, HashSet};

use aiai_ir::{
    AttributeKind, Builder, DType, DTypeBound, Dim, Facts, FloatClass, Function, Instance,
    ParamType, Region, Relation, Rule, RuleAttribute as Attribute, RuleInfo, RuleParam, RuleSet,
    Sketch, Sym, Truth, Value,
};

use super::Elaborator;
use super::context::{Cx, Env};
use super::program::Program;
use super::sketch::Sketcher;
use super::value::{GArg, Ty, Val};
use crate::ast::{self, Expr, ExprKind, Item, RuleClassKind, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// One side, built.
struct Side {
    function: Function,
    ty: Ty,
    params: Vec<RuleParam>,
    guard: Vec<(Dim, Relation)>,
}

impl Program {
    /// What the rules of the root files claim and leave open, in the order of the text. The program has been
    /// checked.
    pub fn rule_infos(&self) -> Vec<RuleInfo> {
        let mut infos = Vec::new();
        self.elaborated(|e| {
            let rules = self.root_files().flat_map(|file| rules_in(&file.items));
            infos.extend(rules.map(|(family, rule)| e.info(family, rule)));
        });
        infos
    }

    /// Instances of the rules of the root file, each given by the number of its rule in
    /// [`Program::rule_infos`]. Instances that do not elaborate (an axis that a tensor does not have) are
    /// left out.
    pub fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet {
        let mut set = RuleSet::default();
        self.elaborated(|e| {
            let rules = self.root_files().flat_map(|file| rules_in(&file.items));
            let rules: Vec<&ast::Rule> = rules.map(|found| found.1).collect();
            for (index, instance) in wanted {
                let Some(rule) = rules.get(*index) else {
                    continue;
                };
                set.rules.extend(e.quietly(|e| e.rule(rule, instance)));
            }
            set.module = std::mem::take(&mut e.module);
        });
        set
    }
}

/// The rules among the items, with the names of the groups around them.
fn rules_in(items: &[Item]) -> impl Iterator<Item = (Option<Sym>, &ast::Rule)> {
    items.iter().flat_map(|item| {
        let (family, group) = match item {
            Item::Rule(rule) => (None, std::slice::from_ref(rule)),
            Item::Rules(group) => (Some(group.name.name), group.rules.as_slice()),
            Item::Use(_)
            | Item::Module(_)
            | Item::Fn(_)
            | Item::Schedule(_)
            | Item::Fuse(_)
            | Item::Layout(_)
            | Item::Cost(_)
            | Item::Derivative(_)
            | Item::Test(_)
            | Item::Prop(_)
            | Item::Bench(_) => (None, &[][..]),
        };
        group.iter().map(move |rule| (family, rule))
    })
}

impl Elaborator<'_> {
    /// Checks every rule among the items on one instance of it: the first that elaborates.
    pub(crate) fn check_rules(&mut self, items: &[Item]) {
        for (family, rule) in rules_in(items) {
            self.check_bounds(&rule.generics);
            let info = self.info(family, rule);
            // Rank 1 first: it is what findings are best told about.
            let of_rank = |rank| {
                info.instances(
                    rank..=rank,
                    &[DType::F32, DType::I32, DType::U32],
                    MOST_TRIED,
                )
            };
            let instances: Vec<Instance> = [1, 2, 0].into_iter().flat_map(of_rank).collect();
            let fits = |e: &mut Self, instance| e.quietly(|e| e.rule(rule, instance)).is_some();
            if !instances.iter().any(|instance| fits(self, instance))
                && let Some(first) = instances.first()
            {
                self.rule(rule, first);
            }
        }
    }

    /// Does work whose findings are not kept; gives nothing where there were any.
    fn quietly<T>(&mut self, work: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let outer = std::mem::take(&mut self.diagnostics);
        let done = work(self);
        let found = std::mem::replace(&mut self.diagnostics, outer);
        done.filter(|_| found.is_empty())
    }

    /// What a rule says of itself. Parameters that cannot be are reported.
    fn info(&mut self, family: Option<Sym>, rule: &ast::Rule) -> RuleInfo {
        let mut info = RuleInfo {
            name: rule.name.name,
            family,
            class: class_of(&rule.class),
            packs: Vec::new(),
            dtypes: Vec::new(),
            attributes: Vec::new(),
            params: Vec::new(),
            types: Vec::new(),
            left: Sketch::Other(Vec::new()),
            doc: rule.doc.text(),
            loc: Some(self.sources.loc(rule.name.span)),
        };
        for generic in &rule.generics {
            let bound = generic.bound.map(|bound| bound.name.as_str());
            match bound.and_then(DTypeBound::from_name) {
                Some(bound) => info.dtypes.push((generic.name.name, bound)),
                None if generic.pack => info.packs.push(generic.name.name),
                None => {}
            }
        }
        for param in &rule.params {
            if let Some(kind) = self.attribute_kind(param) {
                info.attributes.push((param.name.name, kind));
                continue;
            }
            self.open_names(param, &mut info);
            info.types.push(param_type(param));
            info.params.push(self.rule_param(param));
        }
        info.left = Sketcher::new(self, &info).side(&rule.lhs);
        info
    }

    /// The packs and dtypes that a type of a parameter leaves open.
    fn open_names(&mut self, param: &ast::Param, info: &mut RuleInfo) {
        let (elem, dims) = match &param.ty.kind {
            TypeKind::Tensor { elem, dims } => (elem.name, dims.as_slice()),
            TypeKind::Named { name, args } if args.is_empty() => (name.name, &[][..]),
            _ => return,
        };
        let known = info.dtypes.iter().any(|found| found.0 == elem);
        if elem.as_str().parse::<DType>().is_err() && !known && elem.as_str() != "Key" {
            info.dtypes.push((elem, DTypeBound::Any));
        }
        for dim in dims {
            let pack = match dim {
                ast::TypeDim::Pack(name) => name.name,
                ast::TypeDim::Rest(_) => Sym::new("_"),
                ast::TypeDim::Dim(_) => continue,
            };
            if !info.packs.contains(&pack) {
                info.packs.push(pack);
            }
        }
    }

    /// The kind of a `const` parameter that is an attribute.
    fn attribute_kind(&mut self, param: &ast::Param) -> Option<AttributeKind> {
        let TypeKind::Named { name, args } = &param.ty.kind else {
            return None;
        };
        if !param.constant || !args.is_empty() {
            return None;
        }
        match name.name.as_str() {
            "axis" => Some(AttributeKind::Axis),
            "axes" => Some(AttributeKind::Axes),
            "permutation" => Some(AttributeKind::Permutation),
            "bool" => Some(AttributeKind::Bool),
            "i64" => {
                let (low, end) = self.domain_of(param)?;
                let low = low as i64;
                // One more than there may be: what is reported is not counted out.
                let high = (end as i64 - 1).min(low.saturating_add(MOST_VALUES));
                Some(AttributeKind::Int { low, high })
            }
            _ => None,
        }
    }

    fn rule_param(&mut self, param: &ast::Param) -> RuleParam {
        RuleParam {
            name: param.name.name,
            constant: param.constant,
            domain: self.domain_of(param),
        }
    }

    fn domain_of(&mut self, param: &ast::Param) -> Option<(f64, f64)> {
        let domain = param.domain.as_ref()?;
        Some((self.number(&domain.lo)?, self.number(&domain.hi)?))
    }

    /// What is wrong with a `const` parameter that is neither a scalar nor an attribute, or with a domain where
    /// there can be none.
    fn rule_param_fault(&mut self, param: &ast::Param) -> Option<Diagnostic> {
        let attribute = self.attribute_kind(param);
        let scalar = match &param.ty.kind {
            TypeKind::Tensor { dims, .. } => dims.is_empty(),
            _ => false,
        };
        if param.constant && attribute.is_none() && !scalar {
            let message = format!("`{}` is no constant of a rule", param.name.name);
            let help = "constants are scalars, `const c: T[]`; attributes are `axis`, `axes`, \
                        `permutation`, `bool`, or `i64 in 0..4`";
            return Some(Diagnostic::new("E0308", param.span, message).help(help));
        }
        if let Some(AttributeKind::Int { low, high }) = attribute
            && high.saturating_sub(low) >= MOST_VALUES
        {
            let message = format!(
                "`{}` has more than {MOST_VALUES} values, and each of them is a rule of its own",
                param.name.name
            );
            return Some(Diagnostic::new("E0308", param.span, message));
        }
        if !param.constant && param.domain.is_some() {
            let message = "only a constant of a rule has a domain: other values are not known";
            return Some(Diagnostic::new("E0308", param.span, message));
        }
        None
    }

    fn rule(&mut self, rule: &ast::Rule, instance: &Instance) -> Option<Rule> {
        let lhs = self.side(rule, &rule.lhs, "lhs", instance)?;
        let rhs = self.side(rule, &rule.rhs, "rhs", instance)?;
        if lhs.ty != rhs.ty {
            let (left, right) = (self.show(&lhs.ty), self.show(&rhs.ty));
            let message = format!("the left side is `{left}`, the right side `{right}`");
            let diagnostic = Diagnostic::new("E0701", rule.rhs.span, message)
                .label(format!("`{right}`"))
                .related(rule.lhs.span, format!("`{left}`"));
            self.report(diagnostic.help("both sides of a rule have the same type"));
            return None;
        }
        if !self.all_bound(rule, &lhs, &rhs) {
            return None;
        }
        if !self.says_something(rule, &lhs, &rhs) {
            return None;
        }
        Some(Rule {
            name: rule.name.name,
            class: class_of(&rule.class),
            instance: instance.clone(),
            params: lhs.params,
            guard: lhs.guard,
            lhs: lhs.function,
            rhs: rhs.function,
            doc: rule.doc.text(),
            loc: Some(self.sources.loc(rule.name.span)),
        })
    }

    /// One side as a function of all parameters of the rule.
    fn side(
        &mut self,
        rule: &ast::Rule,
        expr: &Expr,
        side: &str,
        instance: &Instance,
    ) -> Option<Side> {
        let mut env = instance_env(instance);
        self.open_generics(&rule.generics, &mut env);
        let mut function = Function::new(format!("{}.{side}", rule.name.name).as_str());
        function.loc = Some(self.sources.loc(expr.span));
        let mut cx = Cx::new(Builder::new(&mut function), Env::default());
        cx.in_rule = true;
        let mut params = Vec::new();
        for param in &rule.params {
            if let Some(found) = self.rule_param_fault(param) {
                self.report(found);
                return None;
            }
            if let Some(value) = instance.attributes.get(&param.name.name) {
                let val = attribute_val(value);
                if let Val::Dim(dim) = val {
                    env.bound.insert(param.name.name, GArg::Dim(dim));
                }
                cx.bind(param.name.name, val, param.name.span);
                continue;
            }
            let ty = self.resolve(&param.ty, &mut env);
            if ty == Ty::Error {
                return None;
            }
            let val = self.add_param(&mut cx, param.name.name.as_str(), &ty, false);
            cx.bind(param.name.name, val, param.name.span);
            params.push(self.rule_param(param));
        }
        let mut guard = Vec::new();
        for constraint in &rule.constraints {
            if let Some((relation, dim, _)) = self.constraint(constraint, &mut env) {
                cx.facts.assume(relation, dim);
                guard.push((dim, relation));
            }
        }
        env.open = false;
        cx.env = env;
        let val = self.expr(&mut cx, expr, None);
        let val = match val {
            Val::Poison => return None,
            // A side that is nothing but a number.
            Val::Dim(_) | Val::Float(_) | Val::Bool(_) => {
                Val::Tensor(self.tensor(&mut cx, val, None, expr.span)?)
            }
            val => val,
        };
        let ty = self.type_of(&cx, &val);
        self.finish(cx, &val, &ty);
        Some(Side {
            function,
            ty,
            params,
            guard,
        })
    }

    /// Whether the left side is an op at least, and another program than the right one. (`U(T(x))` is neither
    /// where both are the dtype of x.)
    fn says_something(&mut self, rule: &ast::Rule, lhs: &Side, rhs: &Side) -> bool {
        let message = if lhs.function.body.ops.is_empty() {
            "the left side is a parameter, which everything is an instance of"
        } else if same(&lhs.function.body, &rhs.function.body) {
            "both sides are the same program"
        } else {
            return true;
        };
        let diagnostic = Diagnostic::new("E0710", rule.lhs.span, message);
        self.report(diagnostic.related(rule.rhs.span, "the right side"));
        false
    }

    /// Whether a match of the left side says what every parameter and every dimension of the right side is,
    /// and the right side asks for nothing more than the left one and the guard.
    fn all_bound(&mut self, rule: &ast::Rule, lhs: &Side, rhs: &Side) -> bool {
        let used = |side: &Side| -> HashSet<Value> {
            let mut values: HashSet<Value> = side.function.body.yields.iter().copied().collect();
            side.function.body.walk(&mut |node| {
                values.extend(node.operands.iter().copied());
                let regions = node.regions.iter();
                values.extend(regions.flat_map(|region| region.yields.iter().copied()));
            });
            values
        };
        let (left, right) = (used(lhs), used(rhs));
        let params = lhs.function.params().iter();
        let unbound = params
            .zip(&lhs.params)
            .find(|(value, _)| right.contains(value) && !left.contains(value));
        let unbound = unbound.map(|(_, param)| param.name).or_else(|| {
            let bound = dims_of(&lhs.function, &left);
            let mut needed = dims_of(&rhs.function, &right).into_iter();
            needed.find(|dim| !bound.contains(dim))
        });
        if let Some(name) = unbound {
            let message = format!("`{name}` does not stand on the left side");
            let mut at = None;
            names(&rule.rhs, &mut |found, span| {
                if found == name {
                    at = at.or(Some(span));
                }
            });
            let diagnostic = Diagnostic::new("E0702", at.unwrap_or(rule.rhs.span), message)
                .related(rule.lhs.span, "the left side");
            let help = "a match of the left side must say what every parameter is";
            self.report(diagnostic.help(help));
            return false;
        }
        let mut facts = Facts::default();
        for (dim, relation) in &lhs.guard {
            facts.assume(*relation, *dim);
        }
        for require in &lhs.function.requires {
            facts.assume(require.relation, require.dim);
        }
        let asks = rhs.function.requires.iter();
        let more = asks
            .clone()
            .find(|r| facts.check(r.relation, r.dim) != Truth::True);
        if let Some(require) = more {
            let message = format!("the right side holds only where {}", require.message);
            let diagnostic = Diagnostic::new("E0701", rule.rhs.span, message);
            self.report(diagnostic.help("say so in the guard: a `where` of the rule"));
            return false;
        }
        true
    }
}

/// Whether two regions are the same, places in the text aside.
fn same(a: &Region, b: &Region) -> bool {
    let pairs = || a.ops.iter().zip(&b.ops);
    a.args == b.args
        && a.yields == b.yields
        && a.ops.len() == b.ops.len()
        && pairs().all(|(x, y)| {
            let inner = || x.regions.iter().zip(&y.regions);
            x.op == y.op
                && x.operands == y.operands
                && x.results == y.results
                && x.regions.len() == y.regions.len()
                && inner().all(|(p, q)| same(p, q))
        })
}

/// The names of dimensions in the types of the values in use and in the attributes of ops.
fn dims_of(function: &Function, used: &HashSet<Value>) -> BTreeSet<Sym> {
    let mut dims = BTreeSet::new();
    for param in function.params().iter().filter(|v| used.contains(v)) {
        for dim in function.ty(*param).shape() {
            dim.for_each_sym(&mut |sym| {
                dims.insert(sym);
            });
        }
    }
    function.body.walk(&mut |node| {
        node.op.clone().map_dims(&mut |dim| {
            dim.for_each_sym(&mut |sym| {
                dims.insert(sym);
            });
            dim
        });
    });
    dims
}

/// The type of a parameter as written; what is no tensor counts as a scalar of its name.
fn param_type(param: &ast::Param) -> ParamType {
    let (dtype, dims) = match &param.ty.kind {
        TypeKind::Tensor { elem, dims } => (elem.name, dims.as_slice()),
        TypeKind::Named { name, .. } => (name.name, &[][..]),
        _ => (Sym::new("_"), &[][..]),
    };
    let mut ty = ParamType {
        dtype,
        packs: Vec::new(),
        named: 0,
    };
    for dim in dims {
        match dim {
            ast::TypeDim::Pack(name) => ty.packs.push(name.name),
            ast::TypeDim::Rest(_) => ty.packs.push(Sym::new("_")),
            ast::TypeDim::Dim(_) => ty.named += 1,
        }
    }
    ty
}

fn class_of(class: &ast::RuleClass) -> FloatClass {
    match class.kind {
        RuleClassKind::Exact => FloatClass::Exact,
        RuleClassKind::Real => FloatClass::Real {
            finite: class.finite,
        },
        RuleClassKind::Approx(ulp) => FloatClass::Approx { ulp },
    }
}

fn attribute_val(value: &Attribute) -> Val {
    match value {
        Attribute::Int(value) => Val::Dim(Dim::from(*value)),
        Attribute::Bool(value) => Val::Bool(*value),
        Attribute::Axes(axes) => {
            let axes = axes.iter().map(|&axis| Val::Dim(Dim::from(axis as i64)));
            Val::Tuple(axes.collect())
        }
    }
}

/// An open environment with the packs and dtypes of an instance.
pub(super) fn instance_env(instance: &Instance) -> Env {
    let mut env = Env {
        open: true,
        ..Env::default()
    };
    for (pack, &rank) in &instance.ranks {
        let names = (0..rank).map(|i| format!("{pack}{i}"));
        let dims: Vec<Dim> = names.map(|name| Dim::sym(name.as_str())).collect();
        if pack.as_str() == "_" {
            env.rest = Some(dims);
        } else {
            env.bound.insert(*pack, GArg::Pack(dims));
        }
    }
    for (name, dtype) in &instance.dtypes {
        env.bound.insert(*name, GArg::DType(*dtype));
    }
    env
}

/// Instances of a rule of each rank that are tried until one fits, when it is checked.
const MOST_TRIED: usize = 512;

/// Values of an integer attribute, at most.
const MOST_VALUES: i64 = 64;

/// Calls `visit` on every name that stands for a value in an expression without blocks.
fn names(expr: &Expr, visit: &mut impl FnMut(Sym, Span)) {
    match &expr.kind {
        ExprKind::Name(name) => visit(name.name, name.span),
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| names(&arg.value, visit)),
        ExprKind::Method { receiver, args, .. } => {
            names(receiver, visit);
            args.iter().for_each(|arg| names(&arg.value, visit));
        }
        ExprKind::Field { base, .. } => names(base, visit),
        ExprKind::Index { base, args } => {
            names(base, visit);
            for arg in args {
                match arg {
                    ast::IndexArg::At(at) => names(at, visit),
                    ast::IndexArg::Range { lo, hi, .. } => {
                        names(lo, visit);
                        names(hi, visit);
                    }
                    ast::IndexArg::All(_) | ast::IndexArg::Rest(_) => {}
                }
            }
        }
        ExprKind::Unary { operand, .. } => names(operand, visit),
        ExprKind::Binary { lhs, rhs, .. } => {
            names(lhs, visit);
            names(rhs, visit);
        }
        ExprKind::Tuple(parts) | ExprKind::Array(parts) => {
            parts.iter().for_each(|part| names(part, visit))
        }
        ExprKind::Paren(inner) => names(inner, visit),
        ExprKind::Reduce(reduce) => names(&reduce.body, visit),
        _ => {}
    }
}
