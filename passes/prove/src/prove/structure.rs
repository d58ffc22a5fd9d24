//! What must hold of sizes and positions for a side to run at all.

use aiai_ir::{AffineMap, DType, Dim, Function, Op, OpNode, Region, Relation};

use super::Outcome;
use super::decide::Decider;
use super::eval::{Element, Evaluator, add_clause};
use super::known::Known;
use super::term::{Atom, Fun, Poly, Ring, Terms};

/// Conditions on sizes: of slices, paddings, reshapes, accesses and of every shape; with those of branches
/// and loops, or of what runs for certain alone.
pub fn demands(function: &Function, within: bool) -> Vec<(Relation, Dim)> {
    let mut found = Vec::new();
    for param in function.param_types() {
        found.extend(param.shape().iter().map(|n| (Relation::NonNegative, *n)));
    }
    for require in &function.requires {
        found.push((require.relation, require.dim));
    }
    in_region(function, &function.body, within, &mut found);
    found
}

fn in_region(function: &Function, region: &Region, within: bool, found: &mut Vec<(Relation, Dim)>) {
    for node in &region.ops {
        of_node(function, node, found);
        // What a loop needs is needed where it has an iteration: see `in_loops`.
        let looped = matches!(node.op, Op::Scan { .. });
        if (within && !looped) || matches!(node.op, Op::Fused { .. }) {
            for inner in &node.regions {
                in_region(function, inner, within, found);
            }
        }
    }
}

fn of_node(function: &Function, node: &OpNode, found: &mut Vec<(Relation, Dim)>) {
    let at_least = |a: Dim, b: Dim| (Relation::NonNegative, a - b);
    let (zero, one) = (Dim::from(0), Dim::from(1));
    for result in &node.results {
        let shape = function.ty(*result).shape();
        found.extend(shape.iter().map(|n| (Relation::NonNegative, *n)));
    }
    match &node.op {
        Op::Slice {
            starts,
            limits,
            strides,
        } => {
            let shape = function.ty(node.operands[0]).shape();
            for k in 0..shape.len() {
                found.push(at_least(strides[k], one));
                found.push(at_least(starts[k], zero));
                found.push(at_least(limits[k], starts[k]));
                found.push(at_least(shape[k], limits[k]));
            }
        }
        Op::Pad { low, high } => {
            found.extend(low.iter().chain(high).map(|n| at_least(*n, zero)));
        }
        Op::Reshape { shape } => {
            let from = function.ty(node.operands[0]).shape();
            let count = |dims: &[Dim]| Dim::product(dims.iter().copied());
            found.push((Relation::Zero, count(from) - count(shape)));
        }
        Op::DynamicSlice { .. } => {
            let shape = function.ty(node.operands[0]).shape();
            let sizes = function.ty(node.results[0]).shape();
            found.extend(shape.iter().zip(sizes).map(|(n, size)| at_least(*n, *size)));
        }
        Op::DynamicUpdate => {
            let shape = function.ty(node.operands[0]).shape();
            let sizes = function.ty(node.operands[1]).shape();
            found.extend(shape.iter().zip(sizes).map(|(n, size)| at_least(*n, *size)));
        }
        Op::Scan { step, .. } => found.push((Relation::NonZero, *step)),
        _ => {}
    }
}

/// The ranges of a space and what must hold of sizes for an access over it to stay inside.
type Access = (Vec<Dim>, Vec<(Relation, Dim)>);

/// Accesses of contractions by more than bare indices: the least and the greatest position, with the space
/// in which they are taken; and what iterations need of sizes, with how many there are. With those of branches,
/// or of what runs for certain alone.
pub fn accesses(function: &Function, within: bool) -> Vec<Access> {
    let mut found = Vec::new();
    let mut trips = Vec::new();
    in_loops(function, &function.body, within, &mut trips, &mut found);
    found
}

