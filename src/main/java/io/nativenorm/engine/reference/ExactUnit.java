package io.nativenorm.engine.reference;

import io.nativenorm.engine.memory.FloatView;
import org.jspecify.annotations.Nullable;

/**
 * A unit in plain loops of doubles, in two passes where others take one: for the few whose numbers
 * overflow in float, or underflow until nothing but rounding is left.
 */
final class ExactUnit {
  private final Unit unit;

  /** Null where all counts. */
  private final @Nullable Counts counts;

  ExactUnit(Unit unit) {
    this(unit, null);
  }

  ExactUnit(Unit unit, @Nullable Counts counts) {
    this.unit = unit;
    this.counts = counts;
  }

  /** Whether element (i, j) counts in the statistics. */
  interface Counts {
    boolean is(long i, long j);
  }

  private interface Body {
    void accept(long at, int channel, boolean counts);
  }

  /** All elements in the order of their indices, with the channel in the unit, and what counts. */
  private void forAll(Body body) {
    for (long i = 0; i < unit.outer(); i++) {
      long at = unit.start() + i * unit.outerStride();
      int channel = (int) (i * unit.outerChannels());
      for (long j = 0; j < unit.inner(); j++) {
        body.accept(at, channel, counts == null || counts.is(i, j));
        at += unit.innerStride();
        channel += unit.innerChannels();
      }
    }
  }

  /** How many values count. */
  private double values() {
    if (counts == null) {
      return unit.values();
    }
    double[] values = new double[1];
    forAll((at, channel, is) -> values[0] += is ? 1 : 0);
    return values[0];
  }

  /**
   * 1 / sqrt(variance + eps). It is 0, so that all of the unit is, for a variance beyond the
   * largest float, and for none where no float is large enough (eps is 0 or next to it), unless
   * that is given.
   */
  static double inverseDeviation(double variance, double eps, boolean given) {
    if (variance > Float.MAX_VALUE) {
      return 0;
    }
    double inverse = 1 / Math.sqrt(variance + eps);
    return !given && variance == 0 && inverse > Float.MAX_VALUE ? 0 : inverse;
  }

  /** The mean, or 0 if not centered, and the sum of squared distances from it. */
  void measure(FloatView x, boolean centered, UnitMoments moments) {
    double[] sums = new double[2];
    if (centered) {
      forAll((at, channel, is) -> sums[0] += is ? x.get(at) : 0);
      sums[0] /= values();
    }
    double mean = sums[0];
    forAll(
        (at, channel, is) -> {
          double distance = is ? x.get(at) - mean : 0;
          sums[1] += distance * distance;
        });
    moments.set(mean, sums[1]);
  }

  /** y = (x - mean) * inverse * weight + bias. */
  void normalize(ForwardViews views, boolean relu, double mean, double inverse) {
    forAll(
        (at, channel, is) -> {
          double distance = views.x().get(at) - mean;
          // Of a unit without spread it is 0, whatever its deviation.
          double normalized = distance == 0 ? 0 : distance * inverse;
          double shift = views.bias() == null ? 0 : views.bias().get(unit.channel() + channel);
          double value = normalized * weightOf(views.weight(), channel) + shift;
          views.y().put(at, (float) (relu ? Math.max(value, 0) : value));
        });
  }

  /** y = bias, where nothing counts. */
  void writeBias(ForwardViews views, boolean relu) {
    forAll(
        (at, channel, is) -> {
          float bias = views.bias() == null ? 0 : views.bias().get(unit.channel() + channel);
          views.y().put(at, relu ? Math.max(bias, 0) : bias + 0f);
        });
  }

  private double weightOf(FloatView weight, int channel) {
    return weight == null ? 1 : weight.get(unit.channel() + channel);
  }

  /**
   * The unit's gradient,
   *
   * <pre>
   *   dx = inverse * (g - sum(g) / n - (x - mean) * inverse^2 * sum(g * (x - mean)) / n)
   * </pre>
   *
   * with g = dy * weight. Adds sum(dy * (x - mean) * inverse) and sum(dy) of each channel to sums,
   * from {@code first} on, if there are such. Its statistics are the given ones, constants that
   * leave none of these sums, or else measured again: as floats they may have lost what counts.
   * What a mask does not count is in these sums where its dy is not 0, x may be anything there; its
   * dx is inverse * g. Where nothing counts the output is the bias.
   */
  void differentiate(
      GradientViews views,
      double[] given,
      boolean centered,
      double eps,
      double[] weightSums,
      double[] biasSums,
      int first) {
    double n = values();
    if (n == 0) {
      forAll(
          (at, channel, is) -> {
            biasSums[first + channel] += views.cut(at);
            views.dx().put(at, 0);
          });
      return;
    }
    UnitMoments moments = new UnitMoments();
    if (given != null) {
      moments.set(given[0], given[1]);
    } else {
      measure(views.x(), centered, moments);
    }
    double mean = moments.mean;
    double variance = given != null ? moments.m2 : moments.m2 / n;
    double inverse = inverseDeviation(variance, eps, given != null);
    double[] sums = sum(views, mean, inverse, weightSums, biasSums, first);
    double dyMean = given != null || !centered ? 0 : sums[0] / n;
    // Where the variance is infinite only what is infinite itself is not 0.
    double xFactor = given != null || inverse == 0 ? 0 : inverse * inverse * (sums[1] / n);
    forAll(
        (at, channel, is) -> {
          double g = views.cut(at) * weightOf(views.weight(), channel);
          double rest = is ? g - dyMean - (views.x().get(at) - mean) * xFactor : g;
          views.dx().put(at, (float) (rest == 0 ? 0 : rest * inverse));
        });
  }

  /** sum(g) and sum(g * (x - mean)), and what the unit adds to the sums of its channels. */
  private double[] sum(
      GradientViews views,
      double mean,
      double inverse,
      double[] weightSums,
      double[] biasSums,
      int first) {
    double[] sums = new double[2];
    forAll(
        (at, channel, is) -> {
          double gradient = views.cut(at);
          if (!is && gradient == 0) {
            return;
          }
          double distance = views.x().get(at) - mean;
          double g = gradient * weightOf(views.weight(), channel);
          sums[0] += g;
          sums[1] += g * distance;
          if (weightSums != null) {
            if (distance != 0) {
              weightSums[first + channel] += gradient * distance * inverse;
            }
            biasSums[first + channel] += gradient;
          }
        });
    return sums;
  }

  /** Adds what the unit has in the sums of its channels, from {@code first} on. */
  void addTo(
      double[] weightSums,
      double[] biasSums,
      int first,
      GradientViews views,
      boolean centered,
      double eps) {
    UnitMoments moments = new UnitMoments();
    measure(views.x(), centered, moments);
    double inverse = inverseDeviation(moments.m2 / values(), eps, false);
    sum(views, moments.mean, inverse, weightSums, biasSums, first);
  }
}
