//! Affine access maps of contractions.
//!
//! A map takes a point of an index space to a point of a tensor: coordinate `k` is
//! `sum over i of coefficients[i] * index[i] + offset`, where coefficients and offset are
//! dimension expressions.

use std::fmt;

use crate::Dim;

/// One coordinate of an access: a sum of `index * coefficient` plus an offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AffineExpr {
    /// Pairs of index number and non-zero coefficient, sorted by index number.
    pub terms: Vec<(usize, Dim)>,
    pub offset: Dim,
}

/// One coordinate per tensor axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AffineMap {
    pub coords: Vec<AffineExpr>,
}

impl AffineExpr {
    /// The bare index `i`.
    pub fn index(i: usize) -> AffineExpr {
        AffineExpr {
            terms: vec![(i, Dim::from(1))],
            offset: Dim::from(0),
        }
    }

    /// A coordinate that no index moves.
    pub fn constant(offset: Dim) -> AffineExpr {
        AffineExpr {
            terms: Vec::new(),
            offset,
        }
    }

    /// Adds terms of equal index and drops zeros.
    pub fn new(terms: impl IntoIterator<Item = (usize, Dim)>, offset: Dim) -> AffineExpr {
        let mut merged: Vec<(usize, Dim)> = Vec::new();
        for (index, coefficient) in terms {
            match merged.binary_search_by_key(&index, |t| t.0) {
                Ok(at) => merged[at].1 = merged[at].1 + coefficient,
                Err(at) => merged.insert(at, (index, coefficient)),
            }
        }
        merged.retain(|t| !t.1.is_const(0));
        AffineExpr {
            terms: merged,
            offset,
        }
    }

    /// The index number, where the coordinate is a bare index.
    pub fn as_index(&self) -> Option<usize> {
        match self.terms.as_slice() {
            [(i, c)] if c.is_const(1) && self.offset.is_const(0) => Some(*i),
            _ => None,
        }
    }

    /// The smallest and largest value over an index space whose extents are at least 1.
    /// `None` where the sign of a coefficient is not known.
    pub fn bounds(&self, space: &[Dim]) -> Option<(Dim, Dim)> {
        let (mut low, mut high) = (self.offset, self.offset);
        for (index, coefficient) in &self.terms {
            let last = *coefficient * (space[*index] - Dim::from(1));
            let facts = crate::Facts::default();
            let sign = |d: Dim| facts.check(crate::Relation::NonNegative, d) == crate::Truth::True;
            if sign(*coefficient) {
                high = high + last;
            } else if sign(-*coefficient) {
                low = low + last;
            } else {
                return None;
            }
        }
        Some((low, high))
    }
}

impl AffineMap {
    /// The map whose coordinates are bare indices.
    pub fn of_indices(indices: impl IntoIterator<Item = usize>) -> AffineMap {
        AffineMap {
            coords: indices.into_iter().map(AffineExpr::index).collect(),
        }
    }

    /// The index numbers, where every coordinate is a bare index.
    pub fn as_indices(&self) -> Option<Vec<usize>> {
        self.coords.iter().map(AffineExpr::as_index).collect()
    }

    /// Whether index `i` moves any coordinate.
    pub fn uses(&self, i: usize) -> bool {
        self.coords.iter().any(|c| c.terms.iter().any(|t| t.0 == i))
    }

    pub fn map_dims(&self, f: &mut impl FnMut(Dim) -> Dim) -> AffineMap {
        let coords = self.coords.iter();
        let coords = coords.map(|c| {
            AffineExpr::new(
                c.terms.iter().map(|t| (t.0, f(t.1))).collect::<Vec<_>>(),
                f(c.offset),
            )
        });
        AffineMap {
            coords: coords.collect(),
        }
    }
}

impl fmt::Display for AffineExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (index, coefficient)) in self.terms.iter().enumerate() {
            let plus = if place == 0 { "" } else { " + " };
            match coefficient.as_const() {
                Some(1) => write!(f, "{plus}i{index}")?,
                Some(c) if c >= 0 => write!(f, "{plus}{c}*i{index}")?,
                _ => write!(f, "{plus}({coefficient})*i{index}")?,
            }
        }
        match (self.terms.is_empty(), self.offset.is_const(0)) {
            (true, _) => write!(f, "{}", self.offset),
            (false, true) => Ok(()),
            (false, false) => write!(f, " + ({})", self.offset),
        }
    }
}

impl fmt::Display for AffineMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, coord) in self.coords.iter().enumerate() {
            write!(f, "{}{coord}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}
