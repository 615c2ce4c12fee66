package io.nativenorm.gloo;

import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.Gradients;
import io.nativenorm.Layout;
import io.nativenorm.Pass;
import io.nativenorm.StatisticsExchange;
import io.nativenorm.Tensor;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Base64;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A batch that workers share, the same in every process.
 *
 * @param samples of each worker, in the order of ranks
 */
record Share(DataType type, Layout layout, long... samples) {
  static final int CHANNELS = 6;
  private static final int POSITIONS = 14 * 14;
  private static final int SAMPLE = CHANNELS * POSITIONS;

  /** As {@link #toString} writes it. */
  static Share parse(String text) {
    String[] words = text.split(",");
    long[] samples = Arrays.stream(words).skip(2).mapToLong(Long::parseLong).toArray();
    return new Share(DataType.valueOf(words[0]), Layout.valueOf(words[1]), samples);
  }

  @Override
  public String toString() {
    String shares = Arrays.stream(samples).mapToObj(n -> "," + n).collect(Collectors.joining());
    return type + "," + layout + shares;
  }

  /** The batch as one worker has it. */
  Share together() {
    return new Share(type, layout, Arrays.stream(samples).sum());
  }

  BatchNorm layer(StatisticsExchange exchange) {
    BatchNorm norm =
        BatchNorm.builder(CHANNELS).exchange(exchange).mergeParameterGradients(true).build();
    for (int c = 0; c < CHANNELS; c++) {
      norm.weight().set(weight(c), c);
      norm.bias().set(bias(c), c);
    }
    return norm;
  }

  private static float weight(int channel) {
    return 0.5f + channel;
  }

  private static float bias(int channel) {
    return channel - 2;
  }

  /** The running variance after the first step of one worker on all of it. */
  float[] variance() {
    try (BatchNorm norm = BatchNorm.of(CHANNELS);
        Tensor x = x(0)) {
      norm.forwardTraining(x).close();
      return norm.runningVar().toArray();
    }
  }

  /** What the first step of one worker on all of it leaves, by the formulas, in doubles. */
  Step step() {
    float[] x;
    float[] dy;
    try (Tensor xs = x(0);
        Tensor dys = dy(0)) {
      x = logical(xs);
      dy = logical(dys);
    }
    Step step =
        new Step(
            new double[x.length],
            new double[x.length],
            new double[CHANNELS],
            new double[CHANNELS],
            new double[CHANNELS],
            new double[CHANNELS]);
    for (int c = 0; c < CHANNELS; c++) {
      int channel = c;
      int[] own =
          IntStream.range(0, x.length).filter(i -> i / POSITIONS % CHANNELS == channel).toArray();
      double n = own.length;
      double mean = IntStream.of(own).mapToDouble(i -> x[i]).sum() / n;
      double squares = IntStream.of(own).mapToDouble(i -> Math.pow(x[i] - mean, 2)).sum();
      double scale = 1 / Math.sqrt(squares / n + 1e-5);
      step.mean[c] = 0.1 * mean;
      step.var[c] = 0.9 + 0.1 * squares / (n - 1);
      step.dBias[c] = IntStream.of(own).mapToDouble(i -> dy[i]).sum();
      step.dWeight[c] = IntStream.of(own).mapToDouble(i -> dy[i] * (x[i] - mean) * scale).sum();
      for (int i : own) {
        double normal = (x[i] - mean) * scale;
        step.y[i] = normal * weight(c) + bias(c);
        step.dx[i] = (dy[i] - step.dBias[c] / n - normal * step.dWeight[c] / n) * scale * weight(c);
      }
    }
    return step;
  }

  private static float[] logical(Tensor tensor) {
    try (Tensor channelsFirst = tensor.to(Layout.CHANNELS_FIRST)) {
      return channelsFirst.toArray();
    }
  }

  Tensor x(int rank) {
    return part(1, 2, rank);
  }

  Tensor dy(int rank) {
    return part(2, 0.1, rank);
  }

  private Tensor part(int seed, double mean, int rank) {
    int from = (int) Arrays.stream(samples).limit(rank).sum() * SAMPLE;
    Random random = new Random(seed);
    float[] values = new float[(int) samples[rank] * SAMPLE];
    for (int i = 0; i < from + values.length; i++) {
      float value = (float) (random.nextGaussian() + mean);
      if (i >= from) {
        values[i - from] = value;
      }
    }
    long[] shape = {samples[rank], CHANNELS, 14, 14};
    try (Tensor floats = Tensor.of(values, shape);
        Tensor typed = floats.to(type)) {
      return typed.to(layout);
    }
  }

  /** What a step on it leaves. */
  record Step(
      double[] y, double[] dx, double[] dWeight, double[] dBias, double[] mean, double[] var) {
    /** Its bits, in one line. */
    static String encode(BatchNorm norm, Pass pass, Gradients gradients) {
      return Stream.of(
              pass.output(),
              gradients.input(),
              gradients.weight(),
              gradients.bias(),
              norm.runningMean(),
              norm.runningVar())
          .map(tensor -> encode(tensor.rank() == 1 ? tensor.toArray() : logical(tensor)))
          .collect(Collectors.joining(" "));
    }

    private static String encode(float[] values) {
      ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length);
      bytes.asFloatBuffer().put(values);
      return "=" + Base64.getEncoder().encodeToString(bytes.array());
    }

    static Step decode(String text) {
      double[][] all = Arrays.stream(text.split(" ")).map(Step::values).toArray(double[][]::new);
      return new Step(all[0], all[1], all[2], all[3], all[4], all[5]);
    }

    private static double[] values(String word) {
      ByteBuffer bytes = ByteBuffer.wrap(Base64.getDecoder().decode(word.substring(1)));
      double[] values = new double[bytes.remaining() / Float.BYTES];
      for (int i = 0; i < values.length; i++) {
        values[i] = bytes.getFloat();
      }
      return values;
    }
  }
}
