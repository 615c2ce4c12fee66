package io.nativenorm.engine;

import java.util.function.BooleanSupplier;

/**
 * Two engines' threads with a right between them that nobody has asked for, which the process has
 * only once.
 *
 * @param first the threads of the one
 * @param second those of another, which can be begun and ended at any time
 */
public record HelpersPair(Helpers first, Helpers second) {
  /** With what begins and ends the threads of the first. */
  public static HelpersPair of(Runnable begin, BooleanSupplier end) {
    Helpers.Right right = new Helpers.Right();
    return new HelpersPair(
        new Helpers(right, begin, end), new Helpers(right, () -> {}, () -> true));
  }
}
