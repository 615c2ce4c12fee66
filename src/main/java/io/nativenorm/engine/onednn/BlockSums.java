package io.nativenorm.engine.onednn;

import io.nativenorm.Layout;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.Problem;
import java.util.Arrays;

/**
 * Sums over native floats, in float over blocks and in double over all of them. One float sum of n
 * equal values drifts by up to n / 2^25 of itself, 1e-5 from 335 values on; here no value goes
 * through more than 48 float additions. Four rows at a time are fetched into arrays of their own
 * and added element by element: that is what the JVM compiles to vector instructions.
 *
 * <p>Summed are x - pivot and (x - pivot)^2, or with gradients d those, d * (x - pivot) and x -
 * pivot.
 */
final class BlockSums {
  /** The widest row: two times four of them and the sums stay in the second-level cache. */
  private static final int WIDTH = 1024;

  /** Rows that are fetched at once. */
  private static final int WAYS = 4;

  /** Times that float sums are added before they go into the doubles. */
  private static final int TIMES = 16;

  /** Sums over x alone, and with gradients. */
  private static final int MOMENTS = 2;

  private static final int GRADIENTS = 3;

  private final NativeFloats src;

  /** Null where moments are summed. */
  private final NativeFloats gradient;

  /** Floats in a row of sums. */
  private final int most;

  private final float[][] x;
  private final float[][] d;
  private final float[] pivots;
  private final float[][] sums;

  /** Sums of x - pivot and of its square, in this order. */
  static BlockSums ofMoments(Problem problem, NativeFloats src) {
    return new BlockSums(problem, src, null);
  }

  /** Sums of d, of d * (x - pivot) and of x - pivot. */
  static BlockSums ofGradients(Problem problem, NativeFloats src, NativeFloats gradient) {
    return new BlockSums(problem, src, gradient);
  }

  private BlockSums(Problem problem, NativeFloats src, NativeFloats gradient) {
    this.src = src;
    this.gradient = gradient;
    long sample = problem.channels() * problem.spatial();
    most = (int) Math.min(WIDTH, Math.max(problem.channels(), sample / WAYS));
    x = new float[WAYS][most];
    d = gradient == null ? null : new float[WAYS][most];
    pivots = new float[most];
    sums = new float[gradient == null ? MOMENTS : GRADIENTS][most];
  }

  /** A place for sums of some cells. */
  double[][] results(int cells) {
    return new double[sums.length][cells];
  }

  /** Adds the sums over neighbours in memory to {@code into[kind][cell]}. */
  void addRun(long start, long length, float pivot, double[][] into, int cell) {
    int width = (int) Math.max(1, Math.min(most, length / WAYS));
    Arrays.fill(pivots, 0, width, pivot);
    long rows = length / width;
    addRows(start, width, rows, width, width, 1, into, cell);
    int rest = (int) (length - rows * width);
    addRows(start + rows * width, rest, rest > 0 ? 1 : 0, rest, rest, 1, into, cell);
  }

  /**
   * Adds the sums over rows that follow each other, column by column, to {@code into[kind][cell +
   * column]}; {@code pivot[cell + column]} is the column's.
   */
  private void addColumns(
      long start, long rows, int columns, float[] pivot, double[][] into, int cell) {
    int together = (int) Math.max(1, Math.min(most / columns, rows / WAYS));
    for (int first = 0; first < columns; first += most) {
      int tile = Math.min(most, columns - first);
      for (int i = 0; i < together; i++) {
        System.arraycopy(pivot, cell + first, pivots, i * tile, tile);
      }
      long wide = rows / together;
      int stride = together * columns;
      addRows(start + first, stride, wide, together * tile, 1, tile, into, cell + first);
      long done = wide * together;
      addRows(start + done * columns, columns, rows - done, tile, 1, tile, into, cell + first);
    }
  }

  /** Adds the sums over some samples, channel by channel. */
  void addSamples(Problem problem, long first, long samples, float[] pivot, double[][] into) {
    int channels = Math.toIntExact(problem.channels());
    long spatial = problem.spatial();
    long start = first * channels * spatial;
    if (problem.layout() == Layout.CHANNELS_LAST) {
      addColumns(start, samples * spatial, channels, pivot, into, 0);
      return;
    }
    if (samples >= WAYS && spatial <= most) {
      addPlaces(start, samples, channels, (int) spatial, pivot, into);
      return;
    }
    for (long run = 0; run < samples * channels; run++) {
      int channel = (int) (run % channels);
      addRun(start + run * spatial, spatial, pivot[channel], into, channel);
    }
  }

  /** Short runs go place by place over the samples: by themselves 196 took four times as long. */
  private void addPlaces(
      long start, long samples, int channels, int spatial, float[] pivot, double[][] into) {
    int together = most / spatial;
    for (int c = 0; c < channels; c += together) {
      int cells = Math.min(together, channels - c);
      for (int i = 0; i < cells; i++) {
        Arrays.fill(pivots, i * spatial, (i + 1) * spatial, pivot[c + i]);
      }
      long stride = (long) channels * spatial;
      long at = start + (long) c * spatial;
      addRows(at, stride, samples, cells * spatial, spatial, cells, into, c);
    }
  }

  /** Adds rows of a width; so many elements each belong to so many cells in turn. */
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
      for (int i = 0; i < WAYS; i++) {
        if (row + i < rows) {
          fetch(start + (row + i) * stride, i, width);
        } else {
          Arrays.fill(x[i], 0, width, 0);
          if (d != null) {
            Arrays.fill(d[i], 0, width, 0);
          }
        }
      }
      if (d == null) {
        add(x, width, sums[0]);
        addProducts(x, x, width, sums[1]);
      } else {
        add(d, width, sums[0]);
        addProducts(d, x, width, sums[1]);
        add(x, width, sums[2]);
      }
      times++;
      if (times == TIMES || row + WAYS >= rows) {
        empty(width, each, cells, into, cell);
        times = 0;
      }
    }
  }

  /** Takes a row in, x as its distance from the pivot. */
  private void fetch(long start, int way, int width) {
    float[] row = x[way];
    src.read(start, row, 0, width);
    subtract(row, pivots, width);
    if (d != null) {
      gradient.read(start, d[way], 0, width);
    }
  }

  private static void subtract(float[] a, float[] b, int width) {
    for (int j = 0; j < width; j++) {
      a[j] -= b[j];
    }
  }

  private static void add(float[][] rows, int width, float[] sum) {
    float[] a = rows[0];
    float[] b = rows[1];
    float[] c = rows[2];
    float[] d = rows[3];
    for (int j = 0; j < width; j++) {
      sum[j] += (a[j] + b[j]) + (c[j] + d[j]);
    }
  }

  private static void addProducts(float[][] left, float[][] right, int width, float[] sum) {
    for (int i = 0; i < WAYS; i += 2) {
      float[] a = left[i];
      float[] b = left[i + 1];
      float[] c = right[i];
      float[] d = right[i + 1];
      for (int j = 0; j < width; j++) {
        sum[j] += a[j] * c[j] + b[j] * d[j];
      }
    }
  }

  private void empty(int width, int each, int cells, double[][] into, int cell) {
    for (int kind = 0; kind < sums.length; kind++) {
      float[] sum = sums[kind];
      for (int j = 0; j < width; ) {
        for (int c = 0; c < cells; c++, j += each) {
          into[kind][cell + c] += each == 1 ? sum[j] : total(sum, j, each);
        }
      }
      Arrays.fill(sum, 0, width, 0);
    }
  }

  /** Four sums at once, which go into the double after eight additions each. */
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
