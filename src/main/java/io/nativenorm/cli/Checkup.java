package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.Explanation;
import io.nativenorm.Gradients;
import io.nativenorm.GroupNorm;
import io.nativenorm.InstanceNorm;
import io.nativenorm.LayerBuilder;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.NativeNorm;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.RmsNorm;
import io.nativenorm.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** Runs every layer on every engine: same input, same parameters, held against pure Java. */
final class Checkup {
  /** The numerical contract of the layers, forward and backward. */
  static final double ALLOWED = 1e-5;

  /** Enough for the JVM to compile the loops; the whole of doctor stays within seconds. */
  private static final int WARM_UP_RUNS = 20;

  private static final long WARM_UP_NANOSECONDS = 60_000_000;
  private static final long TIMED_NANOSECONDS = 30_000_000;

  /**
   * What was found of one layer in one direction on one engine.
   *
   * @param chosen whether AUTO takes this engine
   * @param error largest |error| / (1 + |y|) forward, relative L2 error backward; pure Java is what
   *     the others are held against, so it has none
   * @param agrees whether that is within what is allowed
   * @param share bytes that must move over the time, as a share of what a plain pass over the same
   *     memory reaches; NaN where there is none
   */
  record Row(
      String layer,
      String input,
      Layout layout,
      String direction,
      Backend backend,
      String kernel,
      boolean chosen,
      double error,
      boolean agrees,
      double microseconds,
      double speedUp,
      double share) {}

  /** A layer to check, on inputs of a shape. */
  record Subject(Supplier<LayerBuilder<?>> builder, boolean bothLayouts, long... shape) {
    List<Layout> layouts() {
      return bothLayouts ? List.of(Layout.values()) : List.of(Layout.CHANNELS_FIRST);
    }
  }

  /** What one engine computed, and how fast. Backward moves three tensors, forward two. */
  private record Outcome(
      String direction, String kernel, List<float[]> values, double microseconds) {
    int tensors() {
      return direction.equals(BACKWARD) ? 3 : 2;
    }
  }

  private static final String BACKWARD = "backward";

  static final List<Subject> SUBJECTS =
      List.of(
          new Subject(() -> BatchNorm.builder(64), true, 4, 64, 28, 28),
          new Subject(() -> LayerNorm.builder(768), false, 2, 128, 768),
          new Subject(() -> RmsNorm.builder(4096), false, 48, 4096),
          new Subject(() -> GroupNorm.builder(32, 64), true, 4, 64, 28, 28),
          new Subject(() -> InstanceNorm.builder(64).affine(true), true, 4, 64, 28, 28));

  private Checkup() {}

  /** All layers on some engines, beside pure Java. */
  static List<Row> of(List<Backend> engines) {
    List<Row> rows = new ArrayList<>();
    for (Subject subject : SUBJECTS) {
      for (Layout layout : subject.layouts()) {
        check(subject, layout, engines, rows);
      }
    }
    return rows;
  }

  private static void check(Subject subject, Layout layout, List<Backend> engines, List<Row> rows) {
    List<Outcome> reference = outcomes(subject, layout, Backend.JAVA);
    List<List<Outcome>> others = new ArrayList<>();
    for (Backend engine : engines) {
      others.add(engine == Backend.JAVA ? reference : outcomes(subject, layout, engine));
    }
    List<String> chosen = chosenKernels(subject, layout);
    double plainPass = timeOfPlainPass(subject, layout);
    String shape = Arrays.toString(subject.shape).replace(", ", "x").replaceAll("[\\[\\]]", "");
    for (int direction = 0; direction < reference.size(); direction++) {
      Outcome wanted = reference.get(direction);
      for (int engine = 0; engine < engines.size(); engine++) {
        Outcome got = others.get(engine).get(direction);
        double error = error(wanted, got);
        rows.add(
            new Row(
                subject.builder.get().toString(),
                shape,
                layout,
                got.direction,
                engines.get(engine),
                got.kernel,
                got.kernel.equals(chosen.get(direction)),
                error,
                error <= ALLOWED,
                got.microseconds,
                wanted.microseconds / got.microseconds,
                plainPass * got.tensors() / 2 / got.microseconds));
      }
    }
  }

