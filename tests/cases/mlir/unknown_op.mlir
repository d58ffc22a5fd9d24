// run: emit FILE --ir tensor
func.func @f(%a: f32) -> f32 {
  %0 = "aiai.blur"(%a) : (f32) -> f32
  return %0 : f32
}

//= exit 2
//= ! aiai: mlir/unknown_op.mlir:3:8: unknown op `aiai.blur`
