package io.nativenorm.gloo;

import com.sun.management.OperatingSystemMXBean;
import io.nativenorm.BatchNorm;
import io.nativenorm.Pass;
import io.nativenorm.StatisticsExchange;
import io.nativenorm.Tensor;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a step of synchronized batch normalization takes, by workers and channels: each worker is a
 * process of this machine with a 2 x C x 7 x 7 of its own, on one thread.
 */
final class StepTimes {
  private static final int[] CHANNELS = {64, 256, 1024, 2048};
  private static final int PORT = 29_517;

  private StepTimes() {}

  /** The numbers of workers, such as 1 2 3 4 8; or of a worker its rank, all of them, and steps. */
  public static void main(String[] args) throws Exception {
    if (args.length == 3 && args[2].startsWith("steps=")) {
      int steps = Integer.parseInt(args[2].substring("steps=".length()));
      work(Integer.parseInt(args[0]), Integer.parseInt(args[1]), steps);
      return;
    }
    System.out.println(
        "us: workers channels | two exchanges: median, mean, of a processor | step: the same");
    for (String workers : args) {
      int size = Integer.parseInt(workers);
      List<Process> processes = new ArrayList<>();
      for (int rank = 0; rank < size; rank++) {
        processes.add(start(rank, size));
      }
      for (Process process : processes) {
        process.waitFor();
      }
    }
  }

  private static Process start(int rank, int size) throws Exception {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            StepTimes.class.getName(),
            "" + rank,
            "" + size,
            "steps=" + 2400 / (size * size))
        .inheritIO()
        .start();
  }

  private static void work(int rank, int size, int steps) {
    Duration timeout = Duration.ofSeconds(30);
    try (StatisticsExchange end = GlooExchange.connect("127.0.0.1", PORT, rank, size, timeout)) {
      for (int channels : CHANNELS) {
        double[] forward = new double[2 * channels + 1];
        double[] backward = new double[2 * channels];
        String exchanges =
            time(
                steps,
                () -> {
                  end.allGather("times/0/forward", forward);
                  end.allGather("times/0/backward", backward);
                });
        try (BatchNorm norm = BatchNorm.builder(channels).threads(1).exchange(end).build();
            Tensor x = Tensor.zeros(2, channels, 7, 7);
            Tensor y = Tensor.zeros(2, channels, 7, 7);
            Tensor dx = Tensor.zeros(2, channels, 7, 7);
            Tensor dWeight = Tensor.zeros(channels);
            Tensor dBias = Tensor.zeros(channels);
            Pass pass = norm.forwardTraining(x, y)) {
          String step =
              time(
                  steps,
                  () -> {
                    pass.forward(x, y);
                    pass.backward(y, dx, dWeight, dBias);
                  });
          if (rank == 0) {
            System.out.printf("%7d %8d | %s | %s%n", size, channels, exchanges, step);
          }
        }
      }
    }
  }

  /** Median, mean and processor after a third to warm up, in microseconds. */
  private static String time(int steps, Runnable step) {
    double[] micros = new double[steps];
    long used = 0;
    for (int i = 0; i < steps; i++) {
      used = i == steps / 3 ? processor() : used;
      long begin = System.nanoTime();
      step.run();
      micros[i] = (System.nanoTime() - begin) / 1e3;
    }
    double[] warm = Arrays.copyOfRange(micros, steps / 3, steps);
    double processor = (processor() - used) / 1e3 / warm.length;
    double mean = Arrays.stream(warm).average().orElseThrow();
    Arrays.sort(warm);
    return String.format("%9.1f %9.1f %9.1f", warm[warm.length / 2], mean, processor);
  }

  /** What this process has used, of all its threads. */
  private static long processor() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }
}
