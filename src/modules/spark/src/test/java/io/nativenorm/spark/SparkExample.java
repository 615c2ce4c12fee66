package io.nativenorm.spark;

import io.nativenorm.BatchNorm;
import io.nativenorm.Pass;
import io.nativenorm.Tensor;
import java.time.Duration;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;

/** The code of docs/workers.md. */
final class SparkExample {
  private SparkExample() {}

  static List<float[]> train(JavaRDD<float[]> samples) {
    Duration timeout = Duration.ofSeconds(60);
    List<float[]> means =
        SparkExchange.run(
            samples,
            timeout,
            (exchange, own) -> {
              try (BatchNorm norm = BatchNorm.builder(64).exchange(exchange).build()) {
                while (own.hasNext()) { // as many samples in each partition
                  try (Tensor x = Tensor.of(own.next(), 1, 64, 14, 14);
                      Pass pass = norm.forwardTraining(x)) {
                    pass.backward(x).close();
                  }
                }
                return norm.runningMean().toArray();
              }
            });
    return means;
  }
}
