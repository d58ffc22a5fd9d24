//! Calls of micro-kernels.

use aiai_codegen::tables;
use aiai_ir::OpNode;
use aiai_runtime::abi::{self, Param};

use crate::translate::Translator;
use crate::writer::Name;

/// How many words `aiai_gemm_T` takes behind an address; see [`aiai_runtime::GemmCall`].
const GEMM_WORDS: i64 = 17;

/// Whether a kernel gives a status that ends the function.
pub fn may_fail(name: &str) -> bool {
    let mut symbols = abi::symbols();
    symbols.any(|s| s.name == name && s.result == Some(Param::Status))
}

impl Translator<'_, '_> {
    pub fn kernel(&mut self, node: &OpNode, name: &str) {
        if name.starts_with("aiai_gemm_") {
            return self.gemm(node, name);
        }
        if name == "aiai_check_nan" {
            return self.check_nan(node);
        }
        let Some(symbol) = abi::symbols().find(|s| s.name == name) else {
            unreachable!("the runtime has no kernel `{name}`");
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
                    self.w.value(&format!("arith.trunci {wide} : i64 to i32"))
                }
                Param::I64 | Param::Status | Param::F32 | Param::F64 => self.get(operand),
            });
        }
        let result = self.runtime(name, &args);
        match (symbol.result, result) {
            (Some(Param::Status), Some(status)) => self.check_status(&status),
            (_, result) => self.bind(&node.results, result),
        }
    }

    /// `m n k, a at rows columns, b at rows columns, c at rows columns, accumulate`.
    fn gemm(&mut self, node: &OpNode, name: &str) {
        let x = &node.operands;
        let mut words: Vec<(Name, &str)> = x[..3].iter().map(|&v| (self.get(v), "i64")).collect();
        for matrix in x[3..15].chunks(4) {
            let at = self.get(matrix[1]);
            words.push((self.address(matrix[0], Some(at)), "!llvm.ptr"));
            words.extend(matrix[2..].iter().map(|&v| (self.get(v), "i64")));
        }
        words.push((self.get(x[15]), "i64"));
        let zero = self.int(0);
        words.resize(GEMM_WORDS as usize, (zero, "i64"));
        let call = self.w.stack(GEMM_WORDS * 8);
        for (k, (word, ty)) in words.into_iter().enumerate() {
            let place = self.element(&call, k, "i64");
            self.w
                .line(&format!("llvm.store {word}, {place} : {ty}, !llvm.ptr"));
        }
        let args = ["%context".into(), call];
        let status = self.runtime(name, &args).unwrap_or_default();
        self.check_status(&status);
    }

    /// `buffer, count`: stops where an element is NaN.
    fn check_nan(&mut self, node: &OpNode) {
        let buffer = node.operands[0];
        let message = "the result has a NaN";
        let site = tables::site(&mut self.unit.sites, message, node.loc);
        let site = self.int32(site);
        let dtype = self.int32(self.dtype(buffer) as i64);
        let (data, n) = (self.get(buffer), self.get(node.operands[2]));
        let args = ["%context".into(), site, dtype, data, n];
        let status = self.runtime("aiai_check_nan", &args).unwrap_or_default();
        self.check_status(&status);
    }
}
