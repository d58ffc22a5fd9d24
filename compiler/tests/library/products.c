/* Calls the library of products.aiai with whole numbers, whose sums are exact; prints what differs, and ends with 1 then. */

#include "products.h"

#include <stdio.h>
#include <stdlib.h>

static const DLDataType F32 = {2, 32, 1};
static const DLDevice MEMORY = {1, 0};

/* What every tensor has at a place, the weights too. */
static float number(int64_t at) { return (float)(at * 7 % 11 - 5); }

typedef struct {
  int64_t shape[4];
  float *data;
  DLTensor tensor;
} Array;

static Array *array(int ndim, int64_t a, int64_t b, int64_t c, int64_t d) {
  Array *made = calloc(1, sizeof *made);
  int64_t shape[4] = {a, b, c, d}, count = 1;
  for (int k = 0; k < ndim; k++) made->shape[k] = shape[k], count *= shape[k];
  made->data = malloc((size_t)(count > 0 ? count : 1) * sizeof(float));
  for (int64_t k = 0; k < count; k++) made->data[k] = number(k);
  DLTensor tensor = {made->data, MEMORY, ndim, F32, made->shape, NULL, 0};
  made->tensor = tensor;
  return made;
}

static void drop(Array *a) { free(a->data), free(a); }

/* How many elements of x[m, 40] times a matrix of n columns are wrong. */
static int product(const float *got, int64_t m, int64_t n, int relu) {
  int wrong = 0;
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) {
      float sum = 0;
      for (int64_t k = 0; k < 40; k++) sum += number(i * 40 + k) * number(k * n + j);
      wrong += got[i * n + j] != (relu && sum < 0 ? 0 : sum);
    }
  }
  return wrong;
}

static float pixel(int64_t image, int64_t c, int64_t y, int64_t x, int64_t h, int64_t w) {
  return y < 0 || y >= h || x < 0 || x >= w ? 0 : number(((image * 3 + c) * h + y) * w + x);
}

static int convolution(const float *got, int64_t b, int64_t h, int64_t w) {
  int wrong = 0;
  for (int64_t at = 0; at < b * 20 * h * w; at++) {
    int64_t x = at % w, y = at / w % h, o = at / w / h % 20, image = at / w / h / 20;
    float sum = 0;
    for (int64_t k = 0; k < 27; k++) sum += number(o * 27 + k) * pixel(image, k / 9, y + k / 3 % 3 - 1, x + k % 3 - 1, h, w);
    wrong += got[at] != sum;
  }
  return wrong;
}

int main(void) {
  int64_t sizes[][5] = {{1, 1, 1, 4, 4}, {2, 8, 1, 1, 9}, {3, 17, 2, 5, 7}, {33, 50, 1, 14, 14}, {130, 64, 1, 31, 6}};
  int failures = 0;
  for (int threads = 1; threads <= 2; threads++) {
    aiai_model *model;
    if (aiai_open(&products_program, "products.safetensors", threads, &model) != AIAI_OK) {
      printf("%s\n", aiai_message());
      return 1;
    }
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      int64_t m = sizes[k][0], n = sizes[k][1], b = sizes[k][2], h = sizes[k][3], w = sizes[k][4];
      Array *x = array(2, m, 40, 0, 0), *y = array(2, 40, n, 0, 0), *i = array(4, b, 3, h, w);
      Array *dense = array(2, m, 72, 0, 0), *both = array(2, m, n, 0, 0), *image = array(4, b, 20, h, w);
      const DLTensor *inputs[] = {&x->tensor, &y->tensor, &i->tensor};
      const DLTensor *outputs[] = {&dense->tensor, &both->tensor, &image->tensor};
      int32_t code = aiai_call(model, inputs, 3, outputs, 3);
      int wrong[] = {product(dense->data, m, 72, 1), product(both->data, m, n, 0), convolution(image->data, b, h, w)};
      if (code != AIAI_OK || wrong[0] || wrong[1] || wrong[2]) {
        printf("size %d: code %d (%s), %d, %d, %d wrong\n", (int)k, code, aiai_message(), wrong[0], wrong[1], wrong[2]);
        failures++;
      }
      drop(x), drop(y), drop(i), drop(dense), drop(both), drop(image);
    }
    aiai_close(model);
  }
  return failures != 0;
}