fn in_loops(
    function: &Function,
    region: &Region,
    within: bool,
    trips: &mut Vec<Dim>,
    found: &mut Vec<Access>,
) {
    for node in &region.ops {
        let mut demands = Vec::new();
        match &node.op {
            Op::Contract {
                space,
                maps,
                out,
                shape,
                ..
            } => {
                let operands = node.operands.iter().map(|v| function.ty(*v).shape());
                let all = maps.iter().zip(operands);
                for (map, sizes) in all.chain(std::iter::once((out, shape.as_slice()))) {
                    let ranges = [trips.as_slice(), space].concat();
                    found.push((ranges, access(map, sizes, space)));
                }
            }
            Op::Scan { from, to, step } => {
                let runs = aiai_ir::ops::trip_count(*from, *to, *step);
                trips.push(runs);
                in_region(function, &node.regions[0], within, &mut demands);
                found.push((trips.clone(), demands));
                in_loops(function, &node.regions[0], within, trips, found);
                trips.pop();
                continue;
            }
            _ => {}
        }
        let runs = within || matches!(node.op, Op::Fused { .. });
        for inner in node.regions.iter().filter(|_| runs) {
            in_loops(function, inner, within, trips, found);
        }
    }
}

fn access(map: &AffineMap, sizes: &[Dim], space: &[Dim]) -> Vec<(Relation, Dim)> {
    let mut demands = Vec::new();
    for (coordinate, size) in map.coords.iter().zip(sizes) {
        match coordinate.bounds(space) {
            Some((low, high)) => {
                demands.push((Relation::NonNegative, low));
                demands.push((Relation::NonNegative, *size - Dim::from(1) - high));
            }
            // Of unknown sign: nothing that could be shown.
            None => demands.push((Relation::NonNegative, Dim::overflow())),
        }
    }
    demands
}

/// The element without the conditions that a position lies in range, where the checks say that it does.
pub fn in_range_for_certain(
    terms: &mut Terms,
    decider: &mut Decider,
    mut element: Element,
    checks: &[Poly],
) -> Outcome<Element> {
    let atoms: Vec<_> = element.term.atoms().collect();
    for id in atoms {
        if matches!(&*terms.atom(id), Atom::Apply(Fun::InRange(_), _))
            && decider.follows(terms, &Poly::atom(Ring::Real, id), checks)?
        {
            element.term = terms.assign(&element.term, id, true)?;
        }
    }
    Ok(element)
}

/// Whether the condition is shown.
pub fn shown(known: &Known, relation: Relation, dim: Dim) -> bool {
    match relation {
        Relation::NonNegative => known.proves(dim),
        Relation::Zero => known.equal(dim, Dim::from(0)),
        Relation::NonZero => known.differ(dim, Dim::from(0)),
    }
}

impl<'a> Evaluator<'a> {
    /// Conditions on values that stop the program where they fail: positions in range, assertions. Loops are
    /// left to the loops: see `control`.
    pub fn checks(&mut self) -> Outcome<Vec<Poly>> {
        let function = self.function;
        let mut clauses = Vec::new();
        for node in &function.body.ops {
            self.checks_of(node, &mut clauses)?;
        }
        Ok(clauses)
    }

