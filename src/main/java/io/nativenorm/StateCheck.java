package io.nativenorm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Whether a state fits a layer, in the words of PyTorch's {@code load_state_dict}. */
final class StateCheck {
  private StateCheck() {}

  static void requireFit(String layer, Map<String, Parameter> own, Map<String, Tensor> state) {
    List<String> errors = new ArrayList<>();
    for (String key : own.keySet()) {
      // PyTorch's files from before 0.4.1 do not have the count.
      if (!state.containsKey(key) && !key.equals("num_batches_tracked")) {
        errors.add("Missing key in state_dict: \"" + key + "\"");
      }
    }
    state.forEach(
        (key, values) -> {
          if (!own.containsKey(key)) {
            errors.add("Unexpected key in state_dict: \"" + key + "\"");
          } else if (values == null || !fits(own.get(key), values)) {
            errors.add(
                "size mismatch for "
                    + key
                    + ": copying a param with shape "
                    + (values == null ? "null" : Shapes.text(values.extents()))
                    + " from the state, the shape in current model is "
                    + Shapes.text(own.get(key).shape()));
          } else if (key.equals("num_batches_tracked") && !isCount(values.inOrder()[0])) {
            errors.add(key + " must be a whole number, 0 or more, but got " + values.inOrder()[0]);
          }
        });
    if (!errors.isEmpty()) {
      throw new IllegalArgumentException(
          layer + ": error in loading state_dict: " + String.join("; ", errors));
    }
  }

  private static boolean isCount(float value) {
    return value >= 0 && value == Math.floor(value) && Float.isFinite(value);
  }

  /** Equal shapes; a scalar may also come as one element. */
  private static boolean fits(Parameter own, Tensor values) {
    return own.shape().length == 0
        ? values.size() == 1
        : Arrays.equals(own.shape(), values.extents());
  }
}
