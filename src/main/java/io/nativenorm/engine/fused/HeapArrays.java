package io.nativenorm.engine.fused;

import io.nativenorm.Layout;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Task;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;

/**
 * When a native call may work on heap arrays in place, in a JNI critical section, instead of on
 * copies. Since JDK 22 G1 pins their regions and goes on collecting (JEP 423). Before, and with
 * other collectors, a collection waits for the end of all critical sections, and an allocation that
 * has waited three times, and found the memory taken by others each time, fails: with 64 threads
 * and 40 to 256 MB of heap thousands did within a minute, those of the program too, with 8 threads
 * none.
 */
final class HeapArrays {
  /**
   * The most elements of a call that the collector may wait for. At 0.1 to 0.35 ns an element
   * (BatchNorm of 512 positions, LayerNorm of rows of 64) that is 7 to 23 us; at the 2 ns of
   * InstanceNorm over 16 positions, the slowest, 130 us.
   */
  static final long SHORT_ELEMENTS = 1 << 16;

  /**
   * Heap for each thread that holds arrays, beyond the first four: more than one can fill with
   * results while another is preempted, some 10 MB a millisecond for time slices of 3 ms.
   */
  private static final long HEAP_EACH = 64L << 20;

  private static final int FEW = 4;

  /**
   * The most threads that hold arrays in turns. A thread that has just yielded has the processor
   * for a time slice, 3 ms or so; one that is preempted in a critical section keeps the collector
   * waiting for as long as all others run. Of 8 threads beside 40 MB of heap (G1, JDK 17, 2
   * processors) that hold theirs at any time 2 to 11 allocations fail in 4 seconds. In turns none
   * did in four minutes, at 0.95 of the calls; copies reach 0.8 of them. Of 16 in turns some fail.
   */
  private static final int IN_TURNS = 8;

  /** With turns of 1 ms 2 allocations failed in 40 seconds; of 0.2 ms they took 3 % more. */
  private static final long TURN_NANOSECONDS = 500_000;

  /** When a thread last yielded, by its number modulo 64. */
  private static final long[] TURNS = new long[64];

  private static final boolean PINNED = Runtime.version().feature() >= 22 && collectsWithG1();

  /** The most threads that hold arrays at any time. */
  private static final int FREE =
      (int) Math.max(FEW, Math.min(64, Runtime.getRuntime().maxMemory() / HEAP_EACH));

  private static final Callers CALLERS = new Callers(FREE, System::nanoTime);

  private HeapArrays() {}

  /** As many as are copied at once, in 10 to 50 us. */
  static final int COPIED_ELEMENTS = 1 << 18;

  /**
   * As many as each thread trains on in a section, in 0.1 ms. Where allocations fail, of four
   * threads that train beside four that allocate without a pause in 64 to 160 MB of heap, they do
   * for one step in 50 to 200, and for as many on copies; with four times as many elements too.
   */
  static final long HELD_ELEMENTS = 1 << 18;

  /** More have no more in a section together: some may be late. */
  private static final int HELD_THREADS = 8;

  /** What {@link #unitsHeld} says of a problem that is executed as a whole. */
  static final long ALL = 0;

  /** And of one whose arrays must be copied. */
  static final long NONE = -1;

  /**
   * For how many units the arrays of a call may be held at once.
   *
   * @param problem what the call computes
   * @param threads how many work on it
   * @return units, or ALL or NONE
   */
  static long unitsHeld(Problem problem, int threads) {
    if (PINNED || (threads == 1 && problem.shape().elements() <= SHORT_ELEMENTS)) {
      return ALL;
    }
    return switch (problem.norm().operation()) {
      case LAYER, RMS -> rowsHeld(problem.shape());
      case BATCH -> channelsHeld(problem, threads);
      case GROUP -> NONE;
    };
  }

  /**
   * Each time by its caller's thread alone: many short sections are faster than copies and several
   * threads. 64 rows of 2048 take 44 us copied, 24 as calls of one row (JDK 17, 2 processors).
   */
  private static long rowsHeld(Shape shape) {
    long length = shape.channels();
    return length <= SHORT_ELEMENTS ? SHORT_ELEMENTS / length : NONE;
  }

  /**
   * Channels that lie apart are units of their own in training, and a section gives each thread
   * some: a step of BatchNorm over 32 x 64 x 56 x 56 takes a third of what it took on copies. A
   * channel alone, on one of two threads, takes 0.6 of it.
   */
  private static long channelsHeld(Problem problem, int threads) {
    Shape shape = problem.shape();
    boolean trains = problem.task() == Task.TRAIN || problem.task() == Task.BACKWARD;
    if (!trains
        || problem.norm().masked()
        || shape.layout() != Layout.CHANNELS_FIRST
        || problem.norm().statistics() == StatisticsSource.GIVEN) {
      return NONE;
    }
    long elements = HELD_ELEMENTS * Math.min(threads, HELD_THREADS);
    long channels = Math.min(elements / (shape.batch() * shape.spatial()), shape.channels());
    if (channels == 0) {
      return NONE;
    }
    return channels < threads ? channels : channels - channels % threads;
  }

  /** Whether they may be held by this thread now: not while many threads call. */
  static boolean mayBeHeldNow() {
    if (PINNED) {
      return true;
    }
    long thread = Thread.currentThread().getId();
    int callers = CALLERS.lately(thread);
    if (callers <= FREE) {
      return true;
    }
    if (callers <= IN_TURNS) {
      beginTurn((int) (thread % TURNS.length));
    }
    return callers <= IN_TURNS;
  }

  /**
   * The same for a call of several sections, one right after the other, and only while a few
   * threads call: of 8 in turns, each with four sections of 2^16 elements beside 64 MB of heap, an
   * allocation failed in 10 seconds.
   */
  static boolean mayBeHeldInSections() {
    return PINNED || CALLERS.lately(Thread.currentThread().getId()) <= FREE;
  }

  private static void beginTurn(int thread) {
    if (System.nanoTime() - TURNS[thread] > TURN_NANOSECONDS) {
      Thread.yield();
      TURNS[thread] = System.nanoTime();
    }
  }

  private static boolean collectsWithG1() {
    List<GarbageCollectorMXBean> collectors = ManagementFactory.getGarbageCollectorMXBeans();
    return collectors.stream().anyMatch(collector -> collector.getName().startsWith("G1"));
  }
}
