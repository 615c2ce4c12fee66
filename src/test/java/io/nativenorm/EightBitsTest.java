package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import io.nativenorm.engine.NativeAccess;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Tensors of U8 and S8: images and masks, on which layers do not compute. */
@LeavesMemoryToTheCollector
class EightBitsTest {
  private static final Layout FIRST = Layout.CHANNELS_FIRST;

  /** All numbers of a type. */
  private static float[] all(DataType type) {
    float[] values = new float[256];
    for (int i = 0; i < 256; i++) {
      values[i] = type == DataType.U8 ? i : i - 128;
    }
    return values;
  }

  private static Tensor tensor(DataType type, float... values) {
    Tensor tensor = Tensor.allocate(type, FIRST, values.length);
    tensor.copyFrom(values);
    return tensor;
  }

  @ParameterizedTest
  @EnumSource(names = {"U8", "S8"})
  void everyNumberThereIs(DataType type) {
    requireNumbers(type);
  }

  private static void requireNumbers(DataType type) {
    float[] values = all(type);
    ByteBuffer bytes = ByteBuffer.allocateDirect(257).position(1); // in any byte order
    try (Tensor own = Tensor.allocate(type, FIRST, 4, 64);
        Tensor wrapped = Tensor.wrap(bytes, type, FIRST, 256);
        Tensor readOnly = Tensor.wrap(bytes.asReadOnlyBuffer(), type, FIRST, 256)) {
      assertEquals(0, own.get(3, 63));
      own.copyFrom(values);
      assertArrayEquals(values, own.toArray());
      wrapped.copyFrom(FloatBuffer.wrap(values));
      for (int i = 0; i < 256; i++) {
        assertEquals((byte) (int) values[i], bytes.get(1 + i));
        assertEquals(values[i], own.get(i / 64, i % 64));
        own.set(values[255 - i], i / 64, i % 64);
      }
      assertArrayEquals(values, readOnly.toArray());
      assertThrows(IllegalArgumentException.class, () -> readOnly.set(1, 0));
      for (int i = 0; i < 256; i++) {
        assertEquals(values[255 - i], own.get(i / 64, i % 64));
      }
      try (Tensor part = own.narrow(1, 8, 3);
          Tensor copy = part.to(FIRST);
          Tensor floats = part.to(DataType.F32);
          Tensor back = floats.to(type)) {
        assertEquals(values[255 - 8], part.get(0, 0));
        assertEquals(12, copy.size());
        assertArrayEquals(part.toArray(), copy.toArray());
        assertArrayEquals(part.toArray(), floats.toArray());
        assertArrayEquals(part.toArray(), back.toArray());
      }
    }
  }

