package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a layer with an exchange exchanges, when, and what is judged after it. */
@SuppressWarnings("try") // the scopes are there to close
@Timeout(60)
class SharedStepsTest {
  private static final int C = 3;
  private static final int S = 4;

  /** An end that notes its steps, and may change what it returns. */
  record Noted(StatisticsExchange end, List<String> steps, UnaryOperator<double[][]> change)
      implements StatisticsExchange {

    Noted(StatisticsExchange end) {
      this(end, Collections.synchronizedList(new ArrayList<>()), all -> all);
    }

    @Override
    public int rank() {
      return end.rank();
    }

    @Override
    public int size() {
      return end.size();
    }

    @Override
    public double[][] allGather(String step, double[] mine) {
      steps.add(step + " " + mine.length);
      return change.apply(end.allGather(step, mine));
    }

    @Override
    public void close() {
      end.close();
    }
  }

  private static List<StatisticsExchange> ends(int workers) {
    return StatisticsExchange.threads(workers, Duration.ofSeconds(30));
  }

  private static Noted alone() {
    return new Noted(ends(1).get(0));
  }

  private static Tensor values(long seed, int samples) {
    return Tensor.of(TestData.normal(seed, samples * C * S, 1, 2), samples, C, S);
  }

  private static float[][] running(BatchNorm layer) {
    return new float[][] {layer.runningMean().toArray(), layer.runningVar().toArray()};
  }

  @Test
  void stepsAreNumberedByForwards() {
    Noted end = alone();
    try (TensorScope scope = TensorScope.open();
        BatchNorm first = BatchNorm.builder(C).exchange(end).build();
        BatchNorm second = BatchNorm.builder(C).exchange(end).build();
        BatchNorm named = BatchNorm.builder(C).exchange(end, "stem").build()) {
      Tensor x = values(1, 2);
      Tensor y = values(2, 2);
      Pass pass = first.forwardTraining(x, y);
      Pass other = first.forwardTrainingWithoutUpdate(x);
      second.forwardTraining(x);
      named.forwardTraining(x);
      pass.backward(y);
      pass.backward(y, null, null, null);
      pass.forward(x, y);
      other.backward(y);
      pass.accumulate(y, null, Tensor.zeros(C), null);
      first.forwardTraining(x.toArray(), new float[2 * C * S], 2, C, S);
    }
    assertEquals(
        List.of(
            "0/0/forward 7",
            "0/1/forward 7",
            "1/0/forward 7",
            "stem/0/forward 7",
            "0/0/backward 6",
            "0/0/backward 6",
            "0/2/forward 7",
            "0/1/backward 6",
            "0/2/backward 6",
            "0/3/forward 7"),
        end.steps);
  }

  @Test
  void whatIsFrozenExchangesNothing() {
    Noted end = alone();
    try (TensorScope scope = TensorScope.open();
        BatchNorm layer = BatchNorm.builder(C).exchange(end).build();
        BatchNorm plain = BatchNorm.of(C)) {
      Tensor x = values(1, 2);
      layer.freeze();
      Pass pass = layer.forwardTraining(x);
      pass.backward(x);
      layer.forwardFrozen(x).backward(x);
      layer.forward(x);
      layer.apply(x, layer.measure(x), values(2, 2));
      assertArrayEquals(plain.forwardFrozen(x).output().toArray(), pass.output().toArray());
      assertEquals(List.of(), end.steps);
      layer.thaw();
      layer.forwardTraining(x);
      assertEquals(List.of("0/1.0/forward 7"), end.steps);
    }
  }

  /** Frozen workers hear nothing of each other, and need not have batches equally often. */
  @Test
  void workersThawAfterDifferentNumbersOfFrozenSteps() {
    List<float[][]> all =
        Workers.run(
            ends(2),
            end -> {
              try (TensorScope scope = TensorScope.open();
                  BatchNorm layer = BatchNorm.builder(C).exchange(end).build()) {
                Tensor x = values(end.rank(), 2);
                layer.forwardTraining(x).backward(x);
                layer.freeze();
                for (int i = 0; i <= end.rank(); i++) {
                  layer.forwardTraining(x).backward(x);
                }
                layer.thaw();
                layer.thaw();
                layer.forwardTraining(x).backward(x);
                return running(layer);
              }
            });
    assertArrayEquals(all.get(0)[0], all.get(1)[0]);
    assertArrayEquals(all.get(0)[1], all.get(1)[1]);
  }

