package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.GroupNorm;
import io.nativenorm.InstanceNorm;
import io.nativenorm.LayerBuilder;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.RmsNorm;
import io.nativenorm.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Normalizes one file. */
@Command(
    name = "normalize",
    description = "Normalizes an array in NumPy's .npy format (32-bit floats).",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false)
final class Normalize implements Callable<Integer> {
  /** The normalizations by their layers. */
  enum Op {
    BATCH,
    LAYER,
    RMS,
    GROUP,
    INSTANCE
  }

  /** Which axis of the file's array is the channel. */
  enum Order {
    FIRST,
    LAST
  }

  @Spec private CommandSpec spec;

  @Option(names = "--op", required = true, description = "One of: ${COMPLETION-CANDIDATES}.")
  private Op op;

  @Option(names = "--input", required = true, paramLabel = "FILE", description = "The input.")
  private Path input;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "Where the result goes; replaced if it exists.")
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
  public Integer call() throws UnusableInputException {
    checkOptions();
    NpyFile array = NpyFile.read(input);
    Map<String, NpyFile> parameters = new HashMap<>();
    read(parameters, "weight", weight);
    read(parameters, "bias", bias);
    read(parameters, "running_mean", mean);
    read(parameters, "running_var", variance);
    try (NormLayer layer = layer(array);
        Tensor x = tensor(array)) {
      load(layer, parameters);
      long start = System.nanoTime();
      float[] result = run(layer, x);
      double milliseconds = (System.nanoTime() - start) / 1e6;
      new NpyFile(result, array.shape()).write(output);
      report(layer, x, milliseconds);
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
    require(!Files.isDirectory(output), "--output is a directory: " + output);
    Path folder = output.toAbsolutePath().getParent();
    require(Files.isDirectory(folder), "the folder of --output does not exist: " + folder);
  }

  private static void require(boolean met, String otherwise) throws UnusableInputException {
    if (!met) {
      throw new UnusableInputException(otherwise);
    }
  }

  private static void read(Map<String, NpyFile> parameters, String name, Path file)
      throws UnusableInputException {
    if (file != null) {
      parameters.put(name, NpyFile.read(file));
    }
  }

  private NormLayer layer(NpyFile array) throws UnusableInputException {
    long[] shape = logicalShape(array.shape());
    boolean rows = op == Op.LAYER || op == Op.RMS;
    int least = rows ? 1 : 2;
    require(
        shape.length >= least,
        input + ": expected at least " + least + " dimensions, but got " + Arrays.toString(shape));
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

  private Tensor tensor(NpyFile array) {
    Layout order = layout == Order.FIRST ? Layout.CHANNELS_FIRST : Layout.CHANNELS_LAST;
    Tensor tensor = Tensor.allocate(DataType.F32, order, logicalShape(array.shape()));
    tensor.copyFrom(array.values());
    return tensor;
  }

  private static void load(NormLayer layer, Map<String, NpyFile> parameters) {
    Map<String, Tensor> state = new HashMap<>(layer.state());
    Map<String, Tensor> given = new HashMap<>();
    parameters.forEach((name, file) -> given.put(name, Tensor.of(file.values(), file.shape())));
    state.putAll(given);
    try {
      layer.load(state);
    } finally {
      given.values().forEach(Tensor::close);
    }
  }

  private float[] run(NormLayer layer, Tensor x) {
    if (training) {
      try (Pass pass = layer.forwardTraining(x)) {
        return pass.output().toArray();
      }
    }
    try (Tensor y = layer.forward(x)) {
      return y.toArray();
    }
  }

  private void report(NormLayer layer, Tensor x, double milliseconds) {
    String direction = training ? "training: " : "inference: ";
    String ran =
        layer
            .explain(x)
            .lines()
            .map(String::strip)
            .filter(line -> line.startsWith(direction))
            .findFirst()
            .orElseThrow();
    spec.commandLine()
        .getOut()
        .printf(Locale.ROOT, "%s on %s%n  %s%n", layer, x, ran)
        .printf(Locale.ROOT, "  %.2f ms, the first call's preparation included%n", milliseconds)
        .printf(Locale.ROOT, "  written to %s%n", output)
        .flush();
  }
}
