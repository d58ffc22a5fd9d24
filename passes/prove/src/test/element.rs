//! Judges one element of a result: what each class allows of it.

use aiai_ir::DType;
use aiai_ir::eval::{self, Array, Data};

use super::values::limits;

/// What was found of one element.
pub enum Finding {
    Same,
    Unknown,
    /// Beyond what is allowed, and why; whether that convicts at once.
    Other(String, bool),
}

/// One result of both sides with what bounds it.
pub struct View<'v> {
    pub left: &'v Array,
    pub right: &'v Array,
    /// What the right side may be off by.
    pub budget: &'v Array,
    pub wide: Option<(&'v Array, &'v Array)>,
    /// Some input is above 64.
    pub large: bool,
    pub has_wide: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nan,
    Plus,
    Minus,
    Finite,
}

fn kind(x: f64) -> Kind {
    if x.is_nan() {
        Kind::Nan
    } else if x.is_finite() {
        Kind::Finite
    } else if x > 0.0 {
        Kind::Plus
    } else {
        Kind::Minus
    }
}

impl View<'_> {
    /// Integers and booleans: the same, where both are known.
    fn discrete(&self, at: usize) -> Finding {
        if self.left.error_at(at) > 0.0 || self.right.error_at(at) > 0.0 {
            return Finding::Unknown;
        }
        if self.left.as_ints()[at] == self.right.as_ints()[at] {
            return Finding::Same;
        }
        Finding::Other(self.told(at, "they are exact"), true)
    }

    fn told(&self, at: usize, why: &str) -> String {
        let (l, r) = (shown(self.left, at), shown(self.right, at));
        format!("element {at}: {l} on the left, {r} on the right; {why}")
    }

    /// NaN or infinite inputs: the class of the value must be the same.
    pub fn special(&self, at: usize) -> Finding {
        let (Data::Float(l), Data::Float(r)) = (&self.left.data, &self.right.data) else {
            return self.discrete(at);
        };
        let (l, r) = (l[at], r[at]);
        let (wl, wr) = match self.wide {
            Some((a, b)) => (float(a, at), float(b, at)),
            None if self.has_wide => return Finding::Unknown,
            None => (l, r),
        };
        // What overflows or underflows on the way tells nothing.
        if kind(l) != kind(wl) || kind(r) != kind(wr) {
            return Finding::Unknown;
        }
        if kind(l) == kind(r) {
            return Finding::Same;
        }
        if self.large && self.wide.is_none() {
            return Finding::Unknown;
        }
        // The sign of a zero may decide which infinity, or whether NaN: only what other arguments show too counts.
        let firm = l.is_finite() != r.is_finite();
        let why = "the class of the value differs for NaN or infinite inputs";
        Finding::Other(self.told(at, why), firm)
    }

    /// Inputs of the working range: within the bound, and no overflow that the left side does not have.
    pub fn ranged(&self, at: usize) -> Finding {
        let (Data::Float(l), Data::Float(r)) = (&self.left.data, &self.right.data) else {
            return self.discrete(at);
        };
        let (l, r) = (l[at], r[at]);
        let el = self.left.error_at(at);
        if !l.is_finite() {
            return self.undefined(at, l, r, el);
        }
        if !r.is_finite() {
            let lost = el.is_finite() && l.abs() + el < limits(self.left.dtype).2;
            return match lost {
                true => Finding::Other(
                    self.told(at, "it overflows or is undefined on the right alone"),
                    true,
                ),
                false => Finding::Unknown,
            };
        }
        let mut decided = false;
        if let Some((a, b)) = self.wide {
            let (ea, eb) = (a.error_at(at), b.error_at(at));
            let apart = (float(a, at) - float(b, at)).abs();
            if ea.is_finite() && eb.is_finite() && apart.is_finite() {
                decided = true;
                // What rounds to the same numbers does no harm.
                if apart > ea + eb && l != r {
                    let why = format!("over the real numbers they are {apart:.3e} apart");
                    return Finding::Other(self.told(at, &why), true);
                }
            }
        }
        let eb = self.budget.error_at(at);
        if el.is_finite() && eb.is_finite() {
            decided = true;
            let (distance, least) = ((l - r).abs(), limits(self.left.dtype).0);
            let allowed = el + eb;
            if distance > allowed + 2.0 * least || (allowed == 0.0 && distance > 0.0) {
                let why = format!("they are {distance:.3e} apart, {allowed:.3e} is allowed");
                return Finding::Other(self.told(at, &why), true);
            }
            // Bounds count the roundings of two executors: more than half of them is no accident, unless rounding
            // may have left nothing of the value.
            let lost = allowed >= l.abs().max(r.abs());
            if distance > 0.5 * allowed + 2.0 * least && !lost {
                let why = format!(
                    "they are {distance:.3e} apart, {:.3e} is likely",
                    0.5 * allowed
                );
                return Finding::Other(self.told(at, &why), false);
            }
        }
        if decided {
            Finding::Same
        } else {
            Finding::Unknown
        }
    }

    /// The left side is NaN or infinite for finite inputs: at a pole or outside of a domain, where the
    /// right side may not be finite either, or because it overflows, where the right side may do anything.
    fn undefined(&self, at: usize, l: f64, r: f64, el: f64) -> Finding {
        let known = match self.wide {
            Some((a, _)) => !float(a, at).is_finite() && (el == 0.0 || a.error_at(at) == 0.0),
            None => !self.has_wide && el == 0.0,
        };
        if !known {
            return Finding::Unknown;
        }
        match r.is_finite() {
            false => Finding::Same,
            true => {
                let what = if l.is_nan() { "NaN" } else { "infinite" };
                let why =
                    format!("the left side is {what} for finite inputs, the right side is not");
                Finding::Other(self.told(at, &why), true)
            }
        }
    }
}

