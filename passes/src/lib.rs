//! The pass pipeline: simplification, differentiation, fusion, memory planning.
