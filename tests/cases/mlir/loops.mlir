// run: emit FILE --ir tensor
// run: emit FILE:f --ir loop
// run: emit FILE --ir loop --after lower
// run: emit FILE --ir asm
// run: emit FILE --ir loop
func.func @f(%a: memref<4xf32>, %i: i64) -> f32 {
  %0 = "aiai.load"(%a, %i) : (memref<4xf32>, i64) -> f32
  return %0 : f32
}

//= exit 2
//= ! aiai: mlir/loops.mlir holds loops: `--ir loop` or `--ir mlir-loop` prints them
//= exit 2
//= ! aiai: mlir/loops.mlir is printed as a whole: leave out `:f`
//= exit 2
//= ! aiai: mlir/loops.mlir: `--after` and `--dim` go with programs; this is printed as it is
//= exit 2
//= ! aiai: mlir/loops.mlir holds loops: `--ir loop` or `--ir mlir-loop` prints them
//= exit 0
//= > func @f(@arg0 %0: buffer f32[4], @arg1 %1: i64[]) -> (@result0: f32[]) {
//= >   %2: f32[] = load %0, %1
//= >   return %2
//= > }
