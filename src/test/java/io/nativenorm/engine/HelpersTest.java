package io.nativenorm.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One engine at a time has threads beside its callers'. */
class HelpersTest {
  private final Helpers.Right right = new Helpers.Right();
  private final List<String> events = new ArrayList<>();
  private final Helpers first = helpers("first", true);
  private final Helpers second = helpers("second", true);

  private Helpers helpers(String name, boolean canEnd) {
    return new Helpers(
        right,
        () -> events.add(name + " begins"),
        () -> {
          events.add(name + " ends");
          return canEnd;
        });
  }

  @Test
  void theFirstToAskGetsThem() {
    assertTrue(first.enter());
    assertTrue(first.enter());
    assertFalse(second.enter());
    first.leave();
    first.leave();
    assertEquals(List.of("first begins"), events);
  }

  @Test
  void whatWasUsedJustNowIsKept() {
    assertTrue(first.enter());
    first.leave();
    assertFalse(second.enter());
    assertTrue(first.enter());
    assertEquals(List.of("first begins"), events);
  }

  @Test
  void whatIsUnusedChangesHands() throws Exception {
    assertTrue(first.enter());
    first.leave();
    Thread.sleep(Helpers.KEPT_NANOSECONDS / 1_000_000 + 1);
    assertTrue(second.enter());
    assertFalse(first.enter());
    second.leaveForLong();
    assertTrue(first.enter());
    assertEquals(
        List.of("first begins", "first ends", "second begins", "second ends", "first begins"),
        events);
  }

  @Test
  void aLongCallKeepsThem() throws Exception {
    assertTrue(first.enter());
    Thread.sleep(Helpers.KEPT_NANOSECONDS / 1_000_000 + 1);
    assertFalse(second.enter());
    first.leave();
  }

  @Test
  void threadsThatCannotEndKeepTheRight() {
    Helpers stubborn = helpers("stubborn", false);
    assertTrue(stubborn.enter());
    stubborn.leaveForLong();
    assertFalse(second.enter());
    assertFalse(second.enterInTurn());
    assertTrue(stubborn.enter());
  }

  @Test
  @Timeout(60)
  void inTurnWaitsForRunningCallsAndStopsNewOnes() throws Exception {
    assertTrue(first.enter());
    ExecutorService pool = Executors.newSingleThreadExecutor();
    Future<Boolean> turn = pool.submit(second::enterInTurn);
    while (first.enter()) { // until second waits
      first.leave();
    }
    assertFalse(turn.isDone());
    first.leave();
    assertTrue(turn.get());
    second.leave();
    pool.shutdown();
    assertEquals(List.of("first begins", "first ends", "second begins"), events);
  }

  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void nothingIsCountedUntilAnotherAsks() {
    assertTrue(first.enterUnlessSole());
    first.leave();
    for (int i = 0; i < 3; i++) {
      assertFalse(first.enterUnlessSole());
    }
    assertTrue(second.enterInTurn(), "waits for none that would have to leave");
    assertFalse(first.enterUnlessSole());
    second.leaveForLong();
    assertTrue(first.enterUnlessSole(), "is counted from now on");
    assertTrue(first.enterUnlessSole());
    assertFalse(second.enter());
    first.leave();
    first.leaveForLong();
    assertTrue(second.enter());
    assertEquals(
        List.of(
            "first begins",
            "first ends",
            "second begins",
            "second ends",
            "first begins",
            "first ends",
            "second begins"),
        events);
  }

  @Test
  void whatMayHaveBegunBeforeAnotherAskedIsKept() throws Exception {
    assertTrue(first.enterUnlessSole());
    first.leaveForLong();
    assertFalse(first.enterUnlessSole());
    assertFalse(second.enter());
    assertTrue(first.enterUnlessSole());
    first.leave();
    Thread.sleep(Helpers.KEPT_NANOSECONDS / 1_000_000 + 1);
    assertTrue(second.enter());
  }

  @Test
  void afterOneUseThatIsGivenBackNothingIsCountedEither() {
    assertTrue(first.enterUnlessSole());
    first.leave();
    assertTrue(second.enterInTurn());
    second.giveBack();
    assertTrue(first.enterUnlessSole());
    first.leave();
    assertFalse(first.enterUnlessSole());
    assertEquals(
        List.of("first begins", "first ends", "second begins", "second ends", "first begins"),
        events);
  }

  @Test
  void whatOthersStillUseIsNotGivenBack() {
    assertTrue(second.enterInTurn());
    assertTrue(second.enter());
    second.giveBack();
    assertFalse(first.enterUnlessSole());
    second.leaveForLong();
    assertTrue(first.enterUnlessSole());
    assertTrue(first.enterUnlessSole());
    assertEquals(List.of("second begins", "second ends", "first begins"), events);
  }

  @Test
  void whoeverAsksSecondIsCounted() {
    assertTrue(second.enter());
    assertFalse(first.enterUnlessSole());
    second.leaveForLong();
    assertTrue(first.enterUnlessSole());
    assertTrue(first.enterUnlessSole());
  }

  @Test
  void neverTwoAtOnce() throws Exception {
    AtomicInteger owners = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    List<Helpers> engines = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      engines.add(
          new Helpers(
              right,
              () -> most.accumulateAndGet(owners.incrementAndGet(), Math::max),
              () -> owners.decrementAndGet() == 0));
    }
    ExecutorService pool = Executors.newFixedThreadPool(8);
    List<Future<Integer>> entered = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      Helpers own = engines.get(i % 3);
      boolean inTurn = i == 7;
      entered.add(
          pool.submit(
              () -> {
                int times = 0;
                for (int call = 0; call < 20_000; call++) {
                  if (inTurn && call % 100 == 0 ? own.enterInTurn() : own.enter()) {
                    times++;
                    own.leaveForLong();
                  }
                }
                return times;
              }));
    }
    int times = 0;
    for (Future<Integer> done : entered) {
      times += done.get();
    }
    pool.shutdown();
    assertTrue(times > 0);
    assertEquals(1, most.get());
  }
}
