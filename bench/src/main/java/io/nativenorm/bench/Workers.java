package io.nativenorm.bench;

import io.nativenorm.BatchNorm;
import io.nativenorm.Pass;
import io.nativenorm.StatisticsExchange;
import io.nativenorm.Tensor;
import io.nativenorm.TensorScope;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Steps of BatchNorm, forward and backward, on several threads at once, each on a batch of its own
 * with {@code threads(1)}: with an exchange, in turns with the same without, and how long an
 * exchange takes by itself. Answers are checked first: statistics have the same bits on all, and
 * are those of one layer on all batches.
 */
final class Workers {
  private static final int SAMPLES = 4;
  private static final int SIDE = 14;

  /** Of each of the two, in turns. */
  private static final int ROUNDS = 15;

  private static final double ROUND_MICROSECONDS = 40_000;
  private static final int WARM_UPS = 4;
  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final double ALLOWED = 2e-6;

  /**
   * Medians.
   *
   * @param plain microseconds of a step without an exchange
   * @param more microseconds that one with it takes more, in the rounds beside each other
   * @param exchange microseconds of two exchanges, as a step has, with nothing between them
   */
  record Result(int workers, int channels, double plain, double more, double exchange) {}

  private Workers() {}

  /** {@code Workers [WORKERS [CHANNELS]]}: exit status 1 if an answer is wrong. */
  public static void main(String[] arguments) throws Exception {
    int[] workers = numbers(arguments.length > 0 ? arguments[0] : "1,2,4,8");
    int[] channels = numbers(arguments.length > 1 ? arguments[1] : "64,256,1024,2048");
    boolean right = true;
    for (int w : workers) {
      for (int c : channels) {
        right &= isRight(w, c);
      }
    }
    System.out.printf(
        "a step of BatchNorm on %d x C x %d x %d for each worker, us%n", SAMPLES, SIDE, SIDE);
    System.out.println("workers channels    plain  exchanging more  two exchanges alone");
    time(2, 256, WARM_UPS);
    for (int w : workers) {
      for (int c : channels) {
        Result result = time(w, c, ROUNDS);
        System.out.printf(
            Locale.ROOT,
            "%7d %8d %8.1f %16.1f %20.1f%n",
            w,
            c,
            result.plain,
            result.more,
            result.exchange);
      }
    }
    System.exit(right ? 0 : 1);
  }

  private static int[] numbers(String list) {
    return Arrays.stream(list.split(",")).mapToInt(Integer::parseInt).toArray();
  }

  /** What a worker does with its end. */
  @FunctionalInterface
  private interface Body<T> {
    T run(StatisticsExchange end) throws Exception;
  }

