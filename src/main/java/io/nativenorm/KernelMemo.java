package io.nativenorm;

import io.nativenorm.engine.Kernel;
import java.util.Arrays;

/**
 * The last input a layer's inference met, which fits the layer, and its kernel: a repeated shape
 * costs neither checks nor a look-up.
 *
 * @param shape the input's logical shape
 * @param size its elements
 * @param layout its order
 * @param reordered whether the kernel takes it in channels-first order instead
 * @param threads how many threads the kernel is for
 * @param kernel the kernel, which may have been freed since
 */
record KernelMemo(
    long[] shape, long size, Layout layout, boolean reordered, int threads, Kernel kernel) {

  /** This if it is of such an input, else null. */
  static KernelMemo matching(KernelMemo memo, long[] shape, Layout layout, int threads) {
    boolean fits =
        memo != null
            && memo.layout == layout
            && memo.threads == threads
            && Arrays.equals(memo.shape, shape);
    return fits ? memo : null;
  }

  /** This if it is of as many elements, channels first; else null. */
  static KernelMemo matching(KernelMemo memo, int size, int threads) {
    boolean fits =
        memo != null
            && memo.layout == Layout.CHANNELS_FIRST
            && memo.threads == threads
            && memo.size == size;
    return fits ? memo : null;
  }
}
