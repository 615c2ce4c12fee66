package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A ResNet block is trained in plain Java on float arrays: one {@code try} for its layers and
 * passes, whatever is in the loop. Its gradients are held against central differences of the block
 * in doubles.
 */
class ResNetBlockTest {
  private static final int N = 6;
  private static final int C = 4;
  private static final int SIDE = 5;
  private static final int SIZE = N * C * SIDE * SIDE;
  private static final int STEPS = 150;
  private static final float RATE = 0.02f;

  /** A convolution of 3 x 3 with a border of zeros, as plain loops. */
  private static final class Convolution {
    final float[] weight = new float[C * C * 9];
    final float[] gradient = new float[weight.length];

    Convolution(Random random) {
      for (int i = 0; i < weight.length; i++) {
        weight[i] = (float) (random.nextGaussian() / Math.sqrt(9 * C));
      }
    }

    interface Tap {
      void at(int output, int input, int weight);
    }

    static void forAll(Tap tap) {
      for (int n = 0; n < N; n++) {
        for (int to = 0; to < C; to++) {
          for (int from = 0; from < C; from++) {
            for (int k = 0; k < 9; k++) {
              forPlane((n * C + to), (n * C + from), (to * C + from) * 9 + k, k, tap);
            }
          }
        }
      }
    }

    private static void forPlane(int to, int from, int weight, int k, Tap tap) {
      int down = k / 3 - 1;
      int right = k % 3 - 1;
      for (int i = Math.max(0, -down); i < Math.min(SIDE, SIDE - down); i++) {
        for (int j = Math.max(0, -right); j < Math.min(SIDE, SIDE - right); j++) {
          int output = (to * SIDE + i) * SIDE + j;
          tap.at(output, (from * SIDE + i + down) * SIDE + j + right, weight);
        }
      }
    }

    void forward(float[] x, float[] y) {
      Arrays.fill(y, 0);
      forAll((o, i, w) -> y[o] += x[i] * weight[w]);
    }

    /** dx may be null. */
    void backward(float[] x, float[] dy, float[] dx) {
      Arrays.fill(gradient, 0);
      forAll((o, i, w) -> gradient[w] += dy[o] * x[i]);
      if (dx != null) {
        Arrays.fill(dx, 0);
        forAll((o, i, w) -> dx[i] += dy[o] * weight[w]);
      }
    }

    void descend() {
      for (int i = 0; i < weight.length; i++) {
        weight[i] -= RATE * gradient[i];
      }
    }
  }

  /** BatchNorm's parameters where the optimizer has them, and their gradients. */
  private static final class Parameters {
    final float[] weight = {1, 1, 1, 1};
    final float[] bias = new float[C];
    final float[] dWeight = new float[C];
    final float[] dBias = new float[C];

    void descend(BatchNorm norm) {
      for (int c = 0; c < C; c++) {
        weight[c] -= RATE * dWeight[c];
        bias[c] -= RATE * dBias[c];
      }
      norm.weight().copyFrom(weight);
      norm.bias().copyFrom(bias);
    }
  }

  private final Random random = new Random(17);
  private final float[] x = TestData.normal(1, SIZE, 0.3, 1);
  private final float[] target = TestData.normal(2, SIZE, 0.5, 0.6);
  private final Convolution conv1 = new Convolution(random);
  private final Convolution conv2 = new Convolution(random);
  private final Parameters parameters1 = new Parameters();
  private final Parameters parameters2 = new Parameters();

