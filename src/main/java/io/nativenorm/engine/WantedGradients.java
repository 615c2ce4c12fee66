package io.nativenorm.engine;

import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;

/**
 * Gradients as they are wanted, of engines that always write the input's, perhaps the parameters'
 * too, and add to none: they get memory for the others.
 */
final class WantedGradients {
  private WantedGradients() {}

  static void run(Plan plan, Operands operands) {
    boolean needed = plan.needsParameterGradients();
    try (PooledMemory dx = operands.has(Slot.DIFF_SRC) ? null : like(operands.get(Slot.SRC));
        PooledMemory weight = parameter(operands, Slot.WEIGHT, Slot.DIFF_WEIGHT, needed);
        PooledMemory bias = parameter(operands, Slot.BIAS, Slot.DIFF_BIAS, needed)) {
      Operands all = with(operands, Slot.DIFF_SRC, dx, Slot.SRC);
      all = with(all, Slot.DIFF_WEIGHT, weight, Slot.WEIGHT);
      all = with(all, Slot.DIFF_BIAS, bias, Slot.BIAS);
      plan.execute(all);
      if (operands.accumulates()) {
        add(weight, operands.get(Slot.DIFF_WEIGHT));
        add(bias, operands.get(Slot.DIFF_BIAS));
      }
    }
  }

  private static PooledMemory like(Memory memory) {
    return memory == null ? null : MemoryPool.take(memory.type(), memory.elements());
  }

  /** Memory for a gradient that is added to, or is needed but not wanted; else null. */
  private static PooledMemory parameter(
      Operands operands, Slot parameter, Slot gradient, boolean needed) {
    boolean wanted = operands.has(gradient);
    boolean apart = wanted ? operands.accumulates() : needed;
    return apart ? like(operands.get(parameter)) : null;
  }

  private static Operands with(Operands operands, Slot slot, PooledMemory block, Slot like) {
    if (block == null) {
      return operands;
    }
    Memory memory = operands.get(like);
    return operands.with(slot, block.first(memory.type(), memory.elements()));
  }

  private static void add(PooledMemory more, Memory to) {
    if (more == null || to == null) {
      return;
    }
    FloatView from = more.memory().view();
    FloatView sums = to.view();
    for (long i = 0; i < to.elements(); i++) {
      sums.put(i, sums.get(i) + from.get(i));
    }
  }
}
