//! The decision tree: all patterns of a rule set, tested together.
//!
//! Each edge is a test of the value at the next place of the preorder. Patterns with a common beginning share
//! the tests of it, and of an op's key only the one edge with that key is followed, so that the time to find
//! the patterns that fit hardly depends on how many there are.

use aiai_ir::{Op, Region, Scalar, Type};
use rustc_hash::FxHashMap;

use super::pattern::{Pattern, Test, bits};

/// What patterns are matched against: values and what makes them.
pub trait Graph {
    type Id: Copy + Eq + std::fmt::Debug;

    fn ty(&self, id: Self::Id) -> &Type;

    /// The one value of all elements, where it is known.
    fn splat(&self, id: Self::Id) -> Option<Scalar>;

    /// How many makers a value has: one at most in a program, more where equal values share a class.
    fn makers(&self, id: Self::Id) -> usize;

    fn maker(&self, id: Self::Id, number: usize) -> Maker<'_, Self::Id>;
}

/// An op that makes a value.
#[derive(Clone, Copy, Debug)]
pub struct Maker<'g, Id> {
    pub key: u32,
    pub op: &'g Op,
    pub operands: &'g [Id],
    pub regions: &'g [Region],
}

/// What stands at a place of the preorder: the value, and which of its makers was taken.
pub type Assigned<Id> = Vec<(Id, usize)>;

#[derive(Clone, Debug, Default)]
struct TreeNode {
    keys: FxHashMap<u32, usize>,
    others: Vec<(Test, usize)>,
    /// Patterns that end here.
    ends: Vec<usize>,
}

/// A decision tree over patterns, each given by its number.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<TreeNode>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree {
            nodes: vec![TreeNode::default()],
        }
    }
}

/// A search from one value.
pub struct Search<'t, G: Graph> {
    tree: &'t Tree,
    graph: &'t G,
    agenda: Vec<G::Id>,
    assigned: Assigned<G::Id>,
    /// Tests that may still be made.
    budget: usize,
    found: Vec<(usize, Assigned<G::Id>)>,
}

impl Tree {
    pub fn insert(&mut self, number: usize, pattern: &Pattern) {
        let mut at = 0;
        for &(test, _) in &pattern.preorder {
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            at = match test {
                Test::Key(key) => *node.keys.entry(key).or_insert(next),
                other => match node.others.iter().find(|edge| edge.0 == other) {
                    Some(edge) => edge.1,
                    None => {
                        node.others.push((other, next));
                        next
                    }
                },
            };
            if at == next {
                self.nodes.push(TreeNode::default());
            }
        }
        self.nodes[at].ends.push(number);
    }

    /// Patterns that the value fits by ops, dtypes and ranks, in order of their numbers, each with the values
    /// at its places. Dimensions, guards and regions are not looked at. `budget` bounds the tests; the second
    /// result says whether it was enough.
    #[allow(clippy::type_complexity, reason = "the pair is taken apart at once")]
    pub fn matches<G: Graph>(
        &self,
        graph: &G,
        root: G::Id,
        budget: usize,
    ) -> (Vec<(usize, Assigned<G::Id>)>, bool) {
        let mut search = Search {
            tree: self,
            graph,
            agenda: vec![root],
            assigned: Vec::new(),
            budget,
            found: Vec::new(),
        };
        search.descend(0);
        let enough = search.budget > 0;
        let mut found = search.found;
        // Stable: of one pattern, the order of operands as written comes first.
        found.sort_by_key(|candidate| candidate.0);
        (found, enough)
    }
}

impl<G: Graph> Search<'_, G> {
    fn descend(&mut self, at: usize) {
        if self.budget == 0 {
            return;
        }
        self.budget -= 1;
        let tree = self.tree;
        let node = &tree.nodes[at];
        let Some(value) = self.agenda.pop() else {
            let ends = node.ends.iter();
            self.found.extend(ends.map(|&n| (n, self.assigned.clone())));
            return;
        };
        for &(test, next) in &node.others {
            if self.holds(test, value) {
                self.assigned.push((value, usize::MAX));
                self.descend(next);
                self.assigned.pop();
            }
        }
        if !node.keys.is_empty() {
            self.makers(&node.keys, value);
        }
        self.agenda.push(value);
    }

    fn makers(&mut self, keys: &FxHashMap<u32, usize>, value: G::Id) {
        let graph = self.graph;
        for number in 0..graph.makers(value) {
            let maker = graph.maker(value, number);
            let Some(&next) = keys.get(&maker.key) else {
                continue;
            };
            self.assigned.push((value, number));
            let depth = self.agenda.len();
            self.agenda.extend(maker.operands.iter().rev());
            self.descend(next);
            self.agenda.truncate(depth);
            if maker.op.is_commutative() && maker.operands[0] != maker.operands[1] {
                self.agenda.extend(maker.operands.iter());
                self.descend(next);
                self.agenda.truncate(depth);
            }
            self.assigned.pop();
        }
    }

    fn holds(&self, test: Test, value: G::Id) -> bool {
        let fits = |dtype, rank| {
            let ty = self.graph.ty(value);
            ty.dtype() == dtype && ty.rank() == rank
        };
        match test {
            Test::Key(_) => false,
            Test::Any(dtype, rank) => fits(dtype, rank),
            Test::Splat(dtype, rank) => fits(dtype, rank) && self.graph.splat(value).is_some(),
            Test::Literal(dtype, rank, wanted) => {
                fits(dtype, rank) && self.graph.splat(value).map(bits) == Some(wanted)
            }
            Test::Same(place) => same(self.graph, self.assigned[place].0, value),
        }
    }
}

/// Whether two values are one: the same, or equal constants of one type.
pub fn same<G: Graph>(graph: &G, a: G::Id, b: G::Id) -> bool {
    if a == b {
        return true;
    }
    let known = |id| graph.splat(id).map(bits);
    known(a).is_some() && known(a) == known(b) && graph.ty(a) == graph.ty(b)
}
