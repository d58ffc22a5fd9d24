// run: emit FILE --ir tensor
func.func @f(%a: f32) -> f32 {
  %0 = "aiai.call"(%a) {callee = @f, results = [f32]} : (f32) -> f32
  return %0 : f32
}

//= exit 2
//= ! aiai: mlir/calls_itself.mlir:2:1: in @f: calls itself
