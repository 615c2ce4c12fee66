package io.nativenorm.engine.onednn;

import io.nativenorm.Layout;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;

/**
 * Sums over native floats, in float over blocks and in double over all of them. One float sum of n
 * equal values drifts by up to n / 2^25 of itself, 1e-5 from 335 values on; here no value goes
 * through more than 43 float additions. Two rows at a time are copied to the heap, into arrays of
 * their own, and added element by element: such loops the JVM vectorizes.
 *
 * <p>Summed are x - pivot and (x - pivot)^2, or with gradients d those, d * (x - pivot) and x -
 * pivot.
 */
final class BlockSums {
  /**
   * Elements of the widest row. The arrays that are added stay in the L1 cache: rows of 1024 took
   * 1.2 times as long.
   */
  private static final int WIDTH = 512;

  /** Rows that are copied and added at once. */
  private static final int WAYS = 2;

  /** Pairs of rows that are added to the float sums before these are added to the doubles. */
  private static final int TIMES = 32;

  /** The least number of rows that a run is folded into. */
  private static final int FOLDS = 4;

  /** The longest run of a channel that is added position by position over the samples. */
  private static final int LONGEST_PLACES = 1024;

  /** Sums over x alone, and with gradients. */
  private static final int MOMENTS = 2;

  static final int GRADIENTS = 3;

  private final Memory src;

  /** Null where moments are summed. */
  private final Memory gradient;

  private final boolean isRows;
  private final int channels;
  private final long spatial;

  /** Floats in a row of sums. */
  private final int most;

  private final float[][] x;
  private final float[][] d;
  private final float[] pivots;
  private final float[][] sums;

  /**
   * Sums of x - pivot and of its square, in this order; or with a gradient those of d, of d * (x -
   * pivot) and of x - pivot.
   *
   * @param gradient null for moments
   */
  BlockSums(Problem problem, Memory src, Memory gradient) {
    this.src = src;
    this.gradient = gradient;
    isRows = problem.shape().layout() == Layout.CHANNELS_LAST;
    channels = Math.toIntExact(problem.shape().channels());
    spatial = problem.shape().spatial();
    most = (int) Math.min(WIDTH, Math.max(channels, channels * spatial / FOLDS));
    x = new float[WAYS][most];
    d = gradient == null ? null : new float[WAYS][most];
    pivots = new float[most];
    sums = new float[gradient == null ? MOMENTS : GRADIENTS][most];
  }

  /** A place for sums of some cells. */
  double[][] results(int cells) {
    return new double[sums.length][cells];
  }

  /** Adds the sums over a contiguous run to {@code into[kind][cell]}. */
  void addRun(long start, long length, float pivot, double[][] into, int cell) {
    int width = (int) Math.max(1, Math.min(most, length / FOLDS));
    Arrays.fill(pivots, 0, width, pivot);
    long rows = length / width;
    addRows(start, width, rows, width, width, 1, into, cell);
    int tail = (int) (length - rows * width);
    addRows(start + rows * width, tail, tail > 0 ? 1 : 0, tail, tail, 1, into, cell);
  }

  /** Adds the sums over samples from a first one on, channel by channel. */
  void addSamples(long first, long samples, float[] pivot, double[][] into) {
    long start = first * channels * spatial;
    if (isRows) {
      addColumns(start, samples * spatial, pivot, into);
    } else {
      addChannels(start, samples, 0, channels, pivot, into);
    }
  }

  /** Adds the sums over samples whose channels are runs, for channels from one to another. */
  void addChannels(long start, long samples, int from, int to, float[] pivot, double[][] into) {
    if (samples >= FOLDS && spatial <= LONGEST_PLACES) {
      addPlaces(start, samples, from, to, pivot, into);
      return;
    }
    for (long n = 0; n < samples; n++) {
      for (int c = from; c < to; c++) {
        addRun(start + (n * channels + c) * spatial, spatial, pivot[c], into, c);
      }
    }
  }

  /** Adds the sums over rows of all channels that follow each other, column by column. */
  void addColumns(long start, long rows, float[] pivot, double[][] into) {
    int together = (int) Math.max(1, Math.min(most / channels, rows / WAYS));
    for (int first = 0; first < channels; first += most) {
      int tile = Math.min(most, channels - first);
      for (int i = 0; i < together; i++) {
        System.arraycopy(pivot, first, pivots, i * tile, tile);
      }
      long wide = rows / together;
      int stride = together * channels;
      addRows(start + first, stride, wide, together * tile, 1, tile, into, first);
      long done = wide * together;
      addRows(start + done * channels, channels, rows - done, tile, 1, tile, into, first);
    }
  }

