package io.nativenorm.engine.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Holds arenas open while their memory is used. The one way that is documented is to pass their
 * segments to a native function, for as long as that runs: here it is the C library's bsearch,
 * which is given the segments and calls the use as its comparison. That takes 0.2 us, and needs no
 * library of ours.
 */
public final class ArenaHold {
  /** A use on its way through native code, where nothing may be thrown. */
  private static final class Use {
    private final Runnable body;
    private boolean isDone;
    private Throwable thrown;

    Use(Runnable body) {
      this.body = body;
    }

    void run() {
      try {
        body.run();
      } catch (Throwable e) {
        thrown = e;
      }
      isDone = true;
    }

    /** Throws what the body threw. */
    void end() {
      if (thrown instanceof Error e) {
        throw e;
      }
      if (thrown != null) {
        throw (RuntimeException) thrown; // a Runnable throws nothing else
      }
      if (!isDone) {
        throw new StackOverflowError();
      }
    }
  }

  /**
   * How many calls deep the stack is tried. Where it ends on the way into the comparison, the JVM
   * ends the process. With 32 it did not in 300 overflows, with 16 it did.
   */
  private static final int TRIED = 64;

  /** Reads what the tries add up to, so that they are made. */
  private static volatile long tried;

  private static final ThreadLocal<Use> NEXT = new ThreadLocal<>();

  private ArenaHold() {}

  /**
   * Why nothing can be held.
   *
   * @return a sentence, or nothing where it can
   */
  public static Optional<String> missing() {
    return Optional.ofNullable(Bsearch.MISSING);
  }

  /**
   * Runs a use of memory. An arena that another thread closes meanwhile stays open, and its {@code
   * close} throws.
   *
   * @param memories those that are used; null for none
   * @param use what is run once, on this thread
   * @throws IllegalStateException if an arena is closed
   */
  public static void during(Memory[] memories, Runnable use) {
    List<Object> segments = new ArrayList<>();
    for (Memory memory : memories) {
      if (memory != null && memory.isHeld()) {
        segments.add(memory.segment());
      }
    }
    during(segments, use);
  }

  /** Two of them with one call. */
  private static void during(List<Object> segments, Runnable use) {
    int count = segments.size();
    if (count == 0) {
      use.run();
    } else if (count <= 2) {
      hold(segments.get(0), segments.get(count - 1), use);
    } else {
      hold(segments.get(0), segments.get(1), () -> during(segments.subList(2, count), use));
    }
  }

  private static void hold(Object first, Object second, Runnable body) {
    tried = tryStack(TRIED, 1, 2, 3, 4, 5, 6, 7);
    Use use = new Use(body);
    NEXT.set(use);
    try {
      long found = (long) Bsearch.HANDLE.invokeExact(first, second);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    } finally {
      NEXT.remove();
    }
    use.end();
  }

  /** With more arguments than there are registers, so that a call takes its stack. */
  private static long tryStack(int depth, long a, long b, long c, long d, long e, long f, long g) {
    return depth == 0 ? a + b + c + d + e + f + g : c + tryStack(depth - 1, b, c, d, e, f, g, a);
  }

  /** The comparison, called by native code. */
  @SuppressWarnings("unused")
  static int compare(long key, long element) {
    NEXT.get().run();
    return 0;
  }
}
