#ifndef AIAI_INTERFACE
#define AIAI_INTERFACE 1

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As DLPack declares it; include dlpack.h before this file to use that. */
#ifndef DLPACK_VERSION
#ifndef DLPACK_MAJOR_VERSION
typedef struct {
  int32_t device_type; /* 1: main memory */
  int32_t device_id;
} DLDevice;

typedef struct {
  uint8_t code; /* 0 int, 1 unsigned, 2 float, 4 bfloat, 6 bool */
  uint8_t bits;
  uint16_t lanes; /* 1 */
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides;     /* in elements; NULL: dense, row-major */
  uint64_t byte_offset; /* from data */
} DLTensor;
#endif
#endif

/* What functions return. aiai_message says more. */
enum {
  AIAI_OK = 0,
  AIAI_ARGUMENT = 1, /* a tensor or pointer that cannot be used */
  AIAI_SHAPE = 2,    /* shapes that disagree, or violate a `where` */
  AIAI_PROGRAM = 3,  /* a check of the program: an index out of range, an assertion */
  AIAI_MEMORY = 4,   /* no memory */
  AIAI_CPU = 5,      /* the processor lacks instructions */
  AIAI_WEIGHTS = 6,  /* the file of weights is missing, damaged or of another model */
  AIAI_VERSION = 7,  /* object file and library are of different versions */
  AIAI_INTERNAL = 8  /* a defect of aiai */
};

typedef struct {
  uint64_t version;
  void (*entry)(void);
  void (*prepare)(void); /* NULL where no weights are packed */
  const char *package;
  uint64_t package_bytes;
} aiai_program;

typedef struct aiai_model aiai_model;

/* Checks the processor, maps the weights, starts the threads (below 1: one for every core). */
int32_t aiai_open(const aiai_program *program, const char *weights, int32_t threads, aiai_model **model);

/* NULL is ignored. No call may be running. */
void aiai_close(aiai_model *model);

/* Computes the outputs. They are dense, of the shape that aiai_shape gives, and share no memory with another
   tensor. Inputs may be strided; those are copied. Threads may call one model at a time. */
int32_t aiai_call(const aiai_model *model, const DLTensor *const *inputs, int32_t input_count,
                  const DLTensor *const *outputs, int32_t output_count);

/* The shape of output `index` for these inputs, whose data is not read. */
int32_t aiai_shape(const aiai_model *model, const DLTensor *const *inputs, int32_t input_count, int32_t index,
                   int64_t *shape, int32_t capacity);

/* Inputs and outputs as JSON; valid until the model is closed. */
const char *aiai_signature(const aiai_model *model);

/* What the last failure on this thread says; valid until the next. */
const char *aiai_message(void);

#ifdef __cplusplus
}
#endif

#endif
