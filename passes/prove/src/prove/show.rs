//! Terms as text: for the argument of a proof, and as keys that do not depend on the order in which terms were made.

use aiai_ir::dim::Atom as DimAtom;
use aiai_ir::{Dim, Sym};

use super::rational::Rational;
use super::term::{Atom, AtomId, BigOp, Poly, Source, Terms};

type Names<'a> = &'a dyn Fn(Sym) -> Option<&'static str>;

impl Terms {
    pub fn show(&self, poly: &Poly) -> String {
        self.show_with(poly, &|_| None)
    }

    /// With other names for some symbols.
    pub fn show_with(&self, poly: &Poly, names: Names) -> String {
        if poly.terms.is_empty() {
            return "0".into();
        }
        let mut parts: Vec<String> = poly
            .terms
            .iter()
            .map(|(mono, value)| {
                let mut factors: Vec<String> = mono
                    .iter()
                    .map(|(id, power)| {
                        let base = self.show_atom(*id, names);
                        if *power == 1 {
                            base
                        } else {
                            format!("{base}^{power}")
                        }
                    })
                    .collect();
                factors.sort();
                if *value != Rational::ONE || factors.is_empty() {
                    factors.insert(0, value.to_string());
                }
                factors.join("*")
            })
            .collect();
        parts.sort();
        parts.join(" + ")
    }

    pub fn show_dim(&self, dim: Dim, names: Names) -> String {
        let mut parts: Vec<String> = dim
            .terms()
            .iter()
            .map(|(monomial, coefficient)| {
                let mut factors: Vec<String> = monomial
                    .iter()
                    .map(|(atom, power)| {
                        let base = self.show_dim_atom(*atom, names);
                        if *power == 1 {
                            base
                        } else {
                            format!("{base}^{power}")
                        }
                    })
                    .collect();
                factors.sort();
                if *coefficient != 1 || factors.is_empty() {
                    factors.insert(0, coefficient.to_string());
                }
                factors.join("*")
            })
            .collect();
        parts.sort();
        if parts.is_empty() {
            return "0".into();
        }
        parts.join(" + ")
    }

    fn show_dim_atom(&self, atom: DimAtom, names: Names) -> String {
        match atom {
            DimAtom::Sym(sym) => match (names(sym), self.index_term(sym)) {
                (Some(name), _) => name.to_owned(),
                (None, Some(term)) => format!("({})", self.show_with(term, names)),
                (None, None) => sym.to_string(),
            },
            DimAtom::Div(a, b) => format!(
                "floor({} / {})",
                self.show_dim(a, names),
                self.show_dim(b, names)
            ),
        }
    }

    fn show_dims(&self, dims: &[Dim], names: Names) -> String {
        let all: Vec<String> = dims.iter().map(|d| self.show_dim(*d, names)).collect();
        all.join(", ")
    }

    fn show_polys(&self, polys: &[Poly], names: Names) -> String {
        let all: Vec<String> = polys.iter().map(|p| self.show_with(p, names)).collect();
        all.join(", ")
    }

    fn show_atom(&self, id: AtomId, names: Names) -> String {
        match &*self.atom(id) {
            Atom::Read { source, index, .. } => {
                let name = match source {
                    Source::Param(at) => format!("p{at}"),
                    Source::Carry { depth, place } => format!("c{depth}.{place}"),
                };
                format!("{name}[{}]", self.show_dims(index, names))
            }
            Atom::Size(dim) => self.show_dim(*dim, names),
            Atom::Inverse(p) => format!("1/({})", self.show_with(p, names)),
            Atom::Exp(p) => format!("exp({})", self.show_with(p, names)),
            Atom::Apply(fun, args) => format!("{fun:?}({})", self.show_polys(args, names)),
            Atom::AtLeast(p) => format!("[{} >= 0]", self.show_with(p, names)),
            Atom::Equal(p) => format!("[{} == 0]", self.show_with(p, names)),
            Atom::IntAtLeast(a, b) => format!(
                "[{} >= {}]",
                self.show_with(a, names),
                self.show_with(b, names)
            ),
            Atom::SizeAtLeast(dim) => format!("[{} >= 0]", self.show_dim(*dim, names)),
            Atom::SizeEqual(dim) => format!("[{} == 0]", self.show_dim(*dim, names)),
            Atom::Big {
                op,
                ranges,
                base,
                body,
            } => {
                let name = match op {
                    BigOp::Sum => "sum",
                    BigOp::Prod => "prod",
                    BigOp::Max => "max",
                    BigOp::All => "all",
                };
                let ranges: Vec<String> = ranges
                    .iter()
                    .enumerate()
                    .map(|(k, n)| format!("${} < {}", *base as usize + k, self.show_dim(*n, names)))
                    .collect();
                format!(
                    "{name}({}: {})",
                    ranges.join(", "),
                    self.show_with(body, names)
                )
            }
            Atom::Opaque(lambda) => format!(
                "{}({}; {}; {})[{}]",
                lambda.name,
                self.show_dims(&lambda.ranges, names),
                self.show_polys(&lambda.bodies, names),
                self.show_polys(&lambda.outer, names),
                self.show_dims(&lambda.at, names)
            ),
            Atom::Infinity => "inf".into(),
            Atom::NotANumber => "nan".into(),
            Atom::Literal(bits, dtype) => format!("{dtype}:{bits:x}"),
        }
    }
}
