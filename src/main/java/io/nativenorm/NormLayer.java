package io.nativenorm;

import io.nativenorm.engine.BufferPool;
import io.nativenorm.engine.Direction;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Statistics;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.StampedLock;

/**
 * A normalization layer: parameters and options, and no state of a computation. Inference on one
 * layer from many threads at once is safe, and so are training passes, each of which is an object
 * of its own; what they share are the running statistics, whose update is atomic.
 *
 * <p>What computes throws {@link IllegalArgumentException} for input the layer cannot take, before
 * anything is computed; {@link IllegalStateException} once the layer or a tensor is closed; and
 * {@link NativeNormException} if the engine fails or a named backend does not take the input.
 */
public abstract sealed class NormLayer implements AutoCloseable
    permits BatchNorm, LayerNorm, RmsNorm, GroupNorm, InstanceNorm {
  private static final long[] NO_SHAPE = {};

  private final String name;
  private final double eps;
  private final Backend backend;
  private final int ownThreads;
  private final Activation activation;
  private final LayerParameters parameters;
  private final Inference inference;

  /** Read by computations; written by updates of the running statistics, load and close. */
  private final StampedLock lock = new StampedLock();

  private boolean closed;

  NormLayer(LayerBuilder<?> options, RunningStatistics running, long... parameterShape) {
    Engines.all(); // fails here where a required engine is missing,
    NativeNorm.threads(); // here where the number of threads is none,
    BufferPool.bound(); // and here where what the pool may keep is none
    name = options.name();
    eps = options.eps();
    backend = options.backend();
    ownThreads = options.threads();
    activation = options.activation();
    parameters = LayerParameters.of(options, running, parameterShape);
    inference = new Inference(this, backend, parameters);
  }

  /** Checks that this layer takes an input of a shape, and reduces it to a problem's. */
  abstract Shape shapeOf(long[] shape);

  /** Checks that an input's own statistics can be used; nothing to check for most layers. */
  void checkComputable(Shape shape, long[] extents) {}

  /** Checks what training asks for beyond that; nothing for most layers. */
  void checkTrainable(Shape shape, long[] extents) {}

  /** Checks an input's type. */
  final void requireF32(Tensor x) {
    requireF32(x.dataType(), x);
  }

  private void requireF32(DataType type, Object input) {
    if (type != DataType.F32) {
      throw new IllegalArgumentException(
          name + ": expected an input of type F32, but got " + input);
    }
  }

  /** Checks that this layer takes an input of a shape for inference. */
  final void requireInferable(long[] extents) {
    Shape shape = shapeOf(extents);
    if (running() == null) {
      checkComputable(shape, extents);
    }
  }

  final double eps() {
    return eps;
  }

  /** The shape of {@link Pass#mean}. */
  abstract long[] statisticsShape(long[] shape);

  /** The shape of an array of some length, where only one is possible; else throws. */
  long[] impliedShape(int length) {
    throw new IllegalArgumentException(
        name + ": the shape of a float[" + length + "] cannot be told; pass it after the array");
  }

  /**
   * Inference.
   *
   * @param x input
   * @return a new tensor of the input's shape, type and layout
   */
  public Tensor forward(Tensor x) {
    Objects.requireNonNull(x, "x");
    requireF32(x);
    Tensor y = Tensor.uninitialized(x.dataType(), x.layout(), x.extents());
    try {
      forward(x, y);
      return y;
    } catch (RuntimeException | Error e) {
      y.close();
      throw e;
    }
  }

  /**
   * Inference into memory that is there.
   *
   * @param x input
   * @param y output, of the input's shape, type and layout; it may be the input, or lie on exactly
   *     its memory, but not overlap it in part
   */
  public void forward(Tensor x, Tensor y) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    long stamp = readLock();
    try {
      x.acquire();
      try {
        y.acquire();
        try {
          inference.run(x, y);
        } finally {
          y.release();
        }
      } finally {
        x.release();
      }
    } finally {
      lock.unlockRead(stamp);
    }
  }

  /**
   * Inference on heap arrays, {@link Layout#CHANNELS_FIRST}.
   *
   * @param x input
   * @param shape the input's logical shape; may be left out for LayerNorm and RmsNorm, whose rows
   *     the length tells
   * @return a new array of the output
   */
  public float[] forward(float[] x, long... shape) {
    Objects.requireNonNull(x, "x");
    float[] y = new float[x.length];
    forward(x, y, shape);
    return y;
  }

  /**
   * Inference on heap arrays, {@link Layout#CHANNELS_FIRST}.
   *
   * @param x input
   * @param y output, as long as the input; it may be the input. Untouched if this throws
   * @param shape the input's logical shape; may be left out for LayerNorm and RmsNorm, whose rows
   *     the length tells
   */
  public void forward(float[] x, float[] y, long... shape) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    Objects.requireNonNull(shape, "shape");
    long stamp = readLock();
    try {
      inference.run(x, y, shape);
    } finally {
      lock.unlockRead(stamp);
    }
  }

  /**
   * Inference of rows in heap arrays: {@link #forward(float[], float[], long...)} without a shape,
   * and without the empty array that stands for none.
   *
   * @param x input
   * @param y output, as long as the input; it may be the input. Untouched if this throws
   */
  public void forward(float[] x, float[] y) {
    forward(x, y, NO_SHAPE);
  }

  /**
   * Training: normalizes with the input's own statistics and takes them into the running ones.
   *
   * @param x input, not to be changed until the last backward
   * @return what backward needs, to be closed by the caller
   */
  public Pass forwardTraining(Tensor x) {
    Objects.requireNonNull(x, "x");
    x.acquire();
    try {
      requireF32(x);
      Shape shape = shapeOf(x.extents());
      checkComputable(shape, x.extents());
      checkTrainable(shape, x.extents());
      Problem problem = problem(shape, x, Direction.TRAINING, Statistics.COMPUTED);
      Pass pass = pass(problem, x);
      try {
        if (running() != null && x.size() > 0) {
          update(pass, shape.valuesPerUnit());
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

  private void update(Pass pass, long values) {
    long stamp = writeLock();
    try {
      running().update(pass.mean(), pass.variance(), values);
    } finally {
      lock.unlockWrite(stamp);
    }
  }

  /** A pass with frozen statistics: those that inference uses, as constants to the gradient. */
  Pass frozenPass(Tensor x) {
    Objects.requireNonNull(x, "x");
    if (running() == null) {
      throw new IllegalStateException(name + " has no running statistics to freeze");
    }
    x.acquire();
    try {
      requireF32(x);
      Shape shape = shapeOf(x.extents());
      return pass(problem(shape, x, Direction.INFERENCE, Statistics.GIVEN), x);
    } finally {
      x.release();
    }
  }

  private Pass pass(Problem problem, Tensor x) {
    boolean rms = problem.operation() == Operation.RMS;
    boolean frozen = problem.statistics() == Statistics.GIVEN;
    long[] statisticsShape = frozen ? new long[] {problem.channels()} : shapeOfStatistics(x);
    Pass pass;
    try (Closer made = new Closer()) {
      Tensor input =
          made.add(
              x.in(needsReordering(x.extents(), x.layout()) ? Layout.CHANNELS_FIRST : x.layout()));
      Tensor mean = made.add(rms ? null : Tensor.zeros(statisticsShape));
      Tensor variance = made.add(Tensor.zeros(statisticsShape));
      pass = new Pass(this, problem, x.layout(), input, mean, variance);
      made.keep(input, mean, variance);
    }
    try {
      long stamp = readLock();
      try {
        if (frozen) {
          pass.setStatistics(running());
        }
        pass.normalize();
      } finally {
        lock.unlockRead(stamp);
      }
      return pass;
    } catch (RuntimeException | Error e) {
      pass.close();
      throw e;
    }
  }

  /** An empty input has no statistics, though there may be 2^40 units without an element. */
  private long[] shapeOfStatistics(Tensor x) {
    long[] shape = statisticsShape(x.extents());
    if (x.size() == 0 && Arrays.stream(shape).noneMatch(extent -> extent == 0)) {
      shape[0] = 0;
    }
    return shape;
  }

  /** Runs a problem of a pass; for backward the layer must still be open. */
  void execute(Problem problem, Operands operands) {
    Plan plan = Engines.acquire(problem, backend);
    try {
      plan.execute(operands);
    } finally {
      Engines.release(plan);
    }
  }

  /** The problem of inference on a shape that this takes. */
  Problem inferenceProblem(long[] extents, Layout layout, int threads) {
    return problem(
        shapeOf(extents),
        DataType.F32,
        layout,
        threads,
        Direction.INFERENCE,
        running() == null ? Statistics.COMPUTED : Statistics.GIVEN);
  }

  private Problem problem(Shape shape, Tensor x, Direction direction, Statistics statistics) {
    return problem(shape, x.dataType(), x.layout(), threads(), direction, statistics);
  }

  private Problem problem(
      Shape shape,
      DataType type,
      Layout layout,
      int threads,
      Direction direction,
      Statistics statistics) {
    boolean given = statistics == Statistics.GIVEN;
    return new Problem(
        given ? Operation.BATCH : shape.operation(), // running statistics are of channels
        direction,
        statistics,
        type,
        layout,
        shape.batch(),
        shape.channels(),
        shape.spatial(),
        given ? 1 : shape.groups(),
        eps,
        parameters.weight() != null,
        parameters.bias() != null,
        activation,
        threads);
  }

  int threads() {
    return ownThreads > 0 ? ownThreads : NativeNorm.threads();
  }

  /** Whether a row is not contiguous: LayerNorm and RmsNorm of a channels-last image. */
  final boolean needsReordering(long[] shape, Layout layout) {
    return layout == Layout.CHANNELS_LAST && shape.length > 2 && normalizesRows();
  }

  boolean normalizesRows() {
    return false;
  }

  long readLock() {
    long stamp = lock.readLock();
    if (closed) {
      lock.unlockRead(stamp);
      throw closedException();
    }
    return stamp;
  }

  void unlock(long readStamp) {
    lock.unlockRead(readStamp);
  }

  private long writeLock() {
    long stamp = lock.writeLock();
    if (closed) {
      lock.unlockWrite(stamp);
      throw closedException();
    }
    return stamp;
  }

  private IllegalStateException closedException() {
    return new IllegalStateException("the layer " + name + " is closed");
  }

  /**
   * The weight of each channel or element, live: what is written to it is used by the next call.
   *
   * @return an F32 tensor, or null if the layer has none
   */
  public Tensor weight() {
    return Parameter.handle(parameters.weight());
  }

  /**
   * The bias of each channel or element, live.
   *
   * @return an F32 tensor, or null if the layer has none
   */
  public Tensor bias() {
    return Parameter.handle(parameters.bias());
  }

  LayerParameters parameters() {
    return parameters;
  }

  RunningStatistics running() {
    return parameters.running();
  }

  long trackedBatches() {
    long stamp = readLock();
    try {
      return running() == null ? 0 : running().batches();
    } finally {
      lock.unlockRead(stamp);
    }
  }

  /**
   * All that training changes, under the names of PyTorch's {@code state_dict}: {@code weight},
   * {@code bias}, and with running statistics {@code running_mean}, {@code running_var} and the
   * scalar {@code num_batches_tracked}, an {@link DataType#I64}.
   *
   * @return live tensors, which stay the layer's
   */
  public Map<String, Tensor> state() {
    return parameters.handles();
  }

  /**
   * Copies a state in, all of it or, if anything does not fit, nothing.
   *
   * @param state tensors under the names that {@link #state} gives; {@code num_batches_tracked} may
   *     be absent, as in old files, or an F32 scalar
   * @throws IllegalArgumentException if a name is missing or unknown, a shape or type differs, a
   *     running variance is NaN or so far below 0 that nothing positive is left under the root
   *     (from -eps to 0 is allowed, and so is infinity, with which a channel gives its bias), or
   *     the count is negative or no whole number; the message lists all of them
   */
  public void load(Map<String, Tensor> state) {
    Objects.requireNonNull(state, "state");
    try (StateCopy copy = new StateCopy(name, eps, parameters.named(), state)) {
      long stamp = writeLock();
      try {
        copy.load();
      } finally {
        lock.unlockWrite(stamp);
      }
    }
  }

  /**
   * Which engine and kernel inference, training and backward of an input run on, and why not the
   * others.
   *
   * @param x an input this layer takes
   * @return some lines of text
   */
  public String explain(Tensor x) {
    return explanation(x).toString();
  }

  /**
   * The same of an input that is not there.
   *
   * @param type element type; F32 in this version
   * @param layout order of the elements
   * @param shape logical extents that this layer takes
   * @return some lines of text
   */
  public String explain(DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    long[] extents = Objects.requireNonNull(shape, "shape").clone();
    String input = Tensor.text(type, layout, extents);
    requireF32(type, input);
    return explanation(input, layout, extents).toString();
  }

  /**
   * What {@link #explain(Tensor)} says, to be read by programs.
   *
   * @param x an input this layer takes
   * @return the choices for inference, training and backward
   */
  public Explanation explanation(Tensor x) {
    Objects.requireNonNull(x, "x");
    requireF32(x);
    return explanation(x.toString(), x.layout(), x.extents());
  }

  private Explanation explanation(String input, Layout layout, long[] extents) {
    int threads = threads();
    Problem inference = inferenceProblem(extents, layout, threads);
    Problem training =
        problem(
            shapeOf(extents),
            DataType.F32,
            layout,
            threads,
            Direction.TRAINING,
            Statistics.COMPUTED);
    return Explanation.of(name, input, backend, inference, training);
  }

  /** Waits for running calls to end, then frees the parameters. Closing again does nothing. */
  @Override
  public void close() {
    long stamp = lock.writeLock();
    try {
      if (!closed) {
        closed = true;
        parameters.close();
      }
    } finally {
      lock.unlockWrite(stamp);
    }
  }

  /** The layer's kind and size. */
  @Override
  public String toString() {
    return name;
  }
}
