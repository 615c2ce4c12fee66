package io.nativenorm.engine.reference;

/**
 * Loops over the first elements of arrays, all with the same index, which the compiler vectorizes
 * where it can (0.1 ns an element, Zen 3).
 */
final class Elementwise {
  private Elementwise() {}

  /** Distances from a center: x -= center, from some place of a block on. */
  static void subtract(float[] x, int from, int to, float center) {
    for (int i = from; i < to; i++) {
      x[i] -= center;
    }
  }

  static void subtract(float[] x, float[] centers, int count) {
    for (int i = 0; i < count; i++) {
      x[i] -= centers[i];
    }
  }

  static void multiply(float[] x, float[] factors, int from, int to) {
    for (int i = from; i < to; i++) {
      x[i] *= factors[i];
    }
  }

  /** y = (x - center) * scale + shift. */
  static void normalize(float[] x, int count, float center, float scale, float shift) {
    for (int i = 0; i < count; i++) {
      x[i] = Math.fma(x[i] - center, scale, shift);
    }
  }

  /** y = ((x - center) * scale + shift) * weight + bias. */
  static void normalize(
      float[] x, int count, float center, float scale, float shift, float[] weight, float[] bias) {
    for (int i = 0; i < count; i++) {
      x[i] = Math.fma(Math.fma(x[i] - center, scale, shift), weight[i], bias[i]);
    }
  }

  /** y = (x - center) * scale + shift, with those of each element. */
  static void normalize(float[] x, int count, float[] center, float[] scale, float[] shift) {
    for (int i = 0; i < count; i++) {
      x[i] = Math.fma(x[i] - center[i], scale[i], shift[i]);
    }
  }

  /** y = max(y, 0), which is NaN for NaN. */
  static void relu(float[] y, int count) {
    for (int i = 0; i < count; i++) {
      y[i] = Math.max(y[i], 0f);
    }
  }

  /**
   * dy where the output is positive or NaN, else 0. As numbers these are bits above those of 0 and,
   * of NaN with a sign, above those of -Infinity: a branch would be mispredicted every other time.
   */
  static void cut(float[] dy, float[] y, int from, int to) {
    final int least = 0xff800000;
    for (int i = from; i < to; i++) {
      int bits = Float.floatToRawIntBits(y[i]);
      int kept = ((-bits & ~bits) | ((least - bits) & bits)) >> 31;
      dy[i] = Float.intBitsToFloat(Float.floatToRawIntBits(dy[i]) & kept);
    }
  }

  /** dx = dy_factor * (dy - dy_center) + x_factor * (x - center) + constant, in place of dy. */
  static void differentiate(float[] dy, float[] x, int count, Gradient g) {
    float center = g.center();
    float dyCenter = g.dyCenter();
    float dyFactor = g.dyFactor();
    float xFactor = g.xFactor();
    float constant = g.constant();
    for (int i = 0; i < count; i++) {
      float rest = Math.fma(xFactor, x[i] - center, constant);
      dy[i] = Math.fma(dyFactor, dy[i] - dyCenter, rest);
    }
  }

  /** The same where a mask's number is not 0, and elsewhere dy_factor * dy, whatever x is. */
  static void differentiate(float[] dy, float[] x, float[] mask, int count, Gradient g) {
    float center = g.center();
    int dyCenter = Float.floatToRawIntBits(g.dyCenter());
    float dyFactor = g.dyFactor();
    float xFactor = g.xFactor();
    float constant = g.constant();
    for (int i = 0; i < count; i++) {
      int kept = -Float.floatToRawIntBits(mask[i]) >> 31;
      int rest = Float.floatToRawIntBits(Math.fma(xFactor, x[i] - center, constant)) & kept;
      float gradient = dy[i] - Float.intBitsToFloat(dyCenter & kept);
      dy[i] = Math.fma(dyFactor, gradient, Float.intBitsToFloat(rest));
    }
  }

  /** The same with those of each element. */
  static void differentiate(
      float[] dy,
      float[] x,
      int count,
      float[] center,
      float[] dyFactor,
      float[] xFactor,
      float[] constant,
      float[] dyCenter) {
    for (int i = 0; i < count; i++) {
      float rest = Math.fma(xFactor[i], x[i] - center[i], constant[i]);
      dy[i] = Math.fma(dyFactor[i], dy[i] - dyCenter[i], rest);
    }
  }
}
