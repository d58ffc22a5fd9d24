//! A counterexample to a rule, and its form as a test of the language.

use std::fmt::Write;

use aiai_ir::eval::{Array, Data};
use aiai_ir::{DType, Instance, Sym};

use super::element::shown;
use super::source::RuleText;

/// Arguments on which the sides of a rule differ by more than its class allows.
#[derive(Clone, Debug)]
pub struct Counterexample {
    pub rule: Sym,
    pub instance: Instance,
    /// The named dimensions, in order of their names.
    pub sizes: Vec<(Sym, i64)>,
    /// The parameters, in the order of the rule.
    pub inputs: Vec<(Sym, Array)>,
    /// The results that differ; the right one has no elements where the right side stops.
    pub left: Array,
    pub right: Array,
    /// The first element that differs.
    pub at: usize,
    /// Which of the results differs, and the types of all of them.
    pub result: usize,
    pub results: Vec<(DType, Vec<usize>)>,
    /// Whether the right side stops with an error where the left one does not.
    pub right_stops: bool,
    pub why: String,
    /// Whether the sizes are too large for memory: inputs and results are those at four positions of each large
    /// dimension, and no test of the language can hold them.
    pub beyond_memory: bool,
    /// The text of the rule, or of the file that it stands in.
    pub source: Option<String>,
}

impl Counterexample {
    /// The same with the text of the rule, or of its file: what [`Counterexample::to_aiai`] writes the sides from.
    pub fn with_source(mut self, text: &str) -> Counterexample {
        self.source = Some(text.to_owned());
        self
    }

    /// A test of the language that fails: both sides as functions of concrete types, the arguments, and the
    /// comparison that does not hold. Without the text of the rule, the results stand in the place of the calls.
    pub fn to_aiai(&self) -> String {
        let sides = self
            .source
            .as_ref()
            .filter(|_| !self.beyond_memory)
            .and_then(|text| RuleText::find(text, self.rule.as_str()));
        let mut out = String::new();
        if self.beyond_memory {
            let sizes: Vec<String> = self
                .sizes
                .iter()
                .map(|(name, size)| format!("{name} = {size}"))
                .collect();
            let _ = writeln!(out, "// sizes: {}", sizes.join(", "));
        }
        for line in self.why.lines() {
            let _ = writeln!(out, "// {line}");
        }
        if let Some(sides) = &sides {
            for (name, body) in [("left", &sides.lhs), ("right", &sides.rhs)] {
                let body = sides.concrete(body, &self.instance, &self.sizes);
                let _ = writeln!(
                    out,
                    "fn {name}({}) -> {} {{\n  {body}\n}}\n",
                    self.params(),
                    self.result_types()
                );
            }
        }
        let _ = writeln!(out, "test \"counterexample to {}\" {{", self.rule);
        for (name, value) in &self.inputs {
            if sides.is_none() {
                let _ = writeln!(
                    out,
                    "  // {name}: {} = {}",
                    ty(value.dtype, &value.shape),
                    literal(value)
                );
            }
        }
        for (name, value) in [("left", &self.left), ("right", &self.right)] {
            if sides.is_some() {
                let _ = writeln!(
                    out,
                    "  let {} = {name}({})",
                    self.pattern(name),
                    self.arguments()
                );
            } else {
                let _ = writeln!(out, "  let {name} = {}", literal(value));
            }
        }
        let _ = writeln!(out, "  {}\n}}", self.assertion());
        out
    }

    fn params(&self) -> String {
        let one = |(name, x): &(Sym, Array)| format!("{name}: {}", ty(x.dtype, &x.shape));
        self.inputs.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn arguments(&self) -> String {
        let one = |(_, x): &(Sym, Array)| literal(x);
        self.inputs.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn result_types(&self) -> String {
        let all: Vec<String> = self
            .results
            .iter()
            .map(|(dtype, shape)| ty(*dtype, shape))
            .collect();
        match all.as_slice() {
            [one] => one.clone(),
            all => format!("({})", all.join(", ")),
        }
    }

    /// What a call of a side is bound to.
    fn pattern(&self, name: &str) -> String {
        if self.results.len() == 1 {
            return name.to_owned();
        }
        let places = 0..self.results.len();
        let names: Vec<&str> = places
            .map(|k| if k == self.result { name } else { "_" })
            .collect();
        format!("({})", names.join(", "))
    }

    fn assertion(&self) -> String {
        if self.right_stops {
            return "assert_close(left, right, tol = 0.0) // `right` stops".into();
        }
        let (Data::Float(l), Data::Float(r)) = (&self.left.data, &self.right.data) else {
            return "assert(all(left == right))".into();
        };
        let (Some(l), Some(r)) = (l.get(self.at), r.get(self.at)) else {
            return "assert_close(left, right, tol = 0.0)".into();
        };
        if l == r {
            // Zeros of different signs.
            return "assert_close(1.0 / left, 1.0 / right, tol = 0.0)".into();
        }
        let distance = (l - r).abs() / (1.0 + r.abs());
        if !distance.is_finite() || distance == 0.0 {
            return "assert_close(left, right, tol = 0.0)".into();
        }
        format!("assert_close(left, right, tol = {:.0e})", distance / 2.0)
    }
}

fn ty(dtype: DType, shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("{dtype}[{}]", sizes.join(", "))
}

/// An array as an expression, where its dtype is known from a parameter.
fn literal(x: &Array) -> String {
    if x.is_empty() {
        let sizes: Vec<String> = x.shape.iter().map(usize::to_string).collect();
        return format!("zeros::<{}, {}>()", x.dtype, sizes.join(", "));
    }
    let large = x.dtype == DType::U64 && x.as_ints().iter().any(|&v| v < 0);
    let elements: Vec<String> = (0..x.len()).map(|at| element(x, at)).collect();
    let text = nest(&elements, &x.shape);
    if large { format!("u64({text})") } else { text }
}

fn element(x: &Array, at: usize) -> String {
    match &x.data {
        Data::Float(v) if v[at].is_nan() => "nan".into(),
        Data::Float(v) if v[at].is_infinite() => if v[at] > 0.0 { "inf" } else { "-inf" }.into(),
        Data::Float(v) if x.dtype != DType::F64 => format!("{:?}", v[at] as f32),
        Data::Int(v) if x.dtype == DType::U64 => v[at].to_string(),
        Data::Int(v) if v[at] == i64::MIN => "-9223372036854775807 - 1".into(),
        _ => shown(x, at),
    }
}

fn nest(elements: &[String], shape: &[usize]) -> String {
    let Some((&count, rest)) = shape.split_first() else {
        return elements.first().cloned().unwrap_or_default();
    };
    let width: usize = rest.iter().product();
    let rows: Vec<String> = (0..count)
        .map(|k| nest(&elements[k * width..(k + 1) * width], rest))
        .collect();
    format!("[{}]", rows.join(", "))
}
