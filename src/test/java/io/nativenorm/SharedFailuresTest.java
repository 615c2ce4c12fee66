package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A worker that does not do what the others wait for: all of them fail in time and know which. */
@SuppressWarnings("try") // the scopes are there to close
@Timeout(60)
class SharedFailuresTest {
  private static final int C = 3;
  private static final Duration TIMEOUT = Duration.ofMillis(150);

  /** A layer's steps. */
  private interface Steps {
    void run(BatchNorm layer, Tensor x, Pass pass, int rank) throws Exception;
  }

  /** Three workers after a good step; all of the others must fail by the fault of rank 1. */
  private static List<String> allFail(Steps steps) {
    long begin = System.nanoTime();
    List<StatisticsExchange> ends = StatisticsExchange.threads(3, TIMEOUT);
    List<Workers.Outcome<Object>> outcomes =
        Workers.outcomes(
            ends,
            end -> {
              try (TensorScope scope = TensorScope.open();
                  BatchNorm layer = BatchNorm.builder(C).exchange(end).build()) {
                Tensor x = Tensor.of(TestData.normal(end.rank(), 2 * C, 0, 1), 2, C);
                Tensor y = Tensor.zeros(2, C);
                Pass pass = layer.forwardTraining(x, y);
                pass.backward(x);
                steps.run(layer, x, pass, end.rank());
                return null;
              }
            });
    for (int rank : new int[] {0, 2}) {
      ExchangeException e = outcomes.get(rank).failure(ExchangeException.class);
      assertEquals(OptionalInt.of(1), e.rank(), e::toString);
      assertTrue(e.getMessage().contains("rank 1"), e::toString);
    }
    ends.forEach(
        end -> assertThrows(ExchangeException.class, () -> end.allGather("later", new double[1])));
    assertTrue(System.nanoTime() - begin < 10 * TIMEOUT.toNanos());
    return outcomes.stream().map(outcome -> String.valueOf(outcome.thrown())).toList();
  }

  private static void step(BatchNorm layer, Tensor x, Pass pass) {
    pass.forward(x, pass.output());
    pass.backward(x);
  }

  /**
   * A thread that ends, with an exception or without, before forward, before backward, after it.
   */
  @ParameterizedTest
  @CsvSource({"0,true", "1,true", "2,true", "0,false", "1,false", "2,false"})
  void oneThatDies(int phase, boolean throwsSomething) {
    List<String> outcomes =
        allFail(
            (layer, x, pass, rank) -> {
              int done = 0;
              for (Runnable half :
                  List.<Runnable>of(
                      () -> pass.forward(x, pass.output()),
                      () -> pass.backward(x),
                      () -> pass.forward(x, pass.output()))) {
                if (rank == 1 && done++ == phase) {
                  if (throwsSomething) {
                    throw new ArithmeticException("of the worker's own");
                  }
                  return;
                }
                half.run();
              }
            });
    assertEquals(throwsSomething, outcomes.get(1).contains("ArithmeticException"));
  }

  @Test
  void oneThatIsLate() {
    List<String> outcomes =
        allFail(
            (layer, x, pass, rank) -> {
              pass.forward(x, pass.output());
              if (rank == 1) {
                Thread.sleep(3 * TIMEOUT.toMillis());
              }
              pass.backward(x);
            });
    assertTrue(outcomes.get(1).contains("rank 1 did not come to 0/1/backward within PT0.15S"));
  }

  @Test
  void oneThatDoesAStepTooMany() {
    List<String> outcomes =
        allFail(
            (layer, x, pass, rank) -> {
              if (rank == 1) {
                pass.backward(x);
              }
              step(layer, x, pass);
            });
    assertTrue(outcomes.get(1).contains("rank 1 came with 0/0/backward of 6 values"));
  }

  @Test
  void oneThatIsAtAnotherPass() {
    allFail(
        (layer, x, pass, rank) -> {
          Pass next = layer.forwardTraining(x);
          (rank == 1 ? pass : next).backward(x);
        });
  }

  /** One is frozen: it goes on to a step that the others are not at, or to none. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void oneThatIsFrozen(boolean thaws) {
    allFail(
        (layer, x, pass, rank) -> {
          if (rank == 1) {
            layer.freeze();
            layer.forwardTraining(x).backward(x);
            if (!thaws) {
              return;
            }
            layer.thaw();
          }
          layer.forwardTraining(x);
          layer.forwardTraining(x).backward(x);
        });
  }

  /** What is refused on one worker alone. */
  @Test
  void oneWhoseArgumentIsRefused() {
    List<String> outcomes =
        allFail(
            (layer, x, pass, rank) ->
                layer.forwardTraining(rank == 1 ? Tensor.zeros(2, C + 1) : x));
    assertTrue(outcomes.get(1).contains("IllegalArgumentException"));
  }

