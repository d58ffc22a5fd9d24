// run: emit FILE --ir tensor
func.func @f(%a: f32) -> f32 {
  %0 = "aiai.exp"(%a) : (f32) -> f32
}

//= exit 2
//= ! aiai: mlir/no_end.mlir:4:1: expected `func.return` at the end of the block
