//! Items and members.

use super::comments::{Entry, Extent, lines};
use super::doc::{Doc, concat_doc, join};
use super::{CONTINUED, Formatter, INDENT, WIDTH};
use crate::ast::*;

impl Formatter<'_> {
    pub(super) fn file(&mut self, file: &File) -> Doc {
        let end = self.text.len() as u32;
        let (mut entries, mut from) = (Vec::new(), 0);
        let mut after_use = None;
        for item in &file.items {
            let is_use = matches!(item, Item::Use(_));
            let above = entries.len();
            let extent = extent(item.doc(), item.span().start, item.span().end);
            self.entry(extent, &mut from, end, &mut entries, |f| f.item(item));
            // One blank line between items; between `use`s as written.
            if after_use.is_some_and(|after| !(after && is_use)) {
                entries[above].blank_above = true;
            }
            after_use = Some(is_use);
        }
        self.last_comments(from, end, &mut entries);
        lines(entries)
    }

    fn item(&mut self, item: &Item) -> Doc {
        let docs = docs(item.doc());
        let body = match item {
            Item::Use(x) => use_item(x),
            Item::Module(x) => self.module(x),
            Item::Fn(x) => self.function("fn ", x, 0),
            Item::Fuse(x) => self.fuse(x),
            Item::Layout(x) => self.layout(x),
            Item::Cost(x) => self.function("cost ", x, 0),
            Item::Derivative(x) => self.function("derivative ", x, 0),
            Item::Rule(x) => self.rule(x, 0),
            Item::Rules(x) => self.rules(x),
            Item::Schedule(x) => self.schedule(x),
            Item::Test(x) => {
                let name = self.source(x.name.span);
                concat_doc!["test ", name, " ", self.open_block(&x.body)]
            }
            Item::Prop(x) => self.prop("prop ", x),
            Item::Bench(x) => self.prop("bench ", x),
        };
        concat_doc![docs, body]
    }

    fn module(&mut self, module: &Module) -> Doc {
        let mut head = vec!["module ".into(), module.name.name.as_str().into()];
        head.push(self.generic_params(&module.generics));
        if !module.constraints.is_empty() {
            head.push(" ".into());
            head.push(self.constraints(&module.constraints));
        }
        let end = module.span.end - 1;
        let mut from = module.name.span.end;
        let mut entries: Vec<Entry> = Vec::new();
        let mut after_fn = false;
        for member in &module.members {
            let is_fn = matches!(member, Member::Fn(_));
            let above = entries.len();
            let extent = extent(member.doc(), member.span().start, member.span().end);
            self.entry(extent, &mut from, end, &mut entries, |f| f.member(member));
            if above > 0 && (is_fn || after_fn) {
                entries[above].blank_above = true;
            }
            after_fn = is_fn;
        }
        self.last_comments(from, end, &mut entries);
        concat_doc![Doc::Concat(head), " ", braces(entries)]
    }

    fn member(&mut self, member: &Member) -> Doc {
        let docs = docs(member.doc());
        let body = match member {
            Member::Fn(function) => self.function("fn ", function, INDENT),
            Member::Submodule(sub) => concat_doc![names(&sub.names), ": ", self.ty(&sub.ty)],
            Member::Leaf(leaf) => {
                let head = concat_doc![
                    leaf.kind.word(),
                    " ",
                    names(&leaf.names),
                    ": ",
                    self.ty(&leaf.ty)
                ];
                match &leaf.init {
                    LeafInit::None => head,
                    LeafInit::Value(value) => concat_doc![head, " = ", self.expr(value)],
                    LeafInit::Drawn(init) if init.args.is_empty() => {
                        concat_doc![head, " ~ ", init.name.name.as_str()]
                    }
                    LeafInit::Drawn(init) => {
                        let args = self.args(&init.args, init.span.end);
                        concat_doc![head, " ~ ", init.name.name.as_str(), args]
                    }
                }
            }
        };
        concat_doc![docs, body]
    }

    fn function(&mut self, word: &'static str, function: &Function, indent: usize) -> Doc {
        let name = concat_doc![
            word,
            function.name.name.as_str(),
            self.generic_params(&function.generics)
        ];
        let params = self.params(&function.params, function.body.span.start);
        let ret = function
            .ret
            .as_ref()
            .map(|ty| concat_doc!["-> ", self.ty(ty)]);
        let constraints = self.constraints(&function.constraints);
        let (head, broken) = signature(name, params, ret, constraints, indent, false);
        let body = if broken {
            self.open_block(&function.body)
        } else {
            self.block(&function.body)
        };
        concat_doc![head, " ", body].group()
    }

    fn prop(&mut self, word: &'static str, prop: &Prop) -> Doc {
        let name = concat_doc![
            word,
            prop.name.name.as_str(),
            self.generic_params(&prop.generics)
        ];
        let params = self.params(&prop.params, prop.body.span.start);
        let constraints = self.constraints(&prop.constraints);
        let (head, _) = signature(name, params, None, constraints, 0, false);
        concat_doc![head, " ", self.open_block(&prop.body)]
    }

    fn params(&mut self, params: &[Param], end: u32) -> Doc {
        let items = params
            .iter()
            .map(|param| (param.span.start, param))
            .collect();
        self.list("(", items, ")", end, |f, param| f.param(param))
    }

    fn param(&mut self, param: &Param) -> Doc {
        let mut parts: Vec<Doc> = Vec::new();
        if param.own {
            parts.push("own ".into());
        }
        if param.constant {
            parts.push("const ".into());
        }
        parts.extend([
            param.name.name.as_str().into(),
            ": ".into(),
            self.ty(&param.ty),
        ]);
        if let Some(domain) = &param.domain {
            let (lo, hi) = (self.expr(&domain.lo), self.expr(&domain.hi));
            parts.extend([" in ".into(), lo, "..".into(), hi]);
        }
        if let Some(default) = &param.default {
            parts.extend([" = ".into(), self.expr(default)]);
        }
        Doc::Concat(parts)
    }

    fn rules(&mut self, group: &RuleGroup) -> Doc {
        let end = group.span.end - 1;
        let (mut from, mut entries) = (group.name.span.end, Vec::new());
        for rule in &group.rules {
            let above = entries.len();
            let extent = extent(&rule.doc, rule.span.start, rule.span.end);
            self.entry(extent, &mut from, end, &mut entries, |f| {
                concat_doc![docs(&rule.doc), f.rule(rule, INDENT)]
            });
            if above > 0 {
                entries[above].blank_above = true;
            }
        }
        self.last_comments(from, end, &mut entries);
        concat_doc!["rules ", group.name.name.as_str(), " ", braces(entries)]
    }

    fn rule(&mut self, rule: &Rule, indent: usize) -> Doc {
        let name = concat_doc![
            "rule ",
            rule.name.name.as_str(),
            self.generic_params(&rule.generics)
        ];
        let params = self.params(&rule.params, rule.class.span.start);
        let class = self.source(rule.class.span);
        let constraints = self.constraints(&rule.constraints);
        let (head, broken) = signature(name, params, Some(class.into()), constraints, indent, true);
        let (lhs, rhs) = (self.expr(&rule.lhs), self.expr(&rule.rhs));
        if ends_in_block(&rule.lhs) || ends_in_block(&rule.rhs) {
            let body = concat_doc![Doc::Hard, lhs, " => ", rhs].nest(INDENT);
            return concat_doc![head, " {", body, Doc::Hard, "}"];
        }
        let sides = concat_doc![lhs, " =>", Doc::Line, rhs];
        let gap = if broken { Doc::Hard } else { Doc::Line };
        let body = concat_doc![gap.clone(), sides.nest(CONTINUED).group()].nest(INDENT);
        concat_doc![head, " {", body, gap, "}"].group()
    }
}

