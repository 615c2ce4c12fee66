package io.nativenorm;

import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;

/**
 * One of the problems of which answers.txt has the hash of what comes out: those of {@code
 * native/test/answers.cpp}, of whole numbers and single operations alone.
 */
record Question(
    Problem problem,
    float[] x,
    float[] dy,
    float[] weight,
    float[] bias,
    float[] mean,
    float[] variance) {

  /** Operation (as the C functions count them), layout, N, C, positions, groups, eps, ReLU. */
  private record Size(
      int operation,
      boolean last,
      int batch,
      int channels,
      int spatial,
      int groups,
      double eps,
      boolean relu) {

    int elements() {
      return batch * channels * spatial;
    }

    Problem problem(boolean given, boolean weight, boolean bias, int threads) {
      return new Problem(
          new Norm(
              Operation.values()[operation],
              given ? StatisticsSource.GIVEN : StatisticsSource.COMPUTED,
              eps),
          new Shape(
              last ? Layout.CHANNELS_LAST : Layout.CHANNELS_FIRST,
              batch,
              channels,
              spatial,
              groups),
          Storage.of(DataType.F32),
          new Affine(weight, bias),
          new Fusion(relu ? Activation.RELU : Activation.NONE),
          given ? Task.INFER : Task.TRAIN,
          threads);
    }
  }

  private static final int BATCH = 0;
  private static final int LAYER = 1;
  private static final int RMS = 2;
  private static final int GROUP = 3;

  private static final Size[] FIXED = {
    new Size(BATCH, false, 32, 64, 784, 1, 1e-5, false),
    new Size(BATCH, true, 32, 64, 784, 1, 1e-5, false),
    new Size(BATCH, false, 16, 256, 196, 1, 1e-5, true),
    new Size(BATCH, true, 16, 256, 196, 1, 1e-5, true),
    new Size(BATCH, false, 1, 64, 3136, 1, 1e-5, false),
    new Size(BATCH, true, 1, 64, 3136, 1, 1e-5, false),
    new Size(BATCH, false, 256, 1024, 1, 1, 1e-5, false),
    new Size(BATCH, false, 340, 1024, 1, 1, 1e-5, false),
    new Size(BATCH, false, 8, 61, 221, 1, 1e-5, false),
    new Size(BATCH, true, 8, 61, 221, 1, 1e-5, false),
    new Size(BATCH, false, 5, 1, 40001, 1, 1e-5, false),
    new Size(BATCH, true, 3, 3, 60001, 1, 1e-5, false),
    new Size(LAYER, false, 512, 768, 1, 1, 1e-5, false),
    new Size(LAYER, false, 128, 768, 1, 1, 1e-12, false),
    new Size(LAYER, false, 1, 4096, 1, 1, 1e-5, false),
    new Size(LAYER, false, 127, 769, 1, 1, 1e-5, false),
    new Size(LAYER, false, 4096, 64, 1, 1, 1e-5, true),
    new Size(LAYER, false, 2500, 40, 1, 1, 1e-5, false),
    new Size(LAYER, false, 2, 70001, 1, 1, 1e-5, false),
    new Size(RMS, false, 1, 4096, 1, 1, 1e-6, false),
    new Size(RMS, false, 128, 4096, 1, 1, 1e-6, false),
    new Size(GROUP, false, 2, 320, 1024, 32, 1e-6, false),
    new Size(GROUP, true, 2, 320, 1024, 32, 1e-6, false),
    new Size(GROUP, false, 2, 1280, 256, 32, 1e-6, false),
    new Size(GROUP, true, 2, 1280, 256, 32, 1e-6, true),
    new Size(GROUP, false, 3, 30, 35, 3, 1e-5, false),
    new Size(GROUP, true, 3, 30, 35, 3, 1e-5, false),
    new Size(GROUP, false, 4, 16, 16384, 16, 1e-5, false),
    new Size(GROUP, true, 4, 16, 16384, 16, 1e-5, false),
    new Size(GROUP, false, 1, 3, 200001, 1, 1e-5, false),
    new Size(GROUP, true, 1, 3, 200001, 1, 1e-5, false),
    new Size(GROUP, false, 9, 512, 1, 8, 1e-5, false)
  };

  private static final int[] LENGTHS = {
    1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 49, 63, 64, 65, 100, 127, 196, 255, 256, 257, 480,
    481, 511, 512, 513, 768, 769, 993, 997, 1024, 1025, 1500, 2047, 4096, 16383, 16385, 33001
  };
  private static final int[] CHANNELS = {
    1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 17, 20, 24, 30, 31, 32, 33, 40, 48, 61, 63, 64, 65, 96,
    100, 128, 130, 320, 1024, 1030
  };
  private static final double[] EPS = {1e-5, 1e-3, 1e-12, 1e-25};

  /** Kinds of numbers. */
  private record Kind(String name, double mean, double deviation) {}

  private static final Kind[] KINDS = {
    new Kind("usual", 0.3, 1),
    new Kind("usual", 0.3, 1),
    new Kind("mean 4", 4, 1),
    new Kind("mean 100", 100, 1),
    new Kind("mean 1e4", 1e4, 1),
    new Kind("constant", 3.3, 0),
    new Kind("tiny", 0, 1e-20),
    new Kind("large", 0, 1e20),
    new Kind("huge", 1e30, 1e25),
    new Kind("outliers", 0.3, 1),
    new Kind("half zeros", 0, 1),
    new Kind("zeros", 0, 0),
    new Kind("not finite", 0.3, 1),
    new Kind("one a unit", 2, 1e-7)
  };

  /** Numbers from 0, of splitmix64. */
  private static final class Numbers {
    private long state;

    Numbers(long seed) {
      state = seed;
    }

    long bits() {
      state += 0x9e3779b97f4a7c15L;
      long z = (state ^ state >>> 30) * 0xbf58476d1ce4e5b9L;
      z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
      return z ^ z >>> 31;
    }

    int pick(int n) {
      return (int) Long.remainderUnsigned(bits(), n);
    }

    /** Nearly normal: the sum of four uniform numbers. */
    double bell() {
      long b = bits();
      long sum = (b & 0xffff) + (b >>> 16 & 0xffff) + (b >>> 32 & 0xffff) + (b >>> 48);
      return (sum - 131070) * (1.0 / 37837);
    }

    float[] values(Kind kind, int count) {
      float[] values = new float[count];
      for (int i = 0; i < count; i++) {
        values[i] = (float) (kind.mean + kind.deviation * bell());
      }
      switch (kind.name) {
        case "outliers" -> {
          for (int i = 0; i < count; i += 1 + pick(300)) {
            values[i] *= 1e6f;
          }
        }
        case "half zeros" -> {
          for (int i = 0; i < count; i++) {
            values[i] = values[i] > 0 ? values[i] : 0;
          }
        }
        case "not finite" -> {
          float[] other = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
          int at = pick(count);
          values[at] = other[pick(3)];
        }
        default -> {}
      }
      return values;
    }

    Size shape() {
      int most = pick(32) == 0 ? 600000 : pick(8) == 0 ? 70000 : 4000;
      int operation = pick(4);
      boolean last = pick(2) != 0;
      double eps = EPS[pick(4)];
      boolean relu = pick(4) == 0;
      if (operation == LAYER || operation == RMS) {
        int length = Math.min(LENGTHS[pick(LENGTHS.length)], most);
        int rows = 1 + pick(Math.min(most / length, 700));
        return new Size(operation, false, rows, length, 1, 1, eps, relu);
      }
      int channels = CHANNELS[pick(CHANNELS.length)];
      int groups = 1;
      if (operation == GROUP) {
        for (groups = 1 + pick(channels); channels % groups != 0; ) {
          groups--;
        }
      }
      int spatial = Math.min(LENGTHS[pick(LENGTHS.length)], Math.max(most / channels, 1));
      int batch = 1 + pick(Math.min(Math.max(most / (channels * spatial), 1), 600));
      return new Size(operation, last, batch, channels, spatial, groups, eps, relu);
    }
  }

  static Question of(int number, int threads) {
    Numbers numbers = new Numbers(number);
    boolean fixed = number < FIXED.length;
    Size shape = fixed ? FIXED[number] : numbers.shape();
    boolean given = !fixed && shape.operation == BATCH && numbers.pick(4) == 0;
    boolean weighted = fixed || numbers.pick(4) != 0;
    boolean biased = fixed || numbers.pick(4) != 0;
    Kind kind = KINDS[fixed ? number % 5 : numbers.pick(KINDS.length)];
    Kind gradients = KINDS[fixed || numbers.pick(2) == 0 ? 0 : numbers.pick(KINDS.length)];
    float[] x = numbers.values(kind, shape.elements());
    float[] dy = numbers.values(gradients, shape.elements());
    float[] weight = numbers.values(new Kind("", 1, 0.5), shape.channels);
    float[] bias = numbers.values(new Kind("", 0, 1), shape.channels);
    float[] mean = null;
    float[] variance = null;
    if (given) {
      mean = numbers.values(new Kind("", kind.mean, 0.5), shape.channels);
      variance = numbers.values(new Kind("", 0, 1), shape.channels);
      for (int c = 0; c < shape.channels; c++) {
        variance[c] = Math.abs(variance[c]);
      }
    }
    Problem problem = shape.problem(given, weighted, biased, threads);
    return new Question(
        problem, x, dy, weighted ? weight : null, biased ? bias : null, mean, variance);
  }
}
