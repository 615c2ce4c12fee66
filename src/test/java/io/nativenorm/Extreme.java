package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A problem whose numbers are far from 1, in the oracle's terms and logical order: computes it with
 * a layer and holds each unit of it, since one of them may be larger than another by any power,
 * against the oracle.
 */
record Extreme(String name, Oracle oracle, float[] mean, float[] variance, float[] x, float[] dy) {
  /** With statistics of its own. */
  Extreme(String name, Oracle oracle, float[] x, float[] dy) {
    this(name, oracle, null, null, x, dy);
  }

  private boolean given() {
    return mean != null;
  }

  private boolean isRows() {
    return oracle.kind == Oracle.Kind.LAYER || oracle.kind == Oracle.Kind.RMS;
  }

  private long[] shape() {
    return isRows() ? new long[] {oracle.n, oracle.c} : new long[] {oracle.n, oracle.c, oracle.s};
  }

  NormLayer layer(Backend backend) {
    NormLayer layer =
        switch (oracle.kind) {
          case BATCH -> configure(BatchNorm.builder(oracle.c).trackRunningStats(given()), backend);
          case LAYER -> configure(LayerNorm.builder(oracle.c), backend);
          case RMS -> configure(RmsNorm.builder(oracle.c), backend);
          case GROUP -> configure(GroupNorm.builder(oracle.groups, oracle.c), backend);
        };
    set(layer.weight(), oracle.weight);
    set(layer.bias(), oracle.bias);
    if (given()) {
      Map<String, Tensor> state = layer.state();
      set(state.get("running_mean"), mean);
      set(state.get("running_var"), variance);
    }
    return layer;
  }

  private NormLayer configure(LayerBuilder<?> builder, Backend backend) {
    builder.backend(backend).eps(oracle.eps).affine(oracle.weight != null);
    if (oracle.kind != Oracle.Kind.RMS) {
      builder.bias(oracle.bias != null);
    }
    return builder.activation(oracle.relu ? Activation.RELU : Activation.NONE).build();
  }

  private static void set(Tensor parameter, float[] values) {
    if (parameter != null) {
      parameter.copyFrom(values);
    }
  }

  private float[] reordered(Layout layout, float[] values, boolean back) {
    if (isRows() || layout == Layout.CHANNELS_FIRST) {
      return values;
    }
    return back
        ? TestData.channelsFirst(values, oracle.n, oracle.c, oracle.s)
        : TestData.channelsLast(values, oracle.n, oracle.c, oracle.s);
  }

  private Tensor tensor(Layout layout, float[] values) {
    Tensor tensor = Tensor.allocate(DataType.F32, layout, shape());
    tensor.copyFrom(reordered(layout, values, false));
    return tensor;
  }

  /** What came out, in logical order; nulls where there is no such parameter. */
  record Results(float[] y, float[] dx, float[] dWeight, float[] dBias) {}

  /** Training and backward; inference, in place too, must come to the same. */
  Results run(Backend backend, Layout layout) {
    try (NormLayer layer = layer(backend);
        Tensor input = tensor(layout, x);
        Tensor gradient = tensor(layout, dy);
        Pass pass =
            given() ? ((BatchNorm) layer).forwardFrozen(input) : layer.forwardTraining(input);
        Gradients gradients = pass.backward(gradient)) {
      float[] y = reordered(layout, pass.output().toArray(), true);
      try (Tensor inferred = layer.forward(input)) {
        assertSame(y, reordered(layout, inferred.toArray(), true), "inference");
        layer.forward(input, input);
        assertSame(y, reordered(layout, input.toArray(), true), "inference in place");
      }
      return new Results(
          y,
          reordered(layout, gradients.input().toArray(), true),
          gradients.weight() == null ? null : gradients.weight().toArray(),
          gradients.bias() == null ? null : gradients.bias().toArray());
    }
  }

  private static void assertValues(double[] expected, float[] actual, String text) {
    for (int e = 0; e < expected.length; e++) {
      int element = e;
      assertTrue(
          Math.abs(expected[e] - actual[e]) <= 4e-6 * (1 + Math.abs(expected[e]))
              || (float) expected[e] == actual[e], // infinities
          () -> text + " " + actual[element] + " for " + expected[element]);
    }
  }

