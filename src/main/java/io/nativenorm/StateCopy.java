package io.nativenorm;

import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.Longs;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A state to be loaded, read once: what was checked is what is copied in, whatever its owner does
 * meanwhile, and no code of the owner's runs while a layer is locked. What does not fit is said in
 * the words of PyTorch's {@code load_state_dict}.
 */
final class StateCopy implements AutoCloseable {
  private static final String COUNT = "num_batches_tracked";
  private static final String VARIANCE = "running_var";

  private final double eps;
  private final Map<String, Parameter> own;
  private final Map<Parameter, Tensor> copies = new LinkedHashMap<>();
  private final List<String> missing = new ArrayList<>();
  private final List<String> unexpected = new ArrayList<>();
  private final List<String> errors = new ArrayList<>();

  /**
   * Copies what there is of a state for a layer's parameters, if that fits; else, and if strict
   * also where there is more or less, throws.
   */
  StateCopy(
      String layer,
      double eps,
      Map<String, Parameter> own,
      Map<String, Tensor> state,
      boolean strict) {
    this.eps = eps;
    this.own = own;
    Map<String, Tensor> given = new LinkedHashMap<>();
    for (Map.Entry<String, Tensor> entry : state.entrySet()) {
      given.put(entry.getKey(), entry.getValue());
    }
    for (String key : own.keySet()) {
      // PyTorch's files from before 0.4.1 do not have the count.
      if (!given.containsKey(key) && !key.equals(COUNT)) {
        missing.add(key);
      }
    }
    if (strict) {
      missing.forEach(key -> errors.add("Missing key in state_dict: \"" + key + "\""));
    }
    try {
      given.forEach((key, values) -> read(key, values, strict));
      if (!errors.isEmpty()) {
        throw new IllegalArgumentException(
            layer + ": error in loading state_dict: " + String.join("; ", errors));
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private void read(String key, Tensor values, boolean strict) {
    Parameter parameter = own.get(key);
    if (parameter == null) {
      unexpected.add(key);
      if (strict) {
        errors.add("Unexpected key in state_dict: \"" + key + "\"");
      }
    } else if (parameter.isReadOnly()) {
      errors.add(key + " is the caller's read-only memory, into which nothing is loaded");
    } else if (values == null || !hasShape(parameter, values)) {
      errors.add(
          "size mismatch for "
              + key
              + ": copying a param with shape "
              + (values == null ? "null" : Shapes.text(values.extents()))
              + " from the state, the shape in current model is "
              + Shapes.text(parameter.shape()));
    } else if (key.equals(COUNT)) {
      readCount(parameter, values);
    } else if (!Storage.COMPUTED.contains(values.dataType())) {
      errors.add(key + " must be one of " + Storage.COMPUTED + ", but got " + values.dataType());
    } else {
      Tensor copy = widened(values);
      copies.put(parameter, copy);
      if (key.equals(VARIANCE)) {
        checkVariances(copy.toArray());
      }
    }
  }

  /** Shapes that are equal but for extents of 1, which move no element: (C), (1, C, 1, 1). */
  private static boolean hasShape(Parameter own, Tensor values) {
    return Arrays.equals(Shapes.withoutOnes(own.shape()), Shapes.withoutOnes(values.extents()));
  }

  /** A copy as floats, which hold every number of 16 bits, in the order of a parameter. */
  private static Tensor widened(Tensor values) {
    Tensor ordered = values.to(Layout.CHANNELS_FIRST);
    if (ordered.dataType() == DataType.F32) {
      return ordered;
    }
    try (ordered) {
      return ordered.to(DataType.F32);
    }
  }

  /** A count is an integer in PyTorch's files of today, a float in this library's older ones. */
  private void readCount(Parameter parameter, Tensor values) {
    if (values.dataType() != DataType.I64 && values.dataType() != DataType.F32) {
      errors.add(COUNT + " must be I64 or F32, but got " + values.dataType());
      return;
    }
    Tensor copy = values.to(Layout.CHANNELS_FIRST);
    copies.put(parameter, copy);
    if (copy.dataType() == DataType.F32) {
      float count = copy.toArray()[0];
      if (!Longs.isWhole(count) || count < 0) {
        errors.add(COUNT + " must be a whole number, 0 or more, but got " + count);
        return;
      }
      copies.put(parameter, copy.to(DataType.I64));
      copy.close();
    } else if (Longs.get(copy.memory(), 0) < 0) {
      errors.add(
          COUNT + " must be a whole number, 0 or more, but got " + Longs.get(copy.memory(), 0));
    }
  }

  /**
   * Every variance must leave something positive under the root, or be 0 or more. Infinity does: it
   * is what a batch beyond the floats' range leaves, and such a channel gives its bias.
   */
  private void checkVariances(float[] variances) {
    for (int c = 0; c < variances.length; c++) {
      float variance = variances[c];
      if (!(variance >= 0 || variance + eps > 0)) {
        errors.add(
            VARIANCE
                + " must be above -eps, "
                + -eps
                + ", but got "
                + variance
                + " for channel "
                + c);
        return;
      }
    }
  }

  /** Copies the state in; the layer is locked. */
  void load() {
    copies.forEach(Parameter::set);
  }

  /** What was missing or unknown. */
  IncompatibleKeys incompatible() {
    return new IncompatibleKeys(missing, unexpected);
  }

  @Override
  public void close() {
    copies.values().forEach(Tensor::close);
  }
}
