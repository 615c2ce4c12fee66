package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import io.nativenorm.file.TensorBytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is read and what is refused, from files in memory, files that are read, and streams. */
class NpyInputTest {
  private static final String SIX = NpyFiles.header(2, 3);

  @TempDir private Path folder;

  private enum Way {
    MAPPED,
    READ,
    STREAM
  }

  /** The numbers 0, 1, 2... as data. */
  private static byte[] numbers(int count, ByteOrder order) {
    ByteBuffer data = ByteBuffer.allocate(count * Float.BYTES).order(order);
    for (int i = 0; i < count; i++) {
      data.putFloat(i);
    }
    return data.array();
  }

  private static byte[] numbers(int count) {
    return numbers(count, ByteOrder.LITTLE_ENDIAN);
  }

  private record Array(float[] values, long[] shape, boolean mapped) {}

  private Array read(Way way, byte[] bytes) throws Exception {
    Path path = Files.write(folder.resolve("a.npy"), bytes);
    try (NpyInput array =
            way == Way.STREAM
                ? NpyInput.open("a.npy", new ByteArrayInputStream(bytes))
                : NpyInput.open(path);
        Tensor tensor = array.tensor(way == Way.MAPPED, Layout.CHANNELS_FIRST, array.shape())) {
      return new Array(tensor.toArray(), array.shape(), array.isMapped());
    }
  }

  private void assertReads(float[] values, long[] shape, byte[] bytes) throws Exception {
    for (Way way : Way.values()) {
      Array array = read(way, bytes);
      assertArrayEquals(values, array.values, way.name());
      assertArrayEquals(shape, array.shape, way.name());
    }
  }

  private void assertRefused(String why, byte[] bytes) {
    for (Way way : Way.values()) {
      Exception e = assertThrows(UnusableInputException.class, () -> read(way, bytes), why);
      assertTrue(e.getMessage().contains("a.npy") && e.getMessage().contains(why), e::getMessage);
      assertEquals(1, e.getMessage().lines().count(), e::getMessage);
    }
  }

  private void assertHeaderRefused(String why, String header) {
    assertRefused(why, NpyFiles.bytes(2, header, numbers(6)));
  }

