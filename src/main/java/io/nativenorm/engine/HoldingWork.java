package io.nativenorm.engine;

import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.Memory;

/**
 * An engine's work, during which arenas stay open.
 *
 * @param work whose it is
 */
record HoldingWork(MemoryWork work) implements MemoryWork {
  private static boolean areHeld(Memory from, Memory to) {
    return from.isHeld() || to.isHeld();
  }

  private static void hold(Memory from, Memory to, Runnable use) {
    ArenaHold.during(new Memory[] {from, to}, use);
  }

  @Override
  public void convert(Memory from, Memory to, int threads) {
    if (areHeld(from, to)) {
      hold(from, to, () -> work.convert(from.whileHeld(), to.whileHeld(), threads));
    } else {
      work.convert(from, to, threads);
    }
  }

  @Override
  public void copyIn(float[] from, Memory to, int threads) {
    work.copyIn(from, to, threads);
  }

  @Override
  public void copyOut(Memory from, float[] to, int threads) {
    work.copyOut(from, to, threads);
  }

  @Override
  public void transpose(
      Memory from, Memory to, long samples, long rows, long columns, int threads) {
    if (areHeld(from, to)) {
      hold(
          from,
          to,
          () -> work.transpose(from.whileHeld(), to.whileHeld(), samples, rows, columns, threads));
    } else {
      work.transpose(from, to, samples, rows, columns, threads);
    }
  }

  @Override
  public void updateRunning(Memory running, Memory batch, double share, double correction) {
    work.updateRunning(running, batch, share, correction); // both are a layer's own
  }
}
