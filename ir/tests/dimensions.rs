//! The algebra of dimensions against plain arithmetic: canonical forms mean what was written, answers
//! about them are true, and their text reads back.

use aiai_ir::{DType, Dim, Facts, Function, Module, Relation, Sym, Truth, Type};
use aiai_ir::{parse_module, print_module};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["A", "B", "C"];

/// An expression as a user writes it.
#[derive(Clone, Debug)]
enum Expr {
    Const(i64),
    Name(usize),
    Add(Box<Expr>, Box<Expr>),
    Sub(Box<Expr>, Box<Expr>),
    Mul(Box<Expr>, Box<Expr>),
    Div(Box<Expr>, Box<Expr>),
}

impl Expr {
    fn dim(&self) -> Dim {
        match self {
            Expr::Const(value) => Dim::from(*value),
            Expr::Name(at) => Dim::sym(NAMES[*at]),
            Expr::Add(a, b) => a.dim() + b.dim(),
            Expr::Sub(a, b) => a.dim() - b.dim(),
            Expr::Mul(a, b) => a.dim() * b.dim(),
            Expr::Div(a, b) => a.dim().floor_div(b.dim()),
        }
    }

    /// `None` where something is divided by zero, whose value is not defined, or does not fit.
    fn value(&self, names: &[i64; 3]) -> Option<i64> {
        Some(match self {
            Expr::Const(value) => *value,
            Expr::Name(at) => names[*at],
            Expr::Add(a, b) => a.value(names)?.checked_add(b.value(names)?)?,
            Expr::Sub(a, b) => a.value(names)?.checked_sub(b.value(names)?)?,
            Expr::Mul(a, b) => a.value(names)?.checked_mul(b.value(names)?)?,
            Expr::Div(a, b) => {
                let (a, b) = (a.value(names)?, b.value(names)?);
                let floor = a.checked_rem_euclid(b)?;
                // The Euclidean remainder is never negative, that of a floor has the divisor's sign.
                let floor = if b < 0 && floor != 0 {
                    floor + b
                } else {
                    floor
                };
                a.checked_sub(floor)?.checked_div(b)?
            }
        })
    }
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        (-4i64..10).prop_map(Expr::Const),
        (0usize..3).prop_map(Expr::Name)
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        (0..4, inner.clone(), inner).prop_map(|(op, a, b)| {
            let (a, b) = (Box::new(a), Box::new(b));
            match op {
                0 => Expr::Add(a, b),
                1 => Expr::Sub(a, b),
                2 => Expr::Mul(a, b),
                _ => Expr::Div(a, b),
            }
        })
    })
}

fn sizes() -> impl Strategy<Value = [i64; 3]> {
    prop::array::uniform3(0i64..14)
}

fn value(dim: Dim, sizes: &[i64; 3]) -> Option<i64> {
    dim.eval(&|sym: Sym| {
        let at = NAMES.iter().position(|name| *name == sym.as_str())?;
        Some(sizes[at])
    })
}

/// A relation to zero that holds for the value.
fn true_relation(value: i64) -> Relation {
    match value {
        0 => Relation::Zero,
        1.. => Relation::NonNegative,
        _ => Relation::NonZero,
    }
}

#[test]
fn constants_are_what_they_are_made_of() {
    for value in [i64::MIN, i64::MIN + 1, -2, -1, 0, 1, 256, 257, i64::MAX] {
        assert_eq!(Dim::from(value).as_const(), Some(value));
        assert_eq!(Dim::from(value) + Dim::from(0), Dim::from(value));
        assert_eq!(Dim::from(value) * Dim::from(1), Dim::from(value));
        assert_eq!(Dim::from(value) * Dim::from(0), Dim::from(0));
    }
    let n = Dim::sym("N");
    assert_eq!((n + Dim::from(3)) * Dim::from(0), Dim::from(0));
    assert_eq!(n - n + Dim::from(5), Dim::from(5));
    assert!((Dim::from(i64::MAX) + Dim::from(1)).is_overflow());
    assert!((Dim::from(i64::MIN) * Dim::from(-1)).is_overflow());
    assert!((Dim::overflow() * Dim::from(0)).is_overflow());
}

#[test]
fn equal_divisions_look_equal() {
    let a = Dim::sym("A");
    let twice = Dim::from(2) * a;
    let third = (a + Dim::from(2)).floor_div(Dim::from(3));
    for more in [4, 5] {
        assert_eq!((twice + Dim::from(more)).floor_div(Dim::from(6)), third);
    }
    let halves = (twice + Dim::from(4)).floor_div(Dim::from(2));
    assert_eq!(halves.floor_div(Dim::from(3)), third);
    assert_eq!(
        (twice - Dim::from(1)).floor_div(Dim::from(4)),
        (a - Dim::from(1)).floor_div(Dim::from(2))
    );
}

