//! Tensors, files, thread pool, micro-kernels: what compiled code needs at run time.
//!
//! This crate knows nothing of the IR. Compiled code sees what [`abi`] lists and nothing else.

pub mod abi;
pub mod cpu;
#[cfg(feature = "compiler")]
pub mod csv;
pub mod dtype;
pub mod error;
pub mod files;
#[allow(
    clippy::excessive_precision,
    reason = "coefficients as they were computed, rounded once by the compiler"
)]
pub mod gemm;
pub mod kernels;
#[cfg(feature = "compiler")]
pub mod loader;
pub mod memory;
#[cfg(feature = "compiler")]
pub mod npy;
pub mod philox;
pub mod pool;
pub mod program;
pub mod safetensors;
pub mod sort;
pub mod tensor;
#[cfg(feature = "compiler")]
pub mod tokenizer;

pub use dtype::{DType, Element};
pub use error::{Error, Result};
pub use half::{bf16, f16};
pub use memory::Arena;
pub use pool::Pool;
pub use program::{Executable, Program};
pub use safetensors::SafeTensors;
pub use tensor::Tensor;
#[cfg(feature = "compiler")]
pub use tokenizer::Tokenizer;
