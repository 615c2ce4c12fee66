package io.nativenorm.engine;

import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** A call that a recording may have: if it is slow, or if it is the next one's turn. */
public final class CallRecord {
  /** As often as the JVM's own samples of what threads do. */
  static final long SAMPLE_NANOSECONDS = 20_000_000;

  private static final SlowCall SLOW = new SlowCall();
  private static final CallSample SAMPLE = new CallSample();
  private static final AtomicLong LAST_SAMPLE =
      new AtomicLong(System.nanoTime() - SAMPLE_NANOSECONDS);

  private final SlowCall slow = new SlowCall();
  private final CallSample sample = new CallSample();

  private CallRecord() {
    slow.begin();
    sample.begin();
  }

  /** A call that begins now, or null if no recording wants one. */
  static @Nullable CallRecord begun() {
    return SLOW.isEnabled() || SAMPLE.isEnabled() ? new CallRecord() : null;
  }

  /**
   * The call is done.
   *
   * @param layer the layer, as it prints itself
   * @param plan what ran
   * @param copied whether input or output were copied, or reordered
   */
  public void end(String layer, Plan plan, boolean copied) {
    slow.end();
    sample.end();
    if (slow.shouldCommit()) {
      slow.describe(layer, plan, copied);
      slow.commit();
    }
    if (sample.shouldCommit() && isTurn()) {
      sample.describe(layer, plan, copied);
      sample.commit();
    }
  }

  /** By the clock, so that a million small calls a second leave no more than a hundred large. */
  private static boolean isTurn() {
    long now = System.nanoTime();
    long last = LAST_SAMPLE.get();
    return now - last >= SAMPLE_NANOSECONDS && LAST_SAMPLE.compareAndSet(last, now);
  }
}