  private static <T> List<T> onAll(int workers, Body<T> body)
      throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(workers);
    try {
      List<Future<T>> running = new ArrayList<>();
      for (StatisticsExchange end : StatisticsExchange.threads(workers, TIMEOUT)) {
        running.add(threads.submit(() -> body.run(end)));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : running) {
        results.add(future.get());
      }
      return results;
    } finally {
      threads.shutdownNow();
    }
  }

  private static float[] batch(int worker, int channels) {
    Random random = new Random(worker);
    float[] values = new float[SAMPLES * channels * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (1 + random.nextGaussian());
    }
    return values;
  }

  private static Tensor tensor(int samples, int channels, float[] values) {
    return Tensor.of(values, samples, channels, SIDE, SIDE);
  }

  /** What one worker has after a step. */
  private record Answer(float[] runningVar, float[] output, float[] gradient) {}

  /** Whether workers come to what one has for all batches together. */
  static boolean isRight(int workers, int channels)
      throws InterruptedException, ExecutionException {
    List<Answer> answers = onAll(workers, end -> answer(end, channels));
    int size = SAMPLES * channels * SIDE * SIDE;
    float[] all = new float[workers * size];
    for (int w = 0; w < workers; w++) {
      System.arraycopy(batch(w, channels), 0, all, w * size, size);
    }
    try (BatchNorm norm = BatchNorm.of(channels);
        Tensor x = tensor(workers * SAMPLES, channels, all);
        Pass pass = norm.forwardTraining(x);
        Tensor dx = Tensor.zeros(x.shape())) {
      pass.backward(x, dx, null, null);
      float[] y = pass.output().toArray();
      float[] gradient = dx.toArray();
      double error = 0;
      boolean alike = true;
      for (int w = 0; w < workers; w++) {
        Answer answer = answers.get(w);
        alike &= Arrays.equals(answers.get(0).runningVar, answer.runningVar);
        error = Math.max(error, error(y, w * size, answer.output));
        error = Math.max(error, error(gradient, w * size, answer.gradient));
      }
      System.out.printf(
          Locale.ROOT,
          "%d workers, %d channels: largest error %.1e, running statistics %s%n",
          workers,
          channels,
          error,
          alike ? "alike" : "NOT ALIKE");
      return alike && error <= ALLOWED;
    }
  }

  private static Answer answer(StatisticsExchange end, int channels) {
    try (BatchNorm norm = BatchNorm.builder(channels).threads(1).exchange(end).build();
        Tensor x = tensor(SAMPLES, channels, batch(end.rank(), channels));
        Pass pass = norm.forwardTraining(x);
        Tensor dx = Tensor.zeros(x.shape())) {
      pass.backward(x, dx, null, null);
      return new Answer(norm.runningVar().toArray(), pass.output().toArray(), dx.toArray());
    }
  }

  private static double error(float[] expected, int from, float[] found) {
    double largest = 0;
    for (int i = 0; i < found.length; i++) {
      double value = expected[from + i];
      largest = Math.max(largest, Math.abs(found[i] - value) / (1 + Math.abs(value)));
    }
    return largest;
  }

  /** Rounds of the slowest worker. */
  static Result time(int workers, int channels, int rounds)
      throws InterruptedException, ExecutionException {
    CyclicBarrier barrier = new CyclicBarrier(workers);
    List<double[][]> all = onAll(workers, end -> rounds(end, barrier, channels, rounds));
    double[][] slowest = new double[3][rounds];
    for (double[][] times : all) {
      for (int kind = 0; kind < slowest.length; kind++) {
        for (int round = 0; round < rounds; round++) {
          slowest[kind][round] = Math.max(slowest[kind][round], times[kind][round]);
        }
      }
    }
    double[] more = new double[rounds];
    Arrays.setAll(more, round -> slowest[1][round] - slowest[0][round]);
    return new Result(workers, channels, median(slowest[0]), median(more), median(slowest[2]));
  }

  private static double[][] rounds(
      StatisticsExchange end, CyclicBarrier barrier, int channels, int rounds) throws Exception {
    try (TensorScope scope = TensorScope.open();
        BatchNorm plain = BatchNorm.builder(channels).threads(1).build();
        BatchNorm shared = BatchNorm.builder(channels).threads(1).exchange(end).build()) {
      Runnable ofPlain = step(plain, end.rank(), channels);
      Runnable ofShared = step(shared, end.rank(), channels);
      double[] forward = new double[2 * channels + 1];
      double[] backward = new double[2 * channels];
      Runnable exchanges =
          () -> {
            end.allGather("forward", forward);
            end.allGather("backward", backward);
          };
      // The same number on all workers, as each waits for the others.
      int steps = (int) Math.max(8, ROUND_MICROSECONDS / (0.3 * channels * end.size()));
      double[][] times = new double[3][rounds];
      for (int round = -WARM_UPS; round < rounds; round++) {
        int at = Math.max(0, round);
        times[0][at] = time(barrier, ofPlain, steps);
        times[1][at] = time(barrier, ofShared, steps);
        times[2][at] = time(barrier, exchanges, steps);
      }
      return times;
    }
  }

  private static Runnable step(BatchNorm norm, int worker, int channels) {
    Tensor x = tensor(SAMPLES, channels, batch(worker, channels));
    Tensor y = Tensor.zeros(x.shape());
    Tensor dx = Tensor.zeros(x.shape());
    Tensor dWeight = Tensor.zeros(channels);
    Tensor dBias = Tensor.zeros(channels);
    Pass pass = norm.forwardTraining(x, y);
    return () -> {
      pass.forward(x, y);
      pass.backward(y, dx, dWeight, dBias);
    };
  }

  private static double time(CyclicBarrier barrier, Runnable step, int steps) throws Exception {
    barrier.await();
    long start = System.nanoTime();
    for (int i = 0; i < steps; i++) {
      step.run();
    }
    return (System.nanoTime() - start) / 1e3 / steps;
  }

  private static double median(double[] times) {
    double[] sorted = times.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
