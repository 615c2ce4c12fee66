/* Batch, layer, RMS and group (with one channel each: instance) normalization, forward and backward, in both layouts.
 *
 * A problem is prepared once; the plan this gives is executed many times, from any number of threads at once. Nothing
 * here throws; every function that computes returns NN_OK or, with results that are not to be used, what was wrong, and
 * the next call works again. Where there is no memory for a thread a call does without.
 *
 * Everything is computed as C++ begins: rounding to nearest, with subnormal numbers, without traps. A caller's own
 * floating-point control word (MXCSR, FPCR) is put aside for the length of the call.
 *
 * Every shape is reduced to three extents. For batch and group normalization they are N, C and the product S of the
 * spatial dimensions; a layer's or RMS's rows are the batch and a row's elements its channels, S is 1.
 *
 * The structs begin with their size, as the caller was compiled with it, and grow at the end. Of a smaller one the
 * fields that it does not have are 0, which is always what was before there was such a field. A larger one is refused
 * unless all that this library does not know is 0. */
#ifndef NATIVENORM_H_
#define NATIVENORM_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define NN_API __declspec(dllexport)
#else
#define NN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The operations, by their unit, the values that share one mean: a channel of the batch, a row, a row by its root mean
 * square, a group of a sample. */
enum { NN_BATCH, NN_LAYER, NN_RMS, NN_GROUP };
/* Where mean and variance come from: the input itself, or the caller (constants to the gradient). */
enum { NN_COMPUTED, NN_GIVEN };
enum { NN_CHANNELS_FIRST, NN_CHANNELS_LAST };
/* What elements are stored as. There are kernels for F32, BF16 and F16; input and output may be of two types if one of
 * them is F32. Whatever they are, results are F32's for the same numbers, rounded once. */
enum { NN_F32, NN_BF16, NN_F16, NN_S8, NN_U8, NN_I64 };
/* What there is beside input and output, added up. */
enum { NN_WEIGHT = 1, NN_BIAS = 2 };
enum { NN_NONE, NN_RELU };
/* What is done; nn_operands says how. Inference normalizes; training also hands out the statistics. Those from
 * NN_MEASURE on are the phases of batch normalization, for statistics that are shared between workers. */
enum { NN_INFER, NN_TRAIN, NN_BACKWARD, NN_MEASURE, NN_APPLY, NN_SUM_GRADIENTS, NN_APPLY_GRADIENTS };
/* NN_WRONG_OPERANDS: one that the task needs is null, or there are such as this library does not know. */
enum { NN_OK, NN_OUT_OF_MEMORY, NN_WRONG_OPERANDS };

/* What is to be computed. */
typedef struct nn_problem {
  size_t size; /* sizeof(nn_problem) */
  int32_t operation;
  int32_t statistics; /* given ones: of NN_BATCH, but for its phases */
  double eps;         /* finite, 0 or more */
  int64_t batch;      /* the extents: 1 or more, together 2^53 elements or fewer */
  int64_t channels;
  int64_t spatial;
  int64_t groups; /* divide the channels; looked at for NN_GROUP only */
  int32_t layout;
  int32_t threads;  /* how many may work on one call: 1 to 65536 */
  int32_t src_type; /* of the input and its gradient */
  int32_t dst_type; /* of the output and its gradient */
  int32_t parameters_type;
  int32_t affine; /* NN_WEIGHT + NN_BIAS: those that are not in it are not read */
  int32_t activation;
  int32_t task;
  double unit_offset; /* what a weight is added to, as floats: 1 is Gemma's 1 + w. Of rows, and of a weight; finite */
  /* Rows of NN_LAYER and NN_RMS that do not all follow each other: so many do, and the next ones begin `stride`
   * elements after the first of these. 0 rows together are all of them, a stride of 0 is as close as they can lie.
   * Strides are of one type only, those of gradients of NN_BACKWARD only. */
  int64_t rows_together;
  int64_t src_stride;
  int64_t dst_stride;
  int64_t diff_dst_stride;
  int64_t diff_src_stride;
  /* 1: the computed statistics of NN_BATCH and NN_GROUP, but for its phases, are those of the positions that a mask
   * counts; 0: of all. Samples have fewer than 2^32 positions then. */
  int64_t masked;
  /* A library in the process, as the system's loader knows it, whose OpenMP threads work on large calls in place of
   * this library's: those that it has for the calling thread, by the interface of GNU's libgomp. Looked for when the
   * problem is prepared, and stays loaded. Null: this library's threads. Where there are none, these too, but only from
   * 2^18 elements on: another library's that spin make them late. Children that fork makes must not call then. */
  const char* threads_of;
} nn_problem;

