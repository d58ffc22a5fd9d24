//! Weights from a safetensors file: the map from leaves to tensors.

use std::collections::{BTreeMap, BTreeSet};

use aiai_frontend::elaborate::Leaf;
use aiai_runtime::{DType, SafeTensors, Tensor};

use super::Project;
use super::config::{Recipe, Source, WeightsSection};
use crate::Failure;
use crate::backend::runtime_dtype;

/// The tensors of the leaves that come from the weights of the project, in order.
pub fn fill(project: &Project, leaves: &[&Leaf]) -> Result<Vec<Tensor>, Failure> {
    let Some(section) = &project.config.weights else {
        let names: Vec<&str> = leaves.iter().take(3).map(|l| l.path.as_str()).collect();
        return Err(Failure::input(format!(
            "`{}` needs weights, and there is no `[weights]` in a `model.toml`",
            names.join("`, `")
        )));
    };
    let path = project.path(&section.path);
    let file = SafeTensors::open(&path).map_err(|e| {
        let hint = project.folder.join("fetch.py");
        let hint = if !path.exists() && hint.exists() {
            format!("; `python3 {}` fetches it", hint.display())
        } else {
            String::new()
        };
        Failure::input(format!("{e}{hint}"))
    })?;
    let map = Map::new(section, leaves)?;
    let mut used = BTreeSet::new();
    let mut tensors = Vec::new();
    for leaf in leaves {
        tensors.push(map.tensor(&file, leaf, &mut used)?);
    }
    report_unused(section, &file, &used);
    Ok(tensors)
}

/// Leaves and their recipes.
struct Map {
    recipes: BTreeMap<String, Recipe>,
}

impl Map {
    /// Expands `{i}`, and checks that every line serves exactly one leaf.
    fn new(section: &WeightsSection, leaves: &[&Leaf]) -> Result<Map, Failure> {
        let mut recipes: BTreeMap<String, Recipe> = BTreeMap::new();
        for (pattern, source) in &section.map {
            let recipe = match source {
                Source::Name(name) => Recipe {
                    from: Some(name.clone()),
                    ..Recipe::default()
                },
                Source::Recipe(recipe) => recipe.clone(),
            };
            let mut matched = false;
            for leaf in leaves {
                let Some(number) = matches(pattern, &leaf.path) else {
                    continue;
                };
                matched = true;
                let put = |name: &String| match number {
                    Some(number) => name.replace("{i}", number),
                    None => name.clone(),
                };
                let mut own = recipe.clone();
                own.from = own.from.as_ref().map(put);
                own.fuse = own.fuse.map(|names| names.iter().map(put).collect());
                if recipes.insert(leaf.path.clone(), own).is_some() {
                    return Err(Failure::input(format!(
                        "two lines of `[weights.map]` name `{}`",
                        leaf.path
                    )));
                }
            }
            if !matched {
                let names: Vec<&str> = leaves.iter().map(|l| l.path.as_str()).collect();
                let near = nearest(pattern, &names);
                return Err(Failure::input(format!(
                    "`{pattern}` in `[weights.map]` names no parameter; nearest: `{near}`"
                )));
            }
        }
        Ok(Map { recipes })
    }

