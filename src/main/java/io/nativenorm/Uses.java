package io.nativenorm;

import org.jspecify.annotations.Nullable;

/** Some tensors, or nulls, in use together. */
final class Uses {
  private Uses() {}

  /** Throws, and none is in use, if one of them is closed. */
  static void begin(@Nullable Tensor... tensors) {
    int used = 0;
    try {
      for (; used < tensors.length; used++) {
        if (tensors[used] != null) {
          tensors[used].acquire();
        }
      }
    } catch (RuntimeException | Error e) {
      end(tensors, used);
      throw e;
    }
  }

  static void end(@Nullable Tensor... tensors) {
    end(tensors, tensors.length);
  }

  private static void end(@Nullable Tensor[] tensors, int count) {
    for (int i = 0; i < count; i++) {
      if (tensors[i] != null) {
        tensors[i].release();
      }
    }
  }
}
