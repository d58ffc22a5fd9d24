// run: emit FILE --ir tensor
func.func @f(%a: memref<4xf32>, %i: i64) -> f32 {
  %0 = "aiai.load"(%a, %i) : (memref<4xf32>, i64) -> f32
  return %0 : f32
}

//= exit 2
//= ! aiai: mlir/loops.mlir holds loops: `--ir loop` or `--ir mlir-loop` prints them
