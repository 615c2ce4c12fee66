package io.nativenorm;

import java.time.Duration;
import java.util.List;
import java.util.Objects;

/**
 * One worker's end of what W workers tell each other, each with a rank from 0 to W - 1: every call
 * gives a worker's numbers to all and returns those of all. A {@link BatchNorm} with one normalizes
 * with the statistics of all workers' batches together.
 *
 * <pre>{@code
 * for (StatisticsExchange end : StatisticsExchange.threads(2, Duration.ofSeconds(10))) {
 *   new Thread(() -> {                                        // each end is one worker's
 *     try (end) {
 *       double[][] all = end.allGather("sum/0/forward", new double[] {end.rank()});
 *       System.out.println(all[1][0]);                        // 1.0, in both
 *     }
 *   }).start();
 * }
 * }</pre>
 *
 * <p><b>For those who write one</b> (the layers ask for no more):
 *
 * <ul>
 *   <li>{@link #allGather} waits until all workers have given theirs, and returns the same bits in
 *       the same order on all. It does so in the same number of calls on each, so a worker without
 *       data takes part too.
 *   <li>It goes wrong on all of them with an {@link ExchangeException}, which names the rank where
 *       the exchange can know it: where the workers are not at the same step or give numbers of
 *       different lengths (what that reads like is {@link ExchangeException#differing}), one of
 *       them has died, does not come within the timeout, or has closed its end. Nobody waits longer
 *       than the timeout.
 *   <li>Once it went wrong, or is closed, the exchange is dead: all later calls on any end throw at
 *       once. Workers that go on make a new one.
 *   <li>An end is used by one thread at a time, not always the same one. {@link #close} comes from
 *       any thread, also beside a call.
 * </ul>
 *
 * <p>Other exchanges: {@code GlooExchange} between processes is in {@code nativenorm-gloo}, {@code
 * SparkExchange} in {@code nativenorm-spark}.
 */
public interface StatisticsExchange extends AutoCloseable {
  /**
   * Which worker this is.
   *
   * @return from 0 to {@link #size} - 1
   */
  int rank();

  /**
   * How many workers there are.
   *
   * @return at least 1
   */
  int size();

  /**
   * Gives this worker's numbers to all, waits for all to do so, and returns what each gave.
   *
   * @param step where this worker is, the same on all: a layer says {@code name/number/phase}
   * @param mine this worker's numbers, as many as each other's gives; read before this returns
   * @return an array for each worker, in the order of ranks; only read from here on, as others may
   *     have the same arrays
   * @throws ExchangeException if the exchange failed, now or before
   */
  double[][] allGather(String step, double[] mine);

  /**
   * Exchanges between threads of this JVM, by memory: a call on two threads takes about a
   * microsecond more than the slower one comes late. Who waits stays awake for 50 microseconds
   * (spinning, or giving way to others where there are more workers than processors), and sleeps
   * then.
   *
   * @param workers W, from 1 to 65536; one worker's exchange gives it its own numbers
   * @param timeout how long a call waits for the others, more than nothing
   * @return an end for each worker, in the order of ranks; closing one ends the exchange for all
   * @throws IllegalArgumentException if there are no or more workers, or no time
   */
  static List<StatisticsExchange> threads(int workers, Duration timeout) {
    return ThreadExchange.of(workers, Objects.requireNonNull(timeout, "timeout"));
  }

  /**
   * Ends the exchange: other workers' calls fail, those that wait too, and name this rank. Again it
   * does nothing.
   */
  @Override
  void close();
}
