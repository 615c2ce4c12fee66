package io.nativenorm.engine.fused;

import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Const;
import org.bytedeco.javacpp.annotation.CriticalRegion;
import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;

/**
 * {@code native/include/nativenorm.h}, function by function; where the header has structs {@code
 * native/src/jni/calls.h}. Memory is passed as addresses.
 */
@Properties(
    @Platform(
        include = {"nativenorm.h", "jni/calls.h"},
        library = "jninativenorm"))
final class NativeKernels {
  private static final String PLAN = "const nn_plan*";
  private static final String MEMORY = "void*";
  private static final String FLOATS = "float*";
  private static final String DOUBLES = "double*";

  private NativeKernels() {}

  /**
   * Prepares a problem.
   *
   * @param reason gets the text of a refusal, which a 0 ends
   * @param room the length of that
   * @return the plan, 0 if it was refused
   */
  @Name("nn::Prepare")
  @Cast("jlong")
  static native long prepare(
      int operation,
      int statistics,
      double eps,
      int layout,
      @Cast("int64_t") long batch,
      @Cast("int64_t") long channels,
      @Cast("int64_t") long spatial,
      @Cast("int64_t") long groups,
      int srcType,
      int dstType,
      int parametersType,
      int affine,
      int activation,
      int task,
      int threads,
      double unitOffset,
      @Cast("int64_t") long rowsTogether,
      @Cast("int64_t") long srcStride,
      @Cast("int64_t") long dstStride,
      @Cast("int64_t") long diffDstStride,
      @Cast("int64_t") long diffSrcStride,
      @Cast("int64_t") long masked,
      String threadsOf,
      byte[] reason,
      int room);

  @Name("nn_release")
  static native void release(@Cast("nn_plan*") long plan);

  @Name("nn_name")
  static native String name(@Cast(PLAN) long plan);

  @Name("nn_threads")
  static native int threads(@Cast(PLAN) long plan);

  @Name("nn::Execute")
  static native int execute(
      @Cast(PLAN) long plan,
      @Cast(MEMORY) long src,
      @Cast(MEMORY) long dst,
      @Cast(MEMORY) long weight,
      @Cast(MEMORY) long bias,
      @Cast(MEMORY) long mean,
      @Cast(MEMORY) long variance,
      @Cast(MEMORY) long diffDst,
      @Cast(MEMORY) long diffSrc,
      @Cast(MEMORY) long diffWeight,
      @Cast(MEMORY) long diffBias,
      @Cast(DOUBLES) long sumDy,
      @Cast(DOUBLES) long sumDyCentered,
      double count,
      @Cast("int64_t") long accumulate,
      @Cast(MEMORY) long mask);

  /** On heap arrays, which do not move while it runs; of some rows, or of all if these are 0. */
  @Name("nn::Infer")
  @CriticalRegion
  static native int infer(
      @Cast(PLAN) long plan,
      @Const float[] src,
      int srcFrom,
      float[] dst,
      int dstFrom,
      @Cast(MEMORY) long weight,
      @Cast(MEMORY) long bias,
      @Cast(MEMORY) long mean,
      @Cast(MEMORY) long variance,
      @Cast("int64_t") long firstRow,
      @Cast("int64_t") long rows);

  /** The same in one array. */
  @Name("nn::Infer")
  @CriticalRegion
  static native int infer(
      @Cast(PLAN) long plan,
      float[] array,
      int srcFrom,
      int dstFrom,
      @Cast(MEMORY) long weight,
      @Cast(MEMORY) long bias,
      @Cast(MEMORY) long mean,
      @Cast(MEMORY) long variance,
      @Cast("int64_t") long firstRow,
      @Cast("int64_t") long rows);

  /** The same with parameters in heap arrays. */
  @Name("nn::Infer")
  @CriticalRegion
  static native int infer(
      @Cast(PLAN) long plan,
      @Const float[] src,
      int srcFrom,
      float[] dst,
      int dstFrom,
      @Const float[] weight,
      int weightFrom,
      @Const float[] bias,
      int biasFrom,
      @Cast("int64_t") long firstRow,
      @Cast("int64_t") long rows);

  /**
   * Training, where an operand is an array or, if that is null, at an address; all but parameters'
   * gradients are from a place in the arrays on.
   */
  @Name("nn::ExecuteOnArrays")
  @CriticalRegion
  static native int executeOnArrays(
      @Cast(PLAN) long plan,
      @Const float[] srcArray,
      @Cast(MEMORY) long src,
      float[] dstArray,
      @Cast(MEMORY) long dst,
      @Cast(MEMORY) long weight,
      @Cast(MEMORY) long bias,
      @Cast(MEMORY) long mean,
      @Cast(MEMORY) long variance,
      @Const float[] diffDstArray,
      @Cast(MEMORY) long diffDst,
      float[] diffSrcArray,
      @Cast(MEMORY) long diffSrc,
      float[] diffWeightArray,
      @Cast(MEMORY) long diffWeight,
      float[] diffBiasArray,
      @Cast(MEMORY) long diffBias,
      @Cast("int64_t") long arraysFrom,
      @Cast("int64_t") long accumulate,
      @Cast(MEMORY) long mask,
      @Cast("int64_t") long firstUnit,
      @Cast("int64_t") long units);

  @Name("nn_targets")
  static native int targets();

  @Name("nn_target_name")
  static native String targetName(int index);

  @Name("nn_use_target")
  static native void useTarget(int index);

  @Name("nn_set_workers")
  static native void setWorkers(int count);

  @Name("nn_stream")
  static native void stream(
      @Cast(FLOATS) long x,
      @Cast(FLOATS) long y,
      @Cast("int64_t") long n,
      float a,
      float b,
      int threads);

  @Name("nn_convert")
  static native int convert(
      @Cast(MEMORY) long src,
      int srcType,
      @Cast(MEMORY) long dst,
      int dstType,
      @Cast("int64_t") long n,
      int threads);

  @Name("nn::CopyIn")
  @CriticalRegion
  static native int copyIn(
      @Const float[] from,
      @Cast(MEMORY) long to,
      @Cast("int64_t") long first,
      @Cast("int64_t") long count,
      int threads);

  @Name("nn::CopyOut")
  @CriticalRegion
  static native int copyOut(
      @Cast(MEMORY) long from,
      float[] to,
      @Cast("int64_t") long first,
      @Cast("int64_t") long count,
      int threads);

  @Name("nn_transpose")
  static native int transpose(
      @Cast(MEMORY) long src,
      @Cast(MEMORY) long dst,
      int elementBytes,
      @Cast("int64_t") long samples,
      @Cast("int64_t") long rows,
      @Cast("int64_t") long columns,
      int threads);

  @Name("nn_update_running")
  static native int updateRunning(
      @Cast(FLOATS) long running,
      @Cast("const float*") long batch,
      @Cast("int64_t") long samples,
      @Cast("int64_t") long channels,
      double share,
      double correction);
}
