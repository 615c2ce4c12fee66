package io.nativenorm;

import io.nativenorm.engine.Plan;
import java.util.Arrays;

/**
 * The last input a layer's inference met, which fits the layer, and its plan: a repeated shape
 * costs neither checks nor a look-up.
 *
 * @param shape the input's logical shape
 * @param size its elements
 * @param layout its order
 * @param reordered whether the plan takes it in channels-first order instead
 * @param threads how many threads the plan is for
 * @param plan the plan, which may have been freed since
 */
record PlanMemo(long[] shape, long size, Layout layout, boolean reordered, int threads, Plan plan) {

  /** This if it is of such an input, else null. */
  static PlanMemo matching(PlanMemo memo, long[] shape, Layout layout, int threads) {
    boolean fits =
        memo != null
            && memo.layout == layout
            && memo.threads == threads
            && Arrays.equals(memo.shape, shape);
    return fits ? memo : null;
  }

  /** This if it is of as many elements, channels first; else null. */
  static PlanMemo matching(PlanMemo memo, int size, int threads) {
    boolean fits =
        memo != null
            && memo.layout == Layout.CHANNELS_FIRST
            && memo.threads == threads
            && memo.size == size;
    return fits ? memo : null;
  }
}
