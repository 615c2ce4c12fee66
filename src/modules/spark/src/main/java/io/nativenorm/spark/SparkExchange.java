package io.nativenorm.spark;

import io.nativenorm.StatisticsExchange;
import java.io.Serializable;
import java.time.Duration;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/**
 * Runs workers of a {@link StatisticsExchange} on a cluster of Apache Spark, one for each part of
 * the data.
 *
 * <pre>{@code
 * List<float[]> means = SparkExchange.run(samples, Duration.ofSeconds(60), (exchange, own) -> {
 *   try (BatchNorm norm = BatchNorm.builder(64).exchange(exchange).build()) {
 *     train(norm, own);                        // as with one worker, on the samples of its part
 *     return norm.runningMean().toArray();     // the same bits from all
 *   }
 * });
 * }</pre>
 *
 * <p>Spark starts the workers, all at once or not at all (a barrier stage), and tells them where
 * rank 0 is; the statistics then go between them over Gloo, a {@link
 * io.nativenorm.gloo.GlooExchange}, whose cost and failures are its. Spark's own {@code allGather}
 * takes a second a call. A cluster needs as many free cores as there are workers.
 *
 * <p>If a worker dies or throws, those of the others that exchange something fail, and so does the
 * job, with what Spark was told first: an executor that is lost, or the exception of a worker,
 * which names the rank. Spark does not try again. Where {@code spark.barrier.sync.timeout} is not
 * set before the first barrier stage of an application, it becomes the timeout (Spark's own default
 * is a year).
 *
 * @see <a href="https://issues.apache.org/jira/browse/SPARK-24374">Barrier execution mode</a>
 */
public final class SparkExchange {
  private SparkExchange() {}

  /**
   * What a worker does; it goes to the executors with all that it refers to.
   *
   * @param <X> of samples
   * @param <T> of what it returns
   */
  @FunctionalInterface
  public interface Worker<X, T> extends Serializable {
    /**
     * Does it, on an executor.
     *
     * @param exchange this worker's end, closed when it returns
     * @param samples its part of the data
     * @return what the driver gets, serializable
     * @throws Exception what the job then fails with
     */
    T run(StatisticsExchange exchange, Iterator<X> samples) throws Exception;
  }

  /**
   * Runs a worker for each partition, all at once, and waits for them.
   *
   * @param samples data of as many partitions as there are to be workers; not shuffled in this
   *     stage
   * @param timeout how long the workers wait for each other, to start and in each exchange; more
   *     than nothing
   * @param worker what each does
   * @param <X> of samples
   * @param <T> of what a worker returns
   * @return what each returned, in the order of ranks, which are those of partitions
   * @throws IllegalArgumentException if the timeout is none
   */
  public static <X, T> List<T> run(JavaRDD<X> samples, Duration timeout, Worker<X, T> worker) {
    Objects.requireNonNull(samples, "samples");
    Objects.requireNonNull(worker, "worker");
    Objects.requireNonNull(timeout, "timeout");
    if (timeout.isZero() || timeout.isNegative()) {
      throw new IllegalArgumentException("expected a timeout above 0, but got " + timeout);
    }
    long seconds = Math.max(1, timeout.toSeconds());
    SparkEnv.get().conf().setIfMissing("spark.barrier.sync.timeout", seconds + "s");
    ClassTag<T> any = ClassTag$.MODULE$.apply(Object.class);
    BarrierTask<X, T> task = new BarrierTask<>(timeout, worker);
    return JavaRDD.fromRDD(samples.rdd().barrier().mapPartitions(task, false, any), any).collect();
  }

  /**
   * Runs workers that come by their data themselves.
   *
   * @param context the application
   * @param workers how many, at least 1
   * @param timeout as above
   * @param worker what each does; its samples are none
   * @param <T> of what a worker returns
   * @return what each returned, in the order of ranks
   * @throws IllegalArgumentException if there is no worker, or the timeout is none
   */
  public static <T> List<T> run(
      JavaSparkContext context, int workers, Duration timeout, Worker<Void, T> worker) {
    Objects.requireNonNull(context, "context");
    if (workers < 1) {
      throw new IllegalArgumentException("expected 1 worker or more, but got " + workers);
    }
    List<Void> nothing = Collections.emptyList();
    return run(context.parallelize(nothing, workers), timeout, worker);
  }
}
