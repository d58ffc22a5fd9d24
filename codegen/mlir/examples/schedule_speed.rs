//! GFLOP/s of scheduled products.
use aiai_codegen::Options;
use aiai_ir::schedule::*;
use aiai_ir::*;
use aiai_runtime::{Pool, Tensor};
use std::time::Instant;

fn schedules() -> Vec<Schedule> {
    let args: Vec<String> = std::env::args().collect();
    let get = |name: &str, default: i64| {
        args.iter()
            .find_map(|a| a.strip_prefix(&format!("{name}=")))
            .map_or(default, |v| v.parse().unwrap())
    };
    let (mr, nr) = (get("mr", 8), get("nr", 48));
    let (tm, tn, tk) = (get("tm", 64), get("tn", 192), get("tk", 0));
    let mut steps = vec![
        Step::Tile {
            axis: Axis::Columns,
            by: tn,
        },
        Step::Tile {
            axis: Axis::Rows,
            by: tm,
        },
        Step::Parallel {
            axis: Axis::Columns,
        },
        Step::Parallel { axis: Axis::Rows },
        Step::Pack { part: Part::Right },
        Step::Register {
            axis: Axis::Rows,
            by: mr,
        },
        Step::Register {
            axis: Axis::Columns,
            by: nr,
        },
        Step::Vectorize {
            axis: Axis::Columns,
            by: 16,
        },
        Step::Unroll {
            axis: Axis::Summed,
            by: get("u", 1),
        },
        Step::Fuse {
            part: Part::Epilogue,
        },
    ];
    if tk > 0 {
        steps.push(Step::Tile {
            axis: Axis::Summed,
            by: tk,
        });
    }
    if get("rc", 0) > 0 {
        steps.push(Step::Reorder { axis: Axis::Rows });
    }
    if get("pf", 0) > 0 {
        steps.push(Step::Prefetch {
            part: Part::Right,
            by: get("pf", 0),
        });
    }
    let few = vec![
        Step::Tile {
            axis: Axis::Columns,
            by: tn,
        },
        Step::Parallel {
            axis: Axis::Columns,
        },
        Step::Pack { part: Part::Right },
        Step::Register {
            axis: Axis::Columns,
            by: nr,
        },
        Step::Vectorize {
            axis: Axis::Columns,
            by: 16,
        },
        Step::Unroll {
            axis: Axis::Summed,
            by: get("u1", 4),
        },
        Step::Fuse {
            part: Part::Epilogue,
        },
    ];
    let rows = Dim::sym("rows");
    let make = |name: &str, steps, guard| Schedule {
        name: name.into(),
        pattern: Pattern::Contract,
        features: vec![],
        guard,
        steps,
        doc: String::new(),
        loc: None,
    };
    vec![
        make(
            "few",
            few,
            vec![Condition::Size {
                dim: Dim::from(1) - rows,
                relation: Relation::NonNegative,
            }],
        ),
        make("wide", steps, vec![]),
    ]
}

fn main() {
    let threads = std::env::var("T").map_or(1, |t| t.parse().unwrap());
    let pool = Pool::new(threads).unwrap();
    for (m, n, k) in [
        (1usize, 768usize, 768usize),
        (8, 768, 768),
        (64, 768, 768),
        (128, 768, 768),
        (512, 768, 768),
        (512, 3072, 768),
        (512, 768, 3072),
        (1024, 1024, 1024),
        (2048, 2048, 2048),
    ] {
        let mut f = Function::new("f");
        let mut b = Builder::new(&mut f);
        let x = b.add_param(
            "x",
            Type::tensor(DType::F32, vec![Dim::sym("M"), Dim::from(k as i64)]),
            false,
        );
        let w = b.add_param(
            "w",
            Type::tensor(DType::F32, vec![Dim::from(k as i64), Dim::from(n as i64)]),
            false,
        );
        let op = Op::Contract {
            space: vec![Dim::sym("M"), Dim::from(n as i64), Dim::from(k as i64)],
            maps: vec![AffineMap::of_indices([0, 2]), AffineMap::of_indices([2, 1])],
            out: AffineMap::of_indices([0, 1]),
            shape: vec![Dim::sym("M"), Dim::from(n as i64)],
            acc: DType::F32,
        };
        let y = b.value(op, &[x, w]);
        b.finish(&[y], &["y"]);
        let code = |options: &Options| aiai_mlir::compile(&f, options).unwrap();
        let start = Instant::now();
        let fast = code(&Options {
            schedules: schedules(),
            weights: vec![1],
            ..Options::default()
        });
        let compile = start.elapsed().as_secs_f64();
        let plain = code(&Options::default());
        let draw = |n: usize, s: u64| -> Vec<f32> {
            (0..n as u64)
                .map(|i| {
                    (((i + s).wrapping_mul(0x9E3779B97F4A7C15) >> 40) as f32 / 16777216.0) - 0.5
                })
                .collect()
        };
        let (xs, ws) = (
            Tensor::from_slice(&[m, k], &draw(m * k, 1)).unwrap(),
            Tensor::from_slice(&[k, n], &draw(n * k, 7)).unwrap(),
        );
        let prepared = fast.prepare(&[None, Some(&ws)], &pool).unwrap();
        let a = fast.run_prepared(&[&xs, &ws], &prepared, &pool).unwrap();
        let c = plain.run(&[&xs, &ws], &pool).unwrap();
        let diff = a[0]
            .as_slice::<f32>()
            .unwrap()
            .iter()
            .zip(c[0].as_slice::<f32>().unwrap())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        let time = |run: &dyn Fn()| {
            let mut best = f64::INFINITY;
            let start = Instant::now();
            run();
            run();
            let reps = (0.03 / (start.elapsed().as_secs_f64() / 2.0)).ceil() as usize;
            for _ in 0..5 {
                let s = Instant::now();
                for _ in 0..reps {
                    run();
                }
                best = best.min(s.elapsed().as_secs_f64() / reps as f64);
            }
            2.0 * (m * n * k) as f64 / best / 1e9
        };
        let ours = time(&|| {
            fast.run_prepared(&[&xs, &ws], &prepared, &pool).unwrap();
        });
        let old = time(&|| {
            plain.run(&[&xs, &ws], &pool).unwrap();
        });
        println!(
            "{m:5} {n:5} {k:5}  scheduled {ours:7.1}  plain {old:7.1} GFLOP/s   difference {diff:e}  compile {compile:.3}"
        );
    }
}