    fn checks_of(&mut self, node: &'a OpNode, clauses: &mut Vec<Poly>) -> Outcome<()> {
        let x = node.operands.first().copied();
        match &node.op {
            Op::Gather { axes } | Op::Scatter { axes, kind: _ } => {
                let Some(x) = x else { return Ok(()) };
                let shape = self.function.ty(x).shape().to_vec();
                for (at, axis) in axes.iter().enumerate() {
                    let operand = node.operands[1 + at];
                    let ranges = self.function.ty(operand).shape().to_vec();
                    let mark = self.terms.known.mark();
                    let vars = self.fresh_indices(&ranges);
                    let index: Vec<Dim> = vars.iter().map(|v| Dim::sym(v.0)).collect();
                    let position = self.element(operand, &index)?;
                    let inside = self.in_range(&position.term, shape[*axis])?;
                    let bound = self.bind_clauses(&[inside], &vars)?;
                    bound.into_iter().for_each(|c| add_clause(clauses, c));
                    self.terms.known.release(mark);
                }
            }
            Op::DynamicSlice { .. } | Op::DynamicUpdate => {
                let Some(x) = x else { return Ok(()) };
                let shape = self.function.ty(x).shape().to_vec();
                let slice = matches!(node.op, Op::DynamicSlice { .. });
                let (sizes, starts) = if slice {
                    (node.results[0], &node.operands[1..])
                } else {
                    (node.operands[1], &node.operands[2..])
                };
                let sizes = self.function.ty(sizes).shape().to_vec();
                for (k, start) in starts.iter().enumerate() {
                    let position = self.element(*start, &[])?;
                    let range = shape[k] - sizes[k] + Dim::from(1);
                    let inside = self.in_range(&position.term, range)?;
                    add_clause(clauses, inside);
                }
            }
            Op::Assert { .. } => {
                if let Some(x) = x {
                    let holds = self.element(x, &[])?;
                    add_clause(clauses, holds.term);
                }
            }
            Op::If => {
                let Some(x) = x else { return Ok(()) };
                let condition = self.element(x, &[])?;
                let one = Poly::one(super::term::Ring::Real);
                for (taken, region) in node.regions.iter().enumerate() {
                    let mut inner = Vec::new();
                    for node in &region.ops {
                        self.checks_of(node, &mut inner)?;
                    }
                    for clause in inner {
                        let guarded = if taken == 0 {
                            self.terms.choose(&condition.term, &clause, &one)?
                        } else {
                            self.terms.choose(&condition.term, &one, &clause)?
                        };
                        add_clause(clauses, guarded);
                    }
                }
            }
            Op::AssertClose { .. } => {
                return Err(super::Stop::unsupported("`assert_close` is not handled"));
            }
            Op::While { .. } | Op::Scan { .. } => self.checks_of_loop(node, clauses)?,
            Op::Fused { .. } => {
                for inner in &node.regions[0].ops {
                    self.checks_of(inner, clauses)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The checks of every iteration, where they do not depend on the carry; of a `while`, that it ends.
    fn checks_of_loop(&mut self, node: &'a OpNode, clauses: &mut Vec<Poly>) -> Outcome<()> {
        let mark = self.terms.known.mark();
        let mut inner = Vec::new();
        let vars = match &node.op {
            Op::Scan { from, to, step } => {
                let trips = self.trips(*from, *to, *step)?;
                let vars = self.fresh_indices(&[trips]);
                let now = *from + *step * Dim::sym(vars[0].0);
                let body = &node.regions[0];
                inner = self.iteration(body, now, |this| this.checks_in(&body.ops))?;
                vars
            }
            _ => {
                for region in &node.regions {
                    let found =
                        self.with_carries(&region.args, |this| this.checks_in(&region.ops))?;
                    inner.extend(found);
                }
                self.ends(node, clauses)?;
                Vec::new()
            }
        };
        self.no_carries_in(&inner)?;
        let bound = self.bind_clauses(&inner, &vars)?;
        self.terms.known.release(mark);
        bound.into_iter().for_each(|c| add_clause(clauses, c));
        Ok(())
    }

    fn checks_in(&mut self, nodes: &'a [OpNode]) -> Outcome<Vec<Poly>> {
        let mut clauses = Vec::new();
        for node in nodes {
            self.checks_of(node, &mut clauses)?;
        }
        Ok(clauses)
    }

    /// That a `while` ends, as a condition that the same loop on the other side has too.
    fn ends(&mut self, node: &'a OpNode, clauses: &mut Vec<Poly>) -> Outcome<()> {
        let mut index = Vec::new();
        if let Some(first) = node.results.first() {
            let shape = self.function.ty(*first).shape().to_vec();
            index.extend(self.fresh_indices(&shape).iter().map(|v| Dim::sym(v.0)));
            let element = self.element(*first, &index)?;
            let Some(id) = element.term.as_atom() else {
                return Ok(());
            };
            let super::term::Atom::Opaque(lambda) = (*self.terms.atom(id)).clone() else {
                return Ok(());
            };
            if !lambda.name.starts_with("while") {
                return Ok(());
            }
            let ended = super::term::Lambda {
                name: "while_ends".into(),
                at: Vec::new(),
                dtype: DType::Bool,
                ..lambda
            };
            let atom = self.terms.intern(super::term::Atom::Opaque(ended));
            add_clause(clauses, Poly::atom(super::term::Ring::Real, atom));
        }
        Ok(())
    }
}