  /** The kernels AUTO takes, in the order of the outcomes. */
  private static List<String> chosenKernels(Subject subject, Layout layout) {
    try (NormLayer layer = subject.builder.get().backend(Backend.AUTO).build();
        Tensor x = normal(1, layout, subject.shape)) {
      Explanation chosen = layer.explanation(x);
      return Stream.of(chosen.inference(), chosen.training(), chosen.backward())
          .map(choice -> choice.kernel().orElseThrow())
          .toList();
    }
  }

  /** Microseconds of a plain pass over an input and an output, NaN where there is none. */
  private static double timeOfPlainPass(Subject subject, Layout layout) {
    boolean missing =
        NativeNorm.engines().stream()
            .noneMatch(engine -> engine.backend() == Backend.FUSED && engine.available());
    if (missing) {
      return Double.NaN;
    }
    try (Tensor x = normal(1, layout, subject.shape);
        Tensor y = x.to(layout)) {
      return time(() -> NativeNorm.plainPass(x, y, 1.1f, 0.1f));
    }
  }

  private static List<Outcome> outcomes(Subject subject, Layout layout, Backend backend) {
    try (NormLayer layer = subject.builder.get().backend(backend).build();
        Tensor x = normal(1, layout, subject.shape);
        Tensor dy = normal(2, layout, subject.shape);
        Tensor y = x.to(layout)) {
      setParameters(layer);
      Explanation chosen = layer.explanation(x);
      double inference = time(() -> layer.forward(x, y));
      double training = time(() -> layer.forwardTraining(x).close());
      try (Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(dy)) {
        double backward = time(() -> pass.backward(dy).close());
        return List.of(
            outcome("inference", chosen.inference(), inference, y),
            outcome("training", chosen.training(), training, pass.output()),
            outcome(
                BACKWARD,
                chosen.backward(),
                backward,
                gradients.input(),
                gradients.weight(),
                gradients.bias()));
      }
    }
  }

  private static Outcome outcome(
      String direction, Explanation.Choice chosen, double microseconds, Tensor... tensors) {
    List<float[]> values =
        Arrays.stream(tensors).filter(Objects::nonNull).map(Tensor::toArray).toList();
    return new Outcome(direction, chosen.kernel().orElseThrow(), values, microseconds);
  }

  static void setParameters(NormLayer layer) {
    for (Tensor parameter : Arrays.asList(layer.weight(), layer.bias())) {
      if (parameter != null) {
        parameter.copyFrom(normal(3, (int) parameter.size()));
      }
    }
  }

  static Tensor normal(long seed, Layout layout, long... shape) {
    Tensor tensor = Tensor.allocate(DataType.F32, layout, shape);
    tensor.copyFrom(normal(seed, (int) tensor.size()));
    return tensor;
  }

  private static float[] normal(long seed, int count) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Microseconds of the fastest run. */
  private static double time(Runnable run) {
    best(run, WARM_UP_RUNS, WARM_UP_NANOSECONDS);
    return best(run, 1, TIMED_NANOSECONDS) / 1e3;
  }

  /** The fastest of at least some runs in at least some time. */
  private static long best(Runnable run, int runs, long nanoseconds) {
    long best = Long.MAX_VALUE;
    long end = System.nanoTime() + nanoseconds;
    for (int done = 0; done < runs || System.nanoTime() < end; done++) {
      long start = System.nanoTime();
      run.run();
      best = Math.min(best, System.nanoTime() - start);
    }
    return best;
  }

  private static double error(Outcome wanted, Outcome got) {
    double largest = 0;
    for (int i = 0; i < wanted.values.size(); i++) {
      float[] expected = wanted.values.get(i);
      float[] actual = got.values.get(i);
      double error =
          wanted.direction.equals(BACKWARD)
              ? relativeL2(expected, actual)
              : largestMixed(expected, actual);
      largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : Math.max(largest, error);
    }
    return largest;
  }

  private static double largestMixed(float[] expected, float[] actual) {
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs((double) expected[i] - actual[i]) / (1 + Math.abs(expected[i]));
      if (Double.isNaN(error)) {
        return error;
      }
      largest = Math.max(largest, error);
    }
    return largest;
  }

  private static double relativeL2(float[] expected, float[] actual) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += Math.pow((double) expected[i] - actual[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(error / norm);
  }
}
