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
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The halves of a batch normalization's training and backward, between which statistics and sums
 * are merged with those of other parts of the batch.
 */
final class Phases {
  private final BatchNorm layer;
  private final Backend backend;
  private final PhaseCheck check;

  Phases(BatchNorm layer, Backend backend) {
    this.layer = layer;
    this.backend = backend;
    check = new PhaseCheck(layer);
  }

  ChannelMoments measure(Tensor x) {
    return using(() -> measured(x), x);
  }

  private ChannelMoments measured(Tensor x) {
    Problem problem = problem(Task.MEASURE, x);
    int channels = check.channels();
    if (x.size() == 0) {
      return new ChannelMoments(0, new double[channels], new double[channels]);
    }
    try (Pair found = new Pair(channels)) {
      run(problem, operands(x).put(Slot.MEAN, found.first).put(Slot.VARIANCE, found.second));
      Shape shape = problem.shape();
      double count = (double) shape.batch() * shape.spatial();
      return new ChannelMoments(count, Doubles.read(found.first), Doubles.read(found.second));
    }
  }

  void apply(Tensor x, ChannelMoments m, Tensor y) {
    using(
        () -> {
          Problem problem = problem(Task.APPLY, x);
          check.requireOutput(x, y);
          check.requireMoments(x, m);
          if (x.size() > 0) {
            try (Pair statistics = new Pair(m.mean(), m.variance())) {
              run(problem, operands(x, statistics).put(Slot.DST, y.memory()));
            }
          }
          return null;
        },
        x,
        y);
  }

  GradientSums sum(Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy) {
    Tensor output = check.outputRead(y);
    return using(() -> summed(x, m, output, dy), x, output, dy);
  }

  private GradientSums summed(Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy) {
    Problem problem = problem(Task.SUM_GRADIENTS, x);
    check.requireGradient(x, m, y, dy);
    int channels = check.channels();
    if (x.size() == 0) {
      return new GradientSums(new double[channels], new double[channels]);
    }
    try (Pair statistics = new Pair(m.mean(), m.variance());
        Pair sums = new Pair(channels)) {
      run(
          problem,
          operands(x, statistics)
              .put(Slot.DST, memory(y))
              .put(Slot.DIFF_DST, dy.memory())
              .put(Slot.SUM_DY, sums.first)
              .put(Slot.SUM_DY_CENTERED, sums.second));
      return new GradientSums(Doubles.read(sums.first), Doubles.read(sums.second));
    }
  }

  void applyGradients(
      Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy, GradientSums sums, Tensor dx) {
    Tensor output = check.outputRead(y);
    using(
        () -> {
          Problem problem = problem(Task.APPLY_GRADIENTS, x);
          check.requireGradient(x, m, output, dy);
          check.requireSums(sums);
          check.requireGradientOfInput(x, output, dy, dx);
          if (x.size() > 0) {
            differentiate(problem, x, m, output, dy, sums, dx);
          }
          return null;
        },
        x,
        output,
        dy,
        dx);
  }

  private void differentiate(
      Problem problem,
      Tensor x,
      ChannelMoments m,
      @Nullable Tensor y,
      Tensor dy,
      GradientSums sums,
      Tensor dx) {
    try (Pair statistics = new Pair(m.mean(), m.variance());
        Pair whole = new Pair(sums.dy(), sums.dyCentered())) {
      run(
          problem,
          operands(x, statistics)
              .put(Slot.DST, memory(y))
              .put(Slot.DIFF_DST, dy.memory())
              .put(Slot.DIFF_SRC, dx.memory())
              .put(Slot.SUM_DY, whole.first)
              .put(Slot.SUM_DY_CENTERED, whole.second)
              .count(m.count()));
    }
  }

  void parameterGradients(
      ChannelMoments m, GradientSums sums, @Nullable Tensor dWeight, @Nullable Tensor dBias) {
    using(
        () -> {
          check.requireSums(sums);
          check.requireMoments(m);
          check.requireEps();
          check.requireParameterGradients(dWeight, dBias);
          if (dWeight != null) {
            dWeight.copyFrom(sums.weightGradient(m, layer.eps()));
          }
          if (dBias != null) {
            dBias.copyFrom(sums.biasGradient());
          }
          return null;
        },
        dWeight,
        dBias);
  }

  void updateRunning(ChannelMoments m) {
    long stamp = layer.lock.write();
    try {
      check.requireMoments(m);
      RunningStatistics running = layer.running();
      if (running != null && m.count() > 0) {
        try (PooledMemory block = MemoryPool.take(DataType.F32, 2L * layer.channels)) {
          Memory both = block.first(DataType.F32, 2L * layer.channels);
          Memory means = rounded(m.mean(), both.slice(0, layer.channels));
          Memory variances = rounded(m.variance(), both.slice(layer.channels, layer.channels));
          running.update(means, variances, m.count());
        }
      }
    } finally {
      layer.lock.endWrite(stamp);
    }
  }

  private static Memory rounded(double[] values, Memory into) {
    FloatView view = into.view();
    for (int c = 0; c < values.length; c++) {
      view.put(c, (float) values[c]);
    }
    return into;
  }

  /** Runs a call for which the layer and some tensors, or nulls, stay open. */
  private <T extends @Nullable Object> T using(Supplier<T> call, @Nullable Tensor... tensors) {
    long stamp = layer.lock.read();
    try {
      Uses.begin(tensors);
      try {
        return call.get();
      } finally {
        Uses.end(tensors);
      }
    } finally {
      layer.lock.endRead(stamp);
    }
  }

  private Problem problem(Task task, Tensor x) {
    layer.requireComputed(x);
    RowPlaces.requireRows(layer, x);
    Shape shape = layer.shapeOf(x.extents(), x.layout());
    return layer.problems.training(shape, x.dataType(), layer.threads()).withTask(task);
  }

  private Operands.Builder operands(Tensor x) {
    return Operands.builder()
        .put(Slot.SRC, x.memory())
        .put(Slot.WEIGHT, Parameter.memory(layer.parameters.weight()))
        .put(Slot.BIAS, Parameter.memory(layer.parameters.bias()));
  }

  private Operands.Builder operands(Tensor x, Pair statistics) {
    return operands(x).put(Slot.MEAN, statistics.first).put(Slot.VARIANCE, statistics.second);
  }

  private static @Nullable Memory memory(@Nullable Tensor tensor) {
    return tensor == null ? null : tensor.memory();
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
      record.end(layer.name, plan, false);
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
