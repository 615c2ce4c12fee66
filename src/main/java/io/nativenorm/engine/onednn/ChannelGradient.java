package io.nativenorm.engine.onednn;

import io.nativenorm.Layout;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;

/**
 * The gradient from {@link BlockSums} of each channel and one more pass. oneDNN sums all gradients
 * of a channel one after another in float: 2^25 equal ones come out as 2^24. With r = 1 /
 * sqrt(variance + eps), xhat = (x - mean) * r, g = dy * weight, over the n elements of a unit:
 *
 * <pre>
 *   dbias = sum(dy)      dweight = sum(dy * xhat)
 *   dx = r * (g - sum(g) / n - xhat * sum(g * xhat) / n) = a * dy + b * (x - pivot) + c
 * </pre>
 *
 * The pivot is the mean as it was handed out, rounded to float; the sums show what it is off by.
 */
final class ChannelGradient {
  private static final int WIDTH = 1024;

  private final Problem problem;
  private final boolean given;
  private final boolean rms;
  private final int channels;
  private final int units;
  private final int members;

  /** How many samples share their units: all of a batch, else one. */
  private final long samples;

  private final double unitSize;
  private final Slices slices;
  private final GradientSums sums;

  /** For BATCH, GROUP, or rows, which are samples of one group. */
  ChannelGradient(Problem problem, Slices slices) {
    this.problem = problem;
    this.slices = slices;
    sums = new GradientSums(problem, slices);
    boolean batch = problem.norm().operation() == Operation.BATCH;
    given = problem.norm().statistics() == StatisticsSource.GIVEN;
    rms = problem.norm().operation() == Operation.RMS;
    channels = Math.toIntExact(problem.shape().channels());
    units = batch ? channels : (int) problem.shape().groups();
    members = channels / units;
    samples = batch ? problem.shape().batch() : 1;
    unitSize = (double) samples * members * problem.shape().spatial();
  }

  /** Computes all gradients; false, with some of them written, where something is beyond float. */
  boolean run(Operands o) {
    if (unitSize == 1) {
      return false; // the difference of two products, which is 0, is their rounding in float
    }
    double[] weightSums = new double[channels];
    double[] biasSums = new double[channels];
    for (long first = 0; first < problem.shape().batch(); first += samples) {
      if (!new Part(o, first).run(weightSums, biasSums)) {
        return false;
      }
    }
    store(weightSums, o.get(Slot.DIFF_WEIGHT));
    store(biasSums, o.get(Slot.DIFF_BIAS));
    return true;
  }

  static void store(double[] sums, Memory gradient) {
    if (gradient != null) {
      float[] rounded = new float[sums.length];
      for (int i = 0; i < sums.length; i++) {
        rounded[i] = (float) sums[i];
      }
      gradient.write(0, rounded, 0, rounded.length);
    }
  }

  /** Samples with their units. */
  private final class Part {
    private final Operands o;
    private final long first;
    private final float[] pivots = new float[channels];
    private final float[] a = new float[channels];
    private final float[] b = new float[channels];
    private final float[] c = new float[channels];

    Part(Operands o, long first) {
      this.o = o;
      this.first = first;
    }

    boolean run(double[] weightSums, double[] biasSums) {
      FloatView means = o.view(Slot.MEAN);
      long firstUnit = first / samples * units;
      for (int i = 0; i < channels; i++) {
        pivots[i] = rms ? 0 : means.get(firstUnit + i / members);
      }
      double[][] results =
          needsSums()
              ? sums.of(o.get(Slot.SRC), o.get(Slot.DIFF_DST), first, samples, pivots)
              : new double[BlockSums.GRADIENTS][channels];
      boolean finite = true;
      for (int unit = 0; unit < units; unit++) {
        double v = o.view(Slot.VARIANCE).get(firstUnit + unit) + problem.norm().eps();
        double mean = rms ? 0 : means.get(firstUnit + unit);
        if (!ExactStatistics.isUsual(v) || !ExactStatistics.isUsualMean(mean)) {
          return false;
        }
        finite &= addUnit(unit, 1 / Math.sqrt(v), results, weightSums, biasSums);
      }
      if (finite) {
        writeInput();
      }
      return finite;
    }

    /** To dx given statistics are constants. */
    private boolean needsSums() {
      return !given || o.has(Slot.DIFF_WEIGHT) || o.has(Slot.DIFF_BIAS);
    }

