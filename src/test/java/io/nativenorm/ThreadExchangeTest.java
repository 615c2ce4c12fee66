package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An exchange between threads: all have what each gave, or all fail and know by whom. */
@Timeout(60)
class ThreadExchangeTest {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Duration SHORT = Duration.ofMillis(200);

  private static ExchangeException fails(Workers.Outcome<?> outcome) {
    return outcome.failure(ExchangeException.class);
  }

  /** All fail, one with the words of each other, and the exchange is dead. */
  private static void allFail(
      List<StatisticsExchange> ends, Workers.Body<?> body, int rank, String message) {
    List<Workers.Outcome<Object>> outcomes = Workers.outcomes(ends, body::run);
    for (StatisticsExchange end : ends) {
      ExchangeException e = fails(outcomes.get(end.rank()));
      assertEquals("exchange between " + ends.size() + " threads: " + message, e.getMessage());
      assertEquals(OptionalInt.of(rank), e.rank());
      ExchangeException later =
          assertThrows(ExchangeException.class, () -> end.allGather("later", new double[1]));
      assertEquals(e.getMessage(), later.getMessage());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8})
  void allHaveWhatEachGaveRoundAfterRound(int workers) {
    List<StatisticsExchange> ends = StatisticsExchange.threads(workers, LONG);
    Workers.run(
        ends,
        end -> {
          Random random = new Random(end.rank());
          for (int round = 0; round < 2000; round++) {
            if (random.nextInt(300) == 0) {
              Thread.sleep(1); // the others sleep too
            }
            double[] mine = {end.rank() + 0.5, round, -0.0, Double.NaN};
            double[][] all = end.allGather("sum/" + round, mine);
            mine[0] = -1;
            assertEquals(workers, all.length);
            for (int r = 0; r < workers; r++) {
              assertArrayEquals(new double[] {r + 0.5, round, -0.0, Double.NaN}, all[r]);
            }
          }
          return null;
        });
    for (int r = 0; r < workers; r++) {
      assertEquals(r, ends.get(r).rank());
      assertEquals(workers, ends.get(r).size());
    }
  }

  @Test
  void oneThatDoesNotComeIsNamed() {
    List<StatisticsExchange> ends = StatisticsExchange.threads(3, SHORT);
    long begin = System.nanoTime();
    allFail(
        ends,
        end -> {
          end.allGather("a/0", new double[1]);
          if (end.rank() == 1) {
            Thread.sleep(2 * SHORT.toMillis());
          }
          return end.allGather("a/1", new double[1]);
        },
        1,
        "rank 1 did not come to a/1 within PT0.2S");
    assertTrue(System.nanoTime() - begin < 10 * SHORT.toNanos());
  }

  @Test
  void allThatDoNotComeAreNamed() {
    List<StatisticsExchange> ends = StatisticsExchange.threads(4, SHORT);
    ExchangeException e =
        assertThrows(ExchangeException.class, () -> ends.get(1).allGather("a/0", new double[0]));
    assertEquals(
        "exchange between 4 threads: rank 0, rank 2, rank 3 did not come to a/0 within PT0.2S",
        e.getMessage());
    assertEquals(OptionalInt.of(0), e.rank());
  }

  /** One call too many ends as a call that nobody else makes, or at once where they have closed. */
  @Test
  void oneCallTooMany() {
    List<StatisticsExchange> ends = StatisticsExchange.threads(2, SHORT);
    List<Workers.Outcome<Object>> outcomes =
        Workers.outcomes(
            ends,
            end -> {
              end.allGather("a/0", new double[1]);
              return end.rank() == 0 ? null : end.allGather("a/1", new double[1]);
            });
    assertEquals(OptionalInt.of(0), fails(outcomes.get(1)).rank());
    assertThrows(ExchangeException.class, () -> ends.get(0).allGather("a/1", new double[1]));
  }

  @Test
  void oneThatClosesIsNamedAtOnce() {
    List<StatisticsExchange> ends = StatisticsExchange.threads(3, LONG);
    allFail(
        ends,
        end -> {
          end.allGather("a/0", new double[1]);
          if (end.rank() == 2) {
            Thread.sleep(20);
            end.close();
            end.close();
          }
          return end.allGather("a/1", new double[1]);
        },
        2,
        "rank 2 closed its end");
  }

  /** What was there for all is there for those that come to look later. */
  @Test
  void aRoundThatIsFullStaysSo() {
    for (int i = 0; i < 300; i++) {
      List<StatisticsExchange> ends = StatisticsExchange.threads(3, LONG);
      Workers.run(
          ends,
          end -> {
            try (end) {
              assertEquals(3, end.allGather("a/0", new double[1]).length);
            }
            return null;
          });
    }
  }

