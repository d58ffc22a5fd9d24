//! The functions that the compiler provides: one table of names, signatures and documentation.

use aiai_ir::{DType, Dim, Value};

use super::Elaborator;
use super::context::Cx;
use super::operators::Operand;
use super::value::{GArg, Ty, Val};
use crate::ast::{Arg, GenericArg, Ident};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

mod arithmetic;
mod checks;
mod creation;
mod movement;
mod reductions;

/// A row of the table.
pub struct Builtin {
    pub name: &'static str,
    pub signature: &'static str,
    pub doc: &'static str,
    run: fn(&mut Elaborator, &mut Cx, &mut Call) -> Option<Val>,
}

/// A call of a builtin: its arguments are evaluated.
pub struct Call<'a> {
    pub name: &'static str,
    pub generics: &'a [GenericArg],
    pub args: Vec<(Option<Ident>, Val, Span)>,
    pub hint: Option<DType>,
    pub span: Span,
}

macro_rules! builtins {
    ($($name:literal $signature:literal $doc:literal $run:path;)+) => {
        /// Every builtin, by topic.
        pub const BUILTINS: &[Builtin] = &[
            $( Builtin { name: $name, signature: $signature, doc: $doc, run: $run } ),+
        ];
    };
}

builtins! {
    // Elementwise.
    "exp" "exp(x)" "e to the power x." arithmetic::unary;
    "expm1" "expm1(x)" "exp(x) - 1, accurate near 0." arithmetic::unary;
    "exp2" "exp2(x)" "2 to the power x." arithmetic::unary;
    "log" "log(x)" "The natural logarithm." arithmetic::unary;
    "log1p" "log1p(x)" "log(1 + x), accurate near 0." arithmetic::unary;
    "sqrt" "sqrt(x)" "The square root." arithmetic::unary;
    "rsqrt" "rsqrt(x)" "1 / sqrt(x)." arithmetic::unary;
    "tanh" "tanh(x)" "The hyperbolic tangent." arithmetic::unary;
    "sin" "sin(x)" "The sine of radians." arithmetic::unary;
    "cos" "cos(x)" "The cosine of radians." arithmetic::unary;
    "erf" "erf(x)" "The error function." arithmetic::unary;
    "abs" "abs(x)" "The magnitude." arithmetic::unary;
    "sign" "sign(x)" "-1, 0 or 1." arithmetic::unary;
    "floor" "floor(x)" "The largest integral value not above x." arithmetic::unary;
    "ceil" "ceil(x)" "The smallest integral value not below x." arithmetic::unary;
    "round" "round(x)" "The nearest integral value, ties to even." arithmetic::unary;
    "is_nan" "is_nan(x)" "Whether x is NaN." arithmetic::unary;
    "is_finite" "is_finite(x)" "Whether x is neither NaN nor infinite." arithmetic::unary;
    "pow" "pow(x, y)" "x to the power y." arithmetic::binary;
    "xor" "xor(x, y)" "Exclusive or, bitwise for integers." arithmetic::binary;
    "shl" "shl(x, n)" "x shifted left by n bits." arithmetic::binary;
    "shr" "shr(x, n)" "x shifted right by n bits; copies the sign of signed integers." arithmetic::binary;
    "select" "select(condition, a, b)" "a where the condition holds, b elsewhere." arithmetic::select;
    "clamp" "clamp(x, low, high)" "x, but at least low and at most high." arithmetic::clamp;
    "stop_gradient" "stop_gradient(x)" "x, of which no gradient is taken." arithmetic::stop_gradient;
    // Reductions.
    "sum" "sum(x, axis = k | axes = (..), keep = false)" "The sum along axes, or of everything." reductions::reduce;
    "prod" "prod(x, axis = k)" "The product along axes." reductions::reduce;
    "max" "max(x, y) or max(x, axis = k)" "The larger of two, or the largest along axes." reductions::extreme;
    "min" "min(x, y) or min(x, axis = k)" "The smaller of two, or the smallest along axes." reductions::extreme;
    "any" "any(x, axis = k)" "Whether any is true." reductions::reduce;
    "all" "all(x, axis = k)" "Whether all are true." reductions::reduce;
    "mean" "mean(x, axis = k)" "The sum divided by the count." reductions::mean;
    "argmax" "argmax(x, axis = k)" "The place of the largest; the lowest on ties." reductions::arg_reduce;
    "argmin" "argmin(x, axis = k)" "The place of the smallest; the lowest on ties." reductions::arg_reduce;
    "sort" "sort(x, axis = -1, descending = false)" "The elements in order." reductions::sort;
    "argsort" "argsort(x, axis = -1, descending = false)" "The places of the elements in order." reductions::sort;
    "top_k" "top_k(x, k)" "The k largest along the last axis, in order, and their places." reductions::top_k;
    // Movement.
    "reshape" "reshape(x, (a, b))" "The same elements under another shape." movement::reshape;
    "transpose" "transpose(x)" "The last two axes exchanged; other orders with `permute`." movement::transpose;
    "permute" "permute(x, (1, 0, 2))" "Axis k of the result is the k-th axis named; of a tuple, its elements in that order." movement::permute;
    "broadcast" "broadcast(x, (a, b))" "Repeated to a shape, trailing axes aligned." movement::broadcast;
    "pad" "pad(x, axis = k, before = n, after = m, value = 0)" "Copies of `value` laid around." movement::pad;
    "concat" "concat((a, b), axis = 0)" "Laid end to end along an axis." movement::concat;
    "stack" "stack((a, b), axis = 0)" "Laid along a new axis." movement::concat;
    "slice" "slice(x, axis = k, from = a, to = b, stride = 1)" "The places a to b of an axis given by number." movement::slice;
    "reverse" "reverse(x, axis = k)" "The other way round along an axis." movement::reverse;
    "update" "update(x, value, at = (i, ..))" "x with a window replaced; `..` is a whole axis." movement::update;
    "scatter_add" "scatter_add(x, index, updates)" "x with row `index[i]` increased by `updates[i]`." movement::scatter;
    "scatter_set" "scatter_set(x, index, updates)" "x with row `index[i]` replaced by `updates[i]`." movement::scatter;
    "scatter_max" "scatter_max(x, index, updates)" "x with row `index[i]` raised to `updates[i]`." movement::scatter;
    // Creation.
    "zeros" "zeros::<T, A, B>()" "Zeros of a shape; f32 unless T says otherwise." creation::filled;
    "ones" "ones::<T, A, B>()" "Ones of a shape." creation::filled;
    "full" "full::<A, B>(value)" "One value everywhere." creation::full;
    "zeros_like" "zeros_like(x)" "Zeros of the type of x." creation::like;
    "ones_like" "ones_like(x)" "Ones of the type of x." creation::like;
    "rank" "rank::<..S>()" "How many dimensions a pack has." creation::rank;
    "iota" "iota::<N>()" "0, 1, ... as i64." creation::iota;
    "key" "key(seed)" "A random key from a whole number." creation::key;
    "split" "split(key)" "Two keys that are unlike each other and the first." creation::split;
    "random_bits" "random_bits::<A, B>(key)" "Uniform random u32 words." creation::random_bits;
    // Checks.
    "assert" "assert(condition)" "Stops unless the condition holds everywhere." checks::assert;
    "assert_close" "assert_close(a, b, tol = 1e-6)" "Stops unless |a - b| <= tol * (1 + |b|) everywhere." checks::assert_close;
}

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|b| b.name == name)
}