    private boolean addUnit(
        int unit, double r, double[][] sums, double[] weightSums, double[] biasSums) {
      FloatView weight = o.view(Slot.WEIGHT);
      int from = unit * members;
      double lacking = 0;
      if (!given && !rms) {
        for (int i = from; i < from + members; i++) {
          lacking += sums[2][i] / unitSize;
        }
      }
      double sumG = 0;
      double sumGXhat = 0;
      for (int i = from; i < from + members; i++) {
        double dyXhat = (sums[1][i] - lacking * sums[0][i]) * r;
        double scale = weight == null ? 1 : weight.get(i);
        weightSums[i] += dyXhat;
        biasSums[i] += sums[0][i];
        sumG += sums[0][i] * scale;
        sumGXhat += dyXhat * scale;
      }
      double slope = given ? 0 : -r * r * sumGXhat / unitSize;
      double shift = (given || rms ? 0 : -r * sumG / unitSize) - slope * lacking;
      boolean finite = Float.isFinite((float) slope) && Float.isFinite((float) shift);
      for (int i = from; i < from + members; i++) {
        a[i] = (float) (r * (weight == null ? 1 : weight.get(i)));
        b[i] = (float) slope;
        c[i] = (float) shift;
        finite &= Float.isFinite(a[i]);
      }
      return finite;
    }

    /** dx of these samples: rows of channels, or for each channel a run. */
    private void writeInput() {
      long spatial = problem.shape().spatial();
      long start = first * channels * spatial;
      long rows = samples * spatial;
      boolean byRows = problem.shape().layout() == Layout.CHANNELS_LAST;
      long all = byRows ? rows : samples * channels;
      int count = Slices.count(rows * channels, all);
      if (byRows) {
        Factors factors = new Factors(this, (int) Math.max(1, Math.min(WIDTH / channels, rows)));
        slices.run(
            count,
            all,
            (slice, from, to) ->
                writeRows(factors, start + from * channels, (to - from) * channels));
      } else {
        slices.run(count, all, (slice, from, to) -> writeRuns(start, from, to));
      }
    }

    private void writeRows(Factors factors, long start, long count) {
      Pass pass = new Pass(o);
      int wide = factors.together;
      for (long row = 0; row < count; row += wide) {
        int block = (int) Math.min(wide, count - row);
        for (int at = 0; at < block; at += WIDTH) {
          int width = Math.min(WIDTH, block - at);
          pass.load(start + row + at, width);
          pass.run(width, factors, at / WIDTH);
          pass.store(start + row + at, width);
        }
      }
    }

    private void writeRuns(long start, long firstRun, long endRun) {
      long spatial = problem.shape().spatial();
      Pass pass = new Pass(o);
      int together = (int) Math.max(1, WIDTH / spatial);
      for (long run = firstRun; run < endRun; run += together) {
        int runs = (int) Math.min(together, endRun - run);
        for (long at = 0; at < spatial; at += WIDTH) {
          int width = (int) Math.min(WIDTH, spatial - at);
          pass.load(start + run * spatial + at, runs * width);
          for (int i = 0; i < runs; i++) {
            int c = (int) ((run + i) % channels);
            pass.run(i * width, (i + 1) * width, pivots[c], a[c], b[c], this.c[c]);
          }
          pass.store(start + run * spatial + at, runs * width);
        }
      }
    }
  }

  /** The factors of all channels, for so many rows together, in parts of a WIDTH. */
  private static final class Factors {
    private final int together;
    private final float[][] pivots;
    private final float[][] a;
    private final float[][] b;
    private final float[][] c;

    Factors(Part part, int rows) {
      together = rows * part.a.length;
      pivots = parts(part.pivots);
      a = parts(part.a);
      b = parts(part.b);
      c = parts(part.c);
    }

    private float[][] parts(float[] values) {
      float[][] parts = new float[(together + WIDTH - 1) / WIDTH][Math.min(WIDTH, together)];
      for (int i = 0; i < together; i++) {
        parts[i / WIDTH][i % WIDTH] = values[i % values.length];
      }
      return parts;
    }
  }

  /** dx = a * dy + b * (x - pivot) + c, element by element. */
  private static final class Pass {
    private final Operands o;
    private final float[] x = new float[WIDTH];
    private final float[] dy = new float[WIDTH];

    Pass(Operands o) {
      this.o = o;
    }

    void load(long start, int count) {
      o.get(Slot.SRC).read(start, x, 0, count);
      o.get(Slot.DIFF_DST).read(start, dy, 0, count);
    }

    void run(int count, Factors factors, int part) {
      combine(
          x, dy, count, factors.pivots[part], factors.a[part], factors.b[part], factors.c[part]);
    }

    private static void combine(
        float[] x, float[] dy, int count, float[] pivots, float[] a, float[] b, float[] c) {
      for (int j = 0; j < count; j++) {
        dy[j] = a[j] * dy[j] + (b[j] * (x[j] - pivots[j]) + c[j]);
      }
    }

    void run(int from, int to, float pivot, float a, float b, float c) {
      for (int j = from; j < to; j++) {
        dy[j] = a * dy[j] + (b * (x[j] - pivot) + c);
      }
    }

    void store(long start, int count) {
      o.get(Slot.DIFF_SRC).write(start, dy, 0, count);
    }
  }
}
