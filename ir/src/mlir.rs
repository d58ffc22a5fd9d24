//! The MLIR form of the IR: a dialect `aiai` that an unmodified `mlir-opt` loads through IRDL.
//!
//! Everything here is text and needs no LLVM. [`declaration`] is the dialect, derived from the op table;
//! [`export`] writes a module in it; [`import`] reads that again, also after MLIR's tools have printed it
//! anew. The page `docs/mlir.md` describes the syntax.

mod attr;
mod body;
mod cursor;
mod dense;
mod encode;
mod export;
mod functions;
mod import;
mod irdl;
mod map;
mod read;
mod types;

pub use attr::Attr;
pub use encode::{Encoded, Fields, Misfit};
pub use export::export;
pub use import::import;
pub use irdl::{Schema, declaration};

/// The name of the dialect, which ops and attributes start with.
pub const DIALECT: &str = "aiai";

/// What closes regions within functions: IRDL cannot declare terminators, and this one takes any values and
/// leaves their meaning to the op around it.
const YIELD: &str = "vector.yield";
/// What makes one tuple of several values and several values of a tuple. IRDL lets an op take any number of
/// values of one type, but not of several.
const PACK: &str = "builtin.unrealized_conversion_cast";

/// The attribute of the dialect that names the dimensions which a type shows as `?`.
const DIMS: &str = "dims";
/// The attribute of the dialect for an affine map whose symbols are dimension expressions.
const ACCESS: &str = "access";
