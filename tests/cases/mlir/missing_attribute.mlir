// run: emit FILE --ir tensor
func.func @f(%a: f32) -> i32 {
  %0 = "aiai.cast"(%a) {to = i32} : (f32) -> i32
  return %0 : i32
}

//= exit 2
//= ! aiai: mlir/missing_attribute.mlir:3:8: the attribute `dtype` is missing
