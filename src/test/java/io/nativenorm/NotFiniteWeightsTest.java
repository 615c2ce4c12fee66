package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A weight that is NaN or infinite makes its channel NaN where the normalized value is 0, and no
 * other, also beside units that take doubles, and in place.
 */
class NotFiniteWeightsTest {
  private static final int SAMPLES = 3;
  private static final int CHANNELS = 6;
  private static final int POSITIONS = 11;

  private record Subject(LayerBuilder<?> builder, Layout layout) {}

  private static List<Subject> subjects(Backend backend) {
    List<Subject> subjects = new ArrayList<>();
    for (Layout layout : Layout.values()) {
      subjects.add(new Subject(BatchNorm.builder(CHANNELS).trackRunningStats(false), layout));
      subjects.add(new Subject(GroupNorm.builder(3, CHANNELS), layout));
      subjects.add(new Subject(InstanceNorm.builder(CHANNELS).affine(true), layout));
    }
    subjects.forEach(subject -> subject.builder.backend(backend));
    return subjects;
  }

  /** Pairs of channels in turn: of one value everywhere, beyond where floats do, and normal. */
  private static float[] x(Layout layout) {
    float[] x = TestData.normal(1, SAMPLES * CHANNELS * POSITIONS, 0, 1);
    for (int i = 0; i < x.length; i++) {
      if (channel(i, layout) / 2 == 1) {
        x[i] = 1e38f;
      }
    }
    return x;
  }

  private static int channel(int i, Layout layout) {
    return layout == Layout.CHANNELS_LAST ? i % CHANNELS : i / POSITIONS % CHANNELS;
  }

  private static float[] run(Subject subject, int channel, float weight, boolean inPlace) {
    try (NormLayer layer = subject.builder.build();
        Tensor x = Tensor.allocate(DataType.F32, subject.layout, SAMPLES, CHANNELS, POSITIONS);
        Tensor y = Tensor.allocate(DataType.F32, subject.layout, SAMPLES, CHANNELS, POSITIONS)) {
      float[] weights = layer.weight().toArray();
      weights[channel] = weight;
      layer.weight().copyFrom(weights);
      x.copyFrom(x(subject.layout));
      layer.forward(x, inPlace ? x : y);
      return (inPlace ? x : y).toArray();
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void makeTheirChannelNotANumber(Backend backend) {
    for (Subject subject : subjects(backend)) {
      for (int channel = 0; channel < CHANNELS; channel++) {
        float[] usual = run(subject, channel, 1, false);
        for (float weight : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
          String what = subject + " weight " + channel + " " + weight;
          float[] y = run(subject, channel, weight, false);
          for (int i = 0; i < y.length; i++) {
            if (channel(i, subject.layout) != channel) {
              assertEquals(usual[i], y[i], 3e-6 * (1 + Math.abs(usual[i])), what);
            } else if (Float.isNaN(weight) || usual[i] == 0) {
              assertEquals(Float.NaN, y[i], what);
            }
          }
          assertArrayEquals(y, run(subject, channel, weight, true), what + " in place");
        }
      }
    }
  }
}
