package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;

/**
 * The training of a layer, beside its {@link Inference}: makes passes, and computes their
 * gradients.
 */
final class Training {
  private final NormLayer layer;
  private final Backend backend;
  private final LayerParameters parameters;
  private final LayerLock lock;

  Training(NormLayer layer, Backend backend, LayerParameters parameters, LayerLock lock) {
    this.layer = layer;
    this.backend = backend;
    this.parameters = parameters;
    this.lock = lock;
  }

  /** A pass with the input's own statistics, which go into the running ones. */
  Pass forward(Tensor x) {
    x.acquire();
    try {
      Problem problem = layer.trainingProblem(x);
      Pass pass = pass(problem, x);
      try {
        if (parameters.running() != null && x.size() > 0) {
          update(pass, problem.shape().elements() / problem.unitCount());
        }
        return pass;
      } catch (RuntimeException | Error e) {
        pass.close();
        throw e;
      }
    } finally {
      x.release();
    }
  }

  private void update(Pass pass, long valuesPerUnit) {
    long stamp = lock.write();
    try {
      parameters.running().update(pass.mean(), pass.variance(), valuesPerUnit);
    } finally {
      lock.endWrite(stamp);
    }
  }

  /** How many batches are in the running statistics; 0 where there are none. */
  long trackedBatches() {
    long stamp = lock.read();
    try {
      return parameters.running() == null ? 0 : parameters.running().batches();
    } finally {
      lock.endRead(stamp);
    }
  }

  /** A pass with frozen statistics: those that inference uses, as constants to the gradient. */
  Pass frozen(Tensor x) {
    if (parameters.running() == null) {
      throw new IllegalStateException(layer + " has no running statistics to freeze");
    }
    x.acquire();
    try {
      layer.requireComputed(x);
      return pass(
          layer.inferenceProblem(
              x.extents(), Storage.of(x.dataType()), x.layout(), layer.threads()),
          x);
    } finally {
      x.release();
    }
  }

  /** The result is in the order the engines take, the output in the input's own. */
  private Pass pass(Problem problem, Tensor x) {
    long[] extents = x.extents();
    boolean reordered = layer.needsReordering(extents, x.layout());
    Layout order = reordered ? Layout.CHANNELS_FIRST : x.layout();
    long[] statisticsShape = statisticsShape(problem, x);
    try (Closer made = new Closer()) {
      Tensor input = made.add(x.in(order));
      boolean rms = problem.norm().operation() == Operation.RMS;
      Tensor mean = made.add(rms ? null : unwritten(statisticsShape));
      Tensor variance = made.add(unwritten(statisticsShape));
      Tensor result = made.add(Tensor.uninitialized(x.dataType(), order, extents));
      Tensor output =
          made.add(
              reordered ? Tensor.uninitialized(x.dataType(), x.layout(), extents) : result.share());
      normalize(problem, input, result, mean, variance);
      if (reordered) {
        Tensor.reorder(result, output);
      }
      Pass pass = new Pass(this, problem, input, result, output, mean, variance);
      made.keep(input, mean, variance, result, output);
      return pass;
    }
  }

  /** An empty input has no statistics, though there may be 2^40 units without an element. */
  private long[] statisticsShape(Problem problem, Tensor x) {
    if (problem.norm().statistics() == StatisticsSource.GIVEN) {
      return new long[] {problem.shape().channels()};
    }
    long[] shape = layer.statisticsShape(x.extents());
    if (x.size() == 0 && Arrays.stream(shape).noneMatch(extent -> extent == 0)) {
      shape[0] = 0;
    }
    return shape;
  }

  /** The result, and the statistics: the input's own, or a copy of the running ones. */
  private void normalize(
      Problem problem, Tensor input, Tensor result, Tensor mean, Tensor variance) {
    long stamp = lock.read();
    try {
      if (problem.norm().statistics() == StatisticsSource.GIVEN) {
        Parameter.memory(parameters.running().mean()).copyTo(mean.memory());
        Parameter.memory(parameters.running().variance()).copyTo(variance.memory());
      }
      if (input.size() > 0) {
        execute(problem, operands(input, result, mean, variance).build());
      }
    } finally {
      lock.endRead(stamp);
    }
  }

  /**
   * The gradients of a pass, for which the layer must still be open.
   *
   * @param problem that of the pass
   * @param dy in the input's order
   * @param layout that of the gradient of the input
   */
  Gradients differentiate(
      Problem problem,
      Tensor input,
      Tensor result,
      Tensor mean,
      Tensor variance,
      Tensor dy,
      Layout layout) {
    long stamp = lock.read();
    try (Closer made = new Closer()) {
      Tensor dx = made.add(Tensor.uninitialized(input.dataType(), input.layout(), input.extents()));
      Tensor dWeight = made.add(unwrittenLike(parameters.weight()));
      Tensor dBias = made.add(unwrittenLike(parameters.bias()));
      if (input.size() == 0) {
        clear(dWeight);
        clear(dBias);
      } else {
        execute(
            problem.withTask(Task.BACKWARD),
            operands(input, result, mean, variance)
                .put(Slot.DIFF_DST, dy.memory())
                .put(Slot.DIFF_SRC, dx.memory())
                .put(Slot.DIFF_WEIGHT, memory(dWeight))
                .put(Slot.DIFF_BIAS, memory(dBias))
                .build());
      }
      Gradients gradients = new Gradients(dx.in(layout), dWeight, dBias);
      made.keep(dWeight, dBias);
      return gradients;
    } finally {
      lock.endRead(stamp);
    }
  }

  /** What a pass computes, and its gradient reads. */
  private Operands.Builder operands(Tensor input, Tensor result, Tensor mean, Tensor variance) {
    return Operands.builder()
        .put(Slot.SRC, input.memory())
        .put(Slot.DST, result.memory())
        .put(Slot.WEIGHT, Parameter.memory(parameters.weight()))
        .put(Slot.BIAS, Parameter.memory(parameters.bias()))
        .put(Slot.MEAN, memory(mean))
        .put(Slot.VARIANCE, variance.memory());
  }

  private void execute(Problem problem, Operands operands) {
    Plan plan = Engines.acquire(problem, backend);
    try {
      plan.execute(operands);
    } finally {
      Engines.release(plan);
    }
  }

  private static Memory memory(Tensor tensor) {
    return tensor == null ? null : tensor.memory();
  }

  /** A plan writes all that it is given: zeros before took 7 % of a step of one row of 64. */
  private static Tensor unwritten(long[] shape) {
    return Tensor.uninitialized(DataType.F32, Layout.CHANNELS_FIRST, shape);
  }

  private static Tensor unwrittenLike(Parameter parameter) {
    return parameter == null ? null : unwritten(parameter.shape());
  }

  private static void clear(Tensor tensor) {
    if (tensor != null) {
      tensor.memory().setAll(0);
    }
  }

  /** The layer's kind and size. */
  @Override
  public String toString() {
    return layer.toString();
  }
}
