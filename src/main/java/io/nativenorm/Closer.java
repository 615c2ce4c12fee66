package io.nativenorm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Closes the tensors made so far unless they are kept: for methods that make more than one. */
final class Closer implements AutoCloseable {
  private final List<Tensor> made = new ArrayList<>();

  /** Takes a tensor or null, and returns it. */
  <T extends @Nullable Tensor> T add(T tensor) {
    if (tensor != null) {
      made.add(tensor);
    }
    return tensor;
  }

  /** Leaves tensors (or nulls) to the caller. */
  void keep(@Nullable Tensor... tensors) {
    made.removeAll(Arrays.asList(tensors));
  }

  @Override
  public void close() {
    made.forEach(Tensor::close);
  }
}