fn float(x: &Array, at: usize) -> f64 {
    match &x.data {
        Data::Float(v) => v[at],
        Data::Int(v) => v[at] as f64,
    }
}

/// Whether an element is within so many ulp of the correctly rounded result, or of what the left side gives.
pub fn near(l: &Array, r: &Array, wide: &Array, at: usize, ulps: f64) -> Finding {
    let told = |why: &str| {
        let (l, r) = (shown(l, at), shown(r, at));
        Finding::Other(
            format!("element {at}: {l} on the left, {r} on the right; {why}"),
            true,
        )
    };
    if !l.dtype.is_float() {
        if wide.error_at(at) > 0.0 {
            return Finding::Unknown;
        }
        return match l.as_ints()[at] == r.as_ints()[at] {
            true => Finding::Same,
            false => told("they are exact"),
        };
    }
    let (a, b, w, error) = (
        float(l, at),
        float(r, at),
        float(wide, at),
        wide.error_at(at),
    );
    if a.to_bits() == b.to_bits() || (kind(a) == kind(b) && kind(a) != Kind::Finite) {
        return Finding::Same;
    }
    if a.is_finite() && b.is_finite() && (a - b).abs() <= ulps * ulp(l.dtype, a) {
        return Finding::Same;
    }
    if error == f64::INFINITY {
        return Finding::Unknown;
    }
    let rounded = eval::round_to(l.dtype, w);
    if kind(rounded) != Kind::Finite || !b.is_finite() {
        // At the edge of overflow both are right.
        let greatest = limits(l.dtype).2;
        let edge = greatest - (ulps + 1.0) * ulp(l.dtype, greatest);
        let close = w.abs() + error >= edge && b.abs() >= edge && w.signum() == b.signum();
        return match kind(rounded) == kind(b) || close {
            true => Finding::Same,
            false => told("the class of the value differs"),
        };
    }
    let distance = (b - w).abs() - error;
    let unit = ulp(l.dtype, rounded);
    if distance <= (ulps + 0.5) * unit {
        return Finding::Same;
    }
    told(&format!(
        "{:.1} ulp from the exact result {w:e}, {ulps} are allowed",
        distance / unit
    ))
}

/// The distance of neighbouring numbers of the dtype at x.
fn ulp(dtype: DType, x: f64) -> f64 {
    let (least, normal, _) = limits(dtype);
    let u = dtype.unit_roundoff().unwrap_or(0.0);
    if x.abs() < normal {
        return least;
    }
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    2f64.powi(exponent) * 2.0 * u
}

/// The first element whose bits differ.
pub fn first_other_bits(left: &Array, right: &Array) -> Option<usize> {
    match (&left.data, &right.data) {
        (Data::Float(l), Data::Float(r)) => (0..l.len())
            .find(|&at| l[at].to_bits() != r[at].to_bits() && !(l[at].is_nan() && r[at].is_nan())),
        _ => {
            let (l, r) = (left.as_ints(), right.as_ints());
            (0..l.len()).find(|&at| l[at] != r[at])
        }
    }
}

/// An element for a person.
pub fn shown(x: &Array, at: usize) -> String {
    match &x.data {
        Data::Float(v) if x.dtype == DType::F32 => format!("{:?}", v[at] as f32),
        Data::Float(v) => format!("{:?}", v[at]),
        Data::Int(v) if x.dtype == DType::Bool => (v[at] != 0).to_string(),
        Data::Int(v) if x.dtype == DType::U64 => (v[at] as u64).to_string(),
        Data::Int(v) => v[at].to_string(),
    }
}
