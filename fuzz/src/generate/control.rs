//! Branches, loops, calls, checks and gradients.

use std::collections::BTreeMap;

use aiai_ir::ops::trip_count;
use aiai_ir::{
    BinaryKind, CompareKind, DType, Dim, Function, Op, ReduceKind, Relation, Sym, Type, Value,
};

use super::{Sizes, Writer};

impl Writer<'_, '_, '_> {
    pub(super) fn control(&mut self) -> Option<()> {
        if self.depth > 2 {
            return self.check();
        }
        match self.random().below(8) {
            0 | 1 => self.branch(),
            2 | 3 => self.scan(),
            4 => self.while_loop(),
            5 => self.check(),
            6 => self.call_again(),
            _ => self.call(),
        }
    }

    fn some_values(&mut self, least: i64, most: i64) -> Vec<Value> {
        (0..self.random().between(least, most))
            .map(|_| self.any())
            .collect()
    }

    fn some_ops(&mut self) {
        for _ in 0..self.random().between(1, 4) {
            self.step();
        }
    }

    fn values_of(&mut self, types: &[Type]) -> Option<Vec<Value>> {
        types.iter().map(|ty| self.of_type(ty)).collect()
    }

    fn types_of(&self, values: &[Value]) -> Vec<Type> {
        values.iter().map(|&v| self.ty(v)).collect()
    }

    fn branch(&mut self) -> Option<()> {
        let condition = self.of_type(&Type::scalar(DType::Bool))?;
        let wanted = self.some_values(1, 3);
        let types = self.types_of(&wanted);
        let mut regions = Vec::new();
        for _ in 0..2 {
            regions.push(self.region(&[], 1, |writer, _| {
                writer.some_ops();
                writer.values_of(&types)
            })?);
        }
        self.emit(Op::If, &[condition], regions, 0).map(drop)
    }

    fn scan(&mut self) -> Option<()> {
        let carries = self.some_values(0, 3);
        let types = self.types_of(&carries);
        let (end, one) = (self.dim(), Dim::from(1));
        let (from, to, step) = match self.random().below(4) {
            0 => (end - one, Dim::from(-1), Dim::from(-1)),
            1 => (Dim::from(0), end, Dim::from(2)),
            2 => (one, end + one, one),
            _ => (Dim::from(0), end, one),
        };
        let trips = trip_count(from, to, step);
        self.require(trips)?;
        let args: Vec<Type> = std::iter::once(Type::scalar(DType::I64))
            .chain(types.clone())
            .collect();
        let repeats = self.size(trips)?;
        let body = self.region(&args, repeats, |writer, _| {
            writer.some_ops();
            let mut yields = writer.values_of(&types)?;
            yields.extend(writer.some_values(0, 2));
            Some(yields)
        })?;
        self.emit(Op::Scan { from, to, step }, &carries, vec![body], 0)
            .map(drop)
    }

    /// Counts up to a constant, and may stop earlier.
    fn while_loop(&mut self) -> Option<()> {
        let scalar = Type::scalar(DType::I64);
        let trips = self.random().between(0, 4);
        let start = self.one(constant(0), &[])?;
        let carries: Vec<Value> = std::iter::once(start)
            .chain(self.some_values(1, 2))
            .collect();
        let types = self.types_of(&carries);
        let condition = self.region(&types, trips + 1, |writer, args| {
            let end = writer.one(constant(trips), &[])?;
            let more = writer.one(
                Op::Compare {
                    kind: CompareKind::Lt,
                },
                &[args[0], end],
            )?;
            if writer.random().one_in(3) {
                let other = writer.any_of(|t| *t == Type::scalar(DType::Bool))?;
                return Some(vec![writer.one(
                    Op::Binary {
                        kind: BinaryKind::And,
                    },
                    &[more, other],
                )?]);
            }
            Some(vec![more])
        })?;
        let body = self.region(&types, trips, |writer, args| {
            writer.some_ops();
            let mut yields = writer.values_of(&types)?;
            let one = writer.one(constant(1), &[])?;
            debug_assert_eq!(types[0], scalar);
            yields[0] = writer.one(
                Op::Binary {
                    kind: BinaryKind::Add,
                },
                &[args[0], one],
            )?;
            Some(yields)
        })?;
        let slack = self.random().choose([0, 0, 3]);
        let max = (self.shared.options.gradients || !self.random().one_in(3))
            .then_some(Dim::from(trips + slack));
        self.emit(Op::While { max }, &carries, vec![condition, body], 0)
            .map(drop)
    }

    /// A check that holds whatever the arguments are.
    fn check(&mut self) -> Option<()> {
        let x = self.any();
        if self.random().one_in(2) && self.ty(x).dtype() != DType::Bool {
            let tolerances = [Type::scalar(DType::F64), Type::scalar(DType::F64)];
            let mut operands = vec![x, x];
            operands.extend(self.values_of(&tolerances)?);
            let message = "a value is close to itself".into();
            return self
                .emit(Op::AssertClose { message }, &operands, Vec::new(), 0)
                .map(drop);
        }
        let scalar = self.any_of(|t| *t == Type::scalar(DType::Bool))?;
        let not = self.one(
            Op::Unary {
                kind: aiai_ir::UnaryKind::Not,
            },
            &[scalar],
        )?;
        let or = self.one(
            Op::Binary {
                kind: BinaryKind::Or,
            },
            &[scalar, not],
        )?;
        let message = "a truth value or its opposite holds".into();
        self.emit(Op::Assert { message }, &[or], Vec::new(), 0)
            .map(drop)
    }

    /// Writes a function over types like those of some values, and calls it.
    fn call(&mut self) -> Option<()> {
        let operands = self.some_values(1, 4);
        let callee = self.helper(&operands, |_| Some(()))?;
        self.call_on(callee, &operands)
    }

    /// A function whose parameters fit the operands; `end` may add to its body.
    fn helper(
        &mut self,
        operands: &[Value],
        end: impl FnOnce(&mut Writer) -> Option<()>,
    ) -> Option<Sym> {
        if self.shared.helpers > 6 {
            return None;
        }
        let at = self.shared.helpers;
        self.shared.helpers += 1;
        let mut names: BTreeMap<Dim, Dim> = BTreeMap::new();
        let mut sizes = Sizes::new();
        let mut params = Vec::new();
        for &operand in operands {
            let ty = self.ty(operand);
            params.push(ty.map_dims(|dim| {
                let symbolic = dim.as_const().is_none() || at.is_multiple_of(2);
                let size = if symbolic { self.size(dim) } else { None };
                let Some(size) = size else { return dim };
                let name = format!("D{}", names.len());
                *names.entry(dim).or_insert_with(|| {
                    sizes.insert(Sym::new(&name), size);
                    Dim::sym(name.as_str())
                })
            }));
        }
        let mut function = Function::new(format!("helper{at}").as_str());
        let repeats = self.repeats;
        let mut writer = Writer::new(self.shared, &mut function, sizes, self.depth + 1);
        writer.repeats = repeats;
        for (k, ty) in params.into_iter().enumerate() {
            let value = writer.builder.add_param(&format!("p{k}"), ty, false);
            writer.pool.push(value);
        }
        writer.body();
        let ended = end(&mut writer);
        writer.finish();
        let name = function.name;
        self.shared.module.insert(function);
        ended.map(|()| name)
    }

    fn call_on(&mut self, callee: Sym, operands: &[Value]) -> Option<()> {
        let types = self.types_of(operands);
        let results = self.shared.module.get(callee)?.call_types(&types).ok()?;
        self.emit(Op::Call { callee, results }, operands, Vec::new(), 0)
            .map(drop)
    }

    /// Calls a function that exists, perhaps at other sizes.
    fn call_again(&mut self) -> Option<()> {
        let names: Vec<Sym> = self.shared.module.functions.keys().copied().collect();
        let callee = self.random().pick(&names)?;
        let params = self.shared.module.get(callee)?.param_types();
        let mut operands = Vec::new();
        for param in params {
            operands.push(self.any_of(|t| t.dtype() == param.dtype() && t.rank() == param.rank())?);
        }
        let types = self.types_of(&operands);
        let function = self.shared.module.get(callee)?;
        let binding = function.bind(&types).ok()?;
        let size = |sym: Sym| binding.get(&sym).and_then(|&dim| self.size(dim));
        let holds = function.requires.iter().all(|r| {
            r.dim
                .eval(&size)
                .is_some_and(|v| r.relation == Relation::NonNegative && v >= 0)
        });
        // Its cost at these sizes is not known, so this happens outside loops only.
        if !holds || self.repeats > 1 {
            return None;
        }
        self.call_on(callee, &operands)
    }

    /// A function with a scalar result, and a call that also returns its gradients.
    pub(super) fn gradient(&mut self) -> Option<()> {
        let x = self.any_of(|t| matches!(t.dtype(), DType::F32 | DType::F64))?;
        let dtype = self.ty(x).dtype();
        let mut operands = vec![x];
        operands.extend(self.some_values(0, 2));
        let callee = self.helper(&operands, |writer| writer.loss(dtype))?;
        let types = self.types_of(&operands);
        let floats = (0..operands.len()).filter(|&k| types[k].dtype().is_float());
        let wrt: Vec<usize> = floats
            .filter(|&k| k == 0 || !self.random().one_in(3))
            .collect();
        let mut results = self.shared.module.get(callee)?.call_types(&types).ok()?;
        results.extend(wrt.iter().map(|&k| types[k].clone()));
        self.emit(
            Op::Grad {
                callee,
                wrt,
                results,
            },
            &operands,
            Vec::new(),
            0,
        )
        .map(drop)
    }

    /// Sums some values into a scalar, which becomes the first result.
    fn loss(&mut self, dtype: DType) -> Option<()> {
        let mut total: Option<Value> = None;
        for _ in 0..2 {
            let x = self.any_of(|t| t.dtype() == dtype)?;
            let axes = (0..self.ty(x).rank()).collect();
            let op = Op::Reduce {
                kind: ReduceKind::Sum,
                axes,
                acc: dtype,
            };
            let sum = self.one(op, &[x])?;
            total = Some(match total {
                None => sum,
                Some(t) => self.one(
                    Op::Binary {
                        kind: BinaryKind::Add,
                    },
                    &[t, sum],
                )?,
            });
        }
        self.first = total;
        Some(())
    }
}

fn constant(value: i64) -> Op {
    Op::Constant {
        value: aiai_ir::Literal::i64(DType::I64, value),
    }
}
