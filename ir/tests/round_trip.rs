//! The IR text round-trips: print, parse, print gives the same bytes, and the module verifies. So does the
//! form in MLIR.

use aiai_ir::{Stage, mlir, parse_module, print_module, verify};

fn check(source: &str) {
    let module = parse_module(source).unwrap_or_else(|e| panic!("{e}"));
    verify(&module, Stage::Source).unwrap_or_else(|e| panic!("{e}"));
    let printed = print_module(&module, Default::default());
    let again = parse_module(&printed).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(module, again);
    assert_eq!(printed, print_module(&again, Default::default()));
    let exported = mlir::export(&module, Default::default());
    let (again, _) = mlir::import(&exported).unwrap_or_else(|e| panic!("{e}\n{exported}"));
    assert_eq!(printed, print_module(&again, Default::default()));
}

#[test]
fn elementwise_and_reduce() {
    check(
        r#"
        func @softmax(@x %0: f32[B, N]) -> (@y: f32[B, N]) library @softmax {@axis = i64[] [1]}
          require N - 1 >= 0 "N is at least 1"
        {
          %1: f32[B] = reduce %0 {kind = max, axes = [1], acc = f32}
          %2: f32[B, N] = broadcast %1 {shape = [B, N], axes = [0]}
          %3: f32[B, N] = sub %0, %2
          %4: f32[B, N] = exp %3
          %5: f32[B] = reduce %4 {kind = sum, axes = [1], acc = f32}
          %6: f32[B, N] = broadcast %5 {shape = [B, N], axes = [0]}
          %7: f32[B, N] = div %4, %6
          return %7
        }"#,
    );
}

#[test]
fn convolution_as_contract() {
    check(
        r#"
        func @conv(@p %0: f32[B, C, H + 2, W], @w %1: f32[O, C, 3]) -> (@y: f32[B, O, H, W]) {
          %2: f32[B, O, H, W] = contract %0, %1 {space = [B, O, H, W, C, 3], maps = [(i0, i4, i2 + i5, i3), (i1, i4, i5)], out = (i0, i1, i2, i3), shape = [B, O, H, W], acc = f32}
          return %2
        }"#,
    );
}

#[test]
fn control_flow() {
    check(
        r#"
        func @loop(own @x %0: f32[N], @c %1: bool[]) -> (@"y.0": f32[N], @z: f32[T, N]) {
          %2: f32[] = constant {value = f32[] [0.5]}
          %3: f32[N], %4: f32[T, N] = scan %0 {from = T, to = 0, step = -1} (%5: i64[], %6: f32[N]) {
            %7: f32[N] = if %1 () {
              %8: f32[N] = broadcast %2 {shape = [N], axes = []}
              yield %8
            } () {
              yield %6
            }
            yield %7, %6
          }
          return %3, %4
        }"#,
    );
}
