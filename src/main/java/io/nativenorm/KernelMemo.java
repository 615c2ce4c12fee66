package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Kernel;
import java.util.Arrays;

/** The last input a layer met and its kernel, so that a repeated shape costs no look-up. */
record KernelMemo(long[] shape, Layout layout, int threads, Kernel kernel) {

  /** The kernel, in use, if it fits an input and still exists; else null. */
  static Kernel acquire(KernelMemo memo, Tensor x, int threads) {
    boolean fits =
        memo != null
            && memo.layout == x.layout()
            && memo.threads == threads
            && Arrays.equals(memo.shape, x.extents())
            && Engines.reacquire(memo.kernel);
    return fits ? memo.kernel : null;
  }
}
