package io.nativenorm.gloo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.ExchangeException;
import io.nativenorm.StatisticsExchange;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The exchange between threads that only know each other's address. */
@Timeout(60)
class GlooExchangeTest {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Duration SHORT = Duration.ofMillis(500);
  private static final String LOCAL = "127.0.0.1";

  private static ExecutorService threads;

  private interface Body<T> {
    T run(StatisticsExchange end) throws Exception;
  }

  @BeforeAll
  static void start() {
    threads = Executors.newCachedThreadPool();
  }

  @AfterAll
  static void stop() {
    threads.shutdownNow();
  }

  /** What each worker returns or throws, each connected for itself. */
  private static <T> List<Object> outcomes(int workers, Duration timeout, Body<T> body)
      throws Exception {
    CompletableFuture<Integer> port = new CompletableFuture<>();
    return outcomes(
        workers,
        rank ->
            rank == 0
                ? GlooExchange.host(LOCAL, workers, timeout, port::complete)
                : GlooExchange.connect(LOCAL, port.join(), rank, workers, timeout),
        body);
  }

  private static <T> List<Object> outcomes(
      int workers, IntFunction<StatisticsExchange> connect, Body<T> body) throws Exception {
    List<Future<Object>> running = new ArrayList<>();
    for (int r = 0; r < workers; r++) {
      int rank = r;
      running.add(
          threads.submit(
              () -> {
                try (StatisticsExchange end = connect.apply(rank)) {
                  return body.run(end);
                } catch (ExchangeException e) {
                  return e;
                }
              }));
    }
    List<Object> outcomes = new ArrayList<>();
    for (Future<Object> future : running) {
      outcomes.add(future.get());
    }
    return outcomes;
  }

  private static void fails(Object outcome, int rank, String message) {
    ExchangeException e = assertInstanceOf(ExchangeException.class, outcome);
    String said = e.getMessage();
    assertEquals(message, said.substring(said.indexOf(": ") + 2));
    assertEquals(OptionalInt.of(rank), e.rank());
  }

