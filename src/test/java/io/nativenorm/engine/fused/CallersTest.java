package io.nativenorm.engine.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** How many threads call. */
class CallersTest {
  private static final long LATELY = Callers.LATELY_NANOSECONDS;

  private final AtomicLong time = new AtomicLong(-12 * LATELY); // a clock begins anywhere
  private final AtomicInteger readings = new AtomicInteger();
  private final Callers callers =
      new Callers(
          8,
          () -> {
            readings.incrementAndGet();
            return time.get();
          });

  private boolean call(int threads) {
    boolean few = true;
    for (int thread = 100; thread < 100 + threads; thread++) {
      few = callers.areFew(thread);
    }
    return few;
  }

  @Test
  void aFewAreFewForEver() {
    for (int round = 0; round < 100; round++) {
      assertTrue(call(8));
      time.addAndGet(LATELY / 3);
    }
    assertEquals(1 + 8, readings.get(), "known callers do not cost a reading of the clock");
  }

  @Test
  void oneMoreIsManyUntilItHasNotCalledForSomeTime() {
    assertTrue(call(8));
    assertFalse(call(9));
    time.addAndGet(LATELY + 1);
    assertFalse(call(1), "the others have called in the time before");
    time.addAndGet(LATELY + 1);
    assertTrue(call(8));
  }

  @Test
  void manyThatTakeTurnsAreMany() {
    call(64);
    for (int turn = 0; turn < 1000; turn++) {
      assertFalse(callers.areFew(turn % 64));
      time.addAndGet(LATELY / 40);
    }
  }

  @Test
  void afterAPauseNobodyHasCalled() {
    assertFalse(call(64));
    time.addAndGet(2 * LATELY + 1);
    assertTrue(call(8));
  }

  @Test
  void threadsThatComeAndGoOneAfterTheOtherAreFew() {
    for (int thread = 0; thread < 1000; thread++) {
      assertTrue(callers.areFew(thread));
      time.addAndGet(LATELY / 3);
    }
  }
}
