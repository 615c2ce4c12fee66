package io.nativenorm.engine.fused;

import io.nativenorm.NativeNormException;
import io.nativenorm.engine.Helpers;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.Memory;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** A problem on the native kernels: every execution is one native call. */
final class FusedPlan extends Plan {
  /** Room for the longest reason. */
  private static final int REASON = 256;

  /** Bits of the header's. */
  private static final int WEIGHT = 1;

  private static final int BIAS = 2;

  private static final int OUT_OF_MEMORY = 1;

  private final long address;
  private final Problem problem;

  /** Null where one thread is enough. */
  private final Helpers helpers;

  /** For how many units heap arrays are held at once. */
  private final long unitsHeld;

  private FusedPlan(String name, long address, Problem problem, int threads, Helpers helpers) {
    super("fused " + name);
    this.address = address;
    this.problem = problem;
    this.helpers = helpers;
    this.unitsHeld = HeapArrays.unitsHeld(problem, threads);
  }

  /**
   * Prepares a problem.
   *
   * @throws NativeNormException with the reason, if the kernels refuse it or memory is short
   */
  static FusedPlan prepare(Problem problem, int threads, Helpers helpers) {
    byte[] reason = new byte[REASON];
    long address = prepare(problem, threads, reason);
    if (address == 0) {
      throw new NativeNormException("fused: cannot prepare " + problem + ": " + text(reason));
    }
    int worth = NativeKernels.threads(address);
    return new FusedPlan(
        NativeKernels.name(address), address, problem, worth, worth == 1 ? null : helpers);
  }

  /** Why the kernels refuse a problem. */
  static Optional<String> rejects(Problem problem) {
    byte[] reason = new byte[REASON];
    long address = prepare(problem, 1, reason);
    if (address == 0) {
      return Optional.of(text(reason));
    }
    NativeKernels.release(address);
    return Optional.empty();
  }

  /** The header's enums have the order of the Java ones: a test sees to it. */
  private static long prepare(Problem problem, int threads, byte[] reason) {
    Norm norm = problem.norm();
    Shape shape = problem.shape();
    Storage storage = problem.storage();
    int weight = problem.affine().weight() ? WEIGHT : 0;
    int bias = problem.affine().bias() ? BIAS : 0;
    return NativeKernels.prepare(
        norm.operation().ordinal(),
        norm.statistics().ordinal(),
        norm.eps(),
        shape.layout().ordinal(),
        shape.batch(),
        shape.channels(),
        shape.spatial(),
        shape.groups(),
        storage.src().ordinal(),
        storage.dst().ordinal(),
        storage.parameters().ordinal(),
        weight + bias,
        problem.fusion().activation().ordinal(),
        problem.task().ordinal(),
        threads,
        problem.affine().unitOffset(),
        shape.strides().together(),
        shape.strides().src(),
        shape.strides().dst(),
        shape.strides().diffDst(),
        shape.strides().diffSrc(),
        norm.masked() ? 1 : 0,
        problem.threadsOf(),
        reason,
        reason.length);
  }

  private static String text(byte[] reason) {
    int length = 0;
    while (reason[length] != 0) {
      length++;
    }
    return new String(reason, 0, length, StandardCharsets.US_ASCII);
  }

  @Override
  protected void run(Operands operands) {
    if (operands.hasArrays()) {
      executeOnArrays(operands);
    } else {
      execute(operands.get(Slot.SRC), operands.get(Slot.DST), operands);
    }
  }

  @Override
  protected void runGradients(Operands operands) {
    run(operands);
  }

  @Override
  public boolean holdsArrays(long calls) {
    boolean inSections = unitsHeld > 0 && problem.norm().operation() == Operation.BATCH;
    return (unitsHeld == HeapArrays.ALL || inSections)
        && !problem.task().isPhase() // the call on arrays has no slots for their sums
        && (calls > 1 ? HeapArrays.mayBeHeldInSections() : mayBeHeldNow());
  }

  private void executeOnArrays(Operands operands) {
    boolean counted = beginHelp();
    int status;
    try {
      long unit = 0;
      do {
        long units = Math.min(unitsHeld, problem.unitCount() - unit);
        status = executeOnArrays(operands, unit, units);
        unit += units;
      } while (status == 0 && hasSections() && unit < problem.unitCount());
    } finally {
      endHelp(counted);
      Reference.reachabilityFence(operands);
    }
    check(status);
  }

  private int executeOnArrays(Operands operands, long first, long units) {
    return NativeKernels.executeOnArrays(
        address,
        operands.array(Slot.SRC),
        operands.address(Slot.SRC),
        operands.array(Slot.DST),
        operands.address(Slot.DST),
        operands.address(Slot.WEIGHT),
        operands.address(Slot.BIAS),
        operands.address(Slot.MEAN),
        operands.address(Slot.VARIANCE),
        operands.array(Slot.DIFF_DST),
        operands.address(Slot.DIFF_DST),
        operands.array(Slot.DIFF_SRC),
        operands.address(Slot.DIFF_SRC),
        operands.array(Slot.DIFF_WEIGHT),
        operands.address(Slot.DIFF_WEIGHT),
        operands.array(Slot.DIFF_BIAS),
        operands.address(Slot.DIFF_BIAS),
        operands.arraysFrom(),
        operands.accumulates() ? 1 : 0,
        operands.address(Slot.MASK),
        first,
        units);
  }

