package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

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
  @EnumSource(
      value = DataType.class,
      mode = Mode.EXCLUDE,
      names = {"S8", "U8"})
  void bothOrdersOfEveryType(DataType type) {
    int[][] shapes = {{1, 1, 1}, {2, 3, 5}, {3, 33, 31}, {1, 64, 65}, {2, 1, 7}, {2, 0, 3}};
    for (int[] shape : shapes) {
      int size = shape[0] * shape[1] * shape[2];
      float[] values = new float[size];
      for (int i = 0; i < size; i++) {
        values[i] = i % 251;
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
