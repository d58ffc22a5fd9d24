/* Calls the library of examples/digits: scores of two images, one blank, one with a bar. */

#include "digits.h"

#include <stdio.h>
#include <stdlib.h>

static void check(int32_t code) {
  if (code != AIAI_OK) {
    fprintf(stderr, "error %d: %s\n", code, aiai_message());
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: main digits.safetensors\n");
    return 2;
  }
  aiai_model *model;
  check(aiai_open(&digits_program, argv[1], 1, &model));

  enum { IMAGES = 2 };
  static float images[IMAGES][1][8][8];
  for (int row = 0; row < 8; row++) images[1][0][row][3] = images[1][0][row][4] = 1.0f;
  int64_t image_shape[4] = {IMAGES, 1, 8, 8};
  DLDataType f32 = {2, 32, 1};
  DLDevice memory = {1, 0};
  DLTensor x = {images, memory, 4, f32, image_shape, NULL, 0};
  const DLTensor *inputs[] = {&x};

  /* What the shape of the result is follows from the inputs. */
  int64_t shape[2];
  check(aiai_shape(model, inputs, 1, 0, shape, 2));
  float *scores = calloc((size_t)(shape[0] * shape[1]), sizeof *scores);
  if (scores == NULL) return 1;
  DLTensor y = {scores, memory, 2, f32, shape, NULL, 0};
  const DLTensor *outputs[] = {&y};
  check(aiai_call(model, inputs, 1, outputs, 1));

  for (int64_t image = 0; image < shape[0]; image++) {
    int64_t best = 0;
    for (int64_t digit = 1; digit < shape[1]; digit++) {
      if (scores[image * shape[1] + digit] > scores[image * shape[1] + best]) best = digit;
    }
    printf("image %d: looks like %d\n", (int)image, (int)best);
  }
  free(scores);
  aiai_close(model);
  return 0;
}
