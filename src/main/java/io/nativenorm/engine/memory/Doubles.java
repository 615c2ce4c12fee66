package io.nativenorm.engine.memory;

/** Doubles in memory of 64-bit elements. */
public final class Doubles {
  private Doubles() {}

  /**
   * Copies all elements out.
   *
   * @param memory of an array's length
   * @return their values
   */
  public static double[] read(Memory memory) {
    double[] values = new double[Math.toIntExact(memory.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = Double.longBitsToDouble(Longs.get(memory, i));
    }
    return values;
  }

  /**
   * Copies an array in.
   *
   * @param values the new elements
   * @param memory for as many
   */
  public static void write(double[] values, Memory memory) {
    for (int i = 0; i < values.length; i++) {
      Longs.put(memory, i, Double.doubleToRawLongBits(values[i]));
    }
  }
}
