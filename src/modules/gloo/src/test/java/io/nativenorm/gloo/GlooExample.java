package io.nativenorm.gloo;

import io.nativenorm.BatchNorm;
import io.nativenorm.Pass;
import io.nativenorm.StatisticsExchange;
import io.nativenorm.Tensor;
import java.time.Duration;

/** The code of docs/workers.md. */
final class GlooExample {
  private GlooExample() {}

  public static void main(String[] args) {
    int rank = Integer.parseInt(args[0]); // 0, 1, … of each process
    int size = Integer.parseInt(args[1]);
    Duration timeout = Duration.ofSeconds(60);
    try (StatisticsExchange exchange =
            GlooExchange.connect("127.0.0.1", 29500, rank, size, timeout);
        BatchNorm norm = BatchNorm.builder(64).exchange(exchange).build();
        Tensor x = Tensor.zeros(8, 64, 14, 14);
        Pass pass = norm.forwardTraining(x)) {
      pass.backward(x).close();
      System.out.println(norm.runningMean()); // the same bits on all
    }
  }
}
