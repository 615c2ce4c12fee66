package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** bfloat16: its conversions, and the inference of LayerNorm, which is that of F32 rounded once. */
class Bf16Test {
  private static final int NUMBERS = 1 << 16;

  private static List<Backend> engines() {
    List<Backend> engines = new ArrayList<>(TestEngines.all());
    engines.remove(Backend.ONEDNN);
    return engines;
  }

  private static float number(int bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  @Test
  void everyNumberGoesOutAndBackIn() {
    short[] bits = new short[NUMBERS];
    float[] numbers = new float[NUMBERS];
    for (int i = 0; i < NUMBERS; i++) {
      bits[i] = (short) i;
      numbers[i] = number(i);
    }
    try (ShortPointer memory = new ShortPointer(bits);
        Tensor wrapped = Tensor.wrap(memory, DataType.BF16, Layout.CHANNELS_FIRST, NUMBERS);
        Tensor floats = Tensor.of(numbers, NUMBERS);
        Tensor made = floats.to(DataType.BF16)) {
      assertArrayEquals(numbers, wrapped.toArray());
      assertArrayEquals(numbers, made.toArray());
      ShortPointer back = (ShortPointer) made.pointer();
      assertEquals(NUMBERS, back.capacity());
      for (int i = 0; i < NUMBERS; i++) {
        if (Float.isNaN(numbers[i])) {
          assertTrue(Float.isNaN(number(back.get(i))), Integer.toHexString(i));
        } else {
          assertEquals((short) i, back.get(i), Integer.toHexString(i));
        }
      }
    }
  }

  /** A float beyond the largest number by half a step or more is infinite. */
  @Test
  void floatsAreRoundedToTheNearestTiesToEven() {
    List<Float> floats = new ArrayList<>();
    for (int i = 0; i < NUMBERS; i++) {
      for (int below : new int[] {0x7FFF, 0x8000, 0x8001, 1, 0xFFFF}) {
        floats.add(Float.intBitsToFloat(i << 16 | below));
      }
    }
    float[] values = new float[floats.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = floats.get(i);
    }
    try (Tensor exact = Tensor.of(values, values.length);
        Tensor rounded = exact.to(DataType.BF16)) {
      float[] found = rounded.toArray();
      for (int i = 0; i < values.length; i++) {
        assertEquals(nearest(values[i]), found[i], "of " + Float.toHexString(values[i]));
      }
    }
  }

  /** In doubles, in which the middle between two numbers is exact; infinity stands for 2^128. */
  private static float nearest(float value) {
    if (Float.isNaN(value)) {
      return Float.NaN;
    }
    int below = Float.floatToRawIntBits(value) >>> 16; // towards 0
    double size = Math.abs((double) value);
    double lower = Math.abs((double) number(below));
    double upper = (below & 0x7FFF) == 0x7F7F ? 0x1p128 : Math.abs((double) number(below + 1));
    double middle = (lower + upper) / 2;
    boolean up = size > middle || (size == middle && (below & 1) == 1);
    return number(up ? below + 1 : below);
  }

  private static List<LayerNorm.Builder> layers(Backend backend, int length) {
    List<LayerNorm.Builder> layers = new ArrayList<>();
    for (int options = 0; options < 8; options++) {
      layers.add(
          LayerNorm.builder(length)
              .affine((options & 1) != 0)
              .bias((options & 2) != 0)
              .activation((options & 4) != 0 ? Activation.RELU : Activation.NONE)
              .threads(2)
              .backend(backend));
    }
    return layers;
  }

  private static void randomize(NormLayer layer, Random random) {
    for (Tensor parameter : new Tensor[] {layer.weight(), layer.bias()}) {
      if (parameter != null) {
        float[] values = new float[(int) parameter.size()];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) random.nextGaussian();
        }
        parameter.copyFrom(values);
      }
    }
  }

  /** Both engines have the bits of F32's result, rounded once. */
  @ParameterizedTest
  @MethodSource("engines")
  void layerNormIsThatOfF32RoundedOnce(Backend backend) {
    Random random = new Random(7);
    int[][] sizes = {
      {1, 1},
      {3, 2},
      {2, 7},
      {5, 8},
      {4, 15},
      {3, 16},
      {2, 31},
      {3, 33},
      {7, 63},
      {3, 100},
      {4, 255},
      {2, 511},
      {3, 513},
      {9, 768},
      {1, 4096},
      {2, 16_384},
      {1, 20_001},
      {96, 1024},
      {2100, 33}
    };
    for (int[] size : sizes) {
      for (LayerNorm.Builder builder : layers(backend, size[1])) {
        for (double mean : new double[] {0, 300}) {
          float[] values = TestData.normal(random.nextLong(), size[0] * size[1], mean, 1);
          try (NormLayer layer = builder.build();
              Tensor whole = Tensor.of(values, size[0], size[1]);
              Tensor x = whole.to(DataType.BF16);
              Tensor wide = x.to(DataType.F32)) {
            randomize(layer, random);
            try (Tensor y32 = layer.forward(wide);
                Tensor expected = y32.to(DataType.BF16);
                Tensor y = layer.forward(x)) {
              String what = layer + " of " + x + " around " + mean;
              assertEquals(DataType.BF16, y.dataType());
              assertArrayEquals(expected.toArray(), y.toArray(), what);
              layer.forward(x, x);
              assertArrayEquals(expected.toArray(), x.toArray(), what + " in place");
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void imagesAndMemoryBesideAWordAreTakenToo(Backend backend) {
    short[] bits = new short[1 + 2 * 24];
    Random random = new Random(3);
    for (int i = 0; i < bits.length; i++) {
      bits[i] = (short) (Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16);
    }
    for (Layout layout : Layout.values()) {
      try (ShortPointer memory = new ShortPointer(bits);
          Tensor x = Tensor.wrap(memory.position(1), DataType.BF16, layout, 2, 4, 3, 2);
          NormLayer layer = LayerNorm.builder(4, 3, 2).backend(backend).build();
          Tensor wide = x.to(DataType.F32);
          Tensor y32 = layer.forward(wide);
          Tensor expected = y32.to(DataType.BF16);
          Tensor y = layer.forward(x);
          Tensor otherOrder = y.to(Layout.CHANNELS_LAST);
          Tensor expectedOrder = expected.to(Layout.CHANNELS_LAST)) {
        assertArrayEquals(expected.toArray(), y.toArray(), layout.toString());
        assertArrayEquals(expectedOrder.toArray(), otherOrder.toArray(), layout.toString());
      }
    }
  }

  /**
   * Units that doubles compute, since floats cannot: far values, tiny variances, rows of one value.
   */
  @ParameterizedTest
  @MethodSource("engines")
  void extremeRowsAreThoseOfF32Too(Backend backend) {
    for (float scale :
        new float[] {3e38f, 1e30f, 1e-30f, 1e-40f, 0, Float.NaN, Float.POSITIVE_INFINITY}) {
      for (double eps : new double[] {0, 1e-5}) {
        float[] values = TestData.normal(5, 3 * 70, 0, 1);
        for (int i = 70; i < 140; i++) {
          values[i] = scale * Math.signum(values[i]);
        }
        try (NormLayer layer = LayerNorm.builder(70).eps(eps).backend(backend).build();
            Tensor whole = Tensor.of(values, 3, 70);
            Tensor x = whole.to(DataType.BF16);
            Tensor wide = x.to(DataType.F32);
            Tensor y32 = layer.forward(wide);
            Tensor expected = y32.to(DataType.BF16);
            Tensor y = layer.forward(x)) {
          assertArrayEquals(expected.toArray(), y.toArray(), scale + " with eps " + eps);
        }
      }
    }
  }

  @Test
  void whatIsNotThereYetIsRefusedByName() {
    try (Tensor x = Tensor.allocate(DataType.BF16, Layout.CHANNELS_FIRST, 2, 64);
        NormLayer rows = LayerNorm.of(64);
        NormLayer rms = RmsNorm.of(64);
        NormLayer batch = BatchNorm.of(64)) {
      String f32 = ": expected an input of type F32, but got " + x;
      assertRefused(rms + f32, () -> rms.forward(x));
      assertRefused(batch + f32, () -> batch.forward(x));
      assertRefused(batch + f32, () -> batch.forwardTraining(x));
      assertRefused(rows + f32, () -> rows.forwardTraining(x));
      String said = rows.explain(x);
      assertTrue(said.contains("inference: " + (TestEngines.hasFused() ? "FUSED" : "JAVA")), said);
      assertTrue(said.contains("not ONEDNN: "), said);
      assertTrue(said.contains("training: no engine"), said);
    }
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
