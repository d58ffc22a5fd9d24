// run: emit FILE --ir tensor
func.func @f(%a: tensor<?xf32, #aiai.dims<["N"]>>, %b: tensor<?xf32, #aiai.dims<["M"]>>) -> tensor<?xf32, #aiai.dims<["N"]>> {
  %0 = "aiai.add"(%a, %b) : (tensor<?xf32, #aiai.dims<["N"]>>, tensor<?xf32, #aiai.dims<["M"]>>) -> tensor<?xf32, #aiai.dims<["N"]>>
  return %0 : tensor<?xf32, #aiai.dims<["N"]>>
}

//= exit 2
//= ! aiai: mlir/ill_typed.mlir:3:8: `aiai.add`: operands differ: `f32[N]` and `f32[M]`
