package io.nativenorm;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

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
    this(message, null);
  }

  /** One that another thing was found by, or nothing. */
  NativeNormException(String message, @Nullable Throwable cause) {
    super(Objects.requireNonNull(message, "message"), cause);
  }
}