/// Whether an expression is printed as lines between braces.
fn ends_in_block(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Block(_) | ExprKind::If(_) | ExprKind::For(_) | ExprKind::While(_)
    )
}

/// The head of a function: on one line, or broken before its constraints, or before what follows the
/// parameters (not of a rule, whose class stands on their line), or with a parameter on each line. Tells
/// whether it was broken.
fn signature(
    name: Doc,
    params: Doc,
    ret: Option<Doc>,
    constraints: Doc,
    indent: usize,
    is_class: bool,
) -> (Doc, bool) {
    let has_constraints = constraints.flat_width() != Some(0);
    let ret = ret.unwrap_or(Doc::NIL);
    let has_ret = ret.flat_width() != Some(0);
    let space = |needed: bool| Doc::from(if needed { " " } else { "" });
    let tail = concat_doc![
        ret.clone(),
        space(has_ret && has_constraints),
        constraints.clone()
    ];
    let gap = has_ret || has_constraints;
    let flat = concat_doc![name.clone(), params.clone(), space(gap), tail.clone()];
    let fits = |doc: &Doc, more: usize| doc.flat_width().is_some_and(|w| w + more <= WIDTH);
    // Two columns for ` {`.
    if fits(&flat, indent + 2) {
        return (flat, false);
    }
    let first = concat_doc![name.clone(), params.clone(), space(has_ret), ret.clone()];
    if has_constraints && fits(&first, indent) && fits(&constraints, indent + CONTINUED + 2) {
        let below = concat_doc![Doc::Hard, constraints].nest(CONTINUED);
        return (concat_doc![first, below], true);
    }
    let first = concat_doc![name.clone(), params.clone()];
    let may_go_below = !is_class && gap;
    if may_go_below && fits(&first, indent) && fits(&tail, indent + CONTINUED + 2) {
        return (
            concat_doc![first, concat_doc![Doc::Hard, tail].nest(CONTINUED)],
            true,
        );
    }
    // Two columns more for the closing parenthesis and a space.
    let opened = match params {
        Doc::Group(inner, _) => Doc::Group(inner, true),
        other => other,
    };
    let tail = if fits(&tail, indent + 4) {
        tail
    } else {
        let gap = if has_constraints { Doc::Hard } else { Doc::NIL };
        concat_doc![ret, gap, constraints]
    };
    (concat_doc![name, opened, space(gap), tail], true)
}

