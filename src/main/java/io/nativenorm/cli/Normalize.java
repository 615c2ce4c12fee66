package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.BatchNorm;
import io.nativenorm.GroupNorm;
import io.nativenorm.InstanceNorm;
import io.nativenorm.LayerBuilder;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.NormLayer;
import io.nativenorm.RmsNorm;
import io.nativenorm.Tensor;
import io.nativenorm.file.TensorBytes;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Normalizes one file. */
@Command(
    name = "normalize",
    description = "Normalizes an array in NumPy's .npy format (floats of 32 or 16 bits).",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false)
final class Normalize implements Callable<Integer> {
  /** What stands for standard input and output. */
  static final Path STANDARD = Path.of("-");

  /** BatchNorm's and InstanceNorm's. */
  private static final double DEFAULT_EPS = 1e-5;

  /** The normalizations by their layers. */
  enum Op {
    BATCH,
    LAYER,
    RMS,
    GROUP,
    INSTANCE;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Which axis of the file's array is the channel. */
  enum Order {
    FIRST,
    LAST;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Spec private CommandSpec spec;
  @ParentCommand private Main main;

  @Option(names = "--op", required = true, description = "One of: ${COMPLETION-CANDIDATES}.")
  private Op op;

  @Option(
      names = "--input",
      required = true,
      paramLabel = "FILE",
      description = "The input; - is standard input, as for all files below.")
  private Path input;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description =
          "Where the result goes; - is standard output. A file that exists is replaced; a device"
              + " or a pipe is written to.")
  private Path output;

  @Option(names = "--weight", paramLabel = "FILE", description = "Scale; 1 if absent.")
  private Path weight;

  @Option(names = "--bias", paramLabel = "FILE", description = "Shift; 0 if absent.")
  private Path bias;

  @Option(
      names = "--mean",
      paramLabel = "FILE",
      description = "Running mean (batch, instance), with --variance.")
  private Path mean;

  @Option(
      names = "--variance",
      paramLabel = "FILE",
      description = "Running variance (batch, instance), with --mean.")
  private Path variance;

  @Option(names = "--groups", description = "Number of groups (group).")
  private Long groups;

  @Option(
      names = "--axis",
      defaultValue = "-1",
      description = "First of the dimensions normalized together (layer, rms).")
  private int axis;

  @Option(names = "--eps", description = "Added to the variance; default as in PyTorch.")
  private Double eps;

  @Option(
      names = "--layout",
      defaultValue = "first",
      description =
          "Which axis of the array is the channel: first (N, C, ...) or last (N, ..., C).")
  private Order layout;

  @Option(
      names = "--backend",
      defaultValue = "auto",
      description = "One of: ${COMPLETION-CANDIDATES}.")
  private Backend backend;

  @Option(
      names = "--training",
      description = "Normalize with the input's own statistics, as in training.")
  private boolean training;

  @Override
  public Integer call() throws IOException, UnusableInputException {
    checkOptions();
    Output target = Output.of(output, main.out());
    try (NpyInput array = open(input);
        NormLayer layer = layer(array.shape())) {
      load(layer);
      try (Tensor x = tensor(array, target)) {
        normalize(layer, x, array.isMapped(), array.shape(), target);
      }
    }
    return 0;
  }

  private void checkOptions() throws UnusableInputException {
    boolean runs = op == Op.BATCH || op == Op.INSTANCE;
    boolean rows = op == Op.LAYER || op == Op.RMS;
    require(op == Op.GROUP || groups == null, "--groups goes with --op group");
    require(op != Op.GROUP || groups != null, "--op group needs --groups");
    require(op != Op.RMS || bias == null, "--op rms has no --bias");
    require(rows || axis == -1, "--axis goes with --op layer and --op rms");
    require(!rows || layout == Order.FIRST, "--layout goes with batch, group and instance");
    require((mean == null) == (variance == null), "--mean and --variance go together");
    require(mean == null || runs, "--mean and --variance go with batch and instance");
    require(mean == null || !training, "--training takes no --mean and --variance");
    require(
        op != Op.BATCH || mean != null || training,
        "--op batch needs --mean and --variance, or --training for the batch's own");
    requireOneReader();
  }

  /** Standard input can be read once. */
  private void requireOneReader() throws UnusableInputException {
    long readers =
        Stream.of(input, weight, bias, mean, variance)
            .filter(file -> file != null && file.equals(STANDARD))
            .count();
    require(readers <= 1, "- is standard input for one option only, but is given to " + readers);
  }

  private static void require(boolean met, String otherwise) throws UnusableInputException {
    if (!met) {
      throw new UnusableInputException(otherwise);
    }
  }

  private NpyInput open(Path path) throws UnusableInputException {
    return path.equals(STANDARD) ? NpyInput.open("standard input", main.in()) : NpyInput.open(path);
  }

