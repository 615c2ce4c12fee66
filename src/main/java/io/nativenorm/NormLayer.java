package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A normalization layer: parameters and options, and no state of a computation. Inference on one
 * layer from many threads at once is safe, and so are training passes, each of which is an object
 * of its own; what they share are the running statistics, whose update is atomic.
 *
 * <pre>{@code
 * try (NormLayer norm = GroupNorm.of(4, 16);
 *     Tensor x = Tensor.zeros(2, 16, 8, 8)) {
 *   System.out.println(norm.explain(x));                      // which kernel, and why not others
 *   norm.forward(x, x);                                       // inference, here in place
 *   try (Pass pass = norm.forwardTraining(x)) {               // training
 *     System.out.println(pass.mean());
 *   }
 *   Map<String, Tensor> state = norm.state();                 // PyTorch's names; live
 *   norm.load(state);
 * }
 * }</pre>
 *
 * <p>What computes throws {@link IllegalArgumentException} for input the layer cannot take, before
 * anything is computed; {@link IllegalStateException} once the layer or a tensor is closed; and
 * {@link NativeNormException} if the engine fails or a named backend does not take the input.
 */
public abstract sealed class NormLayer extends LayerState permits MaskedNorm, RowNorm {
  private static final long[] NO_SHAPE = {};

  private final Backend backend;
  private final int ownThreads;
  final LayerProblems problems;
  final Inference inference;
  final Training training;

  NormLayer(
      Operation operation,
      LayerBuilder<?> options,
      @Nullable RunningStatistics running,
      long... parameterShape) {
    super(options, running, parameterShape);
    backend = options.backend();
    ownThreads = options.threads();
    problems =
        new LayerProblems(
            name,
            operation,
            eps,
            options.activation(),
            options.unitOffset(),
            parameters,
            options.threadsOf());
    inference = new Inference(this, backend, parameters);
    training = new Training(this, backend, parameters, lock);
  }

  /** Checks that this layer takes an input of a shape, and reduces it to a problem's. */
  abstract Shape shapeOf(long[] shape, Layout layout);

  /** Checks that an input's own statistics can be used; nothing to check for most layers. */
  void checkComputable(Shape shape, long[] extents) {}

  /** The same for training. */
  void checkTrainable(Shape shape, long[] extents) {
    checkComputable(shape, extents);
  }

  /** Checks an input's type. */
  final void requireComputed(Tensor x) {
    problems.requireComputed(x.dataType(), x);
  }

  /** Checks that this layer takes an input of a shape for inference. */
  final void requireInferable(long[] extents, Layout layout) {
    Shape shape = shapeOf(extents, layout);
    if (running() == null) {
      checkComputable(shape, extents);
    }
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
    requireComputed(x);
    Tensor y = Tensor.uninitialized(x.dataType(), x.layout(), x.extents());
    try {
      forward(x, y);
      return TensorScope.made(y);
    } catch (RuntimeException | Error e) {
      y.close();
      throw e;
    }
  }

  /**
   * Inference into memory that is there.
   *
   * @param x input
   * @param y output, of the input's shape and layout; of its type it may be the input, or lie on
   *     exactly its memory, but not overlap it in part, nor the layer's parameters and running
   *     statistics. Of an F32 input it may also be BF16 or F16, and F32 of one of these
   */
  public void forward(Tensor x, Tensor y) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    long stamp = lock.read();
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
      lock.endRead(stamp);
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
    long stamp = lock.read();
    try {
      inference.run(x, y, shape);
    } finally {
      lock.endRead(stamp);
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
    return TensorScope.made(training.forward(x));
  }