  @Override
  protected void run(Memory src, Memory dst, Operands constants) {
    execute(src, dst, constants);
  }

  private void execute(Memory src, Memory dst, Operands others) {
    boolean counted = beginHelp();
    int status;
    try {
      status =
          NativeKernels.execute(
              address,
              addressOf(src),
              addressOf(dst),
              others.address(Slot.WEIGHT),
              others.address(Slot.BIAS),
              others.address(Slot.MEAN),
              others.address(Slot.VARIANCE),
              others.address(Slot.DIFF_DST),
              others.address(Slot.DIFF_SRC),
              others.address(Slot.DIFF_WEIGHT),
              others.address(Slot.DIFF_BIAS),
              others.address(Slot.SUM_DY),
              others.address(Slot.SUM_DY_CENTERED),
              others.count(),
              others.accumulates() ? 1 : 0,
              others.address(Slot.MASK));
    } finally {
      endHelp(counted);
      Reference.reachabilityFence(src);
      Reference.reachabilityFence(dst);
      Reference.reachabilityFence(others);
    }
    check(status);
  }

  @Override
  protected boolean run(float[] src, int srcFrom, float[] dst, int dstFrom, Operands constants) {
    try {
      return hold(
          src,
          srcFrom,
          dst,
          dstFrom,
          constants.address(Slot.WEIGHT),
          constants.address(Slot.BIAS),
          constants.address(Slot.MEAN),
          constants.address(Slot.VARIANCE),
          null,
          0,
          null,
          0);
    } finally {
      Reference.reachabilityFence(constants);
    }
  }

  @Override
  public boolean infer(float[] src, int srcFrom, float[] dst, int dstFrom, long weight) {
    return hold(src, srcFrom, dst, dstFrom, weight, 0, 0, 0, null, 0, null, 0);
  }

  @Override
  public boolean infer(
      float[] src,
      int srcFrom,
      float[] dst,
      int dstFrom,
      float[] weight,
      int weightFrom,
      float[] bias,
      int biasFrom) {
    return hold(src, srcFrom, dst, dstFrom, 0, 0, 0, 0, weight, weightFrom, bias, biasFrom);
  }

  /** With the parameters in arrays, if there is such a weight, else at the addresses. */
  private boolean hold(
      float[] src,
      int srcFrom,
      float[] dst,
      int dstFrom,
      long weight,
      long bias,
      long mean,
      long variance,
      float[] weights,
      int weightsFrom,
      float[] biases,
      int biasesFrom) {
    if (unitsHeld == HeapArrays.NONE || !mayBeHeldNow()) {
      return false;
    }
    boolean counted = unitsHeld == HeapArrays.ALL && beginHelp();
    int status;
    try {
      long row = 0;
      do {
        long rows = Math.min(unitsHeld, problem.shape().batch() - row);
        if (weights != null) {
          status =
              NativeKernels.infer(
                  address,
                  src,
                  srcFrom,
                  dst,
                  dstFrom,
                  weights,
                  weightsFrom,
                  biases,
                  biasesFrom,
                  row,
                  rows);
        } else if (src == dst) {
          status =
              NativeKernels.infer(
                  address, src, srcFrom, dstFrom, weight, bias, mean, variance, row, rows);
        } else {
          status =
              NativeKernels.infer(
                  address, src, srcFrom, dst, dstFrom, weight, bias, mean, variance, row, rows);
        }
        row += unitsHeld;
      } while (status == 0 && hasSections() && row < problem.shape().batch());
    } finally {
      endHelp(counted);
    }
    check(status);
    return true;
  }

  private boolean mayBeHeldNow() {
    return hasSections() ? HeapArrays.mayBeHeldInSections() : HeapArrays.mayBeHeldNow();
  }

  private boolean hasSections() {
    return unitsHeld != HeapArrays.ALL && unitsHeld < problem.unitCount();
  }

  private boolean beginHelp() {
    return helpers != null && helpers.enterUnlessSole();
  }

  private void endHelp(boolean counted) {
    if (counted) {
      helpers.leave();
    }
  }

  private static long addressOf(Memory memory) {
    return memory == null ? 0 : memory.address();
  }

  private void check(int status) {
    if (status != 0) {
      String what = status == OUT_OF_MEMORY ? "no memory for " : "an operand is missing for ";
      throw new NativeNormException("fused: " + what + problem + " (status " + status + ")");
    }
  }

  @Override
  protected void free() {
    NativeKernels.release(address);
  }
}
