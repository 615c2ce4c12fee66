package io.nativenorm;

import io.nativenorm.engine.Plan;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The last input a layer's inference met, which fits the layer, and its plan: a repeated input
 * costs neither checks nor a look-up. Of what tells plans apart this has all that is not the same
 * for every inference of a layer; the output is of the input's shape and layout.
 *
 * @param shape the input's logical shape
 * @param size its elements
 * @param type its type
 * @param result the output's type
 * @param layout its order
 * @param reordered whether the plan takes it in channels-first order instead
 * @param threads how many threads the plan is for
 * @param plan the plan, which may have been freed since
 */
record PlanMemo(
    long[] shape,
    long size,
    DataType type,
    DataType result,
    Layout layout,
    boolean reordered,
    int threads,
    Plan plan) {

  /** This if it is of such an input, else null. */
  static @Nullable PlanMemo matching(
      @Nullable PlanMemo memo,
      long[] shape,
      DataType type,
      DataType result,
      Layout layout,
      int threads) {
    boolean fits =
        memo != null
            && memo.isOf(type, result, layout, threads)
            && Arrays.equals(memo.shape, shape);
    return fits ? memo : null;
  }

  /** This if it is of as many floats, channels first; else null. */
  static @Nullable PlanMemo matching(@Nullable PlanMemo memo, int size, int threads) {
    boolean fits =
        memo != null
            && memo.isOf(DataType.F32, DataType.F32, Layout.CHANNELS_FIRST, threads)
            && memo.size == size;
    return fits ? memo : null;
  }

  private boolean isOf(
      DataType wantedType, DataType wantedResult, Layout wantedLayout, int wantedThreads) {
    return type == wantedType
        && result == wantedResult
        && layout == wantedLayout
        && threads == wantedThreads;
  }
}
