/* Batch, layer, RMS and group (with one channel each: instance) normalization, forward and backward, in both layouts.
 *
 * A problem is prepared once; the plan this gives is executed many times, from any number of threads at once. Nothing
 * here throws; every function that computes returns NN_OK or, with results that are not to be used, NN_OUT_OF_MEMORY,
 * and the next call works again. Where there is no memory for a thread a call does without.
 *
 * Everything is computed as C++ begins: rounding to nearest, with subnormal numbers, without traps. A caller's own
 * floating-point control word (MXCSR, FPCR) is put aside for the length of the call.
 *
 * Every shape is reduced to three extents. For batch and group normalization they are N, C and the product S of the
 * spatial dimensions; a layer's or RMS's rows are the batch and a row's elements its channels, S is 1. */
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
/* Inference normalizes; training also hands out the statistics. */
enum { NN_INFERENCE, NN_TRAINING, NN_BACKWARD };
/* Where mean and variance come from: the input itself, or the caller (constants to the gradient). */
enum { NN_COMPUTED, NN_GIVEN };
/* The type of input and output. Parameters and statistics are floats. */
enum { NN_F32 };
enum { NN_CHANNELS_FIRST, NN_CHANNELS_LAST };
enum { NN_NONE, NN_RELU };
enum { NN_OK, NN_OUT_OF_MEMORY };

/* A problem made ready to run. */
typedef struct nn_plan nn_plan;

/* Prepares a problem: extents of 1 or more, 2^53 elements or fewer, groups dividing the channels, statistics given only
 * to NN_BATCH, `eps` finite and not negative. `threads`, from 1 to 65536, is how many may work on one call. Null if the
 * problem is none of these or memory is short. */
NN_API nn_plan* nn_prepare(int32_t operation, int32_t direction, int32_t statistics, int32_t data_type, int32_t layout,
                           int64_t batch, int64_t channels, int64_t spatial, int64_t groups, double eps,
                           int32_t activation, int32_t threads);
NN_API void nn_release(nn_plan* plan);
/* Such as "avx512 batch_channels_first_f32". Lives as long as the plan. */
NN_API const char* nn_name(const nn_plan* plan);
/* How many threads work on a call if nobody else needs them; 1 for what is too small to gain. */
NN_API int32_t nn_threads(const nn_plan* plan);

/* y = (x - mean) / sqrt(variance + eps) * weight + bias. RMS takes mean as 0 and the mean square as variance.
 * `weight`, `bias`, and in inference with computed statistics `mean` and `variance`, may be null. Training writes the
 * statistics; given ones are read. `dst` may be `src`. Where a computed variance and eps are so small that no float is
 * large enough for 1 / sqrt(variance + eps), what has no spread is the bias, and its gradient 0. */
NN_API int32_t nn_forward(const nn_plan* plan, const void* src, void* dst, const float* weight, const float* bias,
                          float* mean, float* variance);

/* With xhat = (x - mean) / sqrt(variance + eps), g = dy * weight and n values in a unit:
 *   diff_weight = sum(dy * xhat), diff_bias = sum(dy),
 *   diff_src = (g - sum(g) / n - xhat * sum(g * xhat) / n) / sqrt(variance + eps).
 * RMS has no sum(g); given statistics are constants, both sums fall away. With an activation `dst` is the output of
 * forward, which cuts dy where it is 0 or less; else it is not read. `diff_src` may be `diff_dst`; `weight`,
 * `diff_weight` and `diff_bias` may be null, and for RMS `mean`. */
NN_API int32_t nn_backward(const nn_plan* plan, const void* src, const void* dst, const float* weight,
                           const float* mean, const float* variance, const void* diff_dst, void* diff_src,
                           float* diff_weight, float* diff_bias);

/* The phases of batch normalization (NN_BATCH, any direction), for statistics that are shared between workers. All
 * statistics are double, so that merging them (Chan et al.) costs no digits. */

/* Each channel's mean and sum of squared distances from it. */
NN_API int32_t nn_moments(const nn_plan* plan, const void* src, double* mean, double* m2);
NN_API int32_t nn_normalize(const nn_plan* plan, const void* src, void* dst, const float* weight, const float* bias,
                            const double* mean, const double* variance);
/* Each channel's sum(dy) and sum(dy * (x - mean)). */
NN_API int32_t nn_grad_moments(const nn_plan* plan, const void* src, const void* dst, const void* diff_dst,
                               const double* mean, double* sum_dy, double* sum_dy_centered);
/* diff_src from the sums over all workers, of `count` values a channel. */
NN_API int32_t nn_grad_input(const nn_plan* plan, const void* src, const void* dst, const float* weight,
                             const double* mean, const double* variance, const void* diff_dst, const double* sum_dy,
                             const double* sum_dy_centered, double count, void* diff_src);

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

/* A plain pass over memory, y = a * x + b over n floats, none if n is negative: what a call that moves as many bytes is
 * measured against. */
NN_API void nn_stream(const float* x, float* y, int64_t n, float a, float b, int32_t threads);

#ifdef __cplusplus
}
#endif

#endif /* NATIVENORM_H_ */
