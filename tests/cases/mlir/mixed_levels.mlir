// run: emit FILE --ir tensor
func.func @f(%a: memref<4xf32>, %i: i64, %x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = "aiai.load"(%a, %i) : (memref<4xf32>, i64) -> f32
  %1 = "aiai.permute"(%x) {axes = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %1 : tensor<3x2xf32>
}

//= exit 2
//= ! aiai: mlir/mixed_levels.mlir:4:8: `permute` and `load` are of different levels
