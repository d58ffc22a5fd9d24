//! An order of terms: which of two sides of equal cost is the simpler one.
//!
//! It is that of Knuth and Bendix (1970) with weight 1 for every op and every parameter: smaller terms first,
//! then those whose outermost op stands lower, then by operands: from the left, or as multisets where they may be
//! exchanged, since patterns match either way. It is well founded and kept by every context, so that rewriting
//! that lowers (cost, order) step by step ends. Movement stands below arithmetic: of two sides of one size, the
//! one that moves later is the smaller.

use std::cmp::Ordering;
use std::collections::HashMap;

use aiai_ir::{BinaryKind, Function, Op, Rule, UnaryKind, Value};

type TermId = usize;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Term {
    head: Head,
    operands: Vec<TermId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Head {
    Param(usize),
    /// The op, and which of its results.
    Op(Op, usize),
}

#[derive(Default)]
struct Terms {
    terms: Vec<Term>,
    known: HashMap<Term, TermId>,
    /// Nodes of the term as a tree.
    weights: Vec<u64>,
    /// How often each parameter stands in the term as a tree.
    params: Vec<Vec<u64>>,
}

/// Whether the right side of a rule is smaller than the left one for all values of the parameters.
/// Sides with regions are not compared.
pub fn right_is_smaller(rule: &Rule) -> bool {
    let mut terms = Terms::default();
    let sides = [&rule.lhs, &rule.rhs].map(|side| terms.read(side));
    let [Some(left), Some(right)] = sides else {
        return false;
    };
    // Of several results none may grow, and one must shrink.
    let orders: Vec<Option<Ordering>> = left
        .iter()
        .zip(&right)
        .map(|(&l, &r)| terms.compare(l, r))
        .collect();
    let kept = |o: &Option<Ordering>| matches!(o, Some(Ordering::Greater | Ordering::Equal));
    orders.iter().all(kept) && orders.contains(&Some(Ordering::Greater))
}

impl Terms {
    fn read(&mut self, side: &Function) -> Option<Vec<TermId>> {
        let count = side.body.args.len();
        let mut known: HashMap<Value, TermId> = HashMap::new();
        for (number, &value) in side.body.args.iter().enumerate() {
            let id = self.add(Head::Param(number), Vec::new(), count);
            known.insert(value, id);
        }
        for node in &side.body.ops {
            if !node.regions.is_empty() {
                return None;
            }
            let operands: Vec<TermId> = node.operands.iter().map(|v| known[v]).collect();
            for (result, &value) in node.results.iter().enumerate() {
                let head = Head::Op(node.op.clone(), result);
                known.insert(value, self.add(head, operands.clone(), count));
            }
        }
        Some(side.body.yields.iter().map(|v| known[v]).collect())
    }

    fn add(&mut self, head: Head, mut operands: Vec<TermId>, params: usize) -> TermId {
        if matches!(&head, Head::Op(op, _) if op.is_commutative()) {
            operands.sort_unstable();
        }
        let term = Term { head, operands };
        if let Some(&known) = self.known.get(&term) {
            return known;
        }
        let mut weight = 1u64;
        let mut counts = vec![0u64; params];
        if let Head::Param(number) = term.head {
            counts[number] = 1;
        }
        for &operand in &term.operands {
            weight = weight.saturating_add(self.weights[operand]);
            for (count, more) in counts.iter_mut().zip(&self.params[operand]) {
                *count = count.saturating_add(*more);
            }
        }
        let id = self.terms.len();
        self.known.insert(term.clone(), id);
        self.terms.push(term);
        self.weights.push(weight);
        self.params.push(counts);
        id
    }

    /// How the left term compares with the right one; `None` where neither holds for all parameters.
    fn compare(&self, left: TermId, right: TermId) -> Option<Ordering> {
        if left == right {
            return Some(Ordering::Equal);
        }
        let covers = |a: TermId, b: TermId| {
            let pairs = self.params[a].iter().zip(&self.params[b]);
            pairs.clone().all(|(a, b)| a >= b)
        };
        let order = match self.weights[left].cmp(&self.weights[right]) {
            Ordering::Equal => self.compare_heads(left, right)?,
            unequal => unequal,
        };
        let sound = match order {
            Ordering::Greater => covers(left, right),
            Ordering::Less => covers(right, left),
            Ordering::Equal => true,
        };
        sound.then_some(order)
    }

    fn compare_heads(&self, left: TermId, right: TermId) -> Option<Ordering> {
        let (l, r) = (&self.terms[left], &self.terms[right]);
        let (Head::Op(a, _), Head::Op(b, _)) = (&l.head, &r.head) else {
            return None;
        };
        let order = precedence(a).cmp(&precedence(b));
        if order != Ordering::Equal {
            return Some(order);
        }
        if l.head != r.head {
            return None;
        }
        if a.is_commutative() {
            return self.compare_multisets(&l.operands, &r.operands);
        }
        let first = l.operands.iter().zip(&r.operands).find(|(a, b)| a != b);
        first.map_or(Some(Ordering::Equal), |(&a, &b)| self.compare(a, b))
    }
}

impl Terms {
    /// What both have aside, one is greater if each of the other's is below one of its own.
    fn compare_multisets(&self, left: &[TermId], right: &[TermId]) -> Option<Ordering> {
        let (mut left, mut right) = (left.to_vec(), right.to_vec());
        left.retain(|term| match right.iter().position(|other| other == term) {
            Some(at) => {
                right.swap_remove(at);
                false
            }
            None => true,
        });
        let covers = |above: &[TermId], below: &[TermId]| {
            let greater = |a: TermId, b: TermId| self.compare(a, b) == Some(Ordering::Greater);
            below.iter().all(|&b| above.iter().any(|&a| greater(a, b)))
        };
        match (left.is_empty(), right.is_empty()) {
            (true, true) => Some(Ordering::Equal),
            _ if covers(&left, &right) => Some(Ordering::Greater),
            _ if covers(&right, &left) => Some(Ordering::Less),
            _ => None,
        }
    }
}

/// Where an op stands: data lowest, then movement, then the others in the order of the op table.
fn precedence(op: &Op) -> (u8, usize, usize) {
    let family = match op.info().family {
        "data" => 0,
        "movement" => 1,
        _ => 2,
    };
    let kind = match op {
        Op::Unary { kind } => UnaryKind::ALL.iter().position(|k| k == kind),
        Op::Binary { kind } => BinaryKind::ALL.iter().position(|k| k == kind),
        _ => None,
    };
    (family, op.row() as usize, kind.unwrap_or(0))
}
