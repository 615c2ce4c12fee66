package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Shape;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Batch normalization over the samples and positions of each channel: {@code y = (x - mean) /
 * sqrt(variance + eps) * weight + bias}.
 *
 * <pre>{@code
 * try (BatchNorm norm = BatchNorm.of(64);
 *     Tensor x = Tensor.zeros(8, 64, 14, 14);                 // samples, channels, positions
 *     Tensor y = norm.forward(x);                             // by the running statistics
 *     Pass pass = norm.forwardTraining(x);                    // by the batch's own
 *     Gradients gradients = pass.backward(y)) {
 *   norm.weight().addScaled(-0.1f, gradients.weight());
 * }
 * }</pre>
 *
 * <p><b>Input.</b> {@code (N, C)} or {@code (N, C, spatial...)}, F32, BF16 or F16, in either
 * layout. Training uses the batch's mean and biased variance and takes them into the running
 * statistics; inference uses the running ones, or the batch's if there are none. An empty batch
 * leaves all running statistics alone, the count included.
 *
 * <p><b>Defaults.</b> PyTorch's: eps 1e-5, weights 1 and biases 0 of channels, running means 0 and
 * variances 1, momentum 0.1 (the weight of the new statistics), the unbiased variance in them.
 * Semantics of {@code BatchNorm1d/2d/3d}; ONNX's BatchNormalization is {@code
 * .decay(0.9).runningVariance(RunningVariance.POPULATION)}.
 *
 * <p><b>Errors.</b> {@link IllegalArgumentException} for an input of fewer dimensions or other
 * channels, and where the batch's own statistics are used, for a single value in each channel
 * (unless {@link OneValue#PASS}) and for eps 0; {@link NormLayer} has those that all layers throw.
 *
 * <p><b>Cost.</b> Inference reads x and writes y once. Training reads x once more, from the cache
 * where a channel is small enough, backward reads x and dy twice. 32x64x56x56 (26 MB) takes 0.99 ms
 * at inference, 0.83 in training and 2.5 backward on two cores of an AMD EPYC; a call of a few
 * values some 0.1 us.
 *
 * @see <a href="https://arxiv.org/abs/1502.03167">Ioffe and Szegedy, 2015</a>
 */
public final class BatchNorm extends PhasedNorm {
  /** The most samples of a ghost batch; 0 where a batch is normalized as a whole. */
  private final long ghost;

  private BatchNorm(Builder options, long channels) {
    super(Operation.BATCH, options, channels);
    ghost = options.ghost;
  }

  /**
   * A layer with PyTorch's defaults.
   *
   * @param channels C, at least 1
   * @return a layer to be closed by the caller
   */
  public static BatchNorm of(long channels) {
    return builder(channels).build();
  }

  /**
   * Options for a layer.
   *
   * @param channels C, at least 1
   * @return a builder with PyTorch's defaults
   * @throws IllegalArgumentException if there is no channel
   */
  public static Builder builder(long channels) {
    return new Builder(channels);
  }

  /**
   * Training of several layers whose inputs are there at once, as in branches of a network or the
   * shortcut of a residual block: with an {@link Builder#exchange} their statistics go in one
   * message, and the workers wait for each other once, not once for each layer. Else it is {@link
   * #forwardTraining(Tensor)} of each; a layer that is frozen is without an exchange.
   *
   * <pre>{@code
   * try (BatchNorm main = BatchNorm.builder(64).exchange(end).build();
   *     BatchNorm shortcut = BatchNorm.builder(64).exchange(end).build();
   *     TensorScope scope = TensorScope.open()) {
   *   List<Tensor> x = List.of(Tensor.zeros(4, 64, 14, 14), Tensor.zeros(4, 64, 14, 14));
   *   List<Pass> passes = BatchNorm.forwardTrainingTogether(List.of(main, shortcut), x);
   *   List<Gradients> gradients = BatchNorm.backwardTogether(passes, x);
   * }
   * }</pre>
   *
   * @param layers all on the same end of an exchange, in the same order on all workers
   * @param inputs one for each layer, not to be changed until the last backward
   * @return a pass of each layer, to be closed by the caller
   * @throws IllegalArgumentException if there are not as many of each, an input is refused, or the
   *     layers are on different exchanges
   */
  public static List<Pass> forwardTrainingTogether(List<BatchNorm> layers, List<Tensor> inputs) {
    Objects.requireNonNull(layers, "layers");
    Objects.requireNonNull(inputs, "inputs");
    return Together.forward(List.copyOf(layers), List.copyOf(inputs));
  }

  /**
   * The gradients of several passes whose output's gradients are there at once, with one message
   * between workers; else it is {@link Pass#backward(Tensor)} of each.
   *
   * @param passes of layers on the same end of an exchange, in the same order on all workers
   * @param gradients one at the output of each pass
   * @return the gradients of each pass, to be closed by the caller
   * @throws IllegalArgumentException if there are not as many of each, a gradient is not like its
   *     pass's output, or the passes are of different exchanges
   */
  public static List<Gradients> backwardTogether(List<Pass> passes, List<Tensor> gradients) {
    Objects.requireNonNull(passes, "passes");
    Objects.requireNonNull(gradients, "gradients");
    return Together.backward(List.copyOf(passes), List.copyOf(gradients));
  }

  /** Options of a {@link BatchNorm}. */
  public static final class Builder extends RunningBuilder<Builder> {
    private final long channels;
    private long ghost;
    private @Nullable StatisticsExchange exchange;
    private @Nullable String exchangeName;
    private boolean mergesParameterGradients;

    private Builder(long channels) {
      super("BatchNorm(" + channels + ")", true, true);
      this.channels = Shapes.requirePositive(name(), "channels", channels);
    }

    @Override
    Builder self() {
      return this;
    }

    /**
     * Makes training normalize small parts of a batch, each by its own statistics: ghost batch
     * normalization, whose noise is that of a small batch where a large one is computed. N samples
     * are divided as PyTorch's {@code chunk} does it into as few ghost batches as are needed, of
     * one size: 9 samples with at most 4 each are 3, 3 and 3, and of 10 the last has 2.
     *
     * <pre>{@code
     * try (BatchNorm norm = BatchNorm.builder(64).ghost(8).build();
     *     Tensor x = Tensor.zeros(32, 64, 14, 14);
     *     Pass pass = norm.forwardTraining(x)) {
     *   System.out.println(pass.mean());                        // 4 ghost batches x 64 channels
     *   System.out.println(norm.numBatchesTracked());           // 4
     * }
     * }</pre>
     *
     * <p>It is, with the same bits, a call for each ghost batch: running statistics and counts take
     * one after the other in, at once for all who read them, and {@link #skipNonFinite} leaves out
     * those that are not finite and takes the others in. A gradient of weight or bias is the sum of
     * theirs, in doubles, rounded once. {@link #oneValuePerChannel} is about a single value in a
     * ghost batch, which 5 samples without positions leave if 2 may be together. Inference and
     * frozen statistics, and the phases from {@link BatchNorm#measure} on, know no ghost batches.
     * Without running statistics inference would normalize whole batches: {@link #build} refuses
     * that.
     *
     * @param virtualBatch the most samples of a ghost batch, at least 1; default is no ghost
     *     batches
     * @return this
     * @throws IllegalArgumentException if it is not positive
     * @see <a href="https://arxiv.org/abs/1705.08741">Hoffer, Hubara and Soudry, 2017</a>
     */
    public Builder ghost(long virtualBatch) {
      ghost = Shapes.requirePositive(name(), "ghost's virtual batch", virtualBatch);
      return this;
    }

    /**
     * Makes training normalize with the statistics of all workers' inputs together: synchronized
     * batch normalization, as PyTorch's {@code SyncBatchNorm} on GPUs. Each worker builds its layer
     * on its own end of an exchange, and calls the same layers in the same order.
     *
     * <pre>{@code
     * for (StatisticsExchange end : StatisticsExchange.threads(2, Duration.ofSeconds(10))) {
     *   new Thread(() -> {                                      // each with its own part of a batch
     *     try (end;
     *         BatchNorm norm = BatchNorm.builder(64).exchange(end).build();
     *         Tensor x = Tensor.zeros(end.rank() == 0 ? 5 : 3, 64, 14, 14);
     *         Pass pass = norm.forwardTraining(x);              // by the mean of all 8
     *         Gradients gradients = pass.backward(x)) {         // dx reaches through it
     *       System.out.println(norm.runningMean());             // the same bits on both
     *     }
     *   }).start();
     * }
     * }</pre>
     *
     * <p>A forward in training exchanges 2C + 1 doubles, which are merged in the order of ranks,
     * and each backward 2C, whichever gradients are wanted: so workers may want different ones, but
     * must call it equally often. Their inputs may have different numbers of samples, or none,
     * which takes part too. Running statistics take in the whole batch, with its count; {@link
     * #skipNonFinite} and {@link #oneValuePerChannel} judge it as a whole. Frozen statistics,
     * inference and the phases from {@link BatchNorm#measure} on exchange nothing; who freezes a
     * layer does so on all workers between the same steps. FUSED and JAVA have it, and heap arrays
     * are copied once.
     *
     * <p>If the exchange fails, {@link ExchangeException} is thrown on all workers, and outputs and
     * running statistics are as they were. An argument that is refused on one worker alone makes
     * the others wait for the timeout.
     *
     * @param end this worker's, to be closed after the layer's last training
     * @return this
     */
    public Builder exchange(StatisticsExchange end) {
      exchange = Objects.requireNonNull(end, "end");
      exchangeName = null;
      return this;
    }

    /**
     * The same with a name, which is the same on all workers. Without one it is the number of
     * layers built on the end before: workers that build the same layers in the same order have no
     * need of it.
     *
     * @param end this worker's, to be closed after the layer's last training
     * @param name the layer's in the steps {@code name/number/phase} of the exchange
     * @return this
     */
    public Builder exchange(StatisticsExchange end, String name) {
      exchange = Objects.requireNonNull(end, "end");
      exchangeName = Objects.requireNonNull(name, "name");
      return this;
    }

    /**
     * Whether with an {@link #exchange} gradients of weight and bias are sums over all workers'
     * inputs, the same bits on all. Default false, as in PyTorch: over this worker's own, for those
     * who sum them up for all parameters anyway. They have been exchanged already: it costs
     * nothing.
     *
     * @param value true for those of the whole batch
     * @return this
     */
    public Builder mergeParameterGradients(boolean value) {
      mergesParameterGradients = value;
      return this;
    }

    /** A new place in the exchange, or null without one. */
    @Nullable LayerExchange layerExchange() {
      return exchange == null ? null : new LayerExchange(exchange, exchangeName);
    }

    boolean mergesParameterGradients() {
      return mergesParameterGradients;
    }

    @Override
    public BatchNorm build() {
      if (ghost > 0 && !tracks()) {
        throw new IllegalArgumentException(
            name()
                + ": ghost("
                + ghost
                + ") needs running statistics, as inference without them would be by those of a"
                + " whole batch, but got trackRunningStats(false)");
      }
      if (ghost > 0 && exchange != null) {
        throw new IllegalArgumentException(
            name() + ": ghost(" + ghost + ") and exchange are not computed together, but got both");
      }
      if (mergesParameterGradients && exchange == null) {
        throw new IllegalArgumentException(
            name() + ": mergeParameterGradients(true) needs an exchange, but there is none");
      }
      return new BatchNorm(this, channels);
    }
  }

  @Override
  Shape shapeOf(long[] shape, Layout layout) {
    if (shape.length < 2) {
      throw new IllegalArgumentException(
          this + ": expected 2D or higher input (got " + shape.length + "D input)");
    }
    if (shape[1] != channels) {
      throw new IllegalArgumentException(
          this
              + ": expected input with "
              + channels
              + " channels in dimension 1, but got "
              + Shapes.text(shape)
              + ": running_mean should contain "
              + shape[1]
              + " elements not "
              + channels);
    }
    return Shapes.ofChannels(shape, layout, 1);
  }

  @Override
  void checkComputable(Shape shape, long[] extents) {
    requireEps();
    if (shape.batch() * shape.spatial() == 1 && !passesOneValue()) {
      throw new IllegalArgumentException(
          this
              + ": Expected more than 1 value per channel when training, got input size "
              + Shapes.text(extents));
    }
  }

  @Override
  void checkTrainable(Shape shape, long[] extents) {
    if (isShared()) {
      requireEps(); // a single value may be a part of a batch
      new PhaseCheck(this).channels();
      return;
    }
    checkComputable(shape, extents);
    if (ghost > 0
        && GhostBatches.of(shape.batch(), ghost).fewest() * shape.spatial() == 1
        && !passesOneValue()) {
      throw new IllegalArgumentException(
          this
              + ": Expected more than 1 value per channel when training, but of input size "
              + Shapes.text(extents)
              + " ghost("
              + ghost
              + ") makes a ghost batch of 1 sample");
    }
  }

  private void requireEps() {
    if (eps() == 0) {
      throw new IllegalArgumentException(
          this + ": batch_norm eps must be positive during training, but got 0");
    }
  }

  @Override
  @Nullable GhostBatches ghosts(long samples) {
    return ghost == 0 ? null : GhostBatches.of(samples, ghost);
  }

  @Override
  long[] statisticsShape(long[] shape) {
    return ghost == 0
        ? new long[] {channels}
        : new long[] {GhostBatches.of(shape[0], ghost).count(), channels};
  }
}
