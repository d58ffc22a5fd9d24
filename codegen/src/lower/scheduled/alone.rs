//! A scheduled contraction alone, as a function of its own: what is measured when schedules are tuned.
//!
//! Operands and result lie in memory as they do where the contraction comes from, so that the same schedules
//! fit. What is elementwise behind it is left out.

use aiai_ir::schedule::{Axis, Pattern};
use aiai_ir::{AffineMap, Builder, Dim, Function, Op, OpNode, Sym, Type, Value};

use super::super::{Lowerer, Note, Place};
use super::choose::Choice;
use super::names;

/// A contraction with the schedules that it gets.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Takes the two operands; `None` where the contraction cannot stand alone.
    pub alone: Option<Alone>,
    /// In the order in which they are tried.
    pub fits: Vec<Fit>,
}

/// A function of one contraction.
#[derive(Clone, Debug)]
pub struct Alone {
    pub function: Function,
    /// Numbers of the parameters that depend on weights alone.
    pub weights: Vec<usize>,
}

/// A schedule, and the sizes that its guard was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    pub schedule: Sym,
    /// In the order of [`Axis::ALL`].
    pub sizes: [Dim; 4],
}

impl Fit {
    pub fn size(&self, axis: Axis) -> Dim {
        self.sizes[axis as usize]
    }
}

impl<'a> Lowerer<'a> {
    /// Notes which schedules a contraction gets.
    pub(super) fn note_schedules(&mut self, node: &OpNode, choices: &[Choice], layout: &[usize]) {
        let fit = |choice: &Choice| Fit {
            schedule: choice.name,
            sizes: [Axis::Batch, Axis::Rows, Axis::Columns, Axis::Summed]
                .map(|axis| super::choose::guarded_size(&choice.problem, axis)),
        };
        self.notes.push(Note {
            pattern: Pattern::Contract,
            what: format!("schedule {}", names(choices)),
            loc: node.loc,
            scheduled: Some(Scheduled {
                alone: self.alone(node, layout),
                fits: choices.iter().map(fit).collect(),
            }),
        });
    }

    /// The contraction as a function; the result's axes lie in memory in the order of the layout.
    fn alone(&self, node: &OpNode, layout: &[usize]) -> Option<Alone> {
        let Op::Contract {
            space,
            maps,
            out,
            shape,
            acc,
        } = &node.op
        else {
            return None;
        };
        let mut function = Function::new("contraction");
        let mut b = Builder::new(&mut function);
        let (mut operands, mut weights, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (&operand, map)) in node.operands.iter().zip(maps).enumerate() {
            let name = if number == 0 { "left" } else { "right" };
            let (value, map) = self.through_views(operand, map.clone());
            if let Some(pad) = self.nodes.get(&value).filter(|_| self.waits(value)) {
                operands.push(self.padded_alone(&mut b, name, pad)?);
                own.push(map);
                continue;
            }
            let axes = self.axes_in_memory(value)?;
            let sizes: Vec<Dim> = axes.iter().map(|&axis| self.shape(value)[axis]).collect();
            let coords = axes.iter().map(|&axis| map.coords[axis].clone());
            own.push(AffineMap {
                coords: coords.collect(),
            });
            let ty = Type::tensor(self.dtype(value), sizes);
            operands.push(b.add_param(name, ty, false));
            if self.constants.contains(&value) {
                weights.push(number);
            }
        }
        let free = out.as_indices()?;
        let op = Op::Contract {
            space: space.clone(),
            maps: own,
            out: AffineMap::of_indices(layout.iter().map(|&axis| free[axis])),
            shape: layout.iter().map(|&axis| shape[axis]).collect(),
            acc: *acc,
        };
        let result = b.try_op(op, &operands, Vec::new()).ok()?;
        b.finish(&result, &["product"]);
        Some(Alone { function, weights })
    }

    /// An operand whose margin nothing has stored, from what is padded.
    fn padded_alone(&self, b: &mut Builder, name: &str, pad: &OpNode) -> Option<Value> {
        let Op::Pad { .. } = pad.op else {
            return None;
        };
        let &[source, fill] = pad.operands.as_slice() else {
            return None;
        };
        let fill = &self.nodes.get(&fill)?.op;
        let fill = matches!(fill, Op::Constant { .. }).then(|| b.value(fill.clone(), &[]))?;
        let ty = Type::tensor(self.dtype(source), self.shape(source).to_vec());
        let source = b.add_param(name, ty, false);
        Some(b.value(pad.op.clone(), &[source, fill]))
    }

    /// The order in which the axes of a value lie in memory.
    fn axes_in_memory(&self, value: Value) -> Option<Vec<usize>> {
        let Some(Place::Buffer { axes, .. }) = self.places.get(&value) else {
            return None;
        };
        // `axes[k]` is where axis k lies.
        let mut order = vec![0; axes.len()];
        for (axis, &at) in axes.iter().enumerate() {
            *order.get_mut(at)? = axis;
        }
        Some(order)
    }
}