  private NormLayer layer(long[] extents) throws UnusableInputException {
    long[] shape = logicalShape(extents);
    boolean rows = op == Op.LAYER || op == Op.RMS;
    int least = rows ? 1 : 2;
    require(
        shape.length >= least,
        input
            + ": expected at least "
            + least
            + " dimensions, but got "
            + Arrays.toString(extents));
    return switch (op) {
      case BATCH -> configure(BatchNorm.builder(shape[1]).trackRunningStats(mean != null));
      case INSTANCE -> configure(InstanceNorm.builder(shape[1]).trackRunningStats(mean != null));
      case GROUP -> configure(GroupNorm.builder(groups, shape[1]));
      case LAYER -> configure(LayerNorm.builder(normalizedShape(shape)));
      case RMS -> configure(RmsNorm.builder(normalizedShape(shape)));
    };
  }

  private NormLayer configure(LayerBuilder<?> builder) {
    builder.backend(backend).affine(weight != null || bias != null);
    if (op != Op.RMS) {
      builder.bias(bias != null);
    }
    if (eps != null) {
      builder.eps(eps);
    }
    return builder.build();
  }

  private long[] normalizedShape(long[] shape) throws UnusableInputException {
    int first = axis < 0 ? axis + shape.length : axis;
    require(
        first >= 0 && first < shape.length,
        "--axis " + axis + " is not a dimension of " + Arrays.toString(shape));
    return Arrays.copyOfRange(shape, first, shape.length);
  }

  /** N, C, spatial of an array whose last axis may be the channel. */
  private long[] logicalShape(long[] shape) {
    if (layout == Order.FIRST || shape.length < 3) {
      return shape;
    }
    long[] logical = shape.clone();
    logical[1] = shape[shape.length - 1];
    System.arraycopy(shape, 1, logical, 2, shape.length - 2);
    return logical;
  }

  /** Parameters and statistics into a layer. */
  private void load(NormLayer layer) throws UnusableInputException {
    Map<String, Tensor> given = new HashMap<>();
    try {
      read(given, "weight", weight);
      read(given, "bias", bias);
      read(given, "running_mean", mean);
      read(given, "running_var", variance);
      requireVariances(given.get("running_var"));
      Map<String, Tensor> state = new HashMap<>(layer.state());
      state.putAll(given);
      layer.load(state);
    } finally {
      given.values().forEach(Tensor::close);
    }
  }

  private void read(Map<String, Tensor> given, String name, Path file)
      throws UnusableInputException {
    if (file != null) {
      try (NpyInput array = open(file)) {
        given.put(name, array.floats());
      }
    }
  }

  /** What has a root together with eps: folding and rounding leave variances a little below 0. */
  private void requireVariances(Tensor given) throws UnusableInputException {
    double least = eps == null ? -DEFAULT_EPS : -eps;
    float[] values = given == null ? new float[0] : given.toArray();
    for (int i = 0; i < values.length; i++) {
      require(
          values[i] >= 0 || values[i] > least,
          "--variance "
              + variance
              + ": expected 0 or more, or above -eps, "
              + least
              + ", but got "
              + values[i]
              + " for channel "
              + i);
    }
  }

  private Tensor tensor(NpyInput array, Output target) throws IOException, UnusableInputException {
    Layout order = layout == Order.FIRST ? Layout.CHANNELS_FIRST : Layout.CHANNELS_LAST;
    // Windows does not replace a file that is in memory.
    boolean mayMap = !target.replaces(input);
    return array.tensor(mayMap, order, logicalShape(array.shape()));
  }

  /** Computes and writes. What is no mapped file is overwritten, so that there is one copy. */
  private void normalize(NormLayer layer, Tensor x, boolean isMapped, long[] shape, Output target)
      throws UnusableInputException {
    long start = System.nanoTime();
    try (Tensor y = isMapped ? layer.forward(x) : x) {
      if (!isMapped) {
        layer.forward(x, y);
      }
      double milliseconds = (System.nanoTime() - start) / 1e6;
      NpyHeader header = new NpyHeader(y.dataType(), ByteOrder.nativeOrder(), shape);
      target.write(
          channel -> {
            TensorBytes.writeFully(header.encoded(), channel);
            TensorBytes.write(y, channel);
          });
      report(layer, x, milliseconds, target);
    }
  }

  private void report(NormLayer layer, Tensor x, double milliseconds, Output target) {
    CommandLine commandLine = spec.commandLine();
    (target.isStandard() ? commandLine.getErr() : commandLine.getOut())
        .printf(Locale.ROOT, "%s on %s%n", layer, x)
        .printf(Locale.ROOT, "  inference: %s%n", layer.explanation(x).inference())
        .printf(Locale.ROOT, "  %.2f ms, the first call's preparation included%n", milliseconds)
        .printf(Locale.ROOT, "  written to %s%n", target)
        .flush();
  }
}
