package io.nativenorm.engine;

import io.nativenorm.DataType;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The types of what lies in memory. Statistics are F32.
 *
 * @param src type of the input and of its gradient
 * @param dst type of the output and of its gradient
 * @param parameters type of weight and bias, and of their gradients
 */
public record Storage(DataType src, DataType dst, DataType parameters) {
  /** What inputs and outputs may be of. */
  public static final List<DataType> COMPUTED = List.of(DataType.F32, DataType.BF16, DataType.F16);

  /**
   * Input and output of one type, with parameters that are F32.
   *
   * @param type type of input and output
   * @return the storage
   */
  public static Storage of(DataType type) {
    return new Storage(type, type, DataType.F32);
  }

  /**
   * For engines of one type: what this has beside it.
   *
   * @param type the type
   * @return the first other one, nothing if all are of the type
   */
  public Optional<DataType> otherThan(DataType type) {
    return Stream.of(src, dst, parameters).filter(other -> other != type).findFirst();
  }

  /**
   * Whether these are types of an input and its output.
   *
   * @param src the input's
   * @param dst the output's
   * @return true for those that are {@link #COMPUTED}, of one type or one of them F32
   */
  public static boolean isPair(DataType src, DataType dst) {
    return COMPUTED.contains(src)
        && COMPUTED.contains(dst)
        && (src == dst || src == DataType.F32 || dst == DataType.F32);
  }

  /** The types, of which those of output and parameters are left out where they are usual. */
  @Override
  public String toString() {
    String types = src == dst ? src.toString() : src + " to " + dst;
    return parameters == DataType.F32 ? types : types + " with parameters " + parameters;
  }
}