/* The memory that one call reads and writes. With n values in a unit, xhat = (x - mean) / sqrt(variance + eps) and
 * g = diff_dst * weight:
 *
 * NN_INFER, NN_TRAIN: src, weight, bias -> dst, which may be src; mean, variance. dst = xhat * weight + bias. RMS takes
 * mean as 0, hands none out, and has the mean square as variance. Computed statistics are written, given ones read.
 * Where a computed variance and eps are so small that no float is large enough for 1 / sqrt(variance + eps), what has
 * no spread is the bias, and its gradient 0.
 *
 * NN_BACKWARD: src, dst, weight, mean (not of RMS), variance, diff_dst -> diff_src, which may be diff_dst; diff_weight,
 * diff_bias, which with `accumulate` are added to, each sum rounded once more. With an activation dst is the output of
 * forward, which cuts diff_dst where it is 0 or less; else it is not read.
 *   diff_weight = sum(diff_dst * xhat), diff_bias = sum(diff_dst),
 *   diff_src = (g - sum(g) / n - xhat * sum(g * xhat) / n) / sqrt(variance + eps).
 * RMS has no sum(g); given statistics are constants, both sums fall away.
 *
 * The phases have statistics and sums in doubles, so that merging them (Chan et al.) costs no digits:
 * NN_MEASURE: src -> mean, and variance, here the sum of squared distances from it.
 * NN_APPLY: src, weight, bias, mean, variance -> dst.
 * NN_SUM_GRADIENTS: src, dst, diff_dst, mean -> sum_dy = sum(diff_dst), sum_dy_centered = sum(diff_dst * (x - mean)).
 * NN_APPLY_GRADIENTS: src, dst, weight, mean, variance, diff_dst, and the sums over all workers, of `count` values a
 * channel -> diff_src.
 *
 * Where rows lie apart a result is an input in its place, row by row, or apart from all that is read; what is between
 * rows is not touched.
 *
 * Null may be: weight, for ones; bias, for zeros; mean and variance where they are written, of NN_INFER and NN_TRAIN,
 * and diff_src, diff_weight and diff_bias of NN_BACKWARD, which are then not wanted: the others' bits are the same. But
 * in a row where a diff_dst / sqrt(variance + eps) is too large for a float, which a small weight may bring back, an
 * element of diff_src is infinite if it alone is wanted, or written in diff_dst's place. What a task does not name is
 * not looked at. */
typedef struct nn_operands {
  size_t size; /* sizeof(nn_operands) */
  const void* src;
  void* dst;
  const void* weight;
  const void* bias;
  void* mean; /* floats, or doubles: of each unit */
  void* variance;
  const void* diff_dst;
  void* diff_src;
  void* diff_weight;
  void* diff_bias;
  double* sum_dy;
  double* sum_dy_centered;
  double count;
  /* A part of the units in one type, 0 are all: of rows in NN_INFER and NN_TRAIN, which its caller's thread does alone,
   * or of the channels of a channels-first batch in NN_TRAIN and NN_BACKWARD. Memory is that of the whole. */
  int64_t first_unit;
  int64_t units;
  int64_t accumulate; /* 0 or 1 */
  /* Of a masked problem, and not looked at else: a byte for each position of each sample, which counts if it is not 0.
   * The others are padding: not in mean, variance and n, whatever is in them, but normalized too, and what their
   * diff_dst is not 0 at is in all sums of gradients. Their diff_src is g / sqrt(variance + eps). A unit of which
   * nothing counts has mean and variance 0, its dst is the bias, and its diff_src and its part of diff_weight are 0. */
  const unsigned char* mask;
} nn_operands;

/* A problem made ready to run. */
typedef struct nn_plan nn_plan;

/* Prepares a problem. Null if it is refused, or memory is short: `reason`, which has room for so many bytes, then gets
 * a sentence without a full stop that says what was wrong or which variant does not exist, cut where there is no room;
 * else it is empty. It may be null. */
NN_API nn_plan* nn_prepare(const nn_problem* problem, char* reason, size_t room);
NN_API void nn_release(nn_plan* plan);
/* Such as "avx512 batch_channels_first_f32". Lives as long as the plan. */
NN_API const char* nn_name(const nn_plan* plan);
/* How many threads work on a call if nobody else needs them; 1 for what is too small to gain. */
NN_API int32_t nn_threads(const nn_plan* plan);
/* Does what was prepared. */
NN_API int32_t nn_execute(const nn_plan* plan, const nn_operands* operands);

/* The instruction sets this library has kernels for and this CPU can run, best last. A plan keeps the one that was in
 * use when it was prepared: the last, unless a test chose another. One that is not there has no name, and is not
 * chosen. */
NN_API int32_t nn_targets(void);
NN_API const char* nn_target_name(int32_t index);
NN_API void nn_use_target(int32_t index);

/* How many threads of its own this library may have for all calls together, 0 at first. Fewer than there are now ends
 * the others, and waits for them; 0 also frees the memory that is kept for the next calls. A program that unloads the
 * library calls it with 0 before; on Linux unloading does the same. A child that fork makes begins without threads, on
 * Linux; elsewhere it must not call. */
NN_API void nn_set_workers(int32_t count);

/* Converts n elements, none if n is negative, from one type that there are kernels for to another: to the nearest, ties
 * to even, infinite where too large; a NaN stays one, and quiet. Of one type all bits stay. Neither overlaps the other.
 */
NN_API int32_t nn_convert(const void* src, int32_t src_type, void* dst, int32_t dst_type, int64_t n, int32_t threads);

/* Copies matrices the other way round: to[n][column][row] = from[n][row][column] of elements of 2, 4 or 8 bytes, whose
 * bits stay. None if an extent is below 1. Neither overlaps the other. Channels first become last with channels as
 * rows, and first again with channels as columns. */
NN_API int32_t nn_transpose(const void* src, void* dst, int32_t element_bytes, int64_t samples, int64_t rows,
                            int64_t columns, int32_t threads);

/* Takes the statistics of a batch, samples x channels floats, into running ones: with the mean m of a channel's samples
 * running = (1 - share) * running + share * correction * m, in doubles, in that order, rounded once. Nothing if there
 * is no sample. */
NN_API int32_t nn_update_running(float* running, const float* batch, int64_t samples, int64_t channels, double share,
                                 double correction);

/* A plain pass over memory, y = a * x + b over n floats, none if n is negative: what a call that moves as many bytes is
 * measured against. */
NN_API void nn_stream(const float* x, float* y, int64_t n, float a, float b, int32_t threads);

#ifdef __cplusplus
}
#endif

#endif /* NATIVENORM_H_ */
