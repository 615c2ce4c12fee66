package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.Conversion;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** {@link Tensor#to}: copies in every type and in both orders. */
class ConversionTest {
  private static final List<DataType> TYPES =
      List.of(DataType.F32, DataType.BF16, DataType.F16, DataType.I64);

  /** Around the 4096 elements that are converted at once. */
  private static final int[] SIZES = {0, 1, 7, 4095, 4096, 4097, 10_000};

  /** Whole numbers of 12 bits, which BF16 has to round. */
  private static float[] values(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = i * 7919 % 4001 - 2000;
    }
    return values;
  }

  @Test
  void everyTypeGoesToEveryOtherAsItsFloatsDo() {
    for (int size : SIZES) {
      for (DataType from : TYPES) {
        for (DataType to : TYPES) {
          try (Tensor first = Tensor.allocate(from, Layout.CHANNELS_FIRST, size);
              Tensor expected = Tensor.allocate(to, Layout.CHANNELS_FIRST, size)) {
            first.copyFrom(values(size));
            expected.copyFrom(first.toArray());
            try (Tensor found = first.to(to)) {
              assertEquals(expected.toString(), found.toString());
              assertArrayEquals(expected.toArray(), found.toArray(), from + " to " + found);
              first.copyFrom(new float[size]);
              assertArrayEquals(expected.toArray(), found.toArray(), "a copy of its own");
            }
          }
        }
      }
    }
  }

  /** Of every number of 16 bits, and of floats of every exponent, with each bit by itself. */
  @Test
  void nativeCodeGivesJavasBits() {
    int[] floats = new int[1 << 19];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = i << 13 | (i % 3 == 0 ? 0 : 1 << i % 13);
    }
    boolean oneNan = NativeNorm.describe().contains("SSE4"); // for each sign of F16
    for (DataType from : Storage.COMPUTED) {
      for (DataType to : Storage.COMPUTED) {
        try (Tensor source = tensorOf(from, floats);
            Tensor expected = Tensor.allocate(to, Layout.CHANNELS_FIRST, source.size());
            Tensor found = source.to(to)) {
          Conversion.copy(source.memory(), expected.memory());
          int[] expectedBits = bits(expected);
          int[] foundBits = bits(found);
          for (int i = 0; oneNan && to == DataType.F16 && from != to && i < foundBits.length; i++) {
            if ((expectedBits[i] & 0x7FFF) > 0x7C00 && (foundBits[i] & 0x7FFF) > 0x7C00) {
              foundBits[i] = expectedBits[i];
            }
          }
          assertArrayEquals(expectedBits, foundBits, from + " to " + to);
        }
      }
    }
  }

  /** With all those bits, or those of 16 that there are. */
  private static Tensor tensorOf(DataType type, int[] bits) {
    boolean wide = type == DataType.F32;
    Tensor made = Tensor.allocate(type, Layout.CHANNELS_FIRST, wide ? bits.length : 1 << 16);
    if (wide) {
      new IntPointer(made.pointer()).put(bits);
      return made;
    }
    short[] all = new short[1 << 16];
    for (int i = 0; i < all.length; i++) {
      all[i] = (short) i;
    }
    ((ShortPointer) made.pointer()).put(all);
    return made;
  }

  private static int[] bits(Tensor tensor) {
    int[] bits = new int[(int) tensor.size()];
    if (tensor.dataType() == DataType.F32) {
      new IntPointer(tensor.pointer()).get(bits);
      return bits;
    }
    short[] all = new short[bits.length];
    ((ShortPointer) tensor.pointer()).get(all);
    for (int i = 0; i < all.length; i++) {
      bits[i] = all[i];
    }
    return bits;
  }

  /** By way of a float a long beside the middle of two numbers would become the middle. */
  @Test
  void longsAreRoundedOnce() {
    List<Long> longs = new ArrayList<>();
    List<Float> expected = new ArrayList<>();
    for (int shift = 1; shift <= 55; shift++) {
      for (long number = 128; number < 256; number++) {
        long middle = (2 * number + 1) << shift - 1;
        for (long beside : new long[] {-1, 0, 1}) {
          long value = middle + (shift == 1 ? 0 : beside);
          long up = value > middle || (value == middle && number % 2 == 1) ? 1 : 0;
          float nearest = Math.scalb((float) (number + up), shift);
          longs.add(value);
          expected.add(nearest);
          longs.add(-value);
          expected.add(-nearest);
        }
      }
    }
    for (long last : new long[] {Long.MAX_VALUE, Long.MAX_VALUE - 1, Long.MIN_VALUE}) {
      longs.add(last);
      expected.add((float) last);
    }
    long[] values = longs.stream().mapToLong(Long::longValue).toArray();
    try (LongPointer memory = new LongPointer(values);
        Tensor source = Tensor.wrap(memory, DataType.I64, Layout.CHANNELS_FIRST, values.length);
        Tensor rounded = source.to(DataType.BF16);
        Tensor halves = source.to(DataType.F16)) {
      float[] found = rounded.toArray();
      float[] foundHalves = halves.toArray();
      for (int i = 0; i < values.length; i++) {
        assertEquals(expected.get(i), found[i], "BF16 of " + values[i]);
        if (Math.abs((double) values[i]) >= 65520) {
          float infinity = Math.copySign(Float.POSITIVE_INFINITY, values[i]);
          assertEquals(infinity, foundHalves[i], "F16 of " + values[i]);
        }
      }
    }
  }

  /** Signaling NaN too. */
  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      names = {"BF16", "F16"})
  void allBitsStayWhereTheTypeDoes(DataType type) {
    short[] bits = new short[1 << 16];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = (short) i;
    }
    try (ShortPointer memory = new ShortPointer(bits);
        Tensor all = Tensor.wrap(memory, type, Layout.CHANNELS_FIRST, 2, 64, 512);
        Tensor copy = all.to(type);
        Tensor last = copy.to(Layout.CHANNELS_LAST);
        Tensor same = last.to(type);
        Tensor back = same.to(Layout.CHANNELS_FIRST)) {
      assertEquals(Layout.CHANNELS_LAST, same.layout());
      short[] found = new short[bits.length];
      ((ShortPointer) back.pointer()).get(found);
      assertArrayEquals(bits, found);
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void bothOrdersOfEveryType(DataType type) {
    int[][] shapes = {{1, 1, 1}, {2, 3, 5}, {3, 33, 31}, {1, 64, 65}, {2, 1, 7}, {2, 0, 3}};
    for (int[] shape : shapes) {
      int size = shape[0] * shape[1] * shape[2];
      float[] values = new float[size];
      for (int i = 0; i < size; i++) {
        values[i] = type == DataType.S8 ? i % 251 - 123 : i % 251;
      }
      try (Tensor first =
          Tensor.allocate(type, Layout.CHANNELS_FIRST, shape[0], shape[1], shape[2])) {
        first.copyFrom(values);
        try (Tensor last = first.to(Layout.CHANNELS_LAST);
            Tensor back = last.to(Layout.CHANNELS_FIRST)) {
          float[] moved = TestData.channelsLast(values, shape[0], shape[1], shape[2]);
          assertArrayEquals(moved, last.toArray());
          assertArrayEquals(values, back.toArray());
        }
      }
    }
  }

  @Test
  void integersAreMadeOfWholeNumbersOnly() {
    for (float wrong : new float[] {0.5f, Float.NaN, Float.POSITIVE_INFINITY}) {
      for (DataType type : List.of(DataType.F32, DataType.BF16, DataType.F16)) {
        float[] values = values(5000);
        values[4999] = wrong;
        try (Tensor tensor = Tensor.allocate(type, Layout.CHANNELS_FIRST, 5000)) {
          tensor.copyFrom(values);
          String said =
              assertThrows(IllegalArgumentException.class, () -> tensor.to(DataType.I64))
                  .getMessage();
          assertEquals("an I64 tensor takes whole numbers, but got " + wrong, said);
        }
      }
    }
  }

  @Test
  void aClosedTensorIsNotCopied() {
    Tensor closed = Tensor.zeros(3);
    closed.close();
    for (DataType type : TYPES) {
      String said = assertThrows(IllegalStateException.class, () -> closed.to(type)).getMessage();
      assertTrue(said.contains("closed"), said);
    }
  }
}
