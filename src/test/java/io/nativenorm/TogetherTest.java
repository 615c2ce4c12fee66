package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Layers that exchange in one message have the bits of layers that exchange one by one. */
@SuppressWarnings("try") // the scopes are there to close
@Timeout(60)
class TogetherTest {
  private static final Duration TIMEOUT = Duration.ofMillis(150);

  private static Tensor values(long seed, DataType type, long... shape) {
    try (Tensor wide = Tensor.of(TestData.normal(seed, (int) Shapes.size(shape), 1, 2), shape)) {
      return wide.to(type);
    }
  }

  /** Of different channels, types, activations and shares; one is frozen, one has no exchange. */
  private static List<BatchNorm> layers(StatisticsExchange end) {
    BatchNorm frozen = BatchNorm.builder(2).exchange(end).build();
    frozen.freeze();
    return List.of(
        BatchNorm.builder(3).exchange(end).activation(Activation.RELU).build(),
        frozen,
        BatchNorm.builder(5).exchange(end).mergeParameterGradients(true).build(),
        BatchNorm.of(4));
  }

  private static List<Tensor> inputs(long seed, int rank) {
    return List.of(
        values(seed, DataType.F32, 2 + rank, 3, 4),
        values(seed + 1, DataType.F32, 2, 2),
        values(seed + 2, DataType.BF16, 2L * rank, 5, 7),
        values(seed + 3, DataType.F32, 3, 4));
  }

  private static List<float[]> all(
      List<BatchNorm> layers, List<Pass> passes, List<Gradients> gradients) {
    List<float[]> all = new ArrayList<>();
    for (int i = 0; i < layers.size(); i++) {
      all.add(passes.get(i).output().toArray());
      all.add(passes.get(i).variance().toArray());
      all.add(gradients.get(i).input().toArray());
      all.add(gradients.get(i).weight().toArray());
      all.add(gradients.get(i).bias().toArray());
      all.add(layers.get(i).runningMean().toArray());
      all.add(layers.get(i).runningVar().toArray());
    }
    layers.forEach(BatchNorm::close);
    return all;
  }

  @Test
  void togetherIsOneByOne() {
    Workers.run(
        StatisticsExchange.threads(2, Duration.ofSeconds(30)),
        end -> {
          try (TensorScope scope = TensorScope.open()) {
            SharedStepsTest.Noted noted = new SharedStepsTest.Noted(end);
            List<Tensor> x = inputs(10L * end.rank(), end.rank());
            List<Tensor> dy = inputs(10L * end.rank() + 5, end.rank());
            List<BatchNorm> layers = layers(noted);
            List<Pass> passes = BatchNorm.forwardTrainingTogether(layers, x);
            List<Gradients> gradients = BatchNorm.backwardTogether(passes, dy);
            assertEquals(List.of("1/0+2/0/forward 18", "1/0+2/0/backward 16"), noted.steps());

            List<BatchNorm> alone = layers(end);
            List<Pass> onePasses = new ArrayList<>();
            List<Gradients> oneGradients = new ArrayList<>();
            for (int i = 0; i < x.size(); i++) {
              onePasses.add(alone.get(i).forwardTraining(x.get(i)));
              oneGradients.add(onePasses.get(i).backward(dy.get(i)));
            }
            List<float[]> expected = all(alone, onePasses, oneGradients);
            List<float[]> found = all(layers, passes, gradients);
            for (int i = 0; i < expected.size(); i++) {
              assertArrayEquals(expected.get(i), found.get(i), "result " + i);
            }
          }
          return null;
        });
  }

  @Test
  void allOfItFailsTogether() {
    List<StatisticsExchange> ends = StatisticsExchange.threads(2, TIMEOUT);
    Workers.run(
        ends,
        end -> {
          List<BatchNorm> layers = layers(end);
          List<Tensor> x = inputs(1, 1);
          List<Pass> passes = BatchNorm.forwardTrainingTogether(layers, x);
          float[] running = layers.get(0).runningVar().toArray();
          if (end.rank() == 0) {
            assertThrows(ExchangeException.class, () -> BatchNorm.backwardTogether(passes, x));
            assertThrows(
                ExchangeException.class, () -> BatchNorm.forwardTrainingTogether(layers, x));
            assertArrayEquals(running, layers.get(0).runningVar().toArray());
            assertEquals(1, layers.get(3).numBatchesTracked());
          }
          passes.forEach(Pass::close);
          x.forEach(Tensor::close);
          layers.forEach(BatchNorm::close);
          return null;
        });
  }

  @Test
  void whatDoesNotFitIsRefused() {
    StatisticsExchange end = StatisticsExchange.threads(1, TIMEOUT).get(0);
    StatisticsExchange other = StatisticsExchange.threads(1, TIMEOUT).get(0);
    try (BatchNorm one = BatchNorm.builder(3).exchange(end).build();
        BatchNorm elsewhere = BatchNorm.builder(3).exchange(other).build();
        Tensor x = values(1, DataType.F32, 2, 3);
        Tensor wrong = values(1, DataType.F32, 2, 4)) {
      assertEquals(
          "expected as many inputs as layers, 1, but got 2",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> BatchNorm.forwardTrainingTogether(List.of(one), List.of(x, x)))
              .getMessage());
      assertEquals(
          "expected as many gradients as passes, 0, but got 1",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> BatchNorm.backwardTogether(List.of(), List.of(x)))
              .getMessage());
      assertEquals(
          "what exchanges together must be on one exchange",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> BatchNorm.forwardTrainingTogether(List.of(one, elsewhere), List.of(x, x)))
              .getMessage());
      assertThrows(
          IllegalArgumentException.class,
          () -> BatchNorm.forwardTrainingTogether(List.of(one, one), List.of(x, wrong)));
      assertEquals(0, one.numBatchesTracked());
      List<Pass> passes = BatchNorm.forwardTrainingTogether(List.of(one, one), List.of(x, x));
      assertThrows(
          IllegalArgumentException.class,
          () -> BatchNorm.backwardTogether(passes, List.of(x, wrong)));
      passes.get(1).close();
      IllegalStateException e =
          assertThrows(
              IllegalStateException.class, () -> BatchNorm.backwardTogether(passes, List.of(x, x)));
      assertTrue(e.getMessage().contains("is closed"), e::toString);
      BatchNorm.backwardTogether(passes.subList(0, 1), List.of(x)).get(0).close();
      passes.get(0).close();
    }
  }
}
