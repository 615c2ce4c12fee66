package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** An input without elements has an empty result, whatever its other extents are. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EmptyInputTest {
  private static final long MANY = 1L << 40;

  record Case(NormLayer layer, Layout layout, long[] shape, long[] statistics) {
    @Override
    public String toString() {
      return layer + " " + layout + " " + Arrays.toString(shape);
    }
  }

  static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (Layout layout : Layout.values()) {
      for (long[] shape :
          new long[][] {{MANY, 4, 0}, {0, 4, MANY, MANY}, {MANY, 4, MANY, 0}, {0, 4}, {2, 4, 0}}) {
        cases.add(new Case(GroupNorm.of(2, 4), layout, shape, new long[] {0, 2}));
        cases.add(new Case(InstanceNorm.of(4), layout, shape, new long[] {0, 4}));
        cases.add(new Case(tracking(), layout, shape, new long[] {0, 4}));
        cases.add(new Case(BatchNorm.of(4), layout, shape, new long[] {0}));
      }
      cases.add(new Case(LayerNorm.of(4), layout, new long[] {MANY, 0, 4}, new long[] {MANY, 0}));
      cases.add(new Case(RmsNorm.of(4), layout, new long[] {0, MANY, 4}, new long[] {0, MANY}));
    }
    NormLayer wide = BatchNorm.builder(MANY).affine(false).trackRunningStats(false).build();
    cases.add(new Case(wide, Layout.CHANNELS_FIRST, new long[] {0, MANY}, new long[] {0}));
    return cases;
  }

  private static NormLayer tracking() {
    return InstanceNorm.builder(4).trackRunningStats(true).affine(true).build();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void nothingOfNothing(Case c) {
    try (NormLayer layer = c.layer();
        Tensor x = Tensor.allocate(DataType.F32, c.layout(), c.shape());
        Tensor y = layer.forward(x);
        Pass pass = layer.forwardTraining(x);
        Gradients gradients = pass.backward(x)) {
      for (Tensor each : new Tensor[] {y, pass.output(), gradients.input()}) {
        assertArrayEquals(c.shape(), each.shape());
        assertEquals(c.layout(), each.layout());
        assertEquals(0, each.toArray().length);
      }
      assertArrayEquals(c.statistics(), pass.variance().shape());
      if (!(layer instanceof RmsNorm)) {
        assertArrayEquals(c.statistics(), pass.mean().shape());
      }
      if (layer.weight() != null) {
        assertArrayEquals(new float[4], gradients.weight().toArray());
      }
      if (layer.bias() != null) {
        assertArrayEquals(new float[4], gradients.bias().toArray());
      }
      assertEquals(0, layer.trackedBatches());
      layer.explain(x);
      assertEquals(0, layer.forward(new float[0], c.shape()).length);
      for (Layout layout : Layout.values()) {
        x.to(layout).close();
      }
      x.reshape(0, MANY).close();
    }
  }
}