/// Every name, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|b| b.name)
}

impl Elaborator<'_> {
    pub(crate) fn builtin(
        &mut self,
        cx: &mut Cx,
        builtin: &'static Builtin,
        generics: &[GenericArg],
        args: &[Arg],
        hint: Option<DType>,
        span: Span,
    ) -> Val {
        let mut evaluated = Vec::new();
        let wants_literals = matches!(
            builtin.name,
            "assert_close" | "select" | "max" | "min" | "pow"
        );
        let mut inner = if wants_literals { None } else { hint };
        for arg in args {
            let val = self.expr(cx, &arg.value, inner);
            if let (Val::Tensor(v), true) = (&val, wants_literals && arg.name.is_none()) {
                let dtype = cx.b.ty(*v).dtype();
                if dtype != DType::Bool || builtin.name != "select" {
                    inner = Some(dtype);
                }
            }
            evaluated.push((arg.name, val, arg.value.span));
        }
        if evaluated.iter().any(|a| a.1.is_poison()) {
            return Val::Poison;
        }
        let mut call = Call {
            name: builtin.name,
            generics,
            args: evaluated,
            hint,
            span,
        };
        let result = (builtin.run)(self, cx, &mut call);
        let Some(val) = result else {
            return Val::Poison;
        };
        if let Some((name, _, at)) = call.args.first() {
            let (at, message) = match name {
                Some(name) => (
                    name.span,
                    format!("`{}` has no argument `{}`", builtin.name, name.name),
                ),
                None => (
                    *at,
                    format!("`{}` does not take this argument", builtin.name),
                ),
            };
            let help = match builtin.name {
                "transpose" => {
                    "transpose(x) exchanges the last two axes; `permute(x, axes)` puts them in any order"
                }
                _ => builtin.signature,
            };
            return self.fail(Diagnostic::new("E0303", at, message).help(help));
        }
        val
    }

    /// `f32(x)`: a conversion.
    pub(crate) fn convert(&mut self, cx: &mut Cx, dtype: DType, args: &[Arg], span: Span) -> Val {
        let [arg] = args else {
            return self.error("E0303", span, "a conversion takes one value");
        };
        match self.expr(cx, &arg.value, None) {
            Val::Poison => Val::Poison,
            val @ (Val::Dim(_) | Val::Float(_) | Val::Bool(_)) => {
                let natural = match (&val, dtype) {
                    (Val::Float(_), d) if !d.is_float() => DType::F64,
                    (Val::Bool(_), _) => DType::Bool,
                    (Val::Dim(_), DType::Bool) => DType::I64,
                    (_, d) => d,
                };
                match self.tensor(cx, val, Some(natural), arg.value.span) {
                    Some(value) => Val::Tensor(cx.b.cast(value, dtype)),
                    None => Val::Poison,
                }
            }
            val => match self.tensor(cx, val, None, arg.value.span) {
                Some(value) => Val::Tensor(cx.b.cast(value, dtype)),
                None => Val::Poison,
            },
        }
    }
}