  private static void allFail(List<Object> outcomes, int rank, String message) {
    outcomes.forEach(outcome -> fails(outcome, rank, message));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8})
  void allHaveWhatEachGaveCallAfterCall(int workers) throws Exception {
    List<Object> outcomes =
        outcomes(
            workers,
            LONG,
            end -> {
              Random lengths = new Random(7);
              int longest = 1;
              for (int call = 0; call < 300; call++) {
                longest = call % 50 == 0 ? 4 * longest : longest; // and grow twenty times over
                double[] mine = new double[lengths.nextInt(longest)];
                for (int i = 0; i < mine.length; i++) {
                  mine[i] = value(end.rank(), call, i);
                }
                double[][] all = end.allGather("sum/" + call, mine);
                assertEquals(workers, all.length);
                for (int r = 0; r < workers; r++) {
                  assertEquals(mine.length, all[r].length);
                  for (int i = 0; i < mine.length; i++) {
                    assertEquals(value(r, call, i), all[r][i]);
                  }
                }
              }
              return end.size() + " " + end.rank();
            });
    for (int r = 0; r < workers; r++) {
      assertEquals(workers + " " + r, outcomes.get(r));
    }
  }

  private static double value(int rank, int call, int i) {
    return i == 0 ? Double.NaN : i == 1 ? -0.0 : rank + 0.5 * call + i;
  }

  /** What is right stays so where ends are closed the moment they have all. */
  @Test
  void whoClosesAfterTheLastCallTakesNothingFromTheOthers() throws Exception {
    for (int round = 0; round < 40; round++) {
      List<Object> outcomes =
          outcomes(3, LONG, end -> end.allGather("last", new double[] {end.rank()}));
      for (Object outcome : outcomes) {
        double[][] all = assertInstanceOf(double[][].class, outcome);
        assertArrayEquals(new double[][] {{0}, {1}, {2}}, all);
      }
    }
  }

  @Test
  void anotherStepIsNamedByAll() throws Exception {
    List<Object> outcomes =
        outcomes(
            3,
            LONG,
            end -> {
              end.allGather("bn/0/forward", new double[5]);
              return end.allGather(
                  end.rank() == 1 ? "bn/1/forward" : "bn/0/backward", new double[4]);
            });
    allFail(
        outcomes,
        1,
        "the workers are not at the same step: rank 1 came with bn/1/forward of 4 values, but rank 0"
            + " with bn/0/backward of 4 values");
  }

  /** More than fits and than others expect, less, none. */
  @ParameterizedTest
  @ValueSource(ints = {100_000, 5000, 9, 0})
  void anotherLengthIsNamedByAll(int values) throws Exception {
    List<Object> outcomes =
        outcomes(
            3,
            LONG,
            end -> {
              end.allGather("bn/0/forward", new double[1000]);
              return end.allGather("bn/1/forward", new double[end.rank() == 2 ? values : 1000]);
            });
    allFail(
        outcomes,
        2,
        "the workers are not at the same step: rank 2 came with bn/1/forward of "
            + values
            + " values, but rank 0 with bn/1/forward of 1000 values");
  }

  /** As the names of many layers in one call are. */
  @Test
  void stepsAreComparedToTheirEndHoweverLongTheyAre() throws Exception {
    String names = "layer/1+".repeat(2000);
    List<Object> outcomes =
        outcomes(
            3,
            LONG,
            end -> {
              double[] mine = new double[3];
              assertArrayEquals(new double[3][3], end.allGather(names + "forward", mine));
              return end.allGather(names + (end.rank() == 1 ? "5" : "4") + "/backward", mine);
            });
    outcomes.forEach(
        outcome -> {
          ExchangeException e = assertInstanceOf(ExchangeException.class, outcome);
          assertEquals(OptionalInt.of(1), e.rank());
          assertTrue(e.getMessage().endsWith("1+4/backward of 3 values"), e.getMessage());
        });
  }

  @Test
  void oneThatDoesNotComeIsNamedByAllAndByItself() throws Exception {
    long begin = System.nanoTime();
    List<Object> outcomes =
        outcomes(
            3,
            SHORT,
            end -> {
              end.allGather("a/0", new double[1]);
              if (end.rank() == 1) {
                Thread.sleep(2 * SHORT.toMillis());
              }
              return end.allGather("a/1", new double[1]);
            });
    allFail(outcomes, 1, "rank 1 did not come to a/1 within 500 ms");
    assertTrue(System.nanoTime() - begin < 8 * SHORT.toNanos());
  }

  @Test
  void oneCallTooManyIsAnError() throws Exception {
    List<Object> outcomes =
        outcomes(
            3,
            LONG,
            end -> {
              end.allGather("a/0", new double[1]);
              return end.rank() == 1 ? end.allGather("a/1", new double[1]) : "done";
            });
    ExchangeException e = assertInstanceOf(ExchangeException.class, outcomes.get(1));
    int named = e.rank().getAsInt();
    fails(e, named, "rank " + named + " closed its end");
    assertTrue(named != 1);
    assertEquals("done", outcomes.get(0));
    assertEquals("done", outcomes.get(2));
  }

  /** Where the others only pause, it is they who do not come; when they do, they are told. */
  @Test
  void oneCallTooManyIsAnErrorWhereTheOthersGoOn() throws Exception {
    CountDownLatch over = new CountDownLatch(1);
    List<Object> outcomes =
        outcomes(
            2,
            SHORT,
            end -> {
              if (end.rank() == 1) {
                try {
                  return end.allGather("too many", new double[1]);
                } finally {
                  over.countDown();
                }
              }
              over.await();
              return end.allGather("other", new double[1]);
            });
    allFail(outcomes, 0, "rank 0 did not come to too many within 500 ms");
  }

  /** Whose connection is gone because of another one says so. */
  @Test
  void whoComesLaterHearsWhoseFaultItWas() throws Exception {
    CountDownLatch closed = new CountDownLatch(1);
    CountDownLatch failed = new CountDownLatch(1);
    List<Object> outcomes =
        outcomes(
            3,
            LONG,
            end -> {
              if (end.rank() == 0) {
                end.close();
                closed.countDown();
              } else if (end.rank() == 2) {
                closed.await();
                assertThrows(ExchangeException.class, () -> end.allGather("a", new double[1]));
                failed.countDown();
              } else {
                failed.await(); // and its first message is for rank 2
              }
              return end.allGather("a", new double[1]);
            });
    allFail(outcomes, 0, "rank 0 closed its end");
  }

  @Test
  void afterAFailureAllCallsFailAtOnce() throws Exception {
    outcomes(
        2,
        LONG,
        end -> {
          assertThrows(
              ExchangeException.class, () -> end.allGather("r" + end.rank(), new double[1]));
          long begin = System.nanoTime();
          fails(
              assertThrows(ExchangeException.class, () -> end.allGather("a", new double[1])),
              1,
              "the workers are not at the same step: rank 1 came with r1 of 1 values, but rank 0 with"
                  + " r0 of 1 values");
          assertTrue(System.nanoTime() - begin < SHORT.toNanos());
          return null;
        });
  }

  /** The others in the same call or, if they have all of it by then, in the next one. */
  @Test
  void closeEndsAWaitOfItsOwnAndThenOthers() throws Exception {
    CountDownLatch closed = new CountDownLatch(1);
    List<Object> outcomes =
        outcomes(
            3,
            LONG,
            end -> {
              if (end.rank() == 2) {
                closed.await();
              } else if (end.rank() == 1) {
                threads.submit(
                    () -> {
                      Thread.sleep(50);
                      end.close();
                      closed.countDown();
                      return null;
                    });
              }
              end.allGather("a", new double[1]);
              return end.rank() == 1 ? "waited on" : end.allGather("b", new double[1]);
            });
    allFail(outcomes, 1, "rank 1 closed its end");
  }

  @Test
  void twoCallsAtOnceAreRefused() throws Exception {
    List<Object> outcomes =
        outcomes(
            2,
            LONG,
            end -> {
              if (end.rank() == 0) {
                Future<?> waits = threads.submit(() -> end.allGather("a", new double[1]));
                Thread.sleep(50);
                assertThrows(ExchangeException.class, () -> end.allGather("b", new double[1]));
                waits.cancel(false);
              } else {
                Thread.sleep(200);
              }
              return end.allGather("a", new double[1]);
            });
    allFail(outcomes, 0, "rank 0 made two calls at once, of which one is b");
  }

  @Test
  void whoDoesNotStartIsNamedByAll() throws Exception {
    int port = freePort();
    List<Object> outcomes =
        outcomes(3, rank -> GlooExchange.connect(LOCAL, port, rank, 5, SHORT), end -> "connected");
    allFail(outcomes, 3, "rank 3, rank 4 did not come within 500 ms");
  }

  @Test
  void thatRankZeroDoesNotStartIsNamed() throws Exception {
    int port = freePort();
    List<Object> outcomes =
        outcomes(
            2, rank -> GlooExchange.connect(LOCAL, port, rank + 1, 3, SHORT), end -> "connected");
    allFail(outcomes, 0, "rank 0 was not reached at 127.0.0.1:" + port + " within 500 ms");
  }

  @Test
  void aRankThatIsThereTwiceIsNamedByAll() throws Exception {
    int port = freePort();
    List<Object> outcomes =
        outcomes(
            3,
            rank -> GlooExchange.connect(LOCAL, port, Math.min(rank, 1), 3, LONG),
            end -> "connected");
    allFail(outcomes, 1, "rank 1 is there twice");
  }

  @Test
  void anotherNumberOfWorkersIsNamedByAll() throws Exception {
    int port = freePort();
    List<Object> outcomes =
        outcomes(
            2, rank -> GlooExchange.connect(LOCAL, port, rank, 2 + rank, LONG), end -> "connected");
    allFail(outcomes, 1, "rank 1 came as one of 3 workers, rank 0 as one of 2");
  }

  /** Programs that look for open ports come too. */
  @Test
  void strangersAreIgnored() throws Exception {
    int port = freePort();
    List<Object> outcomes =
        outcomes(
            2,
            rank -> {
              if (rank == 1) {
                say(port, "GET / HTTP/1.1\r\n\r\n");
                say(port, "");
              }
              return GlooExchange.connect(LOCAL, port, rank, 2, LONG);
            },
            end -> end.size());
    assertEquals(List.of(2, 2), outcomes);
  }

  private static void say(int port, String what) {
    while (true) {
      try (Socket socket = new Socket(InetAddress.getByName(LOCAL), port)) {
        socket.getOutputStream().write(what.getBytes());
        return;
      } catch (IOException notYet) {
        Thread.onSpinWait();
      }
    }
  }

  @Test
  void aPortThatIsTakenIsAnError() throws Exception {
    try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getByName(LOCAL))) {
      int port = other.getLocalPort();
      fails(
          assertThrows(
              ExchangeException.class, () -> GlooExchange.connect(LOCAL, port, 0, 1, SHORT)),
          0,
          "rank 0 cannot listen at 127.0.0.1:" + port);
    }
  }

  @Test
  void wrongArgumentsAreRefused() {
    refused("expected a port from 1 to 65535, but got 0", LOCAL, 0, 0, 1, LONG);
    refused("expected a port from 1 to 65535, but got 65536", LOCAL, 65536, 0, 1, LONG);
    refused("expected a rank from 0 to 1, but got 2", LOCAL, 1, 2, 2, LONG);
    refused("expected a rank from 0 to 1, but got -1", LOCAL, 1, -1, 2, LONG);
    refused("expected 1 worker or more, but got 0", LOCAL, 1, 0, 0, LONG);
    refused("expected a timeout above 0, but got PT0S", LOCAL, 1, 0, 1, Duration.ZERO);
    assertNames("host", () -> GlooExchange.connect(null, 1, 0, 1, LONG));
    assertNames("timeout", () -> GlooExchange.connect(LOCAL, 1, 0, 1, null));
    assertNames("listening", () -> GlooExchange.host(LOCAL, 1, LONG, null));
  }

  private static void refused(
      String message, String host, int port, int rank, int size, Duration timeout) {
    assertEquals(
        message,
        assertThrows(
                IllegalArgumentException.class,
                () -> GlooExchange.connect(host, port, rank, size, timeout))
            .getMessage());
  }

  private static void assertNames(String argument, Runnable call) {
    assertEquals(argument, assertThrows(NullPointerException.class, call::run).getMessage());
  }

  /** And the exchange goes on. */
  @Test
  void wrongCallsAreRefused() throws Exception {
    StatisticsExchange end = GlooExchange.host(LOCAL, 1, LONG, port -> {});
    assertNames("step", () -> end.allGather(null, new double[1]));
    assertNames("mine", () -> end.allGather("a", null));
    assertEquals("Gloo exchange, rank 0 of 1", end.toString());
    end.close();
    end.close();
    fails(
        assertThrows(ExchangeException.class, () -> end.allGather("a", new double[1])),
        0,
        "rank 0 closed its end");
  }

  private static int freePort() throws IOException {
    try (ServerSocket any = new ServerSocket(0, 1, InetAddress.getByName(LOCAL))) {
      return any.getLocalPort();
    }
  }
}
