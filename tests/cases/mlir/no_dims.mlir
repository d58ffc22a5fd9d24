// run: emit FILE --ir tensor
func.func @f(%a: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %a : tensor<?x4xf32>
}

//= exit 2
//= ! aiai: mlir/no_dims.mlir:2:29: 0 names for 1 dimensions: `#aiai.dims<[...]>` has one for each `?`