  private void assertSame(float[] expected, float[] actual, String what) {
    assertValues(TestData.widen(expected), actual, this + ": " + what);
  }

  /**
   * The output, the gradients, and sums of the absolute values that they are made of: once for all
   * engines, of which they took most of the time.
   */
  record Expected(double[] y, double[][] gradients, double[][] scales) {}

  Expected expected() {
    double[] wide = TestData.widen(x);
    double[] y = oracle.forward(wide);
    return new Expected(y, oracle.backward(wide, TestData.widen(dy)), scales(wide));
  }

  /** Runs it and compares all that comes out with the oracle. */
  void check(Expected expected, Backend backend, Layout layout) {
    String text = this + " " + layout + " " + backend;
    Results found = run(backend, layout);
    assertValues(expected.y, found.y, text + ": y");
    compareInput(expected, found, text);
    compareParameter(expected.gradients[1], expected.scales[1], found.dWeight, text + ": dweight");
    compareParameter(expected.gradients[2], expected.scales[2], found.dBias, text + ": dbias");
  }

  /** For dx, of each unit, the squared norm of dy * weight / deviation. */
  private double[][] scales(double[] wide) {
    double[] xhat = oracle.xhat(wide);
    double[][] scales = {
      new double[oracle.unitCount()], new double[oracle.c], new double[oracle.c]
    };
    for (int e = 0; e < wide.length; e++) {
      int c = oracle.channelOf(e);
      int unit = oracle.unitOf(e);
      double g = dy[e] * (oracle.weight == null ? 1.0 : oracle.weight[c]);
      scales[0][unit] += g == 0 ? 0 : Math.pow(g / oracle.deviation(unit), 2);
      scales[1][c] += Math.abs(dy[e]) * (Math.abs(xhat[e]) + 0.1); // near 0 it is a difference
      scales[2][c] += Math.abs(dy[e]);
    }
    return scales;
  }

  private void compareInput(Expected expected, Results found, String text) {
    double[] errors = new double[oracle.unitCount()];
    double[] dx = expected.gradients[0];
    for (int e = 0; e < dx.length; e++) {
      int element = e;
      if (Math.abs(dx[e]) > Float.MAX_VALUE) {
        assertEquals((float) dx[e], found.dx[e], text);
      } else {
        assertTrue(
            Float.isFinite(found.dx[e]),
            () -> text + ": dx " + found.dx[element] + " for " + dx[element]);
        errors[oracle.unitOf(e)] += Math.pow(dx[e] - found.dx[e], 2);
      }
    }
    for (int g = 0; g < errors.length; g++) {
      double error = Math.sqrt(errors[g]);
      double rounding = Float.MIN_VALUE * Math.sqrt(dx.length);
      double allowed = 2e-6 * Math.sqrt(expected.scales[0][g]) + rounding;
      assertTrue(error <= allowed, () -> text + ": dx off by " + error + ", more than " + allowed);
    }
  }

  private static void compareParameter(
      double[] expected, double[] scales, float[] found, String text) {
    for (int c = 0; found != null && c < found.length; c++) {
      double error = Math.abs(expected[c] - found[c]);
      double allowed = 1e-6 * scales[c] + Float.MIN_VALUE;
      int channel = c;
      assertTrue(
          error <= allowed || (float) expected[c] == found[c],
          () -> text + " " + found[channel] + " for " + expected[channel]);
    }
  }

  /** The layouts that differ for it. */
  List<Layout> layouts() {
    List<Layout> layouts = new ArrayList<>(List.of(Layout.CHANNELS_FIRST));
    if (!isRows() && oracle.s > 1) {
      layouts.add(Layout.CHANNELS_LAST);
    }
    return layouts;
  }

  @Override
  public String toString() {
    return String.format(
        "%s: %s %dx%dx%d groups %d eps %g%s%s%s%s",
        name,
        oracle.kind,
        oracle.n,
        oracle.c,
        oracle.s,
        oracle.groups,
        oracle.eps,
        oracle.weight == null ? "" : " weight",
        oracle.bias == null ? "" : " bias",
        oracle.relu ? " relu" : "",
        given() ? " given" : "");
  }
}