  /** out = relu(norm2(conv2(relu(norm1(conv1(x))))) + x); returns the losses of all steps. */
  private double[] train(Backend backend, int steps) {
    float[] a1 = new float[SIZE];
    float[] y1 = new float[SIZE];
    float[] a2 = new float[SIZE];
    float[] y2 = new float[SIZE];
    float[] gradient = new float[SIZE];
    double[] losses = new double[steps];
    conv1.forward(x, a1);
    try (BatchNorm norm1 =
            BatchNorm.builder(C).activation(Activation.RELU).backend(backend).build();
        BatchNorm norm2 = BatchNorm.builder(C).backend(backend).build();
        Pass pass1 = norm1.forwardTraining(a1, y1, N, C, SIDE, SIDE);
        Pass pass2 = norm2.forwardTraining(a1, y2, N, C, SIDE, SIDE)) {
      for (int step = 0; step < steps; step++) {
        conv1.forward(x, a1);
        pass1.forward(a1, y1);
        conv2.forward(y1, a2);
        pass2.forward(a2, y2);
        losses[step] = loss(y2, gradient);
        pass2.backward(gradient, gradient, parameters2.dWeight, parameters2.dBias);
        conv2.backward(y1, gradient.clone(), gradient);
        pass1.backward(gradient, gradient, parameters1.dWeight, parameters1.dBias);
        conv1.backward(x, gradient, null);
        if (steps > 1) {
          conv1.descend();
          conv2.descend();
          parameters1.descend(norm1);
          parameters2.descend(norm2);
        }
      }
      assertEquals(steps + 1, norm1.numBatchesTracked());
    }
    return losses;
  }

  /** Half the mean square; the gradient is that of what norm2 gives. */
  private double loss(float[] y2, float[] gradient) {
    double loss = 0;
    for (int i = 0; i < SIZE; i++) {
      float out = Math.max(y2[i] + x[i], 0);
      float distance = out - target[i];
      loss += 0.5 * distance * distance / N;
      gradient[i] = out > 0 ? distance / N : 0;
    }
    return loss;
  }

  /** The loss in doubles. */
  private double exactLoss() {
    double[] a2 = conv(conv2, norm(parameters1, true).forward(conv(conv1, TestData.widen(x))));
    double[] y2 = norm(parameters2, false).forward(a2);
    double loss = 0;
    for (int i = 0; i < SIZE; i++) {
      double distance = Math.max(y2[i] + x[i], 0) - target[i];
      loss += 0.5 * distance * distance / N;
    }
    return loss;
  }

  private static double[] conv(Convolution convolution, double[] from) {
    double[] to = new double[SIZE];
    Convolution.forAll((o, i, w) -> to[o] += from[i] * convolution.weight[w]);
    return to;
  }

  private static Oracle norm(Parameters p, boolean relu) {
    return new Oracle(Oracle.Kind.BATCH, N, C, SIDE * SIDE, 1, 1e-5, p.weight, p.bias, relu);
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void theGradientsAreThoseOfTheLoss(Backend backend) {
    double[] losses = train(backend, 1);
    assertEquals(exactLoss(), losses[0], 1e-5 * losses[0]);
    float[][][] pairs = {
      {conv1.weight, conv1.gradient},
      {conv2.weight, conv2.gradient},
      {parameters1.weight, parameters1.dWeight},
      {parameters1.bias, parameters1.dBias},
      {parameters2.weight, parameters2.dWeight},
      {parameters2.bias, parameters2.dBias}
    };
    for (int k = 0; k < pairs.length; k++) {
      float[] values = pairs[k][0];
      for (int i = 0; i < values.length; i += 3) {
        float middle = values[i];
        values[i] = middle + 2e-5f;
        double above = exactLoss();
        double width = values[i];
        values[i] = middle - 2e-5f;
        double below = exactLoss();
        width -= values[i];
        values[i] = middle;
        // A step so short that no activation turns in it, which would be off by a part of its
        // gradient.
        assertEquals((above - below) / width, pairs[k][1][i], 1e-3, k + " at " + i);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void theLossFalls(Backend backend) {
    double[] losses = train(backend, STEPS);
    assertTrue(losses[STEPS - 1] < 0.5 * losses[0], () -> losses[0] + " to " + losses[STEPS - 1]);
  }
}
