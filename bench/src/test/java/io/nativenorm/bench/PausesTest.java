package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** What is timed is the call, not what happens before it, and each call has it. */
class PausesTest {
  private record Session(AtomicInteger calls, long nanoseconds) implements Contestant.Session {
    @Override
    public void call() {
      calls.incrementAndGet();
      for (long end = System.nanoTime() + nanoseconds; System.nanoTime() < end; ) {
        Thread.onSpinWait();
      }
    }

    @Override
    public Results results() {
      throw new AssertionError();
    }

    @Override
    public void close() {}
  }

  @Test
  void onlyCallsAreTimed() throws InterruptedException {
    AtomicInteger calls = new AtomicInteger();
    AtomicInteger before = new AtomicInteger();
    double[] medians =
        Pauses.microseconds(
            new Session(calls, 300_000),
            new Session(calls, 100_000),
            () -> {
              before.incrementAndGet();
              LockSupport.parkNanos(1_000_000);
            },
            2);
    assertEquals(calls.get(), before.get());
    assertTrue(medians[0] >= 300 && medians[0] < 900, medians[0] + " us");
    assertTrue(medians[1] >= 100 && medians[1] < 300, medians[1] + " us");
  }
}
