// run: emit FILE --ir tensor
// run: emit FILE --ir mlir
// Written by hand: short names, other names of values, attributes in any order.
#product = affine_map<(i, k)[s] -> (k + i * s - 1)>
#axes = affine_map<(a, b) -> (a, b)>
!matrix = tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>
module @a_name attributes {anything = 1} {
  func.func private @main(%x: tensor<?xf32, #aiai.dims<["N*S + 2*K - S"]>> {aiai.own, aiai.name = "x"}, %y: !matrix) -> !matrix
      attributes {aiai.requires = [{message = "N is at least 1", is = ">=", dim = "N - 1"}]} {
    %product = "aiai.contract"(%x, %y) {
      acc = f32, out = #axes, shape = ["N", "K*2"], space = ["N", "K + K"],
      maps = [#aiai.access<#product, ["S"]>, #axes]
    } : (tensor<?xf32, #aiai.dims<["N*S + 2*K - S"]>>, !matrix) -> !matrix loc("elsewhere.py":3:4)
    %both = "aiai.scan"(%product) ({
    ^body(%t: i64, %carry: !matrix):
      %half = "aiai.constant"() {value = dense<5.0e-1> : tensor<f32>} : () -> f32
      vector.yield %carry, %half : !matrix, f32
    }) {from = 0, to = 3, step = 1 : i64} : (!matrix) -> tuple<!matrix, tensor<3xf32>>
    %c, %s = builtin.unrealized_conversion_cast %both : tuple<!matrix, tensor<3xf32>> to !matrix, tensor<3xf32>
    return %c : !matrix
  }
}

//= exit 0
//= > func @main(own @x %0: f32[2*K + N*S - S], @arg1 %1: f32[N, 2*K]) -> (@result0: f32[N, 2*K])
//= >   require N - 1 >= 0 "N is at least 1" {
//= >   %2: f32[N, 2*K] = contract %0, %1 {space = [N, 2*K], maps = [((S)*i0 + i1 + (-1)), (i0, i1)], out = (i0, i1), shape = [N, 2*K], acc = f32}
//= >   %3: f32[N, 2*K], %4: f32[3] = scan %2 {from = 0, to = 3, step = 1} (%5: i64[], %6: f32[N, 2*K]) {
//= >     %7: f32[] = constant {value = f32[] [0.5]}
//= >     yield %6, %7
//= >   }
//= >   return %3
//= > }
//= exit 0
//= > module {
//= >   func.func @main(%0: tensor<?xf32, #aiai.dims<["2*K + N*S - S"]>> {aiai.name = "x", aiai.own}, %1: tensor<?x?xf32, #aiai.dims<["N", "2*K"]>> {aiai.name = "arg1"}) -> (tensor<?x?xf32, #aiai.dims<["N", "2*K"]>> {aiai.name = "result0"}) attributes {aiai.requires = [{dim = "N - 1", is = ">=", message = "N is at least 1"}]} {
//= >     %2 = "aiai.contract"(%0, %1) {space = ["N", "2*K"], maps = [#aiai.access<affine_map<(d0, d1)[s0] -> (d0 * s0 + d1 + -1)>, ["S"]>, affine_map<(d0, d1) -> (d0, d1)>], out = affine_map<(d0, d1) -> (d0, d1)>, shape = ["N", "2*K"], acc = f32} : (tensor<?xf32, #aiai.dims<["2*K + N*S - S"]>>, tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>) -> tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>
//= >     %3 = "aiai.scan"(%2) ({
//= >     ^bb0(%5: i64, %6: tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>):
//= >       %7 = "aiai.constant"() {value = dense<0.5> : tensor<f32>} : () -> f32
//= >       "vector.yield"(%6, %7) : (tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>, f32) -> ()
//= >     }) {from = 0 : i64, to = 3 : i64, step = 1 : i64} : (tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>) -> tuple<tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>, tensor<3xf32>>
//= >     %4:2 = "builtin.unrealized_conversion_cast"(%3) : (tuple<tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>, tensor<3xf32>>) -> (tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>, tensor<3xf32>)
//= >     "func.return"(%4#0) : (tensor<?x?xf32, #aiai.dims<["N", "2*K"]>>) -> ()
//= >   }
//= > }
