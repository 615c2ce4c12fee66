package io.nativenorm;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * An exchange between workers failed: one of them died, came too late, closed its end or was at
 * another step. The exchange is dead then, on all workers; what the layers had before the call is
 * as it was.
 */
public class ExchangeException extends NativeNormException {
  private static final long serialVersionUID = 1L;
  private static final int UNKNOWN = -1;

  /** The worker at fault, or -1. */
  private final int rank;

  /**
   * Creates an exception that does not know whose fault it was.
   *
   * @param message what failed, at which step, and why
   * @param cause what it was found by, or null
   */
  public ExchangeException(String message, @Nullable Throwable cause) {
    super(message, cause);
    rank = UNKNOWN;
  }

  /**
   * Creates an exception that names a worker.
   *
   * @param message what failed, at which step, of which rank, and why
   * @param rank the worker that did not do what the others waited for
   * @param cause what it was found by, or null
   * @throws IllegalArgumentException if the rank is negative
   */
  public ExchangeException(String message, int rank, @Nullable Throwable cause) {
    super(message, cause);
    if (rank < 0) {
      throw new IllegalArgumentException("expected a rank of 0 or more, but got " + rank);
    }
    this.rank = rank;
  }

  /**
   * The worker that did not do what the others waited for, the first if there are several.
   *
   * @return its rank, or nothing where the exchange does not know it
   */
  public OptionalInt rank() {
    return rank == UNKNOWN ? OptionalInt.empty() : OptionalInt.of(rank);
  }

  /**
   * What workers throw that came to each other with different calls: it names the first that is not
   * where most are, or if no call has more of them than another, not where the lowest rank is. The
   * same on all that have the same calls before them.
   *
   * @param calls what each worker came with in the order of ranks, such as {@code "0/7/forward of
   *     513 values"}; not all the same
   * @return the exception, to be thrown
   * @throws IllegalArgumentException if all are the same
   */
  public static ExchangeException differing(List<String> calls) {
    List<String> all = List.copyOf(Objects.requireNonNull(calls, "calls"));
    String expected = mostFrequent(all);
    StringBuilder others = new StringBuilder();
    int first = UNKNOWN;
    for (int r = 0; r < all.size(); r++) {
      if (!all.get(r).equals(expected)) {
        others.append(first == UNKNOWN ? "rank " : ", rank ").append(r);
        others.append(" came with ").append(all.get(r));
        first = first == UNKNOWN ? r : first;
      }
    }
    if (first == UNKNOWN) {
      throw new IllegalArgumentException("all workers came with the same: " + expected);
    }
    String message =
        "the workers are not at the same step: " + others + ", but rank " + all.indexOf(expected);
    return new ExchangeException(message + " with " + expected, first, null);
  }

  /** Of several the one that comes first. */
  private static String mostFrequent(List<String> calls) {
    Map<String, Integer> counts = new HashMap<>();
    calls.forEach(call -> counts.merge(call, 1, Integer::sum));
    String best = "";
    for (String call : calls) {
      if (counts.get(call) > counts.getOrDefault(best, 0)) {
        best = call;
      }
    }
    return best;
  }
}