  @ParameterizedTest
  @CsvSource({"b,3", "a,4"})
  void oneWithAnotherNameOrOtherChannels(String name, int channels) {
    List<StatisticsExchange> ends = StatisticsExchange.threads(3, TIMEOUT);
    List<Workers.Outcome<Object>> outcomes =
        Workers.outcomes(
            ends,
            end -> {
              boolean other = end.rank() == 1;
              int c = other ? channels : 3;
              try (BatchNorm layer =
                      BatchNorm.builder(c).exchange(end, other ? name : "a").build();
                  Tensor x = Tensor.zeros(2, c)) {
                layer.forwardTraining(x).close();
              }
              return null;
            });
    String found = name + "/0/forward of " + (2 * channels + 1) + " values";
    for (Workers.Outcome<Object> outcome : outcomes) {
      ExchangeException e = outcome.failure(ExchangeException.class);
      assertEquals(
          "exchange between 3 threads: the workers are not at the same step: rank 1 came with "
              + found
              + ", but rank 0 with a/0/forward of 7 values",
          e.getMessage());
    }
  }

  @Test
  void nothingIsWrittenByWhatFails() {
    StatisticsExchange end = StatisticsExchange.threads(2, TIMEOUT).get(0);
    try (BatchNorm layer = BatchNorm.builder(C).exchange(end).activation(Activation.RELU).build();
        Tensor x = Tensor.of(TestData.normal(1, 2 * C, 0, 1), 2, C);
        Tensor y = Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, C)) {
      float[] before = y.toArray();
      assertThrows(ExchangeException.class, () -> layer.forwardTraining(x, y));
      assertThrows(ExchangeException.class, () -> layer.forwardTraining(x));
      float[] array = before.clone();
      assertThrows(ExchangeException.class, () -> layer.forwardTraining(x.toArray(), array, 2, C));
      assertArrayEquals(before, y.toArray());
      assertArrayEquals(before, array);
      assertArrayEquals(new float[C], layer.runningMean().toArray());
      assertEquals(0, layer.numBatchesTracked());
    }
  }

  /** One whose second half fails has not taken the batch in: the others must not go on without. */
  @ParameterizedTest
  @ValueSource(strings = {"forward", "backward"})
  void oneThatFailsWhenTheNumbersAreThere(String phase) {
    List<StatisticsExchange> ends = StatisticsExchange.threads(2, Duration.ofSeconds(30));
    Workers.run(
        ends,
        end -> {
          AtomicReference<BatchNorm> closes = new AtomicReference<>();
          SharedStepsTest.Noted noted =
              new SharedStepsTest.Noted(
                  end,
                  new ArrayList<>(),
                  all -> {
                    if (closes.get() != null) {
                      closes.get().close();
                    }
                    return all;
                  });
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer = BatchNorm.builder(C).exchange(noted).build()) {
            Tensor x = Tensor.of(TestData.normal(end.rank(), 2 * C, 0, 1), 2, C);
            Pass pass = layer.forwardTraining(x);
            Runnable last =
                phase.equals("forward") ? () -> layer.forwardTraining(x) : () -> pass.backward(x);
            if (end.rank() == 1) {
              closes.set(layer);
              IllegalStateException e = assertThrows(IllegalStateException.class, last::run);
              assertEquals("the layer BatchNorm(3) is closed", e.getMessage());
              return null;
            }
            last.run();
            ExchangeException e =
                assertThrows(ExchangeException.class, () -> layer.forwardTraining(x));
            assertTrue(e.getMessage().contains("rank 1 closed its end"), e::toString);
            assertEquals(OptionalInt.of(1), e.rank(), e::toString);
            return null;
          }
        });
  }

  /** A pass whose last forward failed has no gradients; those of a backward that failed stay. */
  @Test
  void aPassAfterAFailure() {
    List<StatisticsExchange> ends = StatisticsExchange.threads(2, TIMEOUT);
    Workers.run(
        ends,
        end -> {
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer = BatchNorm.builder(C).exchange(end).build()) {
            Tensor x = Tensor.of(TestData.normal(end.rank(), 2 * C, 0, 1), 2, C);
            Tensor y = Tensor.zeros(2, C);
            Tensor gradient = Tensor.of(new float[] {1, 2, 3}, C);
            Pass pass = layer.forwardTraining(x, y);
            float[] running = layer.runningVar().toArray();
            if (end.rank() == 1) {
              return null;
            }
            assertThrows(ExchangeException.class, () -> pass.accumulate(x, null, gradient, null));
            assertArrayEquals(new float[] {1, 2, 3}, gradient.toArray());
            Tensor dx = Tensor.of(TestData.normal(9, 2 * C, 0, 1), 2, C);
            float[] before = dx.toArray();
            assertThrows(
                ExchangeException.class, () -> pass.backward(x, dx, gradient, Tensor.zeros(C)));
            assertThrows(ExchangeException.class, () -> pass.backward(dx, dx, null, null));
            assertArrayEquals(before, dx.toArray());
            assertArrayEquals(new float[] {1, 2, 3}, gradient.toArray());
            assertThrows(ExchangeException.class, () -> pass.forward(x, y));
            IllegalStateException e =
                assertThrows(IllegalStateException.class, () -> pass.backward(x));
            assertEquals("the last forward of the pass of BatchNorm(3) failed", e.getMessage());
            assertTrue(Arrays.equals(running, layer.runningVar().toArray()));
            return null;
          }
        });
  }
}
