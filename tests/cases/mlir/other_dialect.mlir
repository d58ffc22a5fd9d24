// run: emit FILE --ir tensor
func.func @f(%a: f32) -> f32 {
  %0 = arith.addf %a, %a : f32
  return %0 : f32
}

//= exit 2
//= ! aiai: mlir/other_dialect.mlir:3:8: unknown op `arith.addf`: ops of the dialect are written as `"aiai.name"(...)`, and this block ends with `func.return`
