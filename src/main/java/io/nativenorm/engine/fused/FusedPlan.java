package io.nativenorm.engine.fused;

import io.nativenorm.NativeNormException;
import io.nativenorm.engine.Helpers;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import java.lang.ref.Reference;

/** A problem on the native kernels: every execution is one native call. */
final class FusedPlan extends Plan {
  private final long address;
  private final Problem problem;

  /** Null where one thread is enough. */
  private final Helpers helpers;

  private final boolean onHeapArrays;

  private FusedPlan(String name, long address, Problem problem, Helpers helpers) {
    super("fused " + name);
    this.address = address;
    this.problem = problem;
    this.helpers = helpers;
    this.onHeapArrays = HeapArrays.mayBeHeld(problem.shape().elements(), helpers == null);
  }

  /** Prepares a problem. The header's enums have the order of the Java ones: a test sees to it. */
  static FusedPlan prepare(Problem problem, int threads, Helpers helpers) {
    long address =
        NativeKernels.prepare(
            problem.norm().operation().ordinal(),
            problem.task().ordinal(),
            problem.norm().statistics().ordinal(),
            problem.storage().src().ordinal(),
            problem.shape().layout().ordinal(),
            problem.shape().batch(),
            problem.shape().channels(),
            problem.shape().spatial(),
            problem.shape().groups(),
            problem.norm().eps(),
            problem.fusion().activation().ordinal(),
            threads);
    if (address == 0) {
      throw new NativeNormException("fused: preparing " + problem + " failed");
    }
    boolean alone = NativeKernels.threads(address) == 1;
    return new FusedPlan(NativeKernels.name(address), address, problem, alone ? null : helpers);
  }

  @Override
  public void execute(Operands operands) {
    if (problem.task() == Task.BACKWARD) {
      backward(operands);
    } else {
      infer(operands.get(Slot.SRC), operands.get(Slot.DST), operands);
    }
  }

  @Override
  public void infer(Memory src, Memory dst, Operands constants) {
    boolean helped = beginHelp();
    int status;
    try {
      status =
          NativeKernels.forward(
              address,
              src.address(),
              dst.address(),
              constants.address(Slot.WEIGHT),
              constants.address(Slot.BIAS),
              constants.address(Slot.MEAN),
              constants.address(Slot.VARIANCE));
    } finally {
      endHelp(helped);
      Reference.reachabilityFence(src);
      Reference.reachabilityFence(dst);
      Reference.reachabilityFence(constants);
    }
    check(status);
  }

  @Override
  public boolean infer(float[] src, float[] dst, Operands constants) {
    if (!onHeapArrays || !HeapArrays.mayBeHeldNow()) {
      return false;
    }
    boolean helped = beginHelp();
    int status;
    try {
      status =
          NativeKernels.forward(
              address,
              src,
              dst,
              constants.address(Slot.WEIGHT),
              constants.address(Slot.BIAS),
              constants.address(Slot.MEAN),
              constants.address(Slot.VARIANCE));
    } finally {
      endHelp(helped);
      Reference.reachabilityFence(constants);
    }
    check(status);
    return true;
  }

  private void backward(Operands operands) {
    boolean helped = beginHelp();
    int status;
    try {
      status =
          NativeKernels.backward(
              address,
              operands.address(Slot.SRC),
              operands.address(Slot.DST),
              operands.address(Slot.WEIGHT),
              operands.address(Slot.MEAN),
              operands.address(Slot.VARIANCE),
              operands.address(Slot.DIFF_DST),
              operands.address(Slot.DIFF_SRC),
              operands.address(Slot.DIFF_WEIGHT),
              operands.address(Slot.DIFF_BIAS));
    } finally {
      endHelp(helped);
      Reference.reachabilityFence(operands);
    }
    check(status);
  }

  private boolean beginHelp() {
    return helpers != null && helpers.enter();
  }

  private void endHelp(boolean helped) {
    if (helped) {
      helpers.leave();
    }
  }

  private void check(int status) {
    if (status != 0) {
      throw new NativeNormException("fused: no memory for " + problem + " (status " + status + ")");
    }
  }

  @Override
  protected void free() {
    NativeKernels.release(address);
  }
}
