package io.nativenorm;

import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Doubles;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import org.jspecify.annotations.Nullable;

/**
 * Runs the phases of a batch normalization on memory that was checked, with the layer locked for
 * reading. Of an empty part there is nothing to run.
 */
record PhaseCalls(String layer, LayerParameters parameters, Backend backend) {
  ChannelMoments measure(Problem problem, Memory x) {
    Shape shape = problem.shape();
    int channels = Math.toIntExact(shape.channels());
    if (shape.elements() == 0) {
      return ChannelMoments.none(channels);
    }
    try (Pair found = new Pair(channels)) {
      Operands.Builder operands = operands(x);
      operands.put(Slot.MEAN, found.first).put(Slot.VARIANCE, found.second);
      run(problem.withTask(Task.MEASURE), operands);
      double count = (double) shape.batch() * shape.spatial();
      return new ChannelMoments(count, Doubles.read(found.first), Doubles.read(found.second));
    }
  }

  void apply(Problem problem, Memory x, ChannelMoments m, Memory y) {
    if (problem.shape().elements() > 0) {
      try (Pair statistics = new Pair(m.mean(), m.variance())) {
        run(problem.withTask(Task.APPLY), operands(x, statistics).put(Slot.DST, y));
      }
    }
  }

  /** With the output if there is an activation. */
  GradientSums sum(Problem problem, Memory x, ChannelMoments m, @Nullable Memory y, Memory dy) {
    int channels = Math.toIntExact(problem.shape().channels());
    if (problem.shape().elements() == 0) {
      return new GradientSums(new double[channels], new double[channels]);
    }
    try (Pair statistics = new Pair(m.mean(), m.variance());
        Pair sums = new Pair(channels)) {
      Operands.Builder operands = operands(x, statistics);
      operands.put(Slot.DST, y).put(Slot.DIFF_DST, dy);
      operands.put(Slot.SUM_DY, sums.first).put(Slot.SUM_DY_CENTERED, sums.second);
      run(problem.withTask(Task.SUM_GRADIENTS), operands);
      return new GradientSums(Doubles.read(sums.first), Doubles.read(sums.second));
    }
  }

  void applyGradients(
      Problem problem,
      Memory x,
      ChannelMoments m,
      @Nullable Memory y,
      Memory dy,
      GradientSums sums,
      Memory dx) {
    if (problem.shape().elements() == 0) {
      return;
    }
    try (Pair statistics = new Pair(m.mean(), m.variance());
        Pair whole = new Pair(sums.dy(), sums.dyCentered())) {
      Operands.Builder operands = operands(x, statistics).count(m.count());
      operands.put(Slot.DST, y).put(Slot.DIFF_DST, dy).put(Slot.DIFF_SRC, dx);
      operands.put(Slot.SUM_DY, whole.first).put(Slot.SUM_DY_CENTERED, whole.second);
      run(problem.withTask(Task.APPLY_GRADIENTS), operands);
    }
  }

  private Operands.Builder operands(Memory x) {
    return Operands.builder()
        .put(Slot.SRC, x)
        .put(Slot.WEIGHT, Parameter.memory(parameters.weight()))
        .put(Slot.BIAS, Parameter.memory(parameters.bias()));
  }

  private Operands.Builder operands(Memory x, Pair statistics) {
    return operands(x).put(Slot.MEAN, statistics.first).put(Slot.VARIANCE, statistics.second);
  }

  private void run(Problem problem, Operands.Builder operands) {
    CallRecord record = Recordings.call();
    Plan plan = Engines.acquire(problem, backend);
    try {
      plan.execute(operands.build());
    } finally {
      Engines.release(plan);
    }
    if (record != null) {
      record.end(layer, plan, false);
    }
  }

  /** Two doubles of each channel, in the memory of 64-bit integers. */
  private static final class Pair implements AutoCloseable {
    private final PooledMemory block;
    final Memory first;
    final Memory second;

    Pair(int channels) {
      block = MemoryPool.take(DataType.I64, 2L * channels);
      Memory both = block.first(DataType.I64, 2L * channels);
      first = both.slice(0, channels);
      second = both.slice(channels, channels);
    }

    Pair(double[] one, double[] other) {
      this(one.length);
      Doubles.write(one, first);
      Doubles.write(other, second);
    }

    @Override
    public void close() {
      block.close();
    }
  }
}
