//! The form in MLIR: what must survive the way there and back, and texts that are not what they should be.

use aiai_ir::{
    AffineExpr, AffineMap, Builder, DType, Dim, Function, Literal, Loc, Module, Op, PrintOptions,
    Relation, Require, Scalar, Sym, Type, mlir, parse_module, print_module,
};

/// Text of the IR, by MLIR and back, with locations.
fn check(module: &Module) -> String {
    let options = PrintOptions { locations: true };
    let exported = mlir::export(module, options);
    let (again, _) = mlir::import(&exported).unwrap_or_else(|e| panic!("{e}\n{exported}"));
    assert_eq!(print_module(module, options), print_module(&again, options));
    exported
}

fn constants(values: Vec<Literal>) -> Module {
    let mut function = Function::new("f");
    let mut builder = Builder::new(&mut function);
    for value in values {
        builder.value(Op::Constant { value }, &[]);
    }
    builder.finish(&[], &[]);
    let mut module = Module::default();
    module.insert(function);
    module
}

#[test]
fn constants_keep_their_bits() {
    let specials = [
        0.0,
        -0.0,
        1.0,
        0.1,
        1e15,
        1e16,
        -1e-7,
        f64::from(f32::MIN_POSITIVE) / 8.0,
        f64::MAX,
        5e-324,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let mut values = Vec::new();
    for dtype in DType::ALL {
        let scalar = |n: i64| match dtype.is_float() {
            true => Scalar::Float(n as f64),
            false => Scalar::Int(n),
        };
        for count in [0, 1, 2, 9, 65, 130] {
            let elements: Vec<Scalar> = (0..count).map(|k| scalar(k * 77 % 5 - 2)).collect();
            let shape = vec![elements.len()];
            values.push(Literal::from_elements(dtype, shape, &elements));
        }
        values.push(Literal::from_elements(dtype, vec![2, 0, 3], &[]));
        values.push(Literal::from_elements(dtype, vec![2, 3], &[scalar(1); 6]));
        let six: Vec<Scalar> = (0..6).map(scalar).collect();
        values.push(Literal::from_elements(dtype, vec![3, 1, 2], &six));
        values.push(Literal::scalar(dtype, Scalar::Int(i64::MIN)));
        values.push(Literal::scalar(dtype, Scalar::Int(-1)));
        if dtype.is_float() {
            let specials = specials.map(Scalar::Float);
            values.push(Literal::from_elements(
                dtype,
                vec![specials.len()],
                &specials,
            ));
        }
    }
    // A NaN with a payload.
    values.push(Literal {
        dtype: DType::F32,
        shape: vec![],
        bytes: 0xFFC0_0123u32.to_le_bytes().to_vec().into(),
    });
    let module = constants(values.clone());
    let (again, _) = mlir::import(&mlir::export(&module, Default::default())).expect("an export");
    let function = again.get(Sym::new("f")).expect("the function");
    let read = function.body.ops.iter().map(|node| match &node.op {
        Op::Constant { value } => value.clone(),
        op => panic!("`{}`", op.name()),
    });
    assert_eq!(values, read.collect::<Vec<_>>());
}

#[test]
fn names_and_dimensions_survive() {
    let (n, k) = (Dim::sym("N"), Dim::sym("a.b"));
    let shape = vec![
        n,
        n * k - Dim::from(3),
        (n + Dim::from(1)).floor_div(k * k),
        Dim::from(-2),
        Dim::from(0),
        Dim::overflow(),
    ];
    let mut function = Function::new("a \"name\" \\ of\nlines: ü");
    function.loc = Some(Loc {
        file: Sym::new("ü \".aiai"),
        line: 3,
        column: u32::MAX,
    });
    function.add_param("net.up", Type::tensor(DType::BF16, shape.clone()), true);
    function.add_param("", Type::buffer(DType::U16, shape), false);
    let size = function.add_param("size of it", Type::tensor(DType::F32, [n, k]), false);
    function.requires.push(Require {
        dim: n - k,
        relation: Relation::NonZero,
        message: "`N` and\t\"it\" differ".into(),
        loc: function.loc,
    });
    let library = [
        ("axis", Literal::i64(DType::I64, 1)),
        ("é", Literal::bool(true)),
    ];
    function.library = Some(aiai_ir::Library {
        symbol: Sym::new("softmax"),
        attributes: library.map(|(name, value)| (Sym::new(name), value)).into(),
    });
    let builder = Builder::new(&mut function);
    builder.finish(&[size, size], &["y", "r 1"]);
    let mut module = Module::default();
    module.insert(function);
    check(&module);
}

#[test]
fn access_maps_survive() {
    let (n, s) = (Dim::sym("N"), Dim::sym("s1"));
    let x = Type::tensor(DType::F32, [n * s, Dim::from(9)]);
    let mut function = Function::new("f");
    let x = function.add_param("x", x, false);
    let mut builder = Builder::new(&mut function);
    let coordinate = AffineExpr::new([(0, s - n), (2, Dim::from(-1)), (1, s)], s - n);
    let far = AffineExpr::new([(1, Dim::from(i64::MAX))], Dim::from(i64::MIN));
    let space = vec![n, n, n, n];
    let y = builder.value(
        Op::Contract {
            space,
            maps: vec![AffineMap {
                coords: vec![coordinate, far],
            }],
            out: AffineMap::of_indices([2]),
            shape: vec![n],
            acc: DType::F32,
        },
        &[x],
    );
    builder.finish(&[y], &["y"]);
    let mut module = Module::default();
    module.insert(function);
    let text = check(&module);
    assert!(
        text.contains("affine_map<(d0, d1, d2, d3) -> (d2)>"),
        "{text}"
    );
}

/// A module with regions, tuples, constants and requirements.
fn sample() -> String {
    let source = r#"
        func @g(own @x %0: f32[N], @c %1: bool[]) -> (@y: f32[N], @z: f32[T, N]) library @g {@axis = i64[] [1]}
          require N - 1 >= 0 "N is at least 1" loc("a.aiai":1:2)
        loc("a.aiai":1:1) {
          %2: f32[] = constant {value = f32[] [0.5]}
          %3: f32[N], %4: f32[T, N] = scan %0 {from = T, to = 0, step = -1} loc("a.aiai":3:1) (%5: i64[], %6: f32[N]) {
            %7: f32[N] = if %1 () {
              %8: f32[N] = broadcast %2 {shape = [N], axes = []}
              yield %8
            } () {
              yield %6
            }
            yield %7, %6
          }
          return %3, %4
        }
        func @main(@x %0: f32[N], @w %1: f32[N, 2*N]) -> (@y: f32[2*N]) {
          %2: f32[2*N] = contract %0, %1 {space = [2*N, N], maps = [(i1), (i1, i0)], out = (i0), shape = [2*N], acc = f32}
          %3: f32[2*N] = exp %2
          return %3
        }"#;
    check(&parse_module(source).expect("IR"))
}

#[test]
fn no_text_makes_the_reader_panic() {
    let text = sample();
    for end in (1..text.len()).filter(|&end| text.is_char_boundary(end)) {
        assert!(end + 3 > text.len() || mlir::import(&text[..end]).is_err());
    }
    // Bytes changed, dropped and doubled, by a small generator of numbers.
    let mut state = 1u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    const ALPHABET: &[u8] = b"%#!@^<>(){}[]:,=-+*\"0129xif?.~ \n";
    for _ in 0..4000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=draw(3) {
            let at = draw(bytes.len());
            match draw(3) {
                0 => bytes[at] = ALPHABET[draw(ALPHABET.len())],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, ALPHABET[draw(ALPHABET.len())]),
            }
        }
        let changed = String::from_utf8_lossy(&bytes);
        if let Err(error) = mlir::import(&changed) {
            assert!(error.line >= 1 && error.column >= 1);
        }
    }
}

