// run: emit FILE --ir tensor
#a = [#b, #b]
#b = [#a, #a]
func.func @f(%a: f32) -> f32 attributes {aiai.requires = #a} {
  return %a : f32
}

//= exit 2
//= ! aiai: mlir/endless_name.mlir:2:6: nested more than 200 deep
