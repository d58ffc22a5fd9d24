// run: emit FILE --ir tensor
func.func @f(%a: f32) -> f32 {
  %0 = "aiai.exp"(%a) {fast} : (f32) -> f32
  return %0 : f32
}

//= exit 2
//= ! aiai: mlir/unknown_attribute.mlir:3:24: unknown attribute `fast`