impl Call<'_> {
    /// Takes the next argument without a name, or the one with the given name.
    fn take(&mut self, name: &str) -> Option<(Val, Span)> {
        let named = self
            .args
            .iter()
            .position(|a| a.0.is_some_and(|n| n.name.as_str() == name));
        let at = named.or_else(|| self.args.iter().position(|a| a.0.is_none()))?;
        let (_, val, span) = self.args.remove(at);
        Some((val, span))
    }

    /// Takes the argument with the given name.
    fn named(&mut self, name: &str) -> Option<(Val, Span)> {
        let at = self
            .args
            .iter()
            .position(|a| a.0.is_some_and(|n| n.name.as_str() == name))?;
        let (_, val, span) = self.args.remove(at);
        Some((val, span))
    }
}

/// What the handlers share.
impl Elaborator<'_> {
    fn missing(&mut self, call: &Call, what: &str) {
        let signature = find(call.name).map_or("", |b| b.signature);
        let message = format!("`{}` misses {what}", call.name);
        self.report(Diagnostic::new("E0303", call.span, message).help(signature));
    }

    /// The next argument as a tensor.
    fn tensor_arg(&mut self, cx: &mut Cx, call: &mut Call, name: &str) -> Option<(Value, Span)> {
        let Some((val, span)) = call.take(name) else {
            self.missing(call, &format!("the argument `{name}`"));
            return None;
        };
        Some((self.tensor(cx, val, call.hint, span)?, span))
    }

    fn operand_arg(&mut self, call: &mut Call, name: &str) -> Option<Operand> {
        match call.take(name) {
            Some((val, span)) => Some(Operand { val, span }),
            None => {
                self.missing(call, &format!("the argument `{name}`"));
                None
            }
        }
    }

    /// A named compile-time dimension.
    fn dim_arg(&mut self, cx: &Cx, call: &mut Call, name: &str) -> Option<Option<Dim>> {
        match call.named(name) {
            None => Some(None),
            Some((Val::Dim(dim), _)) => Some(Some(cx.facts.normalize(dim))),
            Some((other, span)) => {
                let message = format!(
                    "`{name}` must be known at compile time; this is {}",
                    other.kind()
                );
                self.report(Diagnostic::new("E0308", span, message));
                None
            }
        }
    }

    fn bool_arg(&mut self, call: &mut Call, name: &str) -> Option<bool> {
        match call.named(name) {
            None => Some(false),
            Some((Val::Bool(value), _)) => Some(value),
            Some((_, span)) => {
                self.report(Diagnostic::new(
                    "E0308",
                    span,
                    format!("`{name}` is `true` or `false`"),
                ));
                None
            }
        }
    }

    /// An axis that counts from the front, or from the back if negative.
    fn axis(&mut self, dim: Dim, rank: usize, span: Span) -> Option<usize> {
        let rank_signed = rank as i64;
        match dim.as_const() {
            Some(axis) if (-rank_signed..rank_signed).contains(&axis) => {
                Some(axis.rem_euclid(rank_signed) as usize)
            }
            Some(axis) => self.no_axis(axis, rank_signed, span),
            None => {
                self.report(Diagnostic::new(
                    "E0308",
                    span,
                    "an axis must be a known number",
                ));
                None
            }
        }
    }

    pub(super) fn no_axis<T>(&mut self, axis: i64, rank: i64, span: Span) -> Option<T> {
        let message = format!("axis {axis} is out of range for rank {rank}");
        let mut finding = Diagnostic::new("E0307", span, message);
        if rank > 0 {
            let last = rank - 1;
            finding = finding.help(match last {
                0 => "the one axis is 0, or -1 from the end".to_owned(),
                _ => format!("axes are 0 to {last}, or -1 to -{rank} from the end"),
            });
        }
        self.report(finding);
        None
    }

    /// The axes that `axis =` or `axes =` name; `None` inside where neither stands.
    fn axes_arg(&mut self, call: &mut Call, rank: usize) -> Option<Option<Vec<usize>>> {
        let (dims, span) = match (call.named("axis"), call.named("axes")) {
            (None, None) => return Some(None),
            (Some((Val::Dim(dim), span)), None) | (None, Some((Val::Dim(dim), span))) => {
                (vec![dim], span)
            }
            (None, Some((Val::Tuple(parts), span))) => {
                let dims: Option<Vec<Dim>> = parts
                    .iter()
                    .map(|p| if let Val::Dim(d) = p { Some(*d) } else { None })
                    .collect();
                match dims {
                    Some(dims) => (dims, span),
                    None => {
                        self.report(Diagnostic::new("E0308", span, "axes are known numbers"));
                        return None;
                    }
                }
            }
            (Some((val, span)), _) | (_, Some((val, span))) => {
                let mut finding = Diagnostic::new("E0308", span, "an axis is a known number");
                if matches!(val, Val::Tuple(_)) {
                    finding = finding.help("name several with `axes = (0, 1)`");
                }
                self.report(finding);
                return None;
            }
        };
        let mut axes = Vec::new();
        for dim in dims {
            let axis = self.axis(dim, rank, span)?;
            if axes.contains(&axis) {
                self.report(Diagnostic::new(
                    "E0307",
                    span,
                    format!("axis {axis} is named twice"),
                ));
                return None;
            }
            axes.push(axis);
        }
        axes.sort_unstable();
        Some(Some(axes))
    }

    /// A shape given as a tuple of dimensions.
    fn shape_arg(&mut self, cx: &Cx, call: &mut Call, name: &str) -> Option<(Vec<Dim>, Span)> {
        let Some((val, span)) = call.take(name) else {
            self.missing(call, "a shape");
            return None;
        };
        let dims = match val {
            Val::Tuple(parts) => parts
                .into_iter()
                .map(|p| {
                    if let Val::Dim(d) = p {
                        Some(cx.facts.normalize(d))
                    } else {
                        None
                    }
                })
                .collect(),
            Val::Dim(dim) => Some(vec![cx.facts.normalize(dim)]),
            _ => None,
        };
        if dims.is_none() {
            self.report(Diagnostic::new(
                "E0308",
                span,
                "a shape is a tuple of dimensions, `(a, b)`",
            ));
        }
        Some((dims?, span))
    }

    /// The dtype and the shape among generic arguments, `::<f32, A, ..S>`.
    fn generic_shape(&mut self, cx: &mut Cx, call: &Call) -> Option<(Option<DType>, Vec<Dim>)> {
        let mut env = std::mem::take(&mut cx.env);
        let mut dtype = None;
        let mut shape = Vec::new();
        let mut ok = true;
        for arg in call.generics {
            match self.generic_arg(arg, false, &mut env) {
                Some(GArg::DType(d)) if dtype.is_none() && shape.is_empty() => dtype = Some(d),
                Some(GArg::Dim(dim)) => shape.push(cx.facts.normalize(dim)),
                Some(GArg::Pack(pack)) => shape.extend(pack),
                Some(_) => {
                    self.report(Diagnostic::new("E0303", arg.span(), "expected a dimension"));
                    ok = false;
                }
                None => ok = false,
            }
        }
        cx.env = env;
        ok.then_some((dtype, shape))
    }

    /// Fits a value to a scalar of a dtype.
    fn scalar_of(&mut self, cx: &mut Cx, val: Val, dtype: DType, span: Span) -> Option<Value> {
        let ty = Ty::Tensor {
            dtype,
            shape: Vec::new(),
        };
        match self.fit(cx, val, &ty, span, "this", span)? {
            Val::Tensor(value) => Some(value),
            _ => None,
        }
    }
}