  /** Its end equals others, and is no longer what it was after a step. */
  @Test
  void aLayerThatIsBuiltLaterHasANameOfItsOwn() {
    Noted end = alone();
    try (TensorScope scope = TensorScope.open();
        BatchNorm first = BatchNorm.builder(C).exchange(end).build()) {
      Tensor x = values(1, 2);
      first.forwardTraining(x);
      try (BatchNorm second = BatchNorm.builder(C).exchange(end).build()) {
        second.forwardTraining(x);
      }
    }
    assertEquals(List.of("0/0/forward 7", "1/0/forward 7"), end.steps);
  }

  @Test
  void moreChannelsThanArraysHaveRoomFor() {
    try (BatchNorm layer =
            BatchNorm.builder(3_000_000_000L)
                .affine(false)
                .trackRunningStats(false)
                .exchange(alone())
                .build();
        Tensor x = Tensor.zeros(0, 3_000_000_000L)) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> layer.forwardTraining(x));
      assertTrue(e.getMessage().contains("no room for so many channels"), e::toString);
    }
  }

  @Test
  void whatIsNotTakenInIsExchanged() {
    List<float[]> means =
        Workers.run(
            ends(2),
            end -> {
              Noted noted = new Noted(end);
              try (TensorScope scope = TensorScope.open();
                  BatchNorm layer = BatchNorm.builder(C).exchange(noted).build()) {
                Pass pass = layer.forwardTrainingWithoutUpdate(values(end.rank(), 2));
                assertEquals(1, noted.steps.size());
                assertEquals(0, layer.numBatchesTracked());
                return pass.mean().toArray();
              }
            });
    assertArrayEquals(means.get(0), means.get(1));
  }

  @Test
  void arraysHaveTheBitsOfTensors() {
    Workers.run(
        ends(2),
        end -> {
          int n = end.rank() == 0 ? 3 : 0;
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer =
                  BatchNorm.builder(C).exchange(end).activation(Activation.RELU).build()) {
            Tensor x = values(1, n);
            Tensor dy = values(2, n);
            float[] y = new float[n * C * S];
            float[] dx = dy.toArray();
            float[] dWeight = new float[C];
            float[] dBias = {1, 2, 3};
            Pass tensors = layer.forwardTraining(x);
            Gradients gradients = tensors.backward(dy);
            Pass arrays = layer.forwardTraining(x.toArray(), y, n, C, S);
            arrays.backward(dx, dx, dWeight, null);
            arrays.accumulate(dy.toArray(), null, null, dBias);
            assertArrayEquals(tensors.output().toArray(), y);
            assertArrayEquals(gradients.input().toArray(), dx);
            assertArrayEquals(gradients.weight().toArray(), dWeight);
            float[] bias = gradients.bias().toArray();
            assertArrayEquals(new float[] {1 + bias[0], 2 + bias[1], 3 + bias[2]}, dBias);
            arrays.forward(x.toArray(), y);
            assertArrayEquals(tensors.output().toArray(), y);
            return null;
          }
        });
  }

  /** Each worker's own by default, which add up to those of all. */
  @Test
  void parameterGradientsAreLocalOrOfAll() {
    List<float[][]> all =
        Workers.run(
            ends(3),
            end -> {
              BatchNorm.Builder builder = BatchNorm.builder(C).exchange(end);
              try (TensorScope scope = TensorScope.open();
                  BatchNorm own = builder.build();
                  BatchNorm merged = builder.mergeParameterGradients(true).build()) {
                Tensor x = values(end.rank(), end.rank());
                Tensor dy = values(9 + end.rank(), end.rank());
                Gradients one = own.forwardTraining(x).backward(dy);
                Gradients whole = merged.forwardTraining(x).backward(dy);
                assertArrayEquals(one.input().toArray(), whole.input().toArray());
                return new float[][] {
                  one.weight().toArray(),
                  one.bias().toArray(),
                  whole.weight().toArray(),
                  whole.bias().toArray()
                };
              }
            });
    for (int i = 0; i < 2; i++) {
      assertArrayEquals(new float[C], all.get(0)[i], "a share of nothing");
      for (int c = 0; c < C; c++) {
        assertEquals(all.get(0)[2 + i][c], all.get(1)[i][c] + all.get(2)[i][c], 1e-5);
      }
      assertArrayEquals(all.get(0)[2 + i], all.get(1)[2 + i]);
      assertArrayEquals(all.get(0)[2 + i], all.get(2)[2 + i]);
    }
  }

  /** Shares that all but cancel out: what is left has other bits in another order. */
  @Test
  void allMergeInTheSameOrder() {
    List<float[]> all =
        Workers.run(
            ends(3),
            end -> {
              float[] values = TestData.normal(end.rank() % 2, 2 * C * S, 1, 2);
              for (int i = 0; i < values.length; i++) {
                values[i] *= new float[] {1e15f, 1, -1e15f}[end.rank()];
              }
              try (TensorScope scope = TensorScope.open();
                  BatchNorm layer =
                      BatchNorm.builder(C).exchange(end).mergeParameterGradients(true).build()) {
                Pass pass = layer.forwardTraining(Tensor.of(values, 2, C, S));
                float[] mean = pass.mean().toArray();
                float[] bias = pass.backward(Tensor.of(values, 2, C, S)).bias().toArray();
                float[] both = Arrays.copyOf(mean, 2 * C);
                System.arraycopy(bias, 0, both, C, C);
                return both;
              }
            });
    assertArrayEquals(all.get(0), all.get(1));
    assertArrayEquals(all.get(0), all.get(2));
  }

  /** Two workers need not want the same. */
  @Test
  void eachWorkerHasTheGradientsThatItWants() {
    Workers.run(
        ends(2),
        end -> {
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer = BatchNorm.builder(C).exchange(end).build()) {
            Tensor x = values(end.rank(), 2);
            Pass pass = layer.forwardTraining(x);
            Gradients expected = pass.backward(x);
            Tensor dx = end.rank() == 0 ? values(3, 2) : null;
            Tensor dBias = end.rank() == 1 ? Tensor.zeros(C) : null;
            pass.backward(x, dx, null, dBias);
            if (dx != null) {
              assertArrayEquals(expected.input().toArray(), dx.toArray());
              pass.backward(x, null, null, null);
            } else {
              assertArrayEquals(expected.bias().toArray(), dBias.toArray());
              pass.backward(x);
            }
            return null;
          }
        });
  }

  @Test
  void whatIsNotFiniteAnywhereIsSkippedByAll() {
    Workers.run(
        ends(2),
        end -> {
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer = BatchNorm.builder(C).exchange(end).skipNonFinite(true).build()) {
            Tensor x = values(end.rank(), 2);
            if (end.rank() == 1) {
              x.set(Float.NaN, 0, 1, 0);
            }
            Pass pass = layer.forwardTraining(x);
            assertEquals(1, layer.batchesSkipped());
            assertEquals(0, layer.numBatchesTracked());
            assertArrayEquals(new float[C], layer.runningMean().toArray());
            assertTrue(Float.isFinite(pass.output().get(0, 0, 0)));
            assertTrue(Float.isNaN(pass.output().get(0, 1, 0)));
            return null;
          }
        });
  }

  @Test
  void oneValueIsJudgedOfAllTogether() {
    Workers.run(
        ends(2),
        end -> {
          try (TensorScope scope = TensorScope.open();
              BatchNorm refuses = BatchNorm.builder(C).exchange(end).build();
              BatchNorm passes =
                  BatchNorm.builder(C).exchange(end).oneValuePerChannel(OneValue.PASS).build()) {
            Tensor one = Tensor.of(new float[] {1, 2, 3}, 1, C);
            refuses.forwardTraining(one); // two of them
            assertEquals(1, refuses.numBatchesTracked());
            Tensor share = end.rank() == 0 ? one : Tensor.zeros(0, C);
            float[][] before = running(refuses);
            IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> refuses.forwardTraining(share));
            assertEquals(
                "BatchNorm(3): Expected more than 1 value per channel when training, got moments of"
                    + " 3 channels and 1.0 values of each on all workers together",
                e.getMessage());
            assertTrue(Arrays.deepEquals(before, running(refuses)));
            passes.bias().copyFrom(new float[] {7, 8, 9});
            Pass pass = passes.forwardTraining(share);
            assertArrayEquals(
                end.rank() == 0 ? new float[] {7, 8, 9} : new float[0], pass.output().toArray());
            assertArrayEquals(new float[] {0.1f, 0.2f, 0.3f}, running(passes)[0], 1e-7f);
            assertArrayEquals(new float[] {1, 1, 1}, running(passes)[1]);
            assertArrayEquals(
                new float[(int) share.size()], pass.backward(share).input().toArray());
            refuses.forwardTraining(values(4, 2)); // the exchange goes on
            return null;
          }
        });
  }

  @Test
  void sharesOfNothingAtAllChangeNothing() {
    Workers.run(
        ends(2),
        end -> {
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer =
                  BatchNorm.builder(C).exchange(end).mergeParameterGradients(true).build()) {
            Tensor x = values(1, 0);
            Pass pass = layer.forwardTraining(x);
            Gradients gradients = pass.backward(x);
            assertEquals(0, layer.numBatchesTracked());
            assertArrayEquals(new float[C], gradients.weight().toArray());
            assertArrayEquals(new float[C], gradients.bias().toArray());
            assertArrayEquals(new float[C], pass.mean().toArray());
            assertArrayEquals(new float[C], pass.variance().toArray());
            return null;
          }
        });
  }

  /** The gradient of a loss over both workers' outputs, by central differences. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theGradientReachesThroughBoth(boolean relu) {
    int[] samples = {2, 1};
    float[][] x = {TestData.normal(1, 2 * C * S, 1, 2), TestData.normal(2, C * S, 0, 1)};
    float[][] dy = {TestData.normal(3, 2 * C * S, 0, 1), TestData.normal(4, C * S, 0, 1)};
    List<float[]> gradients = twoWorkers(relu, samples, x, dy, true);
    double h = 2e-3;
    for (int worker = 0; worker < 2; worker++) {
      for (int i = 0; i < x[worker].length; i++) {
        float value = x[worker][i];
        x[worker][i] = (float) (value + h);
        double above = loss(dy, twoWorkers(relu, samples, x, dy, false));
        x[worker][i] = (float) (value - h);
        double below = loss(dy, twoWorkers(relu, samples, x, dy, false));
        x[worker][i] = value;
        assertEquals((above - below) / (2 * h), gradients.get(worker)[i], 3e-3, "element " + i);
      }
    }
  }

  private static double loss(float[][] dy, List<float[]> outputs) {
    double sum = 0;
    for (int worker = 0; worker < dy.length; worker++) {
      for (int i = 0; i < dy[worker].length; i++) {
        sum += (double) dy[worker][i] * outputs.get(worker)[i];
      }
    }
    return sum;
  }

  /** The outputs of both, or the gradients of their inputs. */
  private static List<float[]> twoWorkers(
      boolean relu, int[] samples, float[][] x, float[][] dy, boolean backward) {
    return Workers.run(
        ends(2),
        end -> {
          int n = samples[end.rank()];
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer =
                  BatchNorm.builder(C)
                      .exchange(end)
                      .activation(relu ? Activation.RELU : Activation.NONE)
                      .build()) {
            layer.weight().copyFrom(new float[] {0.5f, -1, 2});
            layer.bias().copyFrom(new float[] {0.3f, 0, -0.2f});
            Pass pass = layer.forwardTraining(Tensor.of(x[end.rank()], n, C, S));
            return backward
                ? pass.backward(Tensor.of(dy[end.rank()], n, C, S)).input().toArray()
                : pass.output().toArray();
          }
        });
  }

  @Test
  void whatDoesNotGoTogetherIsRefused() {
    try (StatisticsExchange end = ends(1).get(0)) {
      assertEquals(
          "BatchNorm(3): ghost(2) and exchange are not computed together, but got both",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> BatchNorm.builder(C).ghost(2).exchange(end).build())
              .getMessage());
      assertEquals(
          "BatchNorm(3): mergeParameterGradients(true) needs an exchange, but there is none",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> BatchNorm.builder(C).mergeParameterGradients(true).build())
              .getMessage());
    }
  }

  @Test
  void anExchangeThatIsNoneIsFoundOut() {
    List<UnaryOperator<double[][]>> wrong =
        List.of(
            all -> new double[0][],
            all -> new double[1][],
            all -> new double[][] {{0.5, 0, 0, 0, 1, 1, 1}},
            all -> new double[][] {new double[5]},
            all -> new double[][] {{-1, 0, 0, 0, 1, 1, 1}},
            all -> new double[][] {{4, 0, 0, 0, 1, -1, 1}});
    for (UnaryOperator<double[][]> change : wrong) {
      Noted end = new Noted(ends(1).get(0), new ArrayList<>(), change);
      try (BatchNorm layer = BatchNorm.builder(C).exchange(end).build();
          Tensor x = values(1, 2)) {
        ExchangeException e = assertThrows(ExchangeException.class, () -> layer.forwardTraining(x));
        assertTrue(e.getMessage().matches("(?s).*(did not return|gave no moments).*"), e::toString);
        assertEquals(0, layer.numBatchesTracked());
        assertThrows(ExchangeException.class, () -> layer.forwardTraining(x));
      }
    }
  }
}