#[test]
fn what_nests_without_end_is_refused() {
    let repeated = |open: &str| open.repeat(100_000);
    for text in [
        repeated("module {"),
        format!("func.func @f() attributes {{a = {}", repeated("[")),
        format!("func.func @f() attributes {{a = {}", repeated("{a = ")),
        format!(
            "func.func @f() attributes {{a = {}",
            repeated("#aiai.dims<")
        ),
        format!(
            "func.func @f() attributes {{a = affine_map<(d0) -> ({}",
            repeated("(")
        ),
        format!(
            "func.func @f() attributes {{a = affine_map<(d0) -> ({}",
            repeated("-")
        ),
        format!("func.func @f() attributes {{a = dense<{}", repeated("[")),
        format!("func.func @f(%a: {}", repeated("tuple<")),
        format!(
            "func.func @f(%a: {}",
            repeated("tensor<2xf32, #aiai.dims<[")
        ),
        format!("func.func @f() {{ {}", repeated("\"aiai.fused\"() ({ ")),
        "#a = #b\n#b = #a\nfunc.func @f() attributes {a = #a} {return}".to_owned(),
        "#a = loc(#a)\nfunc.func @f() {return loc(#a)}".to_owned(),
        "!a = !a\nfunc.func @f(%0: !a) {return}".to_owned(),
    ] {
        let error = mlir::import(&text).expect_err("an error");
        assert!(error.line >= 1, "{error}");
    }
    // Each name stands for twice the one before.
    let mut doubling = String::new();
    for k in 1..100 {
        doubling = format!("#a{k} = [#a{0}, #a{0}]\n{doubling}", k - 1);
    }
    let text = format!("#a0 = [1]\n{doubling}func.func @f() attributes {{a = #a99}} {{return}}");
    let error = mlir::import(&text).expect_err("an error");
    assert!(error.message.contains("too large"), "{error}");
}

#[test]
fn the_declaration_has_every_op() {
    let declaration = mlir::declaration();
    for row in aiai_ir::ops::Row::ALL {
        for name in row.names() {
            assert!(
                declaration.contains(&format!("irdl.operation @{name} {{")),
                "{name}"
            );
        }
    }
}
