// run: emit FILE --ir tensor
func.func @f(%c: i1, %a: f32) -> f32 {
  %0 = "aiai.if"(%c) ({
    %1 = "aiai.exp"(%a) : (f32) -> f32
    "vector.yield"(%1) : (f32) -> ()
  }, {
    "vector.yield"(%1) : (f32) -> ()
  }) : (i1) -> f32
  return %0 : f32
}

//= exit 2
//= ! aiai: mlir/out_of_scope.mlir:7:20: `%1` is not defined