    fn tensor(
        &self,
        file: &SafeTensors,
        leaf: &Leaf,
        used: &mut BTreeSet<String>,
    ) -> Result<Tensor, Failure> {
        let plain = Recipe {
            from: Some(leaf.path.clone()),
            ..Recipe::default()
        };
        let recipe = self.recipes.get(&leaf.path).unwrap_or(&plain);
        let names: Vec<&String> = recipe
            .from
            .iter()
            .chain(recipe.fuse.iter().flatten())
            .collect();
        let mut parts = Vec::new();
        for name in &names {
            used.insert((*name).clone());
            parts.push(take(file, leaf, name)?);
        }
        let described = names
            .iter()
            .map(|n| n.as_str())
            .collect::<Vec<_>>()
            .join(" + ");
        let mut tensor = match parts.len() {
            1 => parts.remove(0),
            _ => concat(&parts, recipe.axis)
                .map_err(|e| Failure::input(format!("`{}`: `{described}`: {e}", leaf.path)))?,
        };
        let problem = |e: String| Failure::input(format!("`{}`: `{described}`: {e}", leaf.path));
        if let Some(count) = recipe.split {
            tensor = split(&tensor, count, recipe.part, recipe.axis).map_err(problem)?;
        }
        if let Some(axes) = &recipe.transpose {
            tensor = transpose(&tensor, axes).map_err(problem)?;
        }
        let shape: Option<Vec<usize>> = leaf
            .shape
            .iter()
            .map(|d| usize::try_from(d.as_const()?).ok())
            .collect();
        let Some(shape) = shape else {
            return Err(Failure::input(format!(
                "`{}` has a size that nothing determines",
                leaf.path
            )));
        };
        if recipe.reshape && tensor.len() == shape.iter().product::<usize>() {
            tensor = tensor.reshaped(&shape)?;
        }
        if tensor.shape() != shape {
            let reversed: Vec<usize> = shape.iter().rev().copied().collect();
            let hint = if tensor.shape() == reversed && shape.len() == 2 {
                " (try `transpose = [1, 0]`)"
            } else if tensor.len() == shape.iter().product::<usize>() {
                " (the same count: `reshape = true` takes the numbers in order)"
            } else {
                ""
            };
            return Err(Failure::input(format!(
                "`{}` is {}{shape:?}; `{described}` is {}{:?}{hint}",
                leaf.path,
                leaf.dtype,
                tensor.dtype(),
                tensor.shape()
            )));
        }
        cast(tensor, runtime_dtype(leaf.dtype)).map_err(|found| {
            Failure::input(format!(
                "`{}` is {}; `{described}` is {found}",
                leaf.path, leaf.dtype
            ))
        })
    }
}

/// A tensor of the file, or what the file has instead.
fn take(file: &SafeTensors, leaf: &Leaf, name: &str) -> Result<Tensor, Failure> {
    if file.entry(name).is_none() {
        let names: Vec<&str> = file.entries().map(|(n, _)| n).collect();
        let near = if names.is_empty() {
            "it is empty".to_owned()
        } else {
            const SHOWN: usize = 8;
            let more = names.len().saturating_sub(SHOWN);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let first = names[..names.len().min(SHOWN)].join(", ");
            format!("nearest: `{}`; it has {first}{more}", nearest(name, &names))
        };
        let what = if name == leaf.path {
            String::new()
        } else {
            format!(" needs `{name}`")
        };
        return Err(Failure::input(format!(
            "`{}`{what}: the weights file does not have it; {near}",
            leaf.path
        )));
    }
    Ok(file.tensor(name)?)
}

/// What `{i}` stands for, if the pattern fits; the inner `None` where there is no `{i}`.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, after)) = pattern.split_once("{i}") else {
        return (pattern == path).then_some(None);
    };
    let number = path.strip_prefix(before)?.strip_suffix(after)?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits.then_some(Some(number))
}

/// Floats widen, nothing else changes; otherwise the dtype that was found.
fn cast(tensor: Tensor, dtype: DType) -> Result<Tensor, DType> {
    let found = tensor.dtype();
    if found == dtype {
        return Ok(tensor);
    }
    let widens = matches!(found, DType::F16 | DType::BF16) && dtype == DType::F32;
    let values = tensor.to_f64_vec().map_err(|_| found)?;
    match Tensor::from_f64(dtype, tensor.shape(), &values) {
        Ok(wide) if widens => Ok(wide),
        _ => Err(found),
    }
}

/// Sizes before, of, and after an axis, in elements.
fn around(shape: &[usize], axis: usize) -> Result<(usize, usize, usize), String> {
    let size = *shape
        .get(axis)
        .ok_or_else(|| format!("shape {shape:?} has no axis {axis}"))?;
    let before = shape[..axis].iter().product();
    Ok((before, size, shape[axis + 1..].iter().product()))
}

fn concat(parts: &[Tensor], axis: usize) -> Result<Tensor, String> {
    let first = &parts[0];
    let mut shape = first.shape().to_vec();
    let (outer, ..) = around(&shape, axis)?;
    shape[axis] = 0;
    for part in parts {
        let fits = part.shape().len() == shape.len()
            && part.dtype() == first.dtype()
            && (0..shape.len()).all(|k| k == axis || part.shape()[k] == shape[k]);
        if !fits {
            return Err(format!(
                "{:?} and {:?} do not join",
                first.shape(),
                part.shape()
            ));
        }
        shape[axis] += part.shape()[axis];
    }
    let mut bytes = Vec::new();
    for row in 0..outer {
        for part in parts {
            let width = part.bytes().len() / outer.max(1);
            bytes.extend_from_slice(&part.bytes()[row * width..(row + 1) * width]);
        }
    }
    Tensor::from_bytes(first.dtype(), &shape, &bytes).map_err(|e| e.to_string())
}

