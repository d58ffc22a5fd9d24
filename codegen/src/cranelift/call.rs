//! Calls of micro-kernels.

use aiai_ir::OpNode;
use aiai_runtime::abi::Param;
use cranelift::codegen::ir::MemFlagsData;
use cranelift::prelude::{InstBuilder, Type, Value, types};

use super::CompileError;
use super::function::Translator;

/// How many words `aiai_gemm_T` takes behind an address; see [`aiai_runtime::GemmCall`].
const GEMM_WORDS: u32 = 17;

pub fn machine_type(param: Param) -> Type {
    match param {
        Param::Ptr | Param::I64 => types::I64,
        Param::I32 | Param::Status => types::I32,
        Param::F32 => types::F32,
        Param::F64 => types::F64,
    }
}

impl Translator<'_, '_> {
    pub fn kernel(&mut self, node: &OpNode, name: &str) -> Result<(), CompileError> {
        if name.starts_with("aiai_gemm_") {
            self.gemm(node, name);
            return Ok(());
        }
        if name == "aiai_check_nan" {
            self.check_nan(node);
            return Ok(());
        }
        let Some((_, symbol)) = self.unit.import(name) else {
            return Err(CompileError::Backend {
                function: self.source.name.to_string(),
                message: format!("the runtime has no kernel `{name}`"),
            });
        };
        let mut args = Vec::new();
        let mut operands = node.operands.iter();
        for param in symbol.params {
            let Some(&operand) = operands.next() else {
                break;
            };
            args.push(match param {
                Param::Ptr => {
                    let at = operands.next().map(|&v| self.get(v));
                    self.address(operand, at)
                }
                Param::I32 => {
                    let wide = self.get(operand);
                    self.b.ins().ireduce(types::I32, wide)
                }
                _ => self.get(operand),
            });
        }
        let results = self.runtime(name, &args);
        match symbol.result {
            Some(Param::Status) => self.check_status(results[0]),
            _ => {
                for (&value, result) in node.results.iter().zip(results) {
                    self.values.insert(value, result);
                }
            }
        }
        Ok(())
    }

    /// `m n k, a at rows columns, b at rows columns, c at rows columns, accumulate`.
    fn gemm(&mut self, node: &OpNode, name: &str) {
        let x = &node.operands;
        let mut words: Vec<Value> = x[..3].iter().map(|&v| self.get(v)).collect();
        for matrix in x[3..15].chunks(4) {
            let at = self.get(matrix[1]);
            words.push(self.address(matrix[0], Some(at)));
            words.extend(matrix[2..].iter().map(|&v| self.get(v)));
        }
        words.push(self.get(x[15]));
        let zero = self.int(0);
        words.resize(GEMM_WORDS as usize, zero);
        let call = self.stack(GEMM_WORDS * 8);
        for (k, word) in words.into_iter().enumerate() {
            self.b
                .ins()
                .store(MemFlagsData::trusted(), word, call, k as i32 * 8);
        }
        let status = self.runtime(name, &[self.context, call])[0];
        self.check_status(status);
    }

    /// `buffer, count`: stops where an element is NaN.
    fn check_nan(&mut self, node: &OpNode) {
        let buffer = node.operands[0];
        let dtype = self.dtype(buffer);
        let site = self.unit.site("the result has a NaN", node.loc);
        let site = self.b.ins().iconst(types::I32, site);
        let dtype = self.b.ins().iconst(types::I32, dtype as i64);
        let (data, n) = (self.get(buffer), self.get(node.operands[2]));
        let args = [self.context, site, dtype, data, n];
        let status = self.runtime("aiai_check_nan", &args)[0];
        self.check_status(status);
    }
}
