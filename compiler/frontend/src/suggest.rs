//! "Did you mean" by edit distance.

/// The candidate nearest to `name`, where one is near; the first in order among equals.
/// One letter is near to the same letter in the other case only, and no other name is near to one letter.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = distance(name, candidate);
        let one_letter = |name: &str| name.chars().nth(1).is_none();
        let letter = (one_letter(name) || one_letter(candidate)) && distance > 0;
        let better = !letter && best.is_none_or(|(d, c)| (distance, candidate) < (d, c));
        if distance <= limit && better && candidate != name {
            best = Some((distance, candidate));
        }
    }
    best.map(|b| b.1)
}

/// Edits in characters from one name to the other, letter case set aside. Neighbours that changed places
/// are one edit.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).take(64).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).take(64).collect();
    let mut rows = [
        vec![0; b.len() + 1],
        (0..=b.len()).collect(),
        vec![0; b.len() + 1],
    ];
    for (i, x) in a.iter().enumerate() {
        let [before, above, row] = &mut rows;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = above[j] + usize::from(x != y);
            row[j + 1] = substituted.min(row[j] + 1).min(above[j + 1] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

/// What is written here for a function that other languages and libraries have.
pub fn foreign_function(name: &str) -> Option<String> {
    let help = match name {
        "matmul" | "mm" | "bmm" | "dot" => "write a product of matrices as `a @ b`",
        "einsum" | "tensordot" => {
            "write the sum with its indices: `let y[i, j] = sum k: a[i, k] * b[k, j]`"
        }
        "print" | "println" | "printf" => "functions only compute; `aiai run` prints their results",
        "range" | "arange" => "write `iota::<N>()` for a tensor, `for i in 0..n` for a loop",
        "len" | "shape" | "size" => "the names in a type are its sizes: `N` is an `i64`",
        "clip" => "write `clamp(x, low, high)`",
        "where" | "cond" => "write `select(condition, a, b)`",
        "cat" | "concatenate" => "write `concat((a, b), axis = 0)`",
        "view" | "flatten" => "write `reshape(x, (a, b))`",
        "flip" => "write `reverse(x, axis = k)`",
        "maximum" => "write `max(a, b)`",
        "minimum" => "write `min(a, b)`",
        "square" => "write `x * x`",
        "exp2" | "power" => "write `pow(x, y)`",
        "ln" => "write `log(x)`",
        "expand" | "broadcast_to" => "write `broadcast(x, (a, b))`",
        "eye" => "write `let y[i in 0..N, j in 0..N] = select(i == j, 1.0, 0.0)`",
        "astype" | "cast" | "to" => "convert with the name of the type: `f32(x)`",
        "norm" => "write `sqrt(sum(x * x))`",
        "var" => "write `mean(d * d)` of `let d = x - mean(x)`",
        "randn" => "write `normal::<N>(key)`",
        "rand" => "write `uniform01::<N>(key)`",
        _ => return foreign_type(name).map(|ty| format!("convert with `{ty}(x)`")),
    };
    Some(help.to_owned())
}

/// What is written here for a value that other languages have.
pub fn foreign_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "True" | "TRUE" => "write `true`",
        "False" | "FALSE" => "write `false`",
        "None" | "null" | "nil" => "every value is there; leave it out, or make another function",
        "np" | "numpy" | "torch" | "jnp" | "tf" | "F" | "nn" | "math" => {
            "functions stand alone: `relu(x)`, `exp(x)`"
        }
        "pi" => "write 3.141592653589793",
        _ => return None,
    })
}

/// The type that another language's name stands for.
pub fn foreign_type(name: &str) -> Option<&'static str> {
    Some(match name {
        "float" | "float32" | "Float" | "Tensor" => "f32",
        "double" | "float64" => "f64",
        "half" | "float16" => "f16",
        "bfloat16" => "bf16",
        "int" | "int32" | "Int" => "i32",
        "long" | "int64" => "i64",
        "int16" | "short" => "i16",
        "int8" => "i8",
        "uint8" | "byte" => "u8",
        "uint16" => "u16",
        "uint32" | "uint" => "u32",
        "uint64" => "u64",
        "boolean" | "Bool" => "bool",
        _ => return None,
    })
}
