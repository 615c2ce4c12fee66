package io.nativenorm;

import java.util.Objects;

/**
 * What the gradient of a part of a batch sums up to in each channel, in doubles: {@code sum(dy)},
 * which is the bias's gradient, and {@code sum(dy * (x - mean))}, from which the weight's and the
 * input's come. {@link BatchNorm#sumGradients} finds it; the sums of several parts are added. It
 * does not change.
 */
public final class GradientSums {
  private final double[] dy;
  private final double[] dyCentered;

  /** Takes the arrays over. */
  GradientSums(double[] dy, double[] dyCentered) {
    this.dy = dy;
    this.dyCentered = dyCentered;
  }

  /**
   * The sums of the output's gradient.
   *
   * @return a copy, of one for each channel
   */
  public double[] dy() {
    return dy.clone();
  }

  /**
   * The sums of the output's gradient times the input's distance from the mean.
   *
   * @return a copy, of one for each channel
   */
  public double[] dyCentered() {
    return dyCentered.clone();
  }

  /** How many channels there are. */
  int channels() {
    return dy.length;
  }

  /** The gradient of the weight, of values that have these moments. */
  float[] weightGradient(ChannelMoments m, double eps) {
    double[] variance = m.variance();
    float[] gradient = new float[dy.length];
    for (int c = 0; c < gradient.length; c++) {
      // As forward has it: one beyond the largest float leaves nothing of x.
      gradient[c] = (float) (dyCentered[c] / Math.sqrt((float) variance[c] + eps));
    }
    return gradient;
  }

  float[] biasGradient() {
    float[] gradient = new float[dy.length];
    for (int c = 0; c < gradient.length; c++) {
      gradient[c] = (float) dy[c];
    }
    return gradient;
  }

  /**
   * The sums of both parts together, of which each must have been taken around the same means.
   *
   * @param other of as many channels
   * @return sums over all values
   * @throws IllegalArgumentException if they are of other channels
   */
  public GradientSums merge(GradientSums other) {
    Objects.requireNonNull(other, "other");
    if (other.channels() != channels()) {
      throw new IllegalArgumentException(
          "gradient sums: expected others of " + channels() + " channels, but got " + other);
    }
    double[] both = dy.clone();
    double[] bothCentered = dyCentered.clone();
    for (int c = 0; c < both.length; c++) {
      both[c] += other.dy[c];
      bothCentered[c] += other.dyCentered[c];
    }
    return new GradientSums(both, bothCentered);
  }

  /** What workers have given, each as {@link #toArray} has it, merged in the order of ranks. */
  static GradientSums merged(double[][] workers) {
    double[] sums = workers[0].clone();
    for (int rank = 1; rank < workers.length; rank++) {
      for (int i = 0; i < sums.length; i++) {
        sums[i] += workers[rank][i];
      }
    }
    return fromArray(sums);
  }

  /**
   * All of it for a message: the sums of dy, then those of dy times the distance.
   *
   * @return a new array of 2C
   */
  public double[] toArray() {
    double[] values = new double[2 * dy.length];
    System.arraycopy(dy, 0, values, 0, dy.length);
    System.arraycopy(dyCentered, 0, values, dy.length, dy.length);
    return values;
  }

  /**
   * What {@link #toArray} has made into an array.
   *
   * @param values C sums of dy and C of dy times the distance, copied
   * @return the sums
   * @throws IllegalArgumentException if these are not 2C values with C at least 1
   */
  public static GradientSums fromArray(double[] values) {
    double[] own = Objects.requireNonNull(values, "values").clone();
    if (own.length == 0 || own.length % 2 == 1) {
      throw new IllegalArgumentException(
          "gradient sums: expected 2C values, C sums of dy and C of dy times the distance, but got "
              + own.length);
    }
    int channels = own.length / 2;
    double[] sums = new double[channels];
    double[] centered = new double[channels];
    System.arraycopy(own, 0, sums, 0, channels);
    System.arraycopy(own, channels, centered, 0, channels);
    return new GradientSums(sums, centered);
  }

  /** The number of channels. */
  @Override
  public String toString() {
    return "gradient sums of " + dy.length + " channels";
  }
}