/// From the first line of the documentation on.
fn extent(doc: &Doc_, start: u32, end: u32) -> Extent {
    let start = if doc.lines.is_empty() {
        start
    } else {
        doc.span.start
    };
    Extent { start, end }
}

use crate::ast::Doc as Doc_;

/// The `///` lines above an item.
fn docs(doc: &Doc_) -> Doc {
    let mut parts = Vec::new();
    for line in &doc.lines {
        let line = if line.is_empty() {
            "///".to_owned()
        } else {
            format!("/// {line}")
        };
        parts.extend([Doc::from(line), Doc::Hard]);
    }
    Doc::Concat(parts)
}

fn names(names: &[Ident]) -> Doc {
    join(
        names.iter().map(|name| name.name.as_str().into()),
        &", ".into(),
    )
}

fn use_item(item: &Use) -> Doc {
    let path: Vec<&str> = item.path.iter().map(|name| name.name.as_str()).collect();
    let mut text = format!("use {}", path.join("."));
    if let Some(list) = &item.names {
        let names: Vec<String> = list
            .iter()
            .map(|name| match &name.alias {
                Some(alias) => format!("{} as {}", name.name.name, alias.name),
                None => name.name.name.to_string(),
            })
            .collect();
        text.push_str(": ");
        text.push_str(&names.join(", "));
    }
    text.into()
}

/// Entries on lines of their own between braces.
pub(super) fn braces(entries: Vec<Entry>) -> Doc {
    if entries.is_empty() {
        return "{}".into();
    }
    let body = concat_doc![Doc::Hard, lines(entries)].nest(INDENT);
    concat_doc!["{", body, Doc::Hard, "}"]
}
