/* Calls the library of pick.aiai in every right and wrong way; prints what failed, and ends with 1 then. */

#include "pick.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define EXPECT(condition)                                                                                              \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      printf("line %d: %s; the message is \"%s\"\n", __LINE__, #condition, aiai_message());                            \
      failures++;                                                                                                      \
    }                                                                                                                  \
  } while (0)

static const DLDataType F32 = {2, 32, 1}, F64 = {2, 64, 1}, I32 = {0, 32, 1}, BOOL = {6, 8, 1};
static const DLDevice MEMORY = {1, 0};

/* Everything that one call takes. Blocks of their own, so that an access outside is seen. */
typedef struct {
  int64_t b, n, x_shape[2], i_shape[1], keep_shape[1], z_shape[1], t_shape[1];
  float *x, *y, *z, *t;
  int32_t *i;
  uint8_t *keep;
  DLTensor tx, ti, tkeep, ty, tz, tt;
  const DLTensor *inputs[3], *outputs[3];
} Call;

static void *block(int64_t bytes) { return malloc(bytes > 0 ? (size_t)bytes : 1); }

static DLTensor tensor(void *data, int ndim, int64_t *shape, DLDataType dtype) {
  DLTensor made = {data, MEMORY, ndim, dtype, shape, NULL, 0};
  return made;
}

static Call *call_of(int64_t b, int64_t n) {
  Call *c = calloc(1, sizeof *c);
  c->b = b, c->n = n;
  c->x_shape[0] = b, c->x_shape[1] = n, c->i_shape[0] = c->z_shape[0] = b, c->keep_shape[0] = n, c->t_shape[0] = 2 * n;
  c->x = block(b * n * 4), c->y = block(b * n * 4), c->z = block(b * 4), c->t = block(2 * n * 4);
  c->i = block(b * 4), c->keep = block(n);
  for (int64_t k = 0; k < b * n; k++) c->x[k] = (float)k;
  for (int64_t k = 0; k < b; k++) c->i[k] = (int32_t)(k % (n > 0 ? n : 1));
  for (int64_t k = 0; k < n; k++) c->keep[k] = k % 2;
  c->tx = tensor(c->x, 2, c->x_shape, F32), c->ti = tensor(c->i, 1, c->i_shape, I32);
  c->tkeep = tensor(c->keep, 1, c->keep_shape, BOOL);
  c->ty = tensor(c->y, 2, c->x_shape, F32), c->tz = tensor(c->z, 1, c->z_shape, F32);
  c->tt = tensor(c->t, 1, c->t_shape, F32);
  c->inputs[0] = &c->tx, c->inputs[1] = &c->ti, c->inputs[2] = &c->tkeep;
  c->outputs[0] = &c->ty, c->outputs[1] = &c->tz, c->outputs[2] = &c->tt;
  return c;
}

static void drop(Call *c) {
  free(c->x), free(c->y), free(c->z), free(c->t), free(c->i), free(c->keep), free(c);
}

static int32_t run(aiai_model *model, Call *c) { return aiai_call(model, c->inputs, 3, c->outputs, 3); }

static int right(const Call *c) {
  for (int64_t b = 0; b < c->b; b++) {
    for (int64_t n = 0; n < c->n; n++) {
      if (c->y[b * c->n + n] != (n % 2 ? 2.0f * (float)(b * c->n + n) : 0.0f)) return 0;
    }
    if (c->z[b] != (float)(b * c->n + b % c->n)) return 0;
  }
  for (int64_t n = 0; n < 2 * c->n; n++) {
    float sum = 0.0f;
    for (int64_t b = 0; b < c->b; b++) sum += (float)(b * c->n + n % c->n);
    if (c->t[n] != sum) return 0;
  }
  return 1;
}