  @Test
  void readsWhatItWrites() throws Exception {
    float[] values = new float[100_000];
    for (int i = 0; i < values.length; i++) {
      values[i] = i * 0.5f;
    }
    for (long[] shape : new long[][] {{100_000}, {100, 1000}, {10, 10, 10, 100}}) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      bytes.write(new NpyHeader(DataType.F32, ByteOrder.nativeOrder(), shape).encoded().array());
      try (Tensor tensor = Tensor.of(values, shape)) {
        TensorBytes.write(tensor, Channels.newChannel(bytes));
      }
      assertReads(values, shape, bytes.toByteArray());
    }
  }

  @Test
  void writesNumpysOwnForm() {
    byte[] bytes =
        new NpyHeader(DataType.F32, ByteOrder.LITTLE_ENDIAN, new long[] {1}).encoded().array();
    assertEquals(128, bytes.length);
    assertEquals(118, bytes[8]); // the header's length, so that the data start at 128
    String header = new String(bytes, 10, 118, StandardCharsets.US_ASCII);
    assertTrue(
        header.startsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"), header);
    assertTrue(header.endsWith(" \n"));
  }

  @Test
  void readsEveryVersionScalarsEmptyArraysAndTheOtherByteOrder() throws Exception {
    float[] six = {0, 1, 2, 3, 4, 5};
    long[] shape = {2, 3};
    for (int version : new int[] {1, 2, 3}) {
      assertReads(six, shape, NpyFiles.bytes(version, SIX, numbers(6)));
    }
    String big = SIX.replace('<', '>');
    assertReads(six, shape, NpyFiles.bytes(1, big, numbers(6, ByteOrder.BIG_ENDIAN)));
    for (String other :
        new String[] {
          "{ 'shape': (2, 3), 'descr' : '<f4', 'fortran_order': False}",
          "{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }" // Python 2
        }) {
      assertReads(six, shape, NpyFiles.bytes(1, other, numbers(6)));
    }
    assertReads(new float[1], new long[0], NpyFiles.bytes(1, NpyFiles.header(), numbers(1)));
    for (long[] empty : new long[][] {{0}, {0, 3}, {3, 0}, {1L << 40, 1L << 40, 0}}) {
      assertReads(new float[0], empty, NpyFiles.bytes(1, NpyFiles.header(empty), numbers(0)));
    }
  }

  @Test
  void onlyWhatIsAlignedIsMapped() throws Exception {
    for (int spaces = 0; spaces < 8; spaces++) {
      byte[] bytes = NpyFiles.bytes(1, SIX + " ".repeat(spaces), numbers(6));
      boolean aligned = (bytes.length - 24) % 4 == 0;
      assertEquals(aligned, read(Way.MAPPED, bytes).mapped);
      assertReads(new float[] {0, 1, 2, 3, 4, 5}, new long[] {2, 3}, bytes);
    }
  }

  @Test
  void theLastAxisMayBeTheChannel() throws Exception {
    byte[] bytes = NpyFiles.bytes(1, NpyFiles.header(1, 2, 3) + "   ", numbers(6));
    Path path = Files.write(folder.resolve("a.npy"), bytes);
    for (boolean mayMap : new boolean[] {true, false}) {
      try (NpyInput array = NpyInput.open(path);
          Tensor tensor = array.tensor(mayMap, Layout.CHANNELS_LAST, 1, 3, 2);
          Tensor ordered = tensor.to(Layout.CHANNELS_FIRST)) {
        assertArrayEquals(new float[] {0, 3, 1, 4, 2, 5}, ordered.toArray());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{}",
        "{'shape': (2, 3)}",
        "[1, 2]",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 3)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}",
        "x{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}"
      })
  void headersThatAreNotUnderstood(String header) {
    assertHeaderRefused("has a header that is not understood", header);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          (2 3)                      | has a header that is not understood
          (2, x)                     | has a header that is not understood
          (2, 3.0)                   | has a header that is not understood
          2                          | has a header that is not understood
          [2, 3]                     | has a header that is not understood
          (,)                        | has a header that is not understood
          (2,,3)                     | has a header that is not understood
          None                       | has a header that is not understood
          (99999999999999999999,)    | has a dimension of 99999999999999999999 elements
          (-1, 6)                    | has a dimension of -1 elements
          (2, -3)                    | has a dimension of -3 elements
          (4294967296, 4294967296)   | has too many elements: [4294967296, 4294967296]
          (9223372036854775807,)     | has too many elements
          (2, 3000)                  | ends too early
          (2, 2)                     | has data after its array
          """)
  void shapesThatCannotBe(String shape, String why) {
    assertHeaderRefused(why, SIX.replace("(2, 3)", shape));
  }

  @ParameterizedTest
  @ValueSource(ints = {65, 1000, 30_000, 100_000})
  void moreDimensionsThanNumpyHas(int rank) {
    assertHeaderRefused(
        "has " + rank + " dimensions; NumPy has 64 at most",
        SIX.replace("(2, 3)", "(" + "1, ".repeat(rank - 1) + "6)"));
  }

  @Test
  void asManyDimensionsAsNumpyHas() throws Exception {
    long[] shape = new long[64];
    Arrays.fill(shape, 1);
    shape[63] = 6;
    byte[] bytes = NpyFiles.bytes(1, NpyFiles.header(shape), numbers(6));
    assertReads(new float[] {0, 1, 2, 3, 4, 5}, shape, bytes);
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " | ",
      quoteCharacter = '"',
      textBlock =
          """
          '<f8'                     | floats of 32 or 16 bits ('<f4' or '<f2'), but got '<f8'; numpy.float32
          '<V2'                     | but got '<V2'
          '=f2'                     | but got '=f2'
          'f2'                      | but got 'f2'
          '<i4'                     | but got '<i4'
          '|u1'                     | but got '|u1'
          '|O'                      | but got '|O'
          [('a', '<f4'), ('b', 'i')] | but got [('a', '<f4'), ('b', 'i')]
          """)
  void otherTypes(String type, String why) {
    assertHeaderRefused(why, SIX.replace("'<f4'", type));
  }

  @Test
  void saysWhatElseItDoesNotRead() {
    assertHeaderRefused("expected C order, but got Fortran order", SIX.replace("False", "True"));
    for (int version : new int[] {0, 4, 127}) {
      assertRefused(
          "has version " + version + ".0 of the format", NpyFiles.bytes(version, SIX, numbers(6)));
    }
    byte[] whole = NpyFiles.bytes(2, SIX, numbers(6));
    whole[7] = 1;
    assertRefused("has version 2.1 of the format", whole);
    whole[7] = 0;
    whole[10] = 100; // a header of 100 << 16 bytes
    assertRefused("has a header of 65", whole);
    whole[11] = (byte) 0xff;
    assertRefused("has a header of 42", whole);
    byte[] cut = NpyFiles.bytes(1, SIX, numbers(6));
    for (int length = 0; length < cut.length; length++) {
      assertRefused(
          length < 8 ? "is not an .npy file" : "ends too early", Arrays.copyOf(cut, length));
    }
    assertRefused("has data after its array", Arrays.copyOf(cut, cut.length + 1));
    assertRefused(
        "is not an .npy file", "PK\3\4 is what .npz begins with".getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void namesThatLeadToNoArray() throws Exception {
    assertSaid("does not exist", folder.resolve("none.npy"));
    assertSaid("is a directory", folder);
    Path file = Files.writeString(folder.resolve("file"), "");
    assertSaid("cannot be read: Not a directory", file.resolve("a.npy"));
    assertSaid("cannot be read: File name too long", folder.resolve("a".repeat(256)));
  }

  private static void assertSaid(String why, Path path) {
    Exception e = assertThrows(UnusableInputException.class, () -> NpyInput.open(path));
    assertTrue(e.getMessage().contains(why), e::getMessage);
  }
}
