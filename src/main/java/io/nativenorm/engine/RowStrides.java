package io.nativenorm.engine;

/**
 * Where rows lie that do not all follow each other: so many do, and the next ones begin {@code
 * stride} elements after the first of these, in each operand by itself. Only rows of {@link
 * Operation#LAYER} and {@link Operation#RMS} do so.
 *
 * @param together rows that follow each other; 0 for all, and then all strides are 0
 * @param src stride of the input; 0 is as close as can be, here and in the others
 * @param dst of the output
 * @param diffDst of the output's gradient; 0 but for {@link Task#BACKWARD}
 * @param diffSrc of the input's gradient; likewise
 */
public record RowStrides(long together, long src, long dst, long diffDst, long diffSrc) {
  /** All rows follow each other. */
  public static final RowStrides CLOSE = new RowStrides(0, 0, 0, 0, 0);

  /**
   * Those of input and output.
   *
   * @param together rows that follow each other
   * @param src stride of the input
   * @param dst of the output
   * @return strides without those of gradients
   */
  public static RowStrides of(long together, long src, long dst) {
    return new RowStrides(together, src, dst, 0, 0);
  }

  /**
   * Whether all rows follow each other.
   *
   * @return true if there are no strides
   */
  public boolean areClose() {
    return together == 0;
  }

  /** How many are together, and how far the next ones are. */
  @Override
  public String toString() {
    String text = together + " rows together, strides " + src + " and " + dst;
    return diffDst == 0 && diffSrc == 0
        ? text
        : text + ", of gradients " + diffDst + " and " + diffSrc;
  }
}