static void sizes(aiai_model *model) {
  int64_t all[][2] = {{1, 2}, {3, 4}, {7, 100}, {64, 62}, {300, 34}};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    Call *c = call_of(all[k][0], all[k][1]);
    EXPECT(run(model, c) == AIAI_OK && right(c));
    int64_t shape[2] = {0, 0};
    EXPECT(aiai_shape(model, c->inputs, 3, 2, shape, 1) == AIAI_OK && shape[0] == 2 * c->n && shape[1] == 0);
    EXPECT(aiai_shape(model, c->inputs, 3, 0, shape, 1) == AIAI_ARGUMENT);
    EXPECT(aiai_shape(model, c->inputs, 3, 3, shape, 2) == AIAI_ARGUMENT);
    EXPECT(aiai_shape(model, c->inputs, 3, -1, shape, 2) == AIAI_ARGUMENT);
    EXPECT(aiai_shape(model, c->inputs, 3, 0, NULL, 2) == AIAI_ARGUMENT);
    drop(c);
  }
  /* No rows: nothing is read, so nothing need be there. */
  Call *c = call_of(0, 4);
  c->tx.data = c->ti.data = c->ty.data = c->tz.data = NULL;
  EXPECT(run(model, c) == AIAI_OK && right(c));
  drop(c);
}

static void views(aiai_model *model) {
  /* A transposed input: column-major. */
  Call *c = call_of(3, 4);
  int64_t strides[2] = {1, 3}, tight[2] = {4, 1}, back[2] = {4, -1};
  float turned[12];
  for (int k = 0; k < 12; k++) turned[k % 4 * 3 + k / 4] = c->x[k];
  c->tx.data = turned, c->tx.strides = strides;
  EXPECT(run(model, c) == AIAI_OK && right(c));
  c->tx.data = c->x, c->tx.strides = tight;
  EXPECT(run(model, c) == AIAI_OK && right(c));
  /* Rows from their end, from an offset. */
  for (int k = 0; k < 12; k++) turned[k / 4 * 4 + 3 - k % 4] = c->x[k];
  c->tx.data = turned, c->tx.strides = back, c->tx.byte_offset = 12;
  EXPECT(run(model, c) == AIAI_OK && right(c));
  /* One row for all: a stride of 0. */
  int64_t repeated[2] = {0, 1};
  c->tx.strides = repeated, c->tx.byte_offset = 0;
  EXPECT(run(model, c) == AIAI_OK && c->t[0] == 3 * turned[0]);
  /* An output cannot be strided. */
  c->tx.strides = NULL, c->tx.data = c->x, c->ty.strides = strides;
  EXPECT(run(model, c) == AIAI_ARGUMENT && strstr(aiai_message(), "dense"));
  drop(c);
}

/* A call after one change that makes it wrong. */
#define WRONG(code, part, change)                                                                                      \
  do {                                                                                                                 \
    Call *c = call_of(3, 4);                                                                                           \
    change;                                                                                                            \
    EXPECT(run(model, c) == (code) && strstr(aiai_message(), part));                                                   \
    drop(c);                                                                                                           \
  } while (0)

