package io.nativenorm;

import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
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
  private final PhasedNorm layer;
  private final PhaseCalls calls;
  private final PhaseCheck check;

  Phases(PhasedNorm layer, Backend backend) {
    this.layer = layer;
    calls = new PhaseCalls(layer.name, layer.parameters, backend);
    check = new PhaseCheck(layer);
  }

  PhaseCalls calls() {
    return calls;
  }

  ChannelMoments measure(Tensor x) {
    return using(() -> calls.measure(problem(x), x.memory()), x);
  }

  void apply(Tensor x, ChannelMoments m, Tensor y) {
    using(
        () -> {
          Problem problem = problem(x);
          check.requireOutput(x, y);
          check.requireMoments(x, m);
          calls.apply(problem, x.memory(), m, y.memory());
          return null;
        },
        x,
        y);
  }

  GradientSums sum(Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy) {
    Tensor output = check.outputRead(y);
    return using(
        () -> {
          Problem problem = problem(x);
          check.requireGradient(x, m, output, dy);
          return calls.sum(problem, x.memory(), m, memory(output), dy.memory());
        },
        x,
        output,
        dy);
  }

  void applyGradients(
      Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy, GradientSums sums, Tensor dx) {
    Tensor output = check.outputRead(y);
    using(
        () -> {
          Problem problem = problem(x);
          check.requireGradient(x, m, output, dy);
          check.requireSums(sums);
          check.requireGradientOfInput(x, output, dy, dx);
          calls.applyGradients(
              problem, x.memory(), m, memory(output), dy.memory(), sums, dx.memory());
          return null;
        },
        x,
        output,
        dy,
        dx);
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
          Memory means = both.slice(0, layer.channels);
          Memory variances = both.slice(layer.channels, layer.channels);
          m.roundInto(means, variances);
          running.update(means, variances, m.count());
        }
      }
    } finally {
      layer.lock.endWrite(stamp);
    }
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

  private Problem problem(Tensor x) {
    layer.requireComputed(x);
    RowPlaces.requireRows(layer, x);
    Shape shape = layer.shapeOf(x.extents(), x.layout());
    check.channels(); // refuses more than arrays have
    return layer.problems.training(shape, x.dataType(), layer.threads());
  }

  private static @Nullable Memory memory(@Nullable Tensor tensor) {
    return tensor == null ? null : tensor.memory();
  }
}