fn split(tensor: &Tensor, count: usize, part: usize, axis: usize) -> Result<Tensor, String> {
    let mut shape = tensor.shape().to_vec();
    let (outer, size, inner) = around(&shape, axis)?;
    if count == 0 || size % count != 0 || part >= count {
        return Err(format!(
            "axis {axis} of {shape:?} has no part {part} of {count} equal ones"
        ));
    }
    shape[axis] = size / count;
    let width = shape[axis] * inner * tensor.dtype().bytes();
    let mut bytes = Vec::with_capacity(outer * width);
    for row in 0..outer {
        let from = (row * count + part) * width;
        bytes.extend_from_slice(&tensor.bytes()[from..from + width]);
    }
    Tensor::from_bytes(tensor.dtype(), &shape, &bytes).map_err(|e| e.to_string())
}

fn transpose(tensor: &Tensor, axes: &[usize]) -> Result<Tensor, String> {
    let shape = tensor.shape();
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..shape.len()) {
        return Err(format!("{axes:?} is no order of the axes of {shape:?}"));
    }
    let moved: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
    let mut strides = vec![1; shape.len()];
    for k in (1..shape.len()).rev() {
        strides[k - 1] = strides[k] * shape[k];
    }
    let width = tensor.dtype().bytes();
    let mut bytes = Vec::with_capacity(tensor.bytes().len());
    for position in 0..tensor.len() {
        let (mut rest, mut from) = (position, 0);
        for k in (0..moved.len()).rev() {
            from += rest % moved[k] * strides[axes[k]];
            rest /= moved[k];
        }
        bytes.extend_from_slice(&tensor.bytes()[from * width..(from + 1) * width]);
    }
    Tensor::from_bytes(tensor.dtype(), &moved, &bytes).map_err(|e| e.to_string())
}

/// Says on standard error which tensors of the file nothing used.
fn report_unused(section: &WeightsSection, file: &SafeTensors, used: &BTreeSet<String>) {
    let ignored = |name: &str| {
        section.ignore.iter().any(|i| match i.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => i == name,
        })
    };
    let unused: Vec<&str> = file
        .entries()
        .map(|(name, _)| name)
        .filter(|name| !used.contains(*name) && !ignored(name))
        .collect();
    if !unused.is_empty() {
        crate::output::complain(&format!(
            "the weights file has tensors that nothing uses: {}",
            unused.join(", ")
        ));
    }
}

/// The candidate that shares most with a name: the longest common ends.
fn nearest<'a>(name: &str, candidates: &[&'a str]) -> &'a str {
    let common = |candidate: &str| {
        let pairs = || name.bytes().zip(candidate.bytes());
        let front = pairs().take_while(|(a, b)| a == b).count();
        let back = name
            .bytes()
            .rev()
            .zip(candidate.bytes().rev())
            .take_while(|(a, b)| a == b)
            .count();
        front + back
    };
    candidates
        .iter()
        .copied()
        .max_by_key(|c| common(c))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|i| i as f32)
            .collect();
        Tensor::from_slice(shape, &values).unwrap()
    }

    #[test]
    fn numbers_stand_for_elements_of_lists() {
        assert_eq!(matches("a.{i}.w", "a.12.w"), Some(Some("12")));
        assert_eq!(matches("a.{i}.w", "a.b.w"), None);
        assert_eq!(matches("a.w", "a.w"), Some(None));
    }

    #[test]
    fn joining_and_splitting_are_inverse() {
        let whole = tensor(&[2, 6, 2]);
        let parts: Vec<Tensor> = (0..3).map(|p| split(&whole, 3, p, 1).unwrap()).collect();
        assert_eq!(
            parts[1].to_f64_vec().unwrap(),
            [4., 5., 6., 7., 16., 17., 18., 19.]
        );
        assert_eq!(concat(&parts, 1).unwrap().bytes(), whole.bytes());
        assert!(split(&whole, 4, 0, 1).is_err() && split(&whole, 2, 0, 3).is_err());
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        let x = tensor(&[2, 3, 4]);
        let y = transpose(&x, &[2, 0, 1]).unwrap();
        assert_eq!(y.shape(), [4, 2, 3]);
        assert_eq!(y.to_f64_vec().unwrap()[1], 4.0);
        assert_eq!(transpose(&y, &[1, 2, 0]).unwrap().bytes(), x.bytes());
        assert!(transpose(&x, &[0, 0, 1]).is_err());
    }
}
