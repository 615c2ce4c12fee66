package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Parameters in safetensors files (files that are damaged are DamagedWeightsTest's). */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "a file that is mapped cannot be removed")
class WeightsTest {
  /** What is beyond a float, of which a count of batches must not lose the last digit. */
  private static final long COUNT = (1L << 24) + 1;

  @TempDir private Path folder;

  private Path file(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("some.safetensors"), bytes);
  }

  /** Written by safetensors 0.8.0 for Python, with all of the types; see the names below. */
  private static byte[] pythons(String name) throws IOException {
    try (InputStream in = WeightsTest.class.getResourceAsStream(name + ".safetensors")) {
      return in.readAllBytes();
    }
  }

  private static void assertLayer(BatchNorm norm) {
    assertArrayEquals(new float[] {1.5f, -2}, norm.weight().toArray());
    assertArrayEquals(new float[] {0.25f, 4}, norm.bias().toArray());
    assertArrayEquals(new float[] {3, 5}, norm.runningMean().toArray());
    assertArrayEquals(new float[] {0.5f, 8}, norm.runningVar().toArray());
    assertEquals(COUNT, norm.numBatchesTracked());
  }

  @Test
  void aLayerOfACheckpointIsOneLine() throws Exception {
    for (String name : List.of("python", "python-metadata")) {
      Path file = file(pythons(name));
      try (BatchNorm norm = BatchNorm.of(2)) {
        norm.load(Weights.read(file, "layer3.0.bn1."));
        assertLayer(norm);
      }
    }
  }

  @Test
  void everyTypeAndNameIsRead() throws Exception {
    Map<String, Tensor> all = Weights.read(file(pythons("python-metadata")), "");
    assertEquals(
        List.of(
            "layer3.0.bn1.num_batches_tracked",
            "empty",
            "layer3.0.bn1.bias",
            "layer3.0.bn1.running_mean",
            "layer3.0.bn1.running_var",
            "layer3.0.bn1.weight",
            "é😀\"\\\n",
            "b",
            "h"),
        List.copyOf(all.keySet()));
    assertEquals("I64 CHANNELS_FIRST []", all.get("layer3.0.bn1.num_batches_tracked").toString());
    assertEquals("F32 CHANNELS_FIRST [0, 4]", all.get("empty").toString());
    assertEquals(0, all.get("empty").toArray().length);
    assertEquals("BF16 CHANNELS_FIRST [3]", all.get("b").toString());
    assertArrayEquals(new float[] {1.5f, -3, Float.POSITIVE_INFINITY}, all.get("b").toArray());
    assertEquals("F16 CHANNELS_FIRST [1, 3]", all.get("h").toString());
    assertArrayEquals(new float[] {1, -2, 0.5f}, all.get("h").toArray());
    assertArrayEquals(new float[] {7}, all.get("é😀\"\\\n").toArray());
  }

  @Test
  void theBytesAreThoseOfTheFormatsOwnLibrary() throws Exception {
    byte[] bytes = pythons("python");
    Map<String, Tensor> all = Weights.read(file(bytes), "");
    Map<String, Tensor> turned = new LinkedHashMap<>();
    List<String> names = List.copyOf(all.keySet());
    for (int i = names.size() - 1; i >= 0; i--) {
      turned.put(names.get(i), all.get(names.get(i)));
    }
    Path copy = folder.resolve("copy");
    Weights.write(copy, turned);
    assertArrayEquals(bytes, Files.readAllBytes(copy));
    Weights.write(copy, Map.of());
    assertArrayEquals(SafetensorsBytes.of("{}      ", new byte[0]), Files.readAllBytes(copy));
    assertEquals(Map.of(), Weights.read(copy, ""));
  }

  @Test
  void elementsAreWrittenInTheShapesOrder() throws Exception {
    float[] last = {1, 4, 2, 5, 3, 6};
    for (DataType type : List.of(DataType.F32, DataType.BF16, DataType.F16, DataType.I64)) {
      try (Tensor tensor = Tensor.allocate(type, Layout.CHANNELS_LAST, 1, 2, 3)) {
        tensor.copyFrom(last);
        Path file = folder.resolve("last");
        Weights.write(file, Map.of("t", tensor));
        Tensor read = Weights.read(file, "").get("t");
        assertEquals(type + " CHANNELS_FIRST [1, 2, 3]", read.toString());
        assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, read.toArray());
      }
    }
  }

  @Test
  void aTensorMayLieAnywhere() throws Exception {
    for (int misaligned = 0; misaligned < 8; misaligned++) {
      Path file =
          file(
              new SafetensorsBytes()
                  .add("h", "F16", "[1]", SafetensorsBytes.shorts((short) 0x3c00))
                  .add("weight", 1.5f, -2, Float.NaN)
                  .add("n", "I64", "[]", SafetensorsBytes.longs(COUNT))
                  .file(misaligned));
      Map<String, Tensor> tensors = Weights.read(file, "");
      assertArrayEquals(new float[] {1}, tensors.get("h").toArray());
      assertArrayEquals(new float[] {1.5f, -2, Float.NaN}, tensors.get("weight").toArray());
      assertEquals(COUNT, tensors.get("n").getLong());
      float[] ones = {1, 1, 1};
      for (Tensor tensor : tensors.values()) {
        assertTrue(tensor.isReadOnly());
        assertThrows(IllegalArgumentException.class, () -> tensor.copyFrom(new float[] {2}));
      }
      try (LayerNorm norm = LayerNorm.builder(3).affine(false).build();
          Tensor x = Tensor.of(ones, 3)) {
        Tensor weight = tensors.get("weight");
        assertThrows(IllegalArgumentException.class, () -> norm.forward(x, weight));
        norm.forward(weight, x);
      }
    }
  }

  @Test
  void aFileThatIsReplacedOrRemovedIsStillThere() throws Exception {
    Path file = folder.resolve("some.safetensors");
    try (BatchNorm norm = BatchNorm.of(2)) {
      Weights.write(file, norm.state());
      Map<String, Tensor> before = Weights.read(file, "");
      norm.weight().copyFrom(new float[] {5, 6});
      Weights.write(file, norm.state());
      Map<String, Tensor> after = Weights.read(file, "");
      Files.delete(file);
      assertArrayEquals(new float[] {1, 1}, before.get("weight").toArray());
      assertArrayEquals(new float[] {5, 6}, after.get("weight").toArray());
      Weights.write(file, before);
      assertArrayEquals(new float[] {1, 1}, Weights.read(file, "").get("weight").toArray());
    }
  }

  @Test
  void aScopeClosesWhatWasReadInIt() throws Exception {
    Path file = file(pythons("python"));
    Tensor kept;
    Tensor other;
    try (TensorScope scope = TensorScope.open()) {
      kept = scope.keep(Weights.read(file, "").get("b"));
      other = Weights.read(file, "").get("h");
    }
    assertTrue(other.isClosed());
    assertArrayEquals(new float[] {1.5f, -3, Float.POSITIVE_INFINITY}, kept.toArray());
  }

  /** Four tensors over 5 GB, most of which is not on the disk. */
  @Test
  void whatLiesBeyondTwoGigabytes() throws Exception {
    long far = 3L << 30;
    long farther = far + 8 + 4 * 536870911L;
    String header =
        "{"
            + String.join(
                ",",
                SafetensorsBytes.entry("l.weight", "F32", "[2]", 0, 8),
                SafetensorsBytes.entry("gap", "U8", "[" + (far - 8) + "]", 8, far),
                SafetensorsBytes.entry("l.bias", "F32", "[2]", far, far + 8),
                SafetensorsBytes.entry("big", "F32", "[536870911]", far + 8, farther),
                SafetensorsBytes.entry("l.end", "F32", "[]", farther, farther + 4))
            + "}";
    header += " ".repeat(Math.floorMod(-header.length(), 8));
    byte[] start = SafetensorsBytes.of(header, SafetensorsBytes.floats(1, 2));
    Path file = file(start);
    try (RandomAccessFile random = new RandomAccessFile(file.toFile(), "rw")) {
      long data = start.length - 8;
      random.setLength(data + farther + 4);
      random.seek(data + far);
      random.write(SafetensorsBytes.floats(3, 4));
      random.seek(data + farther);
      random.write(SafetensorsBytes.floats(5f));
    }
    Map<String, Tensor> layer = Weights.read(file, "l.");
    assertArrayEquals(new float[] {1, 2}, layer.get("weight").toArray());
    assertArrayEquals(new float[] {3, 4}, layer.get("bias").toArray());
    assertArrayEquals(new float[] {5}, layer.get("end").toArray());
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> Weights.read(file, "b"));
    assertEquals(
        file
            + ": tensors below 2 GB are read, but there are \"big\" (F32, 2147483644 bytes); a longer"
            + " prefix may leave them out",
        e.getMessage());
  }

  @Test
  void othersNamesAreRenamed() throws Exception {
    Path keras =
        file(
            new SafetensorsBytes()
                .add("bn/gamma", "F32", "[1,1,1,2]", SafetensorsBytes.floats(1.5f, -2f))
                .add("bn/beta", 0.25f, 4)
                .add("bn/moving_mean", 3, 5)
                .add(
                    "bn/moving_variance",
                    "F16",
                    "[2]",
                    SafetensorsBytes.shorts((short) 0x3800, (short) 0x4800))
                .file(0));
    try (BatchNorm norm = BatchNorm.of(2)) {
      norm.state().get("num_batches_tracked").copyFrom(new float[] {COUNT - 1});
      norm.load(Weights.renamed(Weights.read(keras, "bn/"), Weights.KERAS));
      assertArrayEquals(new float[] {0.5f, 8}, norm.runningVar().toArray());
      assertArrayEquals(new float[] {1.5f, -2}, norm.weight().toArray());
    }
    Path dl4j =
        file(
            new SafetensorsBytes()
                .add("gamma", "F32", "[1,2]", SafetensorsBytes.floats(1.5f, -2f))
                .add("beta", "F32", "[1,2]", SafetensorsBytes.floats(0.25f, 4f))
                .add("mean", "F32", "[1,2]", SafetensorsBytes.floats(3f, 5f))
                .add("var", "F32", "[1,2]", SafetensorsBytes.floats(0.5f, 8f))
                .add("num_batches_tracked", "I64", "[1]", SafetensorsBytes.longs(COUNT))
                .file(0));
    try (BatchNorm norm = BatchNorm.of(2)) {
      norm.load(Weights.renamed(Weights.read(dl4j, ""), Weights.DL4J));
      assertLayer(norm);
    }
    try (Tensor one = Tensor.zeros(1)) {
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      tensors.put("x", one);
      tensors.put("a", one);
      assertEquals(
          List.of("b", "a"), List.copyOf(Weights.renamed(tensors, Map.of("x", "b")).keySet()));
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> Weights.renamed(Map.of("gamma", one, "weight", one), Weights.KERAS));
      assertEquals("two tensors would have the name \"weight\"", e.getMessage());
    }
  }

  @Test
  void whatIsNotThereOrCannotBeReadIsNamed() throws Exception {
    SafetensorsBytes bytes = new SafetensorsBytes().add("bn.weight", 1);
    for (int i = 0; i < 5; i++) {
      bytes.add("q" + i, i == 4 ? "F8_E4M3" : "BOOL", "[3]", new byte[3]);
    }
    Path file = file(bytes.file(0));
    assertEquals(List.of("weight"), List.copyOf(Weights.read(file, "bn.").keySet()));
    assertEquals(
        file
            + ": no tensor's name begins with \"layer9.\"; there are \"bn.weight\" (F32, 4 bytes),"
            + " \"q0\" (BOOL, 3 bytes), \"q1\" (BOOL, 3 bytes) and 3 more",
        assertThrows(IllegalArgumentException.class, () -> Weights.read(file, "layer9."))
            .getMessage());
    assertEquals(
        file
            + ": F32, F16, BF16, I64, I8 and U8 are read, but there are \"q4\" (F8_E4M3, 3 bytes); a"
            + " longer prefix may leave them out",
        assertThrows(IllegalArgumentException.class, () -> Weights.read(file, "q4")).getMessage());
    assertThrows(NoSuchFileException.class, () -> Weights.read(folder.resolve("none"), ""));
    FileSystemException e = assertThrows(FileSystemException.class, () -> Weights.read(folder, ""));
    assertEquals(folder + ": is no regular file", e.getMessage());
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void whatCannotBeWrittenLeavesTheOldFile() throws Exception {
    Path file = folder.resolve("some.safetensors");
    Tensor one = Tensor.of(new float[] {1}, 1);
    Tensor closed = Tensor.zeros(2);
    closed.close();
    Weights.write(file, Map.of("a", one));
    byte[] before = Files.readAllBytes(file);
    assertThrows(
        IllegalStateException.class, () -> Weights.write(file, Map.of("a", one, "b", closed)));
    for (String name : List.of("__metadata__", "\ud83d")) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> Weights.write(file, Map.of(name, one)));
      assertEquals("a tensor cannot have the name \"" + name + "\"", e.getMessage());
    }
    Map<String, Tensor> none = new LinkedHashMap<>();
    none.put("a", null);
    assertThrows(NullPointerException.class, () -> Weights.write(file, none));
    assertArrayEquals(before, Files.readAllBytes(file));
    assertThrows(FileSystemException.class, () -> Weights.write(folder, Map.of("a", one)));
    assertThrows(
        NoSuchFileException.class,
        () -> Weights.write(folder.resolve("no/file"), Map.of("a", one)));
    assertEquals(List.of("some.safetensors"), names());
    assertThrows(IllegalStateException.class, closed::toArray);
    one.close();
    assertThrows(IllegalStateException.class, one::toArray, "nothing holds it any more");
  }

  @Test
  void aLinkIsFollowedAndTheModeStays() throws Exception {
    Path file = Files.createFile(folder.resolve("file"));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("file"));
    try (LayerNorm norm = LayerNorm.of(3)) {
      Weights.write(link, norm.state());
      assertEquals(List.of("file", "link"), names());
      assertTrue(Files.isSymbolicLink(link));
      assertEquals("rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
      norm.load(Weights.read(link, ""));
    }
  }
}
