package io.nativenorm.engine.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** How many threads have called lately. */
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

  private int call(int threads) {
    int lately = 0;
    for (int thread = 100; thread < 100 + threads; thread++) {
      lately = callers.lately(thread);
    }
    return lately;
  }

  @Test
  void aFewAreAsManyForEver() {
    for (int round = 0; round < 100; round++) {
      assertEquals(8, call(8));
      time.addAndGet(LATELY / 3);
    }
    assertEquals(1 + 8, readings.get(), "known callers do not cost a reading of the clock");
  }

  @Test
  void oneMoreCountsUntilItHasNotCalledForSomeTime() {
    assertEquals(8, call(8));
    assertEquals(9, call(9));
    time.addAndGet(LATELY + 1);
    assertEquals(9, call(1), "the others have called in the time before");
    time.addAndGet(LATELY + 1);
    assertEquals(8, call(8));
  }

  @Test
  void manyThatTakeTurnsAllCount() {
    call(64);
    for (int turn = 0; turn < 1000; turn++) {
      assertTrue(callers.lately(turn % 64) > 8);
      time.addAndGet(LATELY / 40);
    }
  }

  @Test
  void afterAPauseNobodyHasCalled() {
    assertEquals(64, call(64));
    time.addAndGet(2 * LATELY + 1);
    assertEquals(8, call(8));
  }

  @Test
  void threadsThatComeAndGoOneAfterTheOtherAreForgotten() {
    for (int thread = 0; thread < 1000; thread++) {
      assertTrue(callers.lately(thread) <= 8);
      time.addAndGet(LATELY / 3);
    }
  }
}
