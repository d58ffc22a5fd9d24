//! Counterexamples made small: fewer elements first, then round numbers in place of drawn ones.

use aiai_runtime::Tensor;

use super::{Case, admitted, domains, draw_args, draw_sizes};
use crate::backend::RunError;
use crate::values::{Stream, holds};

/// How often an input with fewer elements is drawn.
const DRAWN: u64 = 200;
/// How often rounder numbers are tried.
const ROUNDED: usize = 500;

/// A failing input and how it fails.
pub struct Failing {
    pub error: RunError,
    pub args: Vec<Tensor>,
}

/// A failing input that is smaller than the one given, where one is found.
pub fn smaller(tested: &Case<'_>, seed: u64, found: Failing) -> Failing {
    let mut best = found;
    fewer_elements(tested, seed, &mut best);
    rounder(tested, &mut best);
    best
}

fn fewer_elements(tested: &Case<'_>, seed: u64, best: &mut Failing) {
    let entry = &tested.entry;
    let weight = |args: &[Tensor]| args.iter().map(Tensor::len).sum::<usize>();
    for attempt in 0..DRAWN {
        let mut stream = Stream::new(seed ^ (attempt + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let sizes = draw_sizes(entry, &mut stream, 1 + (attempt % 4) as u32);
        if !admitted(entry, &sizes) {
            continue;
        }
        let Ok(args) = draw_args(entry, &sizes, &mut stream) else {
            continue;
        };
        if weight(&args) < weight(&best.args)
            && let Err(error) = tested.execute(&args)
        {
            *best = Failing { error, args };
        }
    }
}

/// Every element is replaced by the first of its round numbers with which the input still fails.
fn rounder(tested: &Case<'_>, best: &mut Failing) {
    let mut tries = 0;
    for (at, (leaf, (low, high))) in domains(&tested.entry).into_iter().enumerate() {
        for element in 0..best.args[at].len() {
            let Ok(values) = best.args[at].to_f64_vec() else {
                return;
            };
            for number in round_numbers(values[element]) {
                let inside = low <= number && (number < high || number == low);
                if !inside || !holds(leaf.dtype, number) {
                    continue;
                }
                tries += 1;
                if tries > ROUNDED {
                    return;
                }
                let mut values = values.clone();
                values[element] = number;
                let old = &best.args[at];
                let Ok(tensor) = Tensor::from_f64(old.dtype(), old.shape(), &values) else {
                    return;
                };
                let mut args = best.args.clone();
                args[at] = tensor;
                if let Err(error) = tested.execute(&args) {
                    *best = Failing { error, args };
                    break;
                }
            }
        }
    }
}

/// Numbers that are easier to read, the easiest first; none that is harder than the number itself.
fn round_numbers(from: f64) -> Vec<f64> {
    let all = [
        0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        from.trunc(),
        (from * 2.0).trunc() / 2.0,
    ];
    all.into_iter()
        .take_while(|&number| number != from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::round_numbers;

    #[test]
    fn round_numbers_stop_at_the_number_itself() {
        assert_eq!(round_numbers(0.0), [0.0; 0]);
        assert_eq!(round_numbers(-1.0), [0.0, 1.0]);
        assert_eq!(round_numbers(-3.7), [0.0, 1.0, -1.0, 2.0, -2.0, -3.0, -3.5]);
    }
}
