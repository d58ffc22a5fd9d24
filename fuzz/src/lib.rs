//! Well-typed program generator and oracles.
