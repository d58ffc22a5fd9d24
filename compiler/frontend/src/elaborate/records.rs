//! Module instances: construction, changed copies, initial values.

use aiai_ir::{Builder, DType, Dim, Function, Sym, Type};

use super::Elaborator;
use super::context::{Cx, Env};
use super::types::join;
use super::value::{GArg, Record, Ty, Val};
use crate::ast::{Arg, GenericArg, Ident, LeafInit, Member, TypeExpr, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elaborator<'_> {
    /// `Mlp(up = u, ...)` or `Mlp::<64, 128>(up = u, ...)`.
    pub(crate) fn construct(
        &mut self,
        cx: &mut Cx,
        module: usize,
        generics: &[GenericArg],
        args: &[Arg],
        span: Span,
    ) -> Val {
        let def = self.modules[module].def;
        let mut env = std::mem::take(&mut cx.env);
        let given = if generics.is_empty() {
            None
        } else {
            let found = self.module_args(module, generics, span, &mut env);
            if found.is_none() {
                cx.env = env;
                return Val::Poison;
            }
            found
        };
        cx.env = env;
        let mut vals = Vec::new();
        for arg in args {
            let hint = Some(aiai_ir::DType::F32);
            let val = self.expr(cx, &arg.value, hint);
            let Some(name) = arg.name else {
                let message = format!("the fields of `{}` are given by name", def.name.name);
                let help = format!(
                    "`{0}(...)` sets fields; `{0}::<...>.init(key)` draws them",
                    def.name.name
                );
                return self.fail(Diagnostic::new("E0303", arg.value.span, message).help(help));
            };
            vals.push((name, val, arg.value.span));
        }
        if vals.iter().any(|v| v.1.is_poison()) {
            return Val::Poison;
        }
        let module_args = match given {
            Some(args) => args,
            None => match self.infer_module_args(cx, module, &vals, span) {
                Some(args) => args,
                None => return Val::Poison,
            },
        };
        let val = self.fill(cx, module, module_args, vals, span);
        self.small(val, span)
    }

    /// What the generic parameters must be for the fields to have their types.
    fn infer_module_args(
        &mut self,
        cx: &mut Cx,
        module: usize,
        vals: &[(Ident, Val, Span)],
        span: Span,
    ) -> Option<Vec<GArg>> {
        let def = self.modules[module].def;
        let mut env = Env::default();
        for (name, val, _) in vals {
            if let Some(ty) = written_type(def, name.name) {
                self.unify(cx, ty, val, &mut env);
            }
        }
        let mut args = Vec::new();
        for param in &def.generics {
            match env.bound.get(&param.name.name) {
                Some(arg) => args.push(arg.clone()),
                None => {
                    let message = format!(
                        "`{}` of `{}` cannot be found out from the fields",
                        param.name.name, def.name.name
                    );
                    let diagnostic = Diagnostic::new("E0305", span, message);
                    self.report(diagnostic.help(format!("write `{}::<...>(...)`", def.name.name)));
                    return None;
                }
            }
        }
        Some(args)
    }

    fn fill(
        &mut self,
        cx: &mut Cx,
        module: usize,
        args: Vec<GArg>,
        vals: Vec<(Ident, Val, Span)>,
        span: Span,
    ) -> Val {
        let def = self.modules[module].def;
        let declared = self.fields(module, &args, false);
        let mut fields: Vec<(Sym, Val)> = Vec::new();
        for (name, _, at) in &vals {
            if !declared.iter().any(|d| d.0 == name.name) {
                return self.no_field(module, *name, *at);
            }
        }
        for (name, ty, _) in &declared {
            let given = vals.iter().find(|v| v.0.name == *name);
            let val = match given {
                Some((_, val, at)) => {
                    let what = format!("field `{name}` of `{}`", def.name.name);
                    self.fit(cx, val.clone(), ty, *at, &what, def.name.span)
                }
                None => self.default_field(cx, (module, &args), *name, ty, span),
            };
            match val {
                Some(val) => fields.push((*name, val)),
                None => return Val::Poison,
            }
        }
        Val::Record(Box::new(Record {
            module,
            args,
            tangent: false,
            fields,
        }))
    }

    /// A field that is not given has a default, or is missing.
    fn default_field(
        &mut self,
        cx: &mut Cx,
        (module, args): (usize, &[GArg]),
        name: Sym,
        ty: &Ty,
        span: Span,
    ) -> Option<Val> {
        let def = self.modules[module].def;
        for member in &def.members {
            if let Member::Leaf(leaf) = member
                && let (true, LeafInit::Value(value)) =
                    (leaf.names.iter().any(|n| n.name == name), &leaf.init)
            {
                return self.default_value_of(cx, (module, args), leaf, value, ty);
            }
        }
        let message = format!("the field `{name}` of `{}` is missing", def.name.name);
        self.report(
            Diagnostic::new("E0303", span, message).related(def.name.span, "declared here"),
        );
        None
    }

    /// What stands behind `=`, with the names of the module.
    fn default_value_of(
        &mut self,
        cx: &mut Cx,
        (module, args): (usize, &[GArg]),
        leaf: &crate::ast::Leaf,
        value: &crate::ast::Expr,
        ty: &Ty,
    ) -> Option<Val> {
        let env = self.module_env(module, args);
        let outer = std::mem::replace(&mut cx.env, env);
        let hint = match ty {
            Ty::Tensor { dtype, .. } => Some(*dtype),
            _ => None,
        };
        let val = self.expr(cx, value, hint);
        cx.env = outer;
        let what = format!("the default of `{}`", leaf.names[0].name);
        self.fit(cx, val, ty, value.span, &what, leaf.ty.span)
    }

    /// The initial values of a module are values of its leaves.
    pub(crate) fn check_initial_values(&mut self, module: usize) {
        let def = self.modules[module].def;
        let mut function = Function::new("check");
        let mut cx = Cx::new(Builder::new(&mut function), Env::default());
        let args = self.open_args(module, &mut Env::default());
        let key = Type::tensor(DType::U32, [Dim::from(2)]);
        let key = cx.b.add_param("key", key, false);
        let mut source = KeySource {
            key: Some(key),
            span: def.name.span,
            count: 0,
        };
        let fields = self.fields(module, &args, false);
        for member in &def.members {
            let Member::Leaf(leaf) = member else { continue };
            let name = leaf.names[0].name;
            let Some((_, ty, _)) = fields.iter().find(|field| field.0 == name) else {
                continue;
            };
            match &leaf.init {
                LeafInit::Value(value) => {
                    self.default_value_of(&mut cx, (module, &args), leaf, value, ty);
                }
                LeafInit::Drawn(initializer) => {
                    let env = self.module_env(module, &args);
                    self.draw(&mut cx, initializer, env, ty, &mut source);
                }
                LeafInit::None => {}
            }
        }
    }

    fn no_field(&mut self, module: usize, name: Ident, _at: Span) -> Val {
        let def = self.modules[module].def;
        let message = format!("`{}` has no field `{}`", def.name.name, name.name);
        let names: Vec<&str> = def
            .members
            .iter()
            .flat_map(|m| match m {
                Member::Leaf(leaf) => leaf.names.as_slice(),
                Member::Submodule(sub) => sub.names.as_slice(),
                Member::Fn(_) => &[],
            })
            .map(|n| n.name.as_str())
            .collect();
        let mut diagnostic = Diagnostic::new("E0206", name.span, message);
        if let Some(near) = crate::suggest::nearest(name.name.as_str(), names) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.fail(diagnostic.related(def.name.span, "declared here"))
    }

    /// `net.set(up = u)`: a copy with some fields replaced.
    pub(crate) fn set_fields(
        &mut self,
        cx: &mut Cx,
        record: Record,
        args: &[Arg],
        _span: Span,
    ) -> Val {
        let mut record = record;
        let declared = self.fields(record.module, &record.args, record.tangent);
        let module = self.modules[record.module].def.name;
        for arg in args {
            let val = self.expr(cx, &arg.value, None);
            let Some(name) = arg.name else {
                return self.error(
                    "E0303",
                    arg.value.span,
                    "fields are set by name: `set(up = u)`",
                );
            };
            let Some(at) = record.fields.iter().position(|f| f.0 == name.name) else {
                return self.no_field(record.module, name, arg.value.span);
            };
            let what = format!("field `{}` of `{}`", name.name, module.name);
            match self.fit(cx, val, &declared[at].1, arg.value.span, &what, module.span) {
                Some(val) => record.fields[at].1 = val,
                None => return Val::Poison,
            }
        }
        Val::Record(Box::new(record))
    }

    /// `Mlp::<64, 128>.init(key, lr = 0.1)`: initial values as the fields say. Named arguments replace
    /// fields; the key is split once for every field that draws numbers.
    pub(crate) fn init(
        &mut self,
        cx: &mut Cx,
        module: usize,
        generics: &[GenericArg],
        method: Ident,
        args: &[Arg],
        span: Span,
    ) -> Val {
        if method.name.as_str() != "init" {
            let message = format!(
                "a module type has no function `{}`; only `init`",
                method.name
            );
            return self.error("E0206", method.span, message);
        }
        let mut env = std::mem::take(&mut cx.env);
        let module_args = self.module_args(module, generics, span, &mut env);
        cx.env = env;
        let Some(module_args) = module_args else {
            return Val::Poison;
        };
        let (mut key, mut given) = (None, Vec::new());
        for arg in args {
            let val = self.expr(cx, &arg.value, Some(aiai_ir::DType::F32));
            match (arg.name, val) {
                (_, Val::Poison) => return Val::Poison,
                (None, Val::Key(value)) if key.is_none() => {
                    cx.spent.insert(value, arg.value.span);
                    key = Some(value);
                }
                (Some(name), val) => given.push((name, val, arg.value.span)),
                (None, other) => {
                    let message = format!("`init` takes a key, got {}", other.kind());
                    return self.error("E0303", arg.value.span, message);
                }
            }
        }
        let mut source = KeySource {
            key,
            span,
            count: 0,
        };
        let ty = Ty::Record {
            module,
            args: module_args,
            tangent: false,
        };
        if !self.type_is_small(&ty, span) {
            return Val::Poison;
        }
        self.init_type(cx, &ty, &mut source, &given, "")
            .unwrap_or(Val::Poison)
    }

    fn init_type(
        &mut self,
        cx: &mut Cx,
        ty: &Ty,
        key: &mut KeySource,
        given: &[(Ident, Val, Span)],
        path: &str,
    ) -> Option<Val> {
        match ty {
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                let def = self.modules[*module].def;
                if let Some((name, _, at)) = given.iter().find(|g| {
                    !def.members.iter().any(|m| match m {
                        Member::Leaf(l) => l.names.iter().any(|n| n.name == g.0.name),
                        Member::Submodule(s) => s.names.iter().any(|n| n.name == g.0.name),
                        Member::Fn(_) => false,
                    })
                }) {
                    self.no_field(*module, *name, *at);
                    return None;
                }
                let mut fields = Vec::new();
                for (name, ty, _) in self.fields(*module, args, *tangent) {
                    let val = match given.iter().find(|g| g.0.name == name) {
                        Some((_, val, at)) => {
                            let what = format!("field `{name}` of `{}`", def.name.name);
                            self.fit(cx, val.clone(), &ty, *at, &what, def.name.span)?
                        }
                        None => self.init_field(
                            cx,
                            (*module, args),
                            name,
                            &ty,
                            key,
                            &join(path, name.as_str()),
                        )?,
                    };
                    fields.push((name, val));
                }
                let (module, args, tangent) = (*module, args.clone(), *tangent);
                Some(Val::Record(Box::new(Record {
                    module,
                    args,
                    tangent,
                    fields,
                })))
            }
            Ty::List(element, count) => {
                let items: Option<Vec<Val>> = (0..*count)
                    .map(|i| self.init_type(cx, element, key, &[], &join(path, &i.to_string())))
                    .collect();
                items.map(Val::List)
            }
            _ => None,
        }
    }

    fn init_field(
        &mut self,
        cx: &mut Cx,
        owner: (usize, &[GArg]),
        name: Sym,
        ty: &Ty,
        key: &mut KeySource,
        path: &str,
    ) -> Option<Val> {
        let def = self.modules[owner.0].def;
        let leaf = def.members.iter().find_map(|m| match m {
            Member::Leaf(leaf) if leaf.names.iter().any(|n| n.name == name) => Some(leaf),
            _ => None,
        });
        let Some(leaf) = leaf else {
            return self.init_type(cx, ty, key, &[], path);
        };
        match &leaf.init {
            LeafInit::Value(value) => self.default_value_of(cx, owner, leaf, value, ty),
            LeafInit::Drawn(initializer) => {
                let env = self.module_env(owner.0, owner.1);
                self.draw(cx, initializer, env, ty, key)
            }
            LeafInit::None => {
                let message = format!("the field `{path}` has no initialiser");
                let diagnostic = Diagnostic::new("E0602", key.span, message)
                    .related(leaf.span, "declared here")
                    .help(format!(
                        "write `~ zeros` there, or give it here: `init(key, {name} = ...)`"
                    ));
                self.report(diagnostic);
                None
            }
        }
    }

    /// The value that an initialiser makes for a leaf, or for all leaves of a module.
    fn draw(
        &mut self,
        cx: &mut Cx,
        initializer: &crate::ast::Initializer,
        env: Env,
        ty: &Ty,
        key: &mut KeySource,
    ) -> Option<Val> {
        let name = initializer.name;
        if let Some(fill) = match name.name.as_str() {
            "zeros" => Some(0.0),
            "ones" => Some(1.0),
            _ => None,
        } {
            return Some(self.filled(cx, ty, fill));
        }
        let Ty::Tensor { shape, .. } = ty else {
            self.error(
                "E0602",
                initializer.span,
                "modules are filled with `zeros` or `ones` only",
            );
            return None;
        };
        let Some(id) = self.find_fn(name.name, name.span) else {
            self.unknown_function(name);
            return None;
        };
        let first = self.fns[id].def.params.first();
        let takes_key = first.is_some_and(|param| match &param.ty.kind {
            TypeKind::Named { name, .. } => name.name.as_str() == "Key",
            _ => false,
        });
        if !takes_key {
            let message = format!("`{}` is no initialiser", name.name);
            let help = "an initialiser takes a `Key` first and gives a tensor of any shape";
            self.report(Diagnostic::new("E0602", name.span, message).help(help));
            return None;
        }
        let key = self.next_key(cx, key, initializer.span)?;
        let outer = std::mem::replace(&mut cx.env, env);
        let pack = Sym::new("initialised shape");
        cx.env.bound.insert(pack, GArg::Pack(shape.clone()));
        let mark = cx.enter();
        let key_name = Ident {
            name: Sym::new("initialiser key"),
            span: initializer.span,
        };
        cx.bind(key_name.name, key, initializer.span);
        let mut args = vec![Arg {
            name: None,
            value: name_expr(key_name),
        }];
        args.extend(initializer.args.iter().cloned());
        for (param, dim) in self.default_fans(id, shape, &initializer.args) {
            let fan = Ident {
                name: Sym::new(&format!("default {}", param.name)),
                span: initializer.span,
            };
            cx.bind(fan.name, Val::Dim(dim), initializer.span);
            args.push(Arg {
                name: Some(param),
                value: name_expr(fan),
            });
        }
        let generics = [GenericArg::Pack(Ident {
            name: pack,
            span: initializer.span,
        })];
        let val = self.call_fn(cx, id, None, &generics, &args, initializer.span);
        cx.leave(mark);
        cx.env = outer;
        let what = format!("the initial value by `{}`", name.name);
        self.fit(cx, val, ty, initializer.span, &what, initializer.span)
    }

    /// `fan_in` and `fan_out` of a matrix, where the initialiser wants them and they are not given.
    fn default_fans(&self, id: usize, shape: &[Dim], given: &[Arg]) -> Vec<(Ident, Dim)> {
        let [fan_in, fan_out] = shape else {
            return Vec::new();
        };
        let params = self.fns[id].def.params.iter();
        let missing = params.filter(|p| {
            !given
                .iter()
                .any(|a| a.name.is_some_and(|n| n.name == p.name.name))
        });
        missing
            .filter_map(|p| match p.name.name.as_str() {
                "fan_in" => Some((p.name, *fan_in)),
                "fan_out" => Some((p.name, *fan_out)),
                _ => None,
            })
            .collect()
    }

    /// A value of the type with one number everywhere.
    pub(crate) fn filled(&mut self, cx: &mut Cx, ty: &Ty, fill: f64) -> Val {
        match ty {
            Ty::Tensor { dtype, shape } => {
                let shape: Vec<Dim> = shape.iter().map(|d| cx.facts.normalize(*d)).collect();
                Val::Tensor(cx.b.splat(*dtype, fill, &shape))
            }
            Ty::Tuple(parts) => {
                Val::Tuple(parts.iter().map(|p| self.filled(cx, p, fill)).collect())
            }
            Ty::List(element, count) => Val::List(
                (0..*count)
                    .map(|_| self.filled(cx, element, fill))
                    .collect(),
            ),
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                let fields = self.fields(*module, args, *tangent);
                let fields = fields
                    .into_iter()
                    .map(|(n, ty, _)| (n, self.filled(cx, &ty, fill)));
                let fields = fields.collect();
                let (module, args, tangent) = (*module, args.clone(), *tangent);
                Val::Record(Box::new(Record {
                    module,
                    args,
                    tangent,
                    fields,
                }))
            }
            Ty::Key | Ty::Error => Val::Poison,
        }
    }

    /// A fresh key for the next field that draws.
    fn next_key(&mut self, cx: &mut Cx, source: &mut KeySource, span: Span) -> Option<Val> {
        let Some(key) = source.key else {
            let message = "this module draws random numbers: `init` needs a key";
            self.report(Diagnostic::new("E0303", source.span, message).related(span, "drawn here"));
            return None;
        };
        source.count += 1;
        let (mine, rest) = self.split_key(cx, key, span);
        source.key = Some(rest);
        Some(Val::Key(mine))
    }
}

/// Hands out keys, one after another.
struct KeySource {
    key: Option<aiai_ir::Value>,
    span: Span,
    count: usize,
}

fn name_expr(name: Ident) -> crate::ast::Expr {
    crate::ast::Expr::new(crate::ast::ExprKind::Name(name), name.span)
}

/// The type that a module's definition gives a field.
fn written_type(def: &crate::ast::Module, name: Sym) -> Option<&TypeExpr> {
    def.members.iter().find_map(|member| match member {
        Member::Leaf(leaf) if leaf.names.iter().any(|n| n.name == name) => Some(&leaf.ty),
        Member::Submodule(sub) if sub.names.iter().any(|n| n.name == name) => Some(&sub.ty),
        _ => None,
    })
}

/// Whether a written type is nothing but the given name.
pub(crate) fn is_bare(ty: &TypeExpr, name: Sym) -> bool {
    matches!(&ty.kind, TypeKind::Named { name: n, args } if n.name == name && args.is_empty())
}
