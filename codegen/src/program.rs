//! A function as its callers see it, in the plain data of the runtime.

use std::collections::HashMap;

use crate::lower::Packed;
use aiai_ir::dim::{Atom, Relation as IrRelation};
use aiai_ir::{Dim, Function, Loc, Sym, Value};
use aiai_runtime::program::{
    Factor, Place, Program, Relation, Requirement, Site, Size, Slot, Term,
};

/// The program of a function whose code reads the sizes `dims`, names the `sites` and takes the `packed` weights.
pub fn program(source: &Function, dims: &[Dim], sites: Vec<Site>, packed: &[Packed]) -> Program {
    let mut symbols = Symbols::default();
    let mut slots = |values: &[Value], names: &[Sym]| -> Vec<Slot> {
        let slot = |(&value, name): (&Value, &Sym)| {
            let ty = source.ty(value);
            Slot {
                name: name.to_string(),
                dtype: aiai_runtime::DType::ALL[ty.dtype() as usize],
                shape: ty.shape().iter().map(|d| symbols.size(*d)).collect(),
            }
        };
        values.iter().zip(names).map(slot).collect()
    };
    let params = slots(source.params(), &source.param_names);
    let results = slots(&source.body.yields, &source.result_names);
    let dtype = |dtype| aiai_runtime::DType::ALL[dtype as usize];
    let packed = packed.iter().map(|weight| Slot {
        name: "packed".into(),
        dtype: dtype(weight.dtype),
        shape: weight.shape.iter().map(|d| symbols.size(*d)).collect(),
    });
    let packed = packed.collect();
    let requires = source.requires.iter().map(|require| Requirement {
        size: symbols.size(require.dim),
        relation: match require.relation {
            IrRelation::Zero => Relation::Zero,
            IrRelation::NonZero => Relation::NonZero,
            IrRelation::NonNegative => Relation::NonNegative,
        },
        message: require.message.clone(),
        place: require.loc.map(place),
    });
    let requires = requires.collect();
    let dims = dims.iter().map(|d| symbols.size(*d)).collect();
    Program {
        name: source.name.to_string(),
        symbols: symbols.names,
        params,
        results,
        packed,
        requires,
        dims,
        sites,
    }
}

/// Named dimensions by their place in the program.
#[derive(Default)]
struct Symbols {
    names: Vec<String>,
    places: HashMap<Sym, usize>,
}

impl Symbols {
    fn size(&mut self, dim: Dim) -> Size {
        let term = |(factors, coefficient): &(Vec<(Atom, u32)>, i64)| Term {
            coefficient: *coefficient,
            factors: factors
                .iter()
                .map(|(atom, power)| (self.factor(*atom), *power))
                .collect(),
        };
        let terms: Vec<Term> = dim.terms().iter().map(term).collect();
        Size {
            text: dim.to_string(),
            terms: (!dim.is_overflow()).then_some(terms),
        }
    }

    fn factor(&mut self, atom: Atom) -> Factor {
        match atom {
            Atom::Sym(sym) => Factor::Symbol(*self.places.entry(sym).or_insert_with(|| {
                self.names.push(sym.to_string());
                self.names.len() - 1
            })),
            Atom::Div(a, b) => Factor::Quotient(Box::new((self.size(a), self.size(b)))),
        }
    }
}

/// A place in the source, without the IR.
pub fn place(loc: Loc) -> Place {
    Place {
        file: loc.file.to_string(),
        line: loc.line,
        column: loc.column,
    }
}