#[test]
fn multiples_of_sums_divide_evenly() {
    let [a, b, c] = ["A", "B", "C"].map(Dim::sym);
    let plane = (a + Dim::from(2)) * (b + Dim::from(2));
    for factor in [Dim::from(1), Dim::from(6), c, Dim::from(3) * a, a * c] {
        assert_eq!((factor * plane).floor_div(plane), factor);
    }
    assert_eq!(Dim::from(0).floor_div(plane), Dim::from(0));
    assert_ne!((plane + Dim::from(1)).floor_div(plane), Dim::from(1));
}

#[test]
fn a_negative_divisor_bounds_nothing() {
    let a = Dim::sym("A");
    // For A = 5 this is 6 - 7.
    let asked = Dim::from(-2) * a.floor_div(Dim::from(-2)) - a - Dim::from(2);
    assert_eq!(value(asked, &[5, 0, 0]), Some(-1));
    assert_eq!(
        Facts::default().check(Relation::NonNegative, asked),
        Truth::Unknown
    );
}

/// `sum of S % n >= 1`, with as many `%` as asked for.
fn remainders(sizes: &[&str], count: i64) -> Dim {
    let of = |k: i64| {
        let size = Dim::sym(sizes[k as usize % sizes.len()]);
        let n = Dim::from(k + 2);
        size - size.floor_div(n) * n
    };
    (0..count).fold(Dim::from(-1), |sum, k| sum + of(k))
}

#[test]
fn hostile_conditions_are_given_up_soon_and_always_alike() {
    let mut facts = Facts::default();
    for count in 24..56 {
        facts.assume(
            Relation::NonNegative,
            remainders(&["A", "B", "C", "D"], count),
        );
    }
    let asked = Dim::from(1) - remainders(&["D", "A", "C"], 60);
    let start = std::time::Instant::now();
    for _ in 0..2 {
        for relation in [Relation::Zero, Relation::NonZero, Relation::NonNegative] {
            assert_eq!(facts.check(relation, asked), Truth::Unknown, "{relation:?}");
        }
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    // A question that is soon answered still is.
    let easy = remainders(&["A", "B", "C", "D"], 30) + Dim::sym("B");
    assert_eq!(facts.check(Relation::NonNegative, easy), Truth::True);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn canonical_forms_have_the_value_of_what_was_written(e in expr(), sizes in sizes()) {
        if let Some(plain) = e.value(&sizes) {
            prop_assert_eq!(value(e.dim(), &sizes), Some(plain), "{}", e.dim());
        }
    }

    #[test]
    fn equal_polynomials_have_one_form(a in expr(), b in expr(), c in expr()) {
        let (a, b, c) = (a.dim(), b.dim(), c.dim());
        prop_assume!(!(a * b * c + a + b + c).is_overflow() && !(a * (b + c)).is_overflow());
        prop_assert_eq!(a + b, b + a);
        prop_assert_eq!(a * b, b * a);
        prop_assert_eq!((a + b) + c, a + (b + c));
        prop_assert_eq!((a * b) * c, a * (b * c));
        prop_assert_eq!(a * (b + c), a * b + a * c);
        prop_assert_eq!(a - a, Dim::from(0));
    }

    #[test]
    fn a_substitution_and_its_value_agree(e in expr(), by in expr(), sizes in sizes()) {
        let dim = e.dim().substitute(&|sym| (sym.as_str() == "B").then(|| by.dim()));
        let Some(inner) = by.value(&sizes) else { return Ok(()) };
        if let Some(plain) = e.value(&[sizes[0], inner, sizes[2]]) {
            prop_assert_eq!(value(dim, &sizes), Some(plain), "{} by {}", e.dim(), by.dim());
        }
    }

    #[test]
    fn what_follows_from_facts_is_true(
        known in prop::collection::vec(expr(), 0..4), asked in expr(), sizes in sizes()
    ) {
        let mut facts = Facts::default();
        for fact in &known {
            if let Some(plain) = fact.value(&sizes) {
                facts.assume(true_relation(plain), fact.dim());
            }
        }
        let Some(plain) = asked.value(&sizes) else { return Ok(()) };
        for relation in [Relation::Zero, Relation::NonZero, Relation::NonNegative] {
            match facts.check(relation, asked.dim()) {
                Truth::True => prop_assert!(relation.holds(plain), "{relation:?} {}", asked.dim()),
                Truth::False => prop_assert!(!relation.holds(plain), "{relation:?} {}", asked.dim()),
                Truth::Unknown => {}
            }
        }
    }

    #[test]
    fn their_text_reads_back(e in expr()) {
        let dim = e.dim();
        prop_assume!(!dim.is_overflow());
        let mut function = Function::new("f");
        let mut b = aiai_ir::Builder::new(&mut function);
        let x = b.add_param("x", Type::tensor(DType::F32, vec![dim]), false);
        b.finish(&[x], &["y"]);
        let mut module = Module::default();
        module.insert(function);
        let text = print_module(&module, Default::default());
        let again = parse_module(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(module, again);
    }
}
