package io.nativenorm.engine.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_SCALE;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_SHIFT;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_MEAN;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCALE;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SHIFT;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_VARIANCE;

import io.nativenorm.engine.Slot;

/** What oneDNN calls the slots. */
final class Arguments {
  private Arguments() {}

  static int number(Slot slot) {
    return switch (slot) {
      case SRC -> DNNL_ARG_SRC;
      case DST -> DNNL_ARG_DST;
      case WEIGHT -> DNNL_ARG_SCALE;
      case BIAS -> DNNL_ARG_SHIFT;
      case MEAN -> DNNL_ARG_MEAN;
      case VARIANCE -> DNNL_ARG_VARIANCE;
      case DIFF_DST -> DNNL_ARG_DIFF_DST;
      case DIFF_SRC -> DNNL_ARG_DIFF_SRC;
      case DIFF_WEIGHT -> DNNL_ARG_DIFF_SCALE;
      case DIFF_BIAS -> DNNL_ARG_DIFF_SHIFT;
      case SUM_DY, SUM_DY_CENTERED, MASK ->
          throw new IllegalArgumentException("oneDNN has no phases, and no " + slot);
    };
  }
}
