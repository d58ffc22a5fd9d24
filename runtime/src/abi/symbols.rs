//! The table of functions that compiled code may call: name, address, signature.

use crate::kernels::exports;

use super::{
    aiai_acquire, aiai_check_nan, aiai_fail, aiai_now, aiai_parallel_for, aiai_profile,
    aiai_random_bits, aiai_release,
};

/// The machine type of a parameter or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// An address.
    Ptr,
    I32,
    /// An `i32` that is 0 or a failure to pass on; see [`crate::abi`].
    Status,
    I64,
    F32,
    F64,
}

/// A function of the runtime.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// The name to link by.
    pub name: &'static str,
    /// Its address in this process.
    pub address: *const u8,
    pub params: &'static [Param],
    pub result: Option<Param>,
}

// SAFETY: addresses of functions, the same for every thread.
unsafe impl Send for Symbol {}
// SAFETY: as above.
unsafe impl Sync for Symbol {}

/// Rows of the symbol table: `function(Param, ...) -> Param;`.
macro_rules! symbol_table {
    ($( $function:ident($($param:ident),*) $(-> $result:ident)?; )+) => {
        &[ $( $crate::abi::Symbol {
            name: stringify!($function),
            address: $function as *const u8,
            params: &[$($crate::abi::Param::$param),*],
            result: $crate::abi::symbol_table!(@result $($result)?),
        } ),+ ]
    };
    (@result) => { None };
    (@result $result:ident) => { Some($crate::abi::Param::$result) };
}
pub(crate) use symbol_table;

static CONTROL: &[Symbol] = symbol_table! {
    aiai_fail(Ptr, I32, I64, I64) -> Status;
    aiai_parallel_for(Ptr, Ptr, Ptr, I64, I64) -> Status;
    aiai_acquire(Ptr, I64) -> Ptr;
    aiai_release(Ptr, Ptr);
    aiai_now(Ptr) -> I64;
    aiai_profile(Ptr, I32, I64);
    aiai_check_nan(Ptr, I32, I32, Ptr, I64) -> Status;
    aiai_random_bits(Ptr, I64, Ptr, I64);
};

/// Every function that compiled code may call.
pub fn symbols() -> impl Iterator<Item = &'static Symbol> {
    [
        CONTROL,
        exports::FUNCTIONS,
        exports::ROWS,
        crate::gemm::GEMMS,
        crate::sort::SORTS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = symbols().map(|s| s.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