  /**
   * Training into memory that is there.
   *
   * @param x input, not to be changed until the last backward
   * @param y output, of the input's shape, type and layout, apart from it; not to be changed until
   *     the last backward if the layer has an activation
   * @return what backward needs, to be closed by the caller. It does the next step too: {@link
   *     Pass#forward(Tensor, Tensor)}
   */
  public Pass forwardTraining(Tensor x, Tensor y) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    return TensorScope.made(training.forward(x, y));
  }

  /**
   * Training on heap arrays, {@link Layout#CHANNELS_FIRST}. They are kept, not copied, where FUSED
   * may work on them as they are; else each is copied once.
   *
   * @param x input, not to be changed until the last backward
   * @param y another array, as long as the input, for the output; not to be changed until the last
   *     backward if the layer has an activation. Untouched if this throws
   * @param shape the input's logical shape; may be left out for LayerNorm and RmsNorm, whose rows
   *     the length tells
   * @return what backward needs, to be closed by the caller. It does the next step too: {@link
   *     Pass#forward(float[], float[])}
   */
  public Pass forwardTraining(float[] x, float[] y, long... shape) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    Objects.requireNonNull(shape, "shape");
    return TensorScope.made(training.forward(x, y, shape));
  }

  /** The problem of training on a shape, if this takes it. */
  final Problem trainingProblem(long[] extents, DataType type, Layout layout) {
    Shape shape = shapeOf(extents, layout);
    checkTrainable(shape, extents);
    return trainingProblem(shape, type, threads());
  }

  private Problem trainingProblem(Shape shape, DataType type, int threads) {
    GhostBatches batches = ghosts(shape.batch());
    Shape together = batches == null ? shape : shape.withSamples(batches.each(), shape.spatial());
    return problems.training(together, type, threads);
  }

  /** Checks that arrays have as many elements as a shape. */
  final void requireLengths(float[] x, float[] y, long[] shape, long size) {
    if (x.length != size || y.length != size) {
      throw new IllegalArgumentException(
          name
              + ": expected arrays of "
              + size
              + " elements for shape "
              + Shapes.text(shape)
              + ", but got x of "
              + x.length
              + " and y of "
              + y.length);
    }
  }

  /** The problem of inference on a shape that this takes. */
  final Problem inferenceProblem(long[] extents, Storage storage, Layout layout, int threads) {
    return problems.inference(shapeOf(extents, layout), storage, threads);
  }

  /** The same of rows, wherever they lie. */
  final Problem inferenceProblem(Shape shape, int threads) {
    return problems.inference(shape, Storage.of(DataType.F32), threads);
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

  long trackedBatches() {
    return training.trackedBatches();
  }

  /**
   * Which engine and kernel inference, training and backward of an input run on, and why not the
   * others. A {@link Mask} is of a call: FUSED and JAVA take it with kernels of these names.
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
   * @param type element type; F32, BF16 or F16
   * @param layout order of the elements
   * @param shape logical extents that this layer takes
   * @return some lines of text
   */
  public String explain(DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    long[] extents = Objects.requireNonNull(shape, "shape").clone();
    String input = Tensor.text(type, layout, extents);
    problems.requireComputed(type, input);
    return explanation(input, type, layout, extents, null).toString();
  }

  /**
   * What {@link #explain(Tensor)} says, to be read by programs.
   *
   * @param x an input this layer takes
   * @return the choices for inference, training and backward
   */
  public Explanation explanation(Tensor x) {
    Objects.requireNonNull(x, "x");
    requireComputed(x);
    RowPlaces.requireRows(this, x);
    return explanation(x.toString(), x.dataType(), x.layout(), x.extents(), x.pieces());
  }

  private Explanation explanation(
      String input, DataType type, Layout layout, long[] extents, @Nullable Pieces pieces) {
    int threads = threads();
    Problem inference = inferenceProblem(extents, Storage.of(type), layout, threads);
    boolean isFrozen = this.training.isFrozen(PassKind.TRAINING);
    Problem training =
        isFrozen ? inference : trainingProblem(shapeOf(extents, layout), type, threads);
    Problem placed = RowPlaces.of(this, training, pieces, null, null, null);
    boolean inPhases = isShared() && !isFrozen;
    return Explanation.of(
        name,
        input,
        backend,
        RowPlaces.of(this, inference, pieces, null, null, null),
        inPhases ? placed.withTask(Task.MEASURE) : placed,
        placed.withTask(inPhases ? Task.SUM_GRADIENTS : Task.BACKWARD));
  }
}
