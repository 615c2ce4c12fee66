package io.nativenorm.gloo;

import io.nativenorm.BatchNorm;
import io.nativenorm.ExchangeException;
import io.nativenorm.Gradients;
import io.nativenorm.Pass;
import io.nativenorm.StatisticsExchange;
import io.nativenorm.Tensor;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** A worker in a process of its own: does what it reads, a line at a time, and answers each. */
final class WorkerMain {
  private final PrintStream answers;
  private StatisticsExchange exchange;
  private BatchNorm norm;
  private Tensor x;
  private Tensor dy;
  private Pass pass;

  private WorkerMain(PrintStream answers) {
    this.answers = answers;
  }

  public static void main(String[] args) throws Exception {
    WorkerMain worker = new WorkerMain(System.out);
    System.setOut(System.err);
    Pairs.load();
    worker.answer("ready");
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      long begin = System.nanoTime();
      try {
        worker.answer(worker.run(line.split(" ")));
      } catch (ExchangeException e) {
        long millis = (System.nanoTime() - begin) / 1_000_000;
        worker.answer("failed " + e.rank().orElse(-1) + " " + millis + " " + e.getMessage());
      }
    }
  }

  /** Marked: Gloo prints to the same stream. */
  private void answer(String line) {
    answers.println(WorkerProcess.ANSWER + line);
  }

  private String run(String[] words) {
    switch (words[0]) {
      case "connect" -> {
        exchange =
            connect(
                Integer.parseInt(words[1]),
                Integer.parseInt(words[2]),
                Integer.parseInt(words[3]),
                Duration.ofMillis(Long.parseLong(words[4])));
        return "connected";
      }
      case "build" -> {
        Share share = Share.parse(words[1]);
        norm = share.layer(exchange);
        x = share.x(exchange.rank());
        dy = share.dy(exchange.rank());
        return "built";
      }
      case "forward" -> {
        pass = norm.forwardTraining(x);
        return "forward";
      }
      case "backward" -> {
        try (Gradients gradients = pass.backward(dy)) {
          return Share.Step.encode(norm, pass, gradients);
        }
      }
      case "gather" -> {
        exchange.allGather(words[1], new double[3]);
        return "gathered";
      }
      case "close" -> {
        close(exchange, norm, x, dy, pass);
        norm = null;
        pass = null;
        return "closed";
      }
      default -> throw new IllegalArgumentException(words[0]);
    }
  }

  private StatisticsExchange connect(int port, int rank, int size, Duration timeout) {
    String local = "127.0.0.1";
    return rank == 0
        ? GlooExchange.host(local, size, timeout, found -> answer(Integer.toString(found)))
        : GlooExchange.connect(local, port, rank, size, timeout);
  }

  private static void close(AutoCloseable... all) {
    for (AutoCloseable each : all) {
      try {
        if (each != null) {
          each.close();
        }
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }
  }
}
