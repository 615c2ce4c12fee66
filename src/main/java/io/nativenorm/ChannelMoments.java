package io.nativenorm;

import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;
import java.util.Objects;

/**
 * How many values each channel has, their mean and the sum of their squared distances from it, in
 * doubles: what {@link BatchNorm#measure} finds in a part of a batch, and what two parts have
 * together. It does not change.
 *
 * <pre>{@code
 * try (BatchNorm norm = BatchNorm.of(64);
 *     Tensor some = Tensor.zeros(3, 64, 14, 14);
 *     Tensor others = Tensor.zeros(5, 64, 14, 14);
 *     Tensor y = Tensor.zeros(3, 64, 14, 14)) {
 *   ChannelMoments all = norm.measure(some).merge(norm.measure(others));
 *   norm.apply(some, all, y);                                 // as if all eight were one batch
 *   double[] message = all.toArray();                         // for another process
 *   ChannelMoments there = ChannelMoments.fromArray(message);
 * }
 * }</pre>
 *
 * <p>Merging is Chan's rule: with the distance d of the means, {@code mean = a.mean + d * b.count /
 * n} and {@code m2 = a.m2 + b.m2 + d^2 * a.count * b.count / n}. It loses no digits where means are
 * large beside the spread, as sums of squares do, and nothing where variances are far below eps, as
 * {@code 1 / sqrt(variance + eps)} does. The last bits depend on the order: who wants the same on
 * all workers merges in the same order on all.
 *
 * @see <a href="https://doi.org/10.1080/00031305.1983.10483115">Chan, Golub and LeVeque, 1983</a>
 */
public final class ChannelMoments {
  private final double count;
  private final double[] mean;
  private final double[] m2;

  /** Takes the arrays over. */
  ChannelMoments(double count, double[] mean, double[] m2) {
    this.count = count;
    this.mean = mean;
    this.m2 = m2;
  }

  /** Those of no value. */
  static ChannelMoments none(int channels) {
    return new ChannelMoments(0, new double[channels], new double[channels]);
  }

  /**
   * How many values each channel has.
   *
   * @return 0 of an empty part
   */
  public double count() {
    return count;
  }

  /**
   * The means.
   *
   * @return a copy, of one for each channel; of an empty part they say nothing
   */
  public double[] mean() {
    return mean.clone();
  }

  /**
   * The sums of squared distances from the means; over {@link #count} they are the biased
   * variances.
   *
   * @return a copy, of one for each channel
   */
  public double[] m2() {
    return m2.clone();
  }

  /** How many channels there are. */
  int channels() {
    return mean.length;
  }

  /**
   * The biased variances as FUSED's training has them: it multiplies by the share of a value. Of no
   * value they are 0.
   */
  double[] variance() {
    double share = count == 0 ? 0 : 1 / count;
    double[] variance = m2.clone();
    for (int c = 0; c < variance.length; c++) {
      variance[c] *= share;
    }
    return variance;
  }

  /** Means and biased variances as floats. */
  void roundInto(Memory means, Memory variances) {
    FloatView meanView = means.view();
    FloatView varianceView = variances.view();
    double[] variance = variance();
    for (int c = 0; c < variance.length; c++) {
      meanView.put(c, (float) mean[c]);
      varianceView.put(c, (float) variance[c]);
    }
  }

  /**
   * The moments of both parts together. An empty part changes nothing, not a bit.
   *
   * @param other of as many channels
   * @return moments of all values
   * @throws IllegalArgumentException if it is of other channels
   */
  public ChannelMoments merge(ChannelMoments other) {
    Objects.requireNonNull(other, "other");
    if (other.channels() != channels()) {
      throw new IllegalArgumentException(
          "moments: expected others of " + channels() + " channels, but got " + other);
    }
    if (other.count == 0) {
      return this;
    }
    if (count == 0) {
      return other;
    }
    double[] both = toArray();
    add(both, other.toArray());
    return split(both);
  }

  /** Adds a part that is not empty to another, both as {@link #toArray} has them. */
  private static void add(double[] sum, double[] part) {
    double n = sum[0] + part[0];
    double share = part[0] / n;
    int channels = sum.length / 2;
    for (int mean = 1; mean <= channels; mean++) {
      int m2 = mean + channels;
      double distance = part[mean] - sum[mean];
      sum[mean] += distance * share;
      sum[m2] = sum[m2] + part[m2] + distance * distance * (sum[0] * share);
    }
    sum[0] = n;
  }

  /** What workers have given, each as {@link #toArray} has it, merged in the order of ranks. */
  static ChannelMoments merged(double[][] workers) {
    double[] sum = workers[0].clone();
    for (int rank = 0; rank < workers.length; rank++) {
      double[] part = workers[rank];
      try {
        require(part);
      } catch (IllegalArgumentException e) {
        throw new ExchangeException("rank " + rank + " gave no " + e.getMessage(), rank, e);
      }
      if (sum[0] == 0) {
        System.arraycopy(part, 0, sum, 0, part.length);
      } else if (rank > 0 && part[0] > 0) {
        add(sum, part);
      }
    }
    return split(sum);
  }

  /**
   * All of it for a message: the count, the means, the sums of squared distances.
   *
   * @return a new array of 2C + 1
   */
  public double[] toArray() {
    double[] values = new double[2 * mean.length + 1];
    values[0] = count;
    System.arraycopy(mean, 0, values, 1, mean.length);
    System.arraycopy(m2, 0, values, 1 + mean.length, m2.length);
    return values;
  }

  /**
   * What {@link #toArray} has made into an array, or moments from elsewhere.
   *
   * @param values the count, C means and C sums of squared distances, copied; means and sums may be
   *     infinite or NaN, as they are where values were
   * @return the moments
   * @throws IllegalArgumentException if these are not 2C + 1 values with C at least 1, the count is
   *     negative or not finite, or a sum of squares is negative
   */
  public static ChannelMoments fromArray(double[] values) {
    double[] own = Objects.requireNonNull(values, "values").clone();
    require(own);
    return split(own);
  }

  private static void require(double[] values) {
    if (values.length < 3 || values.length % 2 == 0) {
      throw new IllegalArgumentException(
          "moments: expected 2C + 1 values, a count, C means and C sums, but got " + values.length);
    }
    if (!(values[0] >= 0) || Double.isInfinite(values[0]) || values[0] != Math.rint(values[0])) {
      throw new IllegalArgumentException(
          "moments: expected a finite whole count of 0 or more, but got " + values[0]);
    }
    int channels = values.length / 2;
    for (int c = 0; c < channels; c++) {
      double m2 = values[1 + channels + c];
      if (m2 < 0) {
        throw new IllegalArgumentException(
            "moments: expected sums of squares of 0 or more, but got " + m2 + " of channel " + c);
      }
    }
  }

  private static ChannelMoments split(double[] values) {
    int channels = values.length / 2;
    return new ChannelMoments(
        values[0],
        Arrays.copyOfRange(values, 1, 1 + channels),
        Arrays.copyOfRange(values, 1 + channels, values.length));
  }

  /** The number of channels and the count. */
  @Override
  public String toString() {
    return "moments of " + mean.length + " channels and " + count + " values of each";
  }
}
