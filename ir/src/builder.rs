//! Building functions op by op, with inferred result types.

use crate::module::{Function, Loc, OpNode, Region, Value};
use crate::ops::{BinaryKind, CompareKind, ReduceKind, UnaryKind};
use crate::{DType, Dim, Literal, Op, Type};

/// Appends ops to the innermost open region of a function.
///
/// ```
/// use aiai_ir::{Builder, DType, Dim, Function, Type, UnaryKind};
/// let mut f = Function::new("f");
/// let x = f.add_param("x", Type::tensor(DType::F32, [Dim::sym("N")]), false);
/// let mut b = Builder::new(&mut f);
/// let y = b.unary(UnaryKind::Exp, x);
/// b.finish(&[y], &["y"]);
/// assert_eq!(f.result_types()[0].to_string(), "f32[N]");
/// ```
pub struct Builder<'f> {
    pub function: &'f mut Function,
    /// Open regions, innermost last; the first is the function's body.
    open: Vec<Region>,
    /// The place given to ops built from now on.
    pub loc: Option<Loc>,
}

impl<'f> Builder<'f> {
    /// Continues at the end of the function's body.
    pub fn new(function: &'f mut Function) -> Builder<'f> {
        let body = std::mem::take(&mut function.body);
        let loc = function.loc;
        Builder {
            function,
            open: vec![body],
            loc,
        }
    }

    /// Closes the body with the function's results.
    pub fn finish(mut self, results: &[Value], names: &[&str]) {
        assert_eq!(self.open.len(), 1, "a region is still open");
        let mut body = self.open.pop().unwrap_or_default();
        body.yields = results.to_vec();
        self.function.body = body;
        self.function.result_names = names.iter().map(|&n| n.into()).collect();
    }

    /// Adds a parameter to the function being built.
    pub fn add_param(&mut self, name: &str, ty: Type, owned: bool) -> Value {
        let value = self.function.new_value(ty);
        self.function.param_names.push(name.into());
        self.function.owned.push(owned);
        self.open[0].args.push(value);
        value
    }

    pub fn ty(&self, value: Value) -> &Type {
        self.function.ty(value)
    }

    fn innermost(&mut self) -> &mut Region {
        self.open
            .last_mut()
            .expect("the body stays open until finish")
    }

    /// Opens a region with arguments of the given types.
    pub fn begin_region(&mut self, args: &[Type]) -> Vec<Value> {
        let args: Vec<Value> = args
            .iter()
            .map(|t| self.function.new_value(t.clone()))
            .collect();
        self.open.push(Region {
            args: args.clone(),
            ..Region::default()
        });
        args
    }

    /// Opens a region whose arguments exist already.
    pub fn begin_existing(&mut self, args: &[Value]) {
        self.open.push(Region {
            args: args.to_vec(),
            ..Region::default()
        });
    }

    /// Closes the innermost region.
    pub fn end_region(&mut self, yields: &[Value]) -> Region {
        assert!(self.open.len() > 1, "no region is open");
        let mut region = self.open.pop().unwrap_or_default();
        region.yields = yields.to_vec();
        region
    }

    /// Appends an op whose types are known to fit.
    ///
    /// # Panics
    /// Where they do not: the caller's bug, since user errors are found before.
    pub fn op(&mut self, op: Op, operands: &[Value], regions: Vec<Region>) -> Vec<Value> {
        match self.try_op(op, operands, regions) {
            Ok(results) => results,
            Err(sentence) => panic!("{sentence}"),
        }
    }

    /// Appends an op, or says why its operands do not fit.
    pub fn try_op(
        &mut self,
        op: Op,
        operands: &[Value],
        regions: Vec<Region>,
    ) -> Result<Vec<Value>, String> {
        let types: Vec<Type> = operands.iter().map(|&v| self.ty(v).clone()).collect();
        let rims: Vec<_> = regions
            .iter()
            .map(|r| self.function.region_types(r))
            .collect();
        let inferred = op
            .infer(&types, &rims)
            .map_err(|e| format!("`{}` {e}", op.name()))?;
        let results: Vec<Value> = inferred
            .into_iter()
            .map(|ty| self.function.new_value(ty))
            .collect();
        let node = OpNode {
            op,
            operands: operands.to_vec(),
            results: results.clone(),
            regions,
            loc: self.loc,
        };
        self.innermost().ops.push(node);
        Ok(results)
    }

    /// Appends an op that has one result and no region.
    pub fn value(&mut self, op: Op, operands: &[Value]) -> Value {
        let results = self.op(op, operands, Vec::new());
        assert_eq!(results.len(), 1, "the op has {} results", results.len());
        results[0]
    }

    /// Appends an existing node as it is; its results must be values of this function.
    pub fn push_node(&mut self, node: OpNode) {
        self.innermost().ops.push(node);
    }

    pub fn literal(&mut self, value: Literal) -> Value {
        self.value(Op::Constant { value }, &[])
    }

    /// A scalar constant, converted to the dtype.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> Value {
        self.literal(Literal::f64(dtype, value))
    }

    /// A tensor filled with one value.
    pub fn splat(&mut self, dtype: DType, value: f64, shape: &[Dim]) -> Value {
        let scalar = self.scalar(dtype, value);
        self.broadcast(scalar, shape, &[])
    }

    pub fn dim(&mut self, dim: Dim) -> Value {
        self.value(Op::DimValue { dim }, &[])
    }

    pub fn unary(&mut self, kind: UnaryKind, x: Value) -> Value {
        self.value(Op::Unary { kind }, &[x])
    }

    pub fn binary(&mut self, kind: BinaryKind, a: Value, b: Value) -> Value {
        self.value(Op::Binary { kind }, &[a, b])
    }

    pub fn compare(&mut self, kind: CompareKind, a: Value, b: Value) -> Value {
        self.value(Op::Compare { kind }, &[a, b])
    }

    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Value {
        self.value(Op::Select, &[condition, a, b])
    }

    /// A conversion; nothing where the dtype is right already.
    pub fn cast(&mut self, x: Value, dtype: DType) -> Value {
        if self.ty(x).dtype() == dtype {
            x
        } else {
            self.value(Op::Cast { dtype }, &[x])
        }
    }

    /// A broadcast; nothing where the shape is right already.
    pub fn broadcast(&mut self, x: Value, shape: &[Dim], axes: &[usize]) -> Value {
        if self.ty(x).shape() == shape {
            return x;
        }
        self.value(
            Op::Broadcast {
                shape: shape.to_vec(),
                axes: axes.to_vec(),
            },
            &[x],
        )
    }

    /// A reshape; nothing where the shape is right already.
    pub fn reshape(&mut self, x: Value, shape: &[Dim]) -> Value {
        if self.ty(x).shape() == shape {
            return x;
        }
        self.value(
            Op::Reshape {
                shape: shape.to_vec(),
            },
            &[x],
        )
    }

    /// A permutation; nothing for the identity.
    pub fn permute(&mut self, x: Value, axes: &[usize]) -> Value {
        if axes.iter().copied().eq(0..axes.len()) {
            return x;
        }
        self.value(
            Op::Permute {
                axes: axes.to_vec(),
            },
            &[x],
        )
    }

    /// A reduction with the default accumulator.
    pub fn reduce(&mut self, kind: ReduceKind, x: Value, axes: &[usize]) -> Value {
        let acc = self.ty(x).dtype().default_accumulator();
        self.value(
            Op::Reduce {
                kind,
                axes: axes.to_vec(),
                acc,
            },
            &[x],
        )
    }
}
