package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.memory.Conversion;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every number of the types of 16 bits, and every way to round to them, against what they are. */
class SixteenBitsTest {
  private static final int NUMBERS = 1 << 16;

  /** Both ways to convert. */
  enum Way {
    FASTEST,
    JAVA;

    Tensor convert(Tensor from, DataType type) {
      if (this == FASTEST) {
        return from.to(type);
      }
      Tensor to = Tensor.uninitialized(type, from.layout(), from.shape());
      Conversion.copy(from.memory(), to.memory());
      return to;
    }
  }

  static Stream<Arguments> formatsAndWays() {
    return Arrays.stream(Format.values())
        .flatMap(format -> Arrays.stream(Way.values()).map(way -> Arguments.of(format, way)));
  }

  /** A sign, then so many bits of exponent and of fraction. */
  enum Format {
    BF16(8, 7),
    F16(5, 10);

    private final int exponentBits;
    private final int fractionBits;

    Format(int exponentBits, int fractionBits) {
      this.exponentBits = exponentBits;
      this.fractionBits = fractionBits;
    }

    DataType type() {
      return DataType.valueOf(name());
    }

    /** The bits of infinity, which larger ones of NaN follow. */
    int infinity() {
      return (1 << exponentBits) - 1 << fractionBits;
    }

    /** What the bits mean, by IEEE 754; infinity as if it were one more number. */
    double size(int bits) {
      int exponent = (bits & 0x7FFF) >>> fractionBits;
      int fraction = bits & (1 << fractionBits) - 1;
      int least = 2 - (1 << exponentBits - 1); // of a number with a leading 1
      int leading = exponent == 0 ? 0 : 1 << fractionBits;
      return Math.scalb(
          (double) (leading + fraction), Math.max(exponent - 1, 0) + least - fractionBits);
    }

    float number(int bits) {
      int size = bits & 0x7FFF;
      double value =
          size > infinity()
              ? Double.NaN
              : size == infinity() ? Double.POSITIVE_INFINITY : size(size);
      return (float) ((bits & 0x8000) == 0 ? value : -value);
    }

    /** The nearest, of two as near the even one; {@code below} is the next towards 0. */
    float nearest(float value, int below) {
      double middle = (size(below) + size(below + 1)) / 2;
      double size = Math.abs((double) value);
      boolean up = size > middle || (size == middle && (below & 1) == 1);
      return number(up ? below + 1 : below);
    }
  }

  @ParameterizedTest
  @MethodSource("formatsAndWays")
  void everyNumberGoesOutAndBackIn(Format format, Way way) {
    short[] bits = new short[NUMBERS];
    float[] numbers = new float[NUMBERS];
    for (int i = 0; i < NUMBERS; i++) {
      bits[i] = (short) i;
      numbers[i] = format.number(i);
    }
    try (ShortPointer memory = new ShortPointer(bits);
        Tensor wrapped = Tensor.wrap(memory, format.type(), Layout.CHANNELS_FIRST, NUMBERS);
        Tensor widened = way.convert(wrapped, DataType.F32);
        Tensor wide = Tensor.of(numbers, NUMBERS);
        Tensor made = way.convert(wide, format.type())) {
      assertArrayEquals(numbers, wrapped.toArray());
      assertArrayEquals(numbers, widened.toArray());
      assertArrayEquals(numbers, made.toArray());
      ShortPointer back = (ShortPointer) made.pointer();
      assertEquals(NUMBERS, back.capacity());
      for (int i = 0; i < NUMBERS; i++) {
        if (Float.isNaN(numbers[i])) {
          assertTrue(Float.isNaN(format.number(back.get(i))), Integer.toHexString(i));
        } else {
          assertEquals((short) i, back.get(i), Integer.toHexString(i));
        }
      }
    }
  }

  /** A NaN stays one whichever of its bits are set, and is quiet: the first of them is. */
  @ParameterizedTest
  @MethodSource("formatsAndWays")
  void everyNanStaysOneAndIsQuiet(Format format, Way way) {
    List<Float> nans = new ArrayList<>();
    for (int bit = 0; bit < 23; bit++) {
      nans.add(Float.intBitsToFloat(0x7F80_0000 | 1 << bit));
      nans.add(Float.intBitsToFloat(0xFF80_0000 | 1 << bit));
    }
    int quiet = format.infinity() | 1 << format.fractionBits - 1;
    try (Tensor wide = Tensor.of(array(nans), nans.size());
        Tensor narrow = way.convert(wide, format.type())) {
      ShortPointer found = (ShortPointer) narrow.pointer();
      for (int i = 0; i < nans.size(); i++) {
        String what = Integer.toHexString(Float.floatToRawIntBits(nans.get(i)));
        assertEquals(quiet, found.get(i) & quiet, what);
        assertEquals(i % 2, (found.get(i) & 0x8000) >>> 15, what);
      }
    }
  }

  /** A float beyond the largest number by half a step or more is infinite. */
  @ParameterizedTest
  @MethodSource("formatsAndWays")
  void floatsAreRoundedToTheNearestTiesToEven(Format format, Way way) {
    float[] floats = new float[10 * format.infinity() + 2];
    float[] expected = new float[floats.length];
    int count = 0;
    for (int i = 0; i < format.infinity(); i++) {
      double step = format.size(i + 1) - format.size(i);
      float middle = (float) (format.size(i) + step / 2);
      float[] between = {
        (float) (format.size(i) + step / 256),
        Math.nextDown(middle),
        middle,
        Math.nextUp(middle),
        (float) (format.size(i + 1) - step / 256)
      };
      for (float value : between) {
        floats[count] = value;
        expected[count++] = format.nearest(value, i);
        floats[count] = -value;
        expected[count++] = -format.nearest(value, i);
      }
    }
    floats[count] = Float.MAX_VALUE;
    expected[count++] = Float.POSITIVE_INFINITY;
    floats[count] = Float.MIN_VALUE;
    expected[count] = 0;
    try (Tensor exact = Tensor.of(floats, floats.length);
        Tensor rounded = way.convert(exact, format.type())) {
      assertArrayEquals(expected, rounded.toArray());
    }
  }

  private static float[] array(List<Float> floats) {
    float[] values = new float[floats.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = floats.get(i);
    }
    return values;
  }
}
