package io.nativenorm;

import java.util.Objects;

/**
 * An engine could not do what was asked of it: a native library is missing or failed, or a named
 * {@link Backend} does not take the problem. Wrong arguments are {@link IllegalArgumentException}s.
 */
public class NativeNormException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message what failed, on which problem, and why
   */
  public NativeNormException(String message) {
    super(Objects.requireNonNull(message, "message"));
  }
}