static void wrong(aiai_model *model) {
  WRONG(AIAI_ARGUMENT, "`x`: `data` is null", c->tx.data = NULL);
  WRONG(AIAI_ARGUMENT, "`data` is null", c->ty.data = NULL);
  WRONG(AIAI_ARGUMENT, "not aligned", c->tx.byte_offset = 2);
  WRONG(AIAI_ARGUMENT, "not aligned", c->ty.byte_offset = 1);
  WRONG(AIAI_ARGUMENT, "`shape` is null", c->tx.shape = NULL);
  WRONG(AIAI_ARGUMENT, "below 0", c->i_shape[0] = -1);
  WRONG(AIAI_ARGUMENT, "does not fit", c->x_shape[0] = INT64_MAX);
  WRONG(AIAI_ARGUMENT, "`ndim` is -1", c->tx.ndim = -1);
  WRONG(AIAI_ARGUMENT, "`ndim` is 1000", c->tx.ndim = 1000);
  WRONG(AIAI_ARGUMENT, "device of type 2", c->tx.device.device_type = 2);
  WRONG(AIAI_ARGUMENT, "no dtype", c->tx.dtype.bits = 31);
  WRONG(AIAI_ARGUMENT, "no dtype", c->tx.dtype.lanes = 4);
  WRONG(AIAI_ARGUMENT, "not a bool", c->keep[1] = 2);
  WRONG(AIAI_ARGUMENT, "shares memory", c->ty.data = c->x);
  WRONG(AIAI_ARGUMENT, "shares memory", c->tz.data = c->y);
  WRONG(AIAI_ARGUMENT, "`inputs[1]` is null", c->inputs[1] = NULL);
  WRONG(AIAI_ARGUMENT, "`outputs[0]` is null", c->outputs[0] = NULL);
  WRONG(AIAI_ARGUMENT, "is f32, got i32", c->tz.dtype = I32);
  WRONG(AIAI_SHAPE, "`x` is `f32[B, N]`, got f64", c->tx.dtype = F64; c->x_shape[0] = 1);
  WRONG(AIAI_SHAPE, "got f32[4]", c->tx.ndim = 1; c->x_shape[0] = 4);
  WRONG(AIAI_SHAPE, "`keep`: `N` is 4, got 3", c->keep_shape[0] = 3);
  WRONG(AIAI_SHAPE, "has the shape [3], got [2]", c->z_shape[0] = 2);
  WRONG(AIAI_PROGRAM, "pick.aiai:4", c->i[2] = 4);
  WRONG(AIAI_PROGRAM, "-1", c->i[0] = -1);
  /* What `where` says. */
  Call *odd = call_of(1, 3), *wide = call_of(1, 102);
  EXPECT(run(model, odd) == AIAI_SHAPE && strstr(aiai_message(), "N"));
  EXPECT(run(model, wide) == AIAI_SHAPE && strstr(aiai_message(), "100"));
  drop(odd), drop(wide);
  Call *c = call_of(3, 4);
  EXPECT(aiai_call(model, c->inputs, 2, c->outputs, 3) == AIAI_ARGUMENT);
  EXPECT(aiai_call(model, c->inputs, 3, c->outputs, 0) == AIAI_ARGUMENT);
  EXPECT(aiai_call(model, c->inputs, -3, c->outputs, 3) == AIAI_ARGUMENT);
  EXPECT(aiai_call(model, NULL, 3, c->outputs, 3) == AIAI_ARGUMENT);
  EXPECT(aiai_call(NULL, c->inputs, 3, c->outputs, 3) == AIAI_ARGUMENT);
  /* After all that the model still works. */
  EXPECT(run(model, c) == AIAI_OK && right(c));
  drop(c);
}

static void opening(void) {
  aiai_model *model = NULL;
  EXPECT(aiai_open(NULL, NULL, 1, &model) == AIAI_ARGUMENT && model == NULL);
  EXPECT(aiai_open(&pick_program, NULL, 1, NULL) == AIAI_ARGUMENT);
  aiai_program other = pick_program;
  other.version = 99;
  EXPECT(aiai_open(&other, NULL, 1, &model) == AIAI_VERSION && strstr(aiai_message(), "99"));
  other = pick_program, other.package_bytes = 5;
  EXPECT(aiai_open(&other, NULL, 1, &model) == AIAI_INTERNAL && strstr(aiai_message(), "damaged"));
  /* A feature that no processor has, in the place of one that the library needs. */
  char *package = block((int64_t)pick_program.package_bytes);
  memcpy(package, pick_program.package, pick_program.package_bytes);
  memcpy(strstr(package, "\"avx\""), "\"xyz\"", 5);
  other = pick_program, other.package = package;
  EXPECT(aiai_open(&other, NULL, 1, &model) == AIAI_CPU && strstr(aiai_message(), "lacks xyz"));
  free(package);
  EXPECT(aiai_signature(NULL) == NULL);
  aiai_close(NULL);
}

static void *many(void *model) {
  for (int k = 0; k < 20; k++) {
    Call *c = call_of(50, 40);
    if (run(model, c) != AIAI_OK || !right(c)) return model;
    drop(c);
  }
  return NULL;
}

int main(void) {
  opening();
  for (int threads = 1; threads <= 3; threads++) {
    aiai_model *model;
    EXPECT(aiai_open(&pick_program, NULL, threads, &model) == AIAI_OK);
    EXPECT(strstr(aiai_signature(model), "\"name\":\"keep\""));
    sizes(model), views(model), wrong(model);
    pthread_t callers[3];
    for (int k = 0; k < 3; k++) pthread_create(&callers[k], NULL, many, model);
    for (int k = 0; k < 3; k++) {
      void *failed;
      pthread_join(callers[k], &failed);
      EXPECT(failed == NULL);
    }
    aiai_close(model);
  }
  printf(failures == 0 ? "all as expected\n" : "%d failures\n", failures);
  return failures != 0;
}
