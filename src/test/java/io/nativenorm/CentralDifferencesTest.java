package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.LayerCase.Kind;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Gradients against central differences of the oracle's forward in double: neither the oracle's nor
 * any engine's gradient formula is on the other side.
 */
class CentralDifferencesTest {
  private static final double STEP = 1e-5;

  static List<LayerCase> cases() {
    List<LayerCase> cases = new ArrayList<>();
    for (Backend backend : TestEngines.named().toList()) {
      for (Kind kind : Kind.values()) {
        for (Layout layout : Layout.values()) {
          LayerCase c = new LayerCase(kind, layout, backend, 3, 8, 5).withMean(0.7);
          cases.add(c);
          cases.add(c.with(Activation.RELU));
        }
      }
    }
    return cases;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void gradientOfTheInput(LayerCase c) {
    float[] dy = c.dy();
    double[] x = TestData.widen(c.x());
    boolean[] undecided = c.trainingOracle().undecided(x);
    for (int i = 0; i < dy.length; i++) {
      dy[i] = undecided[i] ? 0 : dy[i];
    }
    try (NormLayer layer = c.layer();
        Tensor input = c.tensor(c.x());
        Tensor gradient = c.tensor(dy);
        Pass pass = layer.forwardTraining(input);
        Gradients gradients = pass.backward(gradient)) {
      float[] dx = c.logical(gradients.input());
      for (int i = 0; i < x.length; i++) {
        double middle = x[i];
        x[i] = middle + STEP;
        double above = loss(c, x, dy);
        x[i] = middle - STEP;
        double below = loss(c, x, dy);
        x[i] = middle;
        assertEquals((above - below) / (2 * STEP), dx[i], 1e-4, c + ": element " + i);
      }
    }
  }

  private static double loss(LayerCase c, double[] x, float[] dy) {
    double[] y = c.trainingOracle().forward(x);
    double loss = 0;
    for (int i = 0; i < y.length; i++) {
      loss += y[i] * dy[i];
    }
    return loss;
  }
}
