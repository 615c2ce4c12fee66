package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.RmsNorm;
import io.nativenorm.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights of ours in a mapped model file. */
class MappedFileTest extends LibraryTest {
  private static final String NAME = "blk.0.attn_norm.weight";

  private final Rows rows = Rows.of(4, 2048);
  @TempDir private Path models;
  private Path model;
  private long offset;

  @BeforeEach
  void writeTheModel() throws Exception {
    Map<String, float[]> tensors = new TreeMap<>(Map.of(NAME, rows.weight()));
    tensors.put("a", new float[] {1, 2, 3}); // what is before it ends within an alignment
    model = Gguf.write(models.resolve("model.gguf"), tensors);
    offset = Gguf.offsets(model).get(NAME);
  }

  @Override
  String given() {
    return "Path model = Path.of(\"" + model + "\");\nlong offset = " + offset + ";\n";
  }

  private ByteBuffer mapped() throws Exception {
    try (FileChannel file = FileChannel.open(model)) {
      return file.map(FileChannel.MapMode.READ_ONLY, offset, Float.BYTES * 2048)
          .order(ByteOrder.nativeOrder());
    }
  }

  @Test
  void theFileIsTheLayersWeightAlsoWhenAllElseIsClosed() throws Exception {
    RmsNorm norm;
    try (Tensor weight = Tensor.wrap(mapped(), DataType.F32, Layout.CHANNELS_FIRST, 2048)) {
      norm = RmsNorm.builder(2048).eps(1e-5).weight(weight).build();
    }
    try (norm;
        RmsNorm copied = RmsNorm.builder(2048).eps(1e-5).build()) {
      copied.weight().copyFrom(rows.weight());
      assertArrayEquals(
          copied.forward(rows.x(), rows.shape()), norm.forward(rows.x(), rows.shape()));
      assertThrows(RuntimeException.class, () -> norm.weight().set(2, 0));
    }
  }

  @Test
  void arraysAreNormalizedWithoutALayer() throws Exception {
    float[] x = rows.x().clone();
    RmsNorm.normalize(x, 0, x, 0, 4, 2048, mapped().asFloatBuffer(), 0, 1e-5);
    try (RmsNorm copied = RmsNorm.builder(2048).eps(1e-5).build()) {
      copied.weight().copyFrom(rows.weight());
      float[] expected = copied.forward(rows.x(), rows.shape());
      for (int i = 0; i < x.length; i++) {
        assertEquals(expected[i], x[i]);
      }
    }
  }
}