  /**
   * Adds short runs position by position over the samples, of some channels at once: run by run,
   * runs of 196 elements took four times as long.
   */
  private void addPlaces(
      long start, long samples, int from, int to, float[] pivot, double[][] into) {
    int place = (int) Math.min(most, spatial);
    int together = spatial > most ? 1 : most / place;
    for (int c = from; c < to; c += together) {
      int cells = Math.min(together, to - c);
      for (int i = 0; i < cells; i++) {
        Arrays.fill(pivots, i * place, (i + 1) * place, pivot[c + i]);
      }
      for (int at = 0; at < spatial; at += place) {
        int each = (int) Math.min(place, spatial - at);
        long first = start + c * spatial + at;
        addRows(first, channels * spatial, samples, cells * each, each, cells, into, c);
      }
    }
  }

  /**
   * Adds rows of {@code width} elements, of which {@code each} in a row belong to one cell, the
   * next ones to the next, and so on, over {@code cells} cells and again from the first.
   */
  private void addRows(
      long start,
      long stride,
      long rows,
      int width,
      int each,
      int cells,
      double[][] into,
      int cell) {
    int times = 0;
    for (long row = 0; row < rows; row += WAYS) {
      load(start + row * stride, 0, width);
      if (row + 1 < rows) {
        load(start + (row + 1) * stride, 1, width);
      } else {
        System.arraycopy(pivots, 0, x[1], 0, width);
        if (d != null) {
          Arrays.fill(d[1], 0, width, 0);
        }
      }
      if (d == null) {
        addMoments(x[0], x[1], pivots, width, sums[0], sums[1]);
      } else {
        add(d[0], d[1], width, sums[0]);
        addProducts(x[0], x[1], d[0], d[1], pivots, width, sums[1], sums[2]);
      }
      times++;
      if (times == TIMES || row + WAYS >= rows) {
        empty(width, each, cells, into, cell);
        times = 0;
      }
    }
  }

  private void load(long start, int way, int width) {
    src.read(start, x[way], 0, width);
    if (d != null) {
      gradient.read(start, d[way], 0, width);
    }
  }

  private static void addMoments(
      float[] a, float[] b, float[] pivots, int width, float[] sum, float[] squares) {
    for (int j = 0; j < width; j++) {
      float p = a[j] - pivots[j];
      float q = b[j] - pivots[j];
      sum[j] += p + q;
      squares[j] += p * p + q * q;
    }
  }

  private static void add(float[] a, float[] b, int width, float[] sum) {
    for (int j = 0; j < width; j++) {
      sum[j] += a[j] + b[j];
    }
  }

  private static void addProducts(
      float[] a,
      float[] b,
      float[] c,
      float[] d,
      float[] pivots,
      int width,
      float[] products,
      float[] sum) {
    for (int j = 0; j < width; j++) {
      float p = a[j] - pivots[j];
      float q = b[j] - pivots[j];
      sum[j] += p + q;
      products[j] += p * c[j] + q * d[j];
    }
  }

  private void empty(int width, int each, int cells, double[][] into, int cell) {
    for (int kind = 0; kind < sums.length; kind++) {
      if (each == 1) {
        addSingles(sums[kind], width, cells, into[kind], cell);
      } else {
        for (int i = 0; i < cells; i++) {
          into[kind][cell + i] += total(sums[kind], i * each, each);
        }
      }
      Arrays.fill(sums[kind], 0, width, 0);
    }
  }

  private static void addSingles(float[] sum, int width, int cells, double[] into, int cell) {
    for (int row = 0; row < width; row += cells) {
      for (int i = 0; i < cells; i++) {
        into[cell + i] += sum[row + i];
      }
    }
  }

  /** Four partial sums, which are added to the double after eight additions each. */
  private static double total(float[] a, int from, int length) {
    double total = 0;
    int i = from;
    int end = from + length;
    for (; i + 32 <= end; i += 32) {
      float s0 = 0;
      float s1 = 0;
      float s2 = 0;
      float s3 = 0;
      for (int j = i; j < i + 32; j += 4) {
        s0 += a[j];
        s1 += a[j + 1];
        s2 += a[j + 2];
        s3 += a[j + 3];
      }
      total += (s0 + s1) + (s2 + s3);
    }
    for (; i < end; i++) {
      total += a[i];
    }
    return total;
  }
}
