// What the machine can do at most, for `roofline.py`: fused multiply-adds and bytes, on any number of threads.

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#ifdef __AVX512F__
enum { LANES = 16, CHAINS = 24 };
#else
enum { LANES = 8, CHAINS = 12 };
#endif
typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

enum { MULTIPLY_ADDS, READ, TRIAD, TRIES = 50 };

struct task {
  atomic_int *arrived;
  int kind, threads;
  long repeats;
  size_t count;      // vectors in each array of this thread
  vector *a, *b, *c;
  double seconds;    // the best try
  float kept;        // so that no work is dead
};

// Independent chains that stay in registers: enough of them to hide the latency of both units.
static float multiply_adds(long repeats) {
  vector sums[CHAINS], x, y;
  for (int l = 0; l < LANES; l++) {
    x[l] = 0.999f;
    y[l] = 0.001f * l;
  }
  for (int i = 0; i < CHAINS; i++) sums[i] = y + (float)i;
  for (long r = 0; r < repeats; r++) {
    asm volatile("" : "+v"(x), "+v"(y));
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) sums[i] = sums[i] * x + y;
  }
  float total = 0;
  for (int i = 0; i < CHAINS; i++) total += sums[i][0];
  return total;
}

static float read_all(const struct task *t) {
  vector sums[8] = {0};
  for (long r = 0; r < t->repeats; r++) {
    for (size_t i = 0; i + 8 <= t->count; i += 8)
#pragma GCC unroll 8
      for (int u = 0; u < 8; u++) sums[u] += t->b[i + u];
    asm volatile("" ::: "memory");
  }
  float total = 0;
  for (int u = 0; u < 8; u++) total += sums[u][0];
  return total;
}

static float triad(const struct task *t) {
  for (long r = 0; r < t->repeats; r++) {
    for (size_t i = 0; i < t->count; i++) t->a[i] = t->b[i] + 0.5f * t->c[i];
    asm volatile("" ::: "memory");
  }
  return t->a[0][0];
}

static vector *array(size_t count) { return aligned_alloc(4096, (count * sizeof(vector) / 4096 + 1) * 4096); }

// Waits for all threads, the `round`th time; spinning, so that it costs less than what is timed.
static void meet(const struct task *t, int round) {
  atomic_fetch_add(t->arrived, 1);
  while (atomic_load(t->arrived) < t->threads * round) {
  }
}

static void *work(void *argument) {
  struct task *t = argument;
  t->b = array(t->count);
  t->a = t->kind == TRIAD ? array(t->count) : t->b;
  t->c = t->kind == TRIAD ? array(t->count) : t->b;
  for (size_t i = 0; i < t->count; i++) t->a[i] = t->b[i] = t->c[i] = (vector){0};
  for (int i = 0; i < TRIES; i++) {
    meet(t, 2 * i + 1);
    double start = now();
    t->kept = t->kind == MULTIPLY_ADDS ? multiply_adds(t->repeats) : t->kind == READ ? read_all(t) : triad(t);
    meet(t, 2 * i + 2);
    double seconds = now() - start;
    if (i == 0 || seconds < t->seconds) t->seconds = seconds;
  }
  if (t->kind == TRIAD) {
    free(t->a);
    free(t->c);
  }
  free(t->b);
  return NULL;
}

// Seconds that all threads take together, the best of several tries.
static double run(int kind, int threads, long repeats, size_t count) {
  atomic_int arrived = 0;
  pthread_t handles[threads];
  struct task tasks[threads];
  for (int i = 0; i < threads; i++) {
    tasks[i] = (struct task){.arrived = &arrived, .kind = kind, .threads = threads, .repeats = repeats, .count = count};
    pthread_create(&handles[i], NULL, work, &tasks[i]);
  }
  for (int i = 0; i < threads; i++) pthread_join(handles[i], NULL);
  return tasks[0].seconds;
}

// Operations a second; a multiply-add is two.
double fma_rate(int threads, long repeats) {
  return 2.0 * LANES * CHAINS * repeats * threads / run(MULTIPLY_ADDS, threads, repeats, 0);
}

// Bytes a second while `bytes` in all are read again and again.
double read_rate(int threads, long repeats, size_t bytes) {
  size_t count = bytes / threads / sizeof(vector) / 8 * 8;
  return (double)count * sizeof(vector) * threads * repeats / run(READ, threads, repeats, count);
}

// Bytes a second of a = b + s * c, where the three arrays have `bytes` in all. Two thirds are read, one is written;
// what the processor reads before it writes does not count.
double triad_rate(int threads, long repeats, size_t bytes) {
  size_t count = bytes / 3 / threads / sizeof(vector);
  return 3.0 * count * sizeof(vector) * threads * repeats / run(TRIAD, threads, repeats, count);
}