  @Test
  void inEveryTypeThatHasThem() {
    for (DataType type : List.of(DataType.U8, DataType.S8)) {
      try (Tensor numbers = tensor(type, all(type))) {
        for (DataType other : DataType.values()) {
          boolean isOther8 = other != type && other.bytes() == 1;
          float[] values = all(type);
          for (int i = 0; isOther8 && i < 256; i++) {
            values[i] = Math.abs(values[i]) > 127 ? 127 : Math.abs(values[i]);
          }
          numbers.copyFrom(values);
          try (Tensor made = numbers.to(other);
              Tensor back = made.to(type)) {
            assertEquals(other, made.dataType());
            assertArrayEquals(values, made.toArray(), type + " to " + other);
            assertArrayEquals(values, back.toArray());
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"U8", "S8"})
  void whatIsNoneOfThemIsRefusedAsAWhole(DataType type) {
    String range = type == DataType.U8 ? "a U8 tensor takes whole numbers from 0 to 255" : "";
    String said = range.isEmpty() ? "an S8 tensor takes whole numbers from -128 to 127" : range;
    float[] edges = type == DataType.U8 ? new float[] {-1, 256} : new float[] {-129, 128};
    float[] others = {0.5f, Float.NaN, Float.POSITIVE_INFINITY, 1e30f, edges[0], edges[1]};
    for (float other : others) {
      float[] values = new float[5000];
      values[0] = 1;
      values[4999] = other;
      try (Tensor tensor = Tensor.allocate(type, FIRST, 5000);
          Tensor floats = tensor.to(DataType.F32)) {
        floats.copyFrom(values);
        String message = said + ", but got " + other;
        refused(message, () -> tensor.copyFrom(values));
        refused(message, () -> tensor.copyFrom(FloatBuffer.wrap(values)));
        refused(message, () -> tensor.set(other, 0));
        refused(message, () -> floats.to(type));
        assertArrayEquals(new float[5000], tensor.toArray());
      }
    }
    try (Tensor longs = Tensor.allocate(DataType.I64, FIRST, 1)) {
      longs.set(0x1p40f, 0);
      refused(said + ", but got " + longs.get(0), () -> longs.to(type));
    }
  }

  private static void refused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  /** An image as OpenCV has it, rows of interleaved channels. */
  @Test
  void anImageIsNormalizedAsFloats() {
    ByteBuffer image = ByteBuffer.allocateDirect(5 * 7 * 3).order(ByteOrder.nativeOrder());
    for (int i = 0; i < image.capacity(); i++) {
      image.put(i, (byte) (i * 37));
    }
    for (Layout layout : Layout.values()) {
      try (Tensor pixels = Tensor.wrap(image, DataType.U8, Layout.CHANNELS_LAST, 1, 3, 5, 7);
          Tensor ordered = pixels.to(layout);
          Tensor floats = ordered.to(DataType.F32);
          InstanceNorm layer = InstanceNorm.of(3);
          Tensor y = layer.forward(floats)) {
        assertEquals(image.get((4 * 7 + 6) * 3 + 2) & 0xFF, floats.get(0, 2, 4, 6));
        assertEquals(image.get(3 * 3 + 1) & 0xFF, ordered.get(0, 1, 0, 3));
        assertEquals(105, y.size());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"U8", "S8"})
  void layersRefuseThem(DataType type) {
    String expected = "LayerNorm([4]): expected an input of a type in [F32, BF16, F16], but got ";
    try (LayerNorm layer = LayerNorm.of(4);
        Tensor x = Tensor.allocate(type, FIRST, 2, 4);
        Tensor floats = Tensor.zeros(2, 4);
        Tensor weight = Tensor.allocate(type, FIRST, 4);
        BatchNorm batch = BatchNorm.of(4)) {
      refused(expected + x, () -> layer.forward(x));
      refused(expected + x, () -> layer.forward(x, x));
      refused(expected + x, () -> layer.forward(x, floats));
      refused(expected + x, () -> layer.forwardTraining(x));
      refused(expected + x, () -> layer.forwardTraining(x, floats));
      refused(expected + x, () -> layer.explain(x));
      refused(expected + type + " CHANNELS_FIRST [2, 4]", () -> layer.explain(type, FIRST, 2, 4));
      refused(
          "LayerNorm([4]): expected an output of a type in [F32, BF16, F16] for the input "
              + floats
              + ", but got "
              + x,
          () -> layer.forward(floats, x));
      refused(
          "LayerNorm([4]): expected an output like the input, " + floats + ", but got " + x,
          () -> layer.forwardTraining(floats, x));
      try (Pass pass = layer.forwardTraining(floats)) {
        assertThrows(IllegalArgumentException.class, () -> pass.backward(x));
        assertThrows(
            IllegalArgumentException.class, () -> pass.backward(floats, null, weight, null));
      }
      assertThrows(
          IllegalArgumentException.class, () -> LayerNorm.builder(4).weight(weight).build());
      Map<String, Tensor> state = new LinkedHashMap<>(batch.state());
      state.put("weight", weight);
      refused(
          "BatchNorm(4): error in loading state_dict: weight must be one of [F32, BF16, F16], but"
              + " got "
              + type,
          () -> batch.load(state));
      assertThrows(IllegalArgumentException.class, () -> floats.addScaled(1, x));
      assertThrows(IllegalArgumentException.class, () -> x.addScaled(1, floats));
      assertThrows(IllegalArgumentException.class, x::buffer);
      assertThrows(IllegalArgumentException.class, () -> x.getLong(0, 0));
      assertThrows(IllegalArgumentException.class, () -> NativeNorm.plainPass(x, x, 1, 0));
    }
  }

  /** A count was read as a long whatever it was, beyond the end of one of 16 bits. */
  @Test
  void countsAreLongsOrFloats() {
    try (BatchNorm layer = BatchNorm.of(4)) {
      for (DataType type : DataType.values()) {
        try (Tensor count = Tensor.allocate(type, FIRST)) {
          count.set(3);
          Map<String, Tensor> state = new LinkedHashMap<>(layer.state());
          state.put("num_batches_tracked", count);
          if (type == DataType.I64 || type == DataType.F32) {
            layer.load(state);
            assertEquals(3, layer.numBatchesTracked());
          } else {
            refused(
                "BatchNorm(4): error in loading state_dict: num_batches_tracked must be I64 or"
                    + " F32, but got "
                    + type,
                () -> layer.load(state));
          }
        }
      }
    }
  }

  @Test
  void filesHaveThem() throws Exception {
    Path file = Files.createTempFile("bytes", ".safetensors");
    try (Tensor unsigned = tensor(DataType.U8, all(DataType.U8));
        Tensor signed = tensor(DataType.S8, 1, -128, 127)) {
      Weights.write(file, Map.of("mask", unsigned, "q", signed));
      String header = Files.readString(file, java.nio.charset.StandardCharsets.ISO_8859_1);
      assertTrue(header.contains("\"mask\":{\"dtype\":\"U8\""), header);
      assertTrue(header.contains("\"q\":{\"dtype\":\"I8\""), header);
      Map<String, Tensor> read = Weights.read(file, "");
      assertArrayEquals(all(DataType.U8), read.get("mask").toArray());
      assertArrayEquals(new float[] {1, -128, 127}, read.get("q").toArray());
      assertEquals(DataType.S8, read.get("q").dataType());
    } finally {
      Files.deleteIfExists(file);
    }
  }

  @Test
  void pointersAreBytes() {
    if (NativeAccess.missing().isPresent()) {
      return;
    }
    try (Tensor tensor = tensor(DataType.U8, 1, 2, 255)) {
      BytePointer bytes = (BytePointer) tensor.pointer();
      assertEquals(3, bytes.capacity());
      assertEquals(-1, bytes.get(2));
      try (Tensor same = Tensor.wrap(bytes.position(1), DataType.S8, FIRST, 2)) {
        assertArrayEquals(new float[] {2, -1}, same.toArray());
      }
    }
  }

  /** The same where there is no native access. */
  static final class Main {
    public static void main(String[] args) throws Exception {
      requireNumbers(DataType.U8);
      requireNumbers(DataType.S8);
      EightBitsTest tests = new EightBitsTest();
      tests.anImageIsNormalizedAsFloats();
      tests.inEveryTypeThatHasThem();
      tests.filesHaveThem();
      System.out.println("all is well");
    }
  }

  @Test
  void withoutNativeAccessToo() throws Exception {
    JavaProcess.runWithoutNativeAccess(Main.class);
  }
}