  @Test
  void aStepThatDiffersIsNamed() {
    allFail(
        StatisticsExchange.threads(3, LONG),
        end -> end.allGather(end.rank() == 0 ? "b/0/forward" : "a/0/forward", new double[5]),
        0,
        "the workers are not at the same step: rank 0 came with b/0/forward of 5 values, but rank 1"
            + " with a/0/forward of 5 values");
  }

  @Test
  void aLengthThatDiffersIsNamed() {
    allFail(
        StatisticsExchange.threads(2, LONG),
        end -> end.allGather("a/0/forward", new double[5 + end.rank()]),
        1,
        "the workers are not at the same step: rank 1 came with a/0/forward of 6 values, but rank 0"
            + " with a/0/forward of 5 values");
  }

  @Test
  void anInterruptEndsIt() {
    allFail(
        StatisticsExchange.threads(3, LONG),
        end -> {
          if (end.rank() == 2) {
            Thread.sleep(100);
          } else if (end.rank() == 1) {
            Thread.currentThread().interrupt();
          }
          try {
            return end.allGather("a/0", new double[1]);
          } finally {
            assertEquals(end.rank() == 1, Thread.interrupted());
          }
        },
        1,
        "rank 1 was interrupted at a/0");
  }

  @Test
  void twoCallsAtOnceOnOneEnd() {
    List<StatisticsExchange> ends = StatisticsExchange.threads(2, LONG);
    List<StatisticsExchange> twice = List.of(ends.get(1), ends.get(1));
    List<Workers.Outcome<Object>> outcomes =
        Workers.outcomes(twice, end -> end.allGather("a/0", new double[1]));
    outcomes.forEach(outcome -> assertEquals(OptionalInt.of(1), fails(outcome).rank()));
    assertThrows(ExchangeException.class, () -> ends.get(0).allGather("a/0", new double[1]));
  }

  @Test
  void timeoutsOfAnyLength() {
    List<StatisticsExchange> ends =
        StatisticsExchange.threads(2, Duration.ofSeconds(Long.MAX_VALUE));
    Workers.run(
        ends,
        end -> {
          Thread.sleep(end.rank() * 20L);
          return end.allGather("a/0", new double[1]);
        });
    List<StatisticsExchange> hasty = StatisticsExchange.threads(2, Duration.ofNanos(1));
    assertThrows(ExchangeException.class, () -> hasty.get(0).allGather("a", new double[1]));
  }

  @Test
  void whatIsNoExchange() {
    assertEquals(
        "expected 1 to 65536 workers, but got 0",
        assertThrows(IllegalArgumentException.class, () -> StatisticsExchange.threads(0, LONG))
            .getMessage());
    for (Duration none : List.of(Duration.ZERO, Duration.ofNanos(-1))) {
      assertEquals(
          "expected a timeout above 0, but got " + none,
          assertThrows(IllegalArgumentException.class, () -> StatisticsExchange.threads(2, none))
              .getMessage());
    }
  }

  @Test
  void whoDiffersFromMostIsNamed() {
    assertEquals(
        "the workers are not at the same step: rank 0 came with b, rank 3 came with c, but rank 1"
            + " with a",
        ExchangeException.differing(List.of("b", "a", "a", "c")).getMessage());
    assertEquals(OptionalInt.of(1), ExchangeException.differing(List.of("b", "a")).rank());
    assertThrows(
        IllegalArgumentException.class, () -> ExchangeException.differing(List.of("a", "a")));
    assertThrows(IllegalArgumentException.class, () -> new ExchangeException("no rank", -1, null));
    assertFalse(new ExchangeException("somebody", null).rank().isPresent());
  }

  /** Threads that give up at any moment: each round is there for all or for none. */
  @Test
  void roundsAreThereForAllOrForNone() {
    Random random = new Random(7);
    for (int i = 0; i < 300; i++) {
      long nanos = 100_000 + random.nextInt(300_000);
      List<StatisticsExchange> ends = StatisticsExchange.threads(3, Duration.ofNanos(nanos));
      List<Integer> rounds = new ArrayList<>(List.of(0, 0, 0));
      int seed = i;
      Workers.outcomes(
          ends,
          end -> {
            Random own = new Random(31 * seed + end.rank());
            for (int round = 1; ; round++) {
              long until = System.nanoTime() + own.nextInt(220_000);
              while (System.nanoTime() < until) {
                Thread.onSpinWait();
              }
              end.allGather("a/" + round, new double[1]);
              synchronized (rounds) {
                rounds.set(end.rank(), round);
              }
            }
          });
      assertEquals(1, rounds.stream().distinct().count(), rounds::toString);
    }
  }
}
