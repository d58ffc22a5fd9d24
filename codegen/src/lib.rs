//! Code generation: from primitives to loops over buffers, and from there to machine code.
//!
//! [`compile`] takes a function of tensor primitives, lowers it to loops ([`lower`]), plans
//! their memory ([`memory`]) and translates them with Cranelift. One compilation serves every size: dimensions are read when a call is made.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiai_ir::{Builder, BinaryKind, DType, Dim, Function, Module, Type};
//! let mut double = Function::new("double");
//! let mut b = Builder::new(&mut double);
//! let x = b.add_param("x", Type::tensor(DType::F32, vec![Dim::sym("N")]), false);
//! let y = b.binary(BinaryKind::Add, x, x);
//! b.finish(&[y], &["y"]);
//! let code = aiai_codegen::compile(&double, &aiai_codegen::Options::default())?;
//! let pool = aiai_runtime::Pool::new(1)?;
//! let x = aiai_runtime::Tensor::from_slice(&[3], &[1.0f32, 2.0, 3.0])?;
//! let y = code.run(&[&x], &pool)?;
//! assert_eq!(y[0].as_slice::<f32>()?, [2.0, 4.0, 6.0]);
//! # Ok(())
//! # }
//! ```

mod cranelift;
mod descriptor;
pub mod lower;
pub mod memory;
mod program;
pub mod tables;
mod target;

pub use cranelift::{CompileError, Options, compile, object};
pub use descriptor::descriptor;
pub use program::program;
pub use target::{Target, UnknownTarget};

/// Code that can be linked, with what its callers must know.
pub struct Object {
    pub program: aiai_runtime::Program,
    /// A relocatable object file. It defines the symbol that was asked for, an
    /// [`aiai_runtime::abi::EntryFn`], and refers to functions of [`aiai_runtime::abi`].
    pub bytes: Vec<u8>,
}
