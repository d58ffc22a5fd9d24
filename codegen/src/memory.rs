//! Memory planning: what results are computed in place, and how long buffers live.
//!
//! Buffers come from an arena at run time; a block that is given back serves the next buffer. So the
//! plan is where lives end, and which buffer is written over by what is computed from it.

use aiai_ir::Function;

mod frees;
mod in_place;

pub use frees::stack_bytes;

/// Plans the memory of a loop function.
pub fn plan(function: &mut Function) {
    in_place::reuse(function);
    frees::insert(function);
}
