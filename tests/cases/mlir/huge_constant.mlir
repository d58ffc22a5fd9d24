// run: emit FILE --ir tensor
func.func @f() -> i64 {
  %0 = "aiai.constant"() {value = dense<0> : tensor<1000000000000xi64>} : () -> tensor<1000000000000xi64>
  %1 = "aiai.constant"() {value = dense<0> : tensor<i64>} : () -> i64
  return %1 : i64
}

//= exit 2
//= ! aiai: mlir/huge_constant.mlir:3:71: too large when written out
