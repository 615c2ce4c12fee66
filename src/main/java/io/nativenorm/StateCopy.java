package io.nativenorm;

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
  private final List<String> errors = new ArrayList<>();

  /** Copies a state that fits a layer's parameters; else throws. */
  StateCopy(String layer, double eps, Map<String, Parameter> own, Map<String, Tensor> state) {
    this.eps = eps;
    this.own = own;
    Map<String, Tensor> given = new LinkedHashMap<>();
    for (Map.Entry<String, Tensor> entry : state.entrySet()) {
      given.put(entry.getKey(), entry.getValue());
    }
    for (String key : own.keySet()) {
      // PyTorch's files from before 0.4.1 do not have the count.
      if (!given.containsKey(key) && !key.equals(COUNT)) {
        errors.add("Missing key in state_dict: \"" + key + "\"");
      }
    }
    try {
      given.forEach(this::read);
      if (!errors.isEmpty()) {
        throw new IllegalArgumentException(
            layer + ": error in loading state_dict: " + String.join("; ", errors));
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private void read(String key, Tensor values) {
    Parameter parameter = own.get(key);
    if (parameter == null) {
      errors.add("Unexpected key in state_dict: \"" + key + "\"");
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
    } else if (values.dataType() != DataType.F32) {
      errors.add(key + " must be of type F32, but got " + values.dataType());
    } else {
      Tensor copy = values.to(Layout.CHANNELS_FIRST);
      copies.put(parameter, copy);
      if (key.equals(VARIANCE)) {
        checkVariances(copy.toArray());
      }
    }
  }

  /** Equal shapes; a scalar may also come as one element. */
  private static boolean hasShape(Parameter own, Tensor values) {
    return own.shape().length == 0
        ? values.size() == 1
        : Arrays.equals(own.shape(), values.extents());
  }

  /** A count is an integer in PyTorch's files of today, a float in this library's older ones. */
  private void readCount(Parameter parameter, Tensor values) {
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

  @Override
  public void close() {
    copies.values().forEach(Tensor::close);
  }
}
