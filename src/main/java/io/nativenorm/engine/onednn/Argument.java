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

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.memory.Memory;
import java.util.function.Function;

/** oneDNN's number for each operand. */
enum Argument {
  SRC(DNNL_ARG_SRC, Operands::src),
  DST(DNNL_ARG_DST, Operands::dst),
  WEIGHT(DNNL_ARG_SCALE, Operands::weight),
  BIAS(DNNL_ARG_SHIFT, Operands::bias),
  MEAN(DNNL_ARG_MEAN, Operands::mean),
  VARIANCE(DNNL_ARG_VARIANCE, Operands::variance),
  DIFF_DST(DNNL_ARG_DIFF_DST, Operands::diffDst),
  DIFF_SRC(DNNL_ARG_DIFF_SRC, Operands::diffSrc),
  DIFF_WEIGHT(DNNL_ARG_DIFF_SCALE, Operands::diffWeight),
  DIFF_BIAS(DNNL_ARG_DIFF_SHIFT, Operands::diffBias);

  final int number;
  private final Function<Operands, Memory> operand;

  Argument(int number, Function<Operands, Memory> operand) {
    this.number = number;
    this.operand = operand;
  }

  Memory of(Operands operands) {
    return operand.apply(operands);
  }
}
