package io.nativenorm.engine.fused;

import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Const;
import org.bytedeco.javacpp.annotation.CriticalRegion;
import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;

/**
 * {@code native/include/nativenorm.h}, function by function. Memory is passed as addresses: reading
 * one out of a {@code Pointer} from native code costs two JNI calls each, 0.1 us for ten of them.
 */
@Properties(@Platform(include = "nativenorm.h", library = "jninativenorm"))
final class NativeKernels {
  private static final String PLAN = "const nn_plan*";
  private static final String MEMORY = "void*";
  private static final String FLOATS = "float*";

  private NativeKernels() {}

  @Name("nn_prepare")
  @Cast("jlong")
  static native long prepare(
      int operation,
      int direction,
      int statistics,
      int dataType,
      int layout,
      @Cast("int64_t") long batch,
      @Cast("int64_t") long channels,
      @Cast("int64_t") long spatial,
      @Cast("int64_t") long groups,
      double eps,
      int activation,
      int threads);

  @Name("nn_release")
  static native void release(@Cast("nn_plan*") long plan);

  @Name("nn_name")
  static native String name(@Cast(PLAN) long plan);

  @Name("nn_threads")
  static native int threads(@Cast(PLAN) long plan);

  @Name("nn_forward")
  static native int forward(
      @Cast(PLAN) long plan,
      @Cast(MEMORY) long src,
      @Cast(MEMORY) long dst,
      @Cast(FLOATS) long weight,
      @Cast(FLOATS) long bias,
      @Cast(FLOATS) long mean,
      @Cast(FLOATS) long variance);

  /** On heap arrays, which do not move while it runs. */
  @Name("nn_forward")
  @CriticalRegion
  static native int forward(
      @Cast(PLAN) long plan,
      @Const float[] src,
      float[] dst,
      @Cast(FLOATS) long weight,
      @Cast(FLOATS) long bias,
      @Cast(FLOATS) long mean,
      @Cast(FLOATS) long variance);

  @Name("nn_backward")
  static native int backward(
      @Cast(PLAN) long plan,
      @Cast(MEMORY) long src,
      @Cast(MEMORY) long dst,
      @Cast(FLOATS) long weight,
      @Cast(FLOATS) long mean,
      @Cast(FLOATS) long variance,
      @Cast(MEMORY) long diffDst,
      @Cast(MEMORY) long diffSrc,
      @Cast(FLOATS) long diffWeight,
      @Cast(FLOATS) long diffBias);

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
}
