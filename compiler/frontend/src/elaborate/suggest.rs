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

/// Levenshtein's distance in characters, letter case set aside.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).take(64).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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
