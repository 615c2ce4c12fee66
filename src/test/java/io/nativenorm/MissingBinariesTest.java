package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What happens on a platform that has not all binaries: they are taken off the class path. */
class MissingBinariesTest {
  private static final String PLATFORM = Loader.getPlatform();

  @TempDir Path folder;

  /** Normalizes 64 rows of 1, 2, 3, 4, 1, 2, ..., and says on what. */
  public static final class Rows {
    public static void main(String[] args) {
      float[] values = new float[64 * 1024];
      for (int i = 0; i < values.length; i++) {
        values[i] = 1 + i % 4;
      }
      try (LayerNorm norm = LayerNorm.of(1024);
          Tensor x = Tensor.of(values, 64, 1024);
          Tensor y = norm.forward(x);
          Pass pass = norm.forwardTraining(x);
          Gradients gradients = pass.backward(y)) {
        System.out.printf("y %.4f %.4f%n", y.toArray()[0], y.toArray()[3]);
        System.out.printf("dbias %.4f%n", gradients.bias().toArray()[0]);
        System.out.println(norm.explain(x));
        System.out.println(NativeNorm.describe());
      }
    }
  }

  private String classPath(boolean fused, boolean onednn) throws IOException {
    List<String> entries = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(entry);
      if (!fused && Files.isDirectory(path.resolve("io/nativenorm/engine/fused"))) {
        entries.add(withoutLibrary(path).toString());
      } else if (onednn || !path.getFileName().toString().matches("dnnl-.*-" + PLATFORM + ".jar")) {
        entries.add(entry);
      }
    }
    return String.join(File.pathSeparator, entries);
  }

  private Path withoutLibrary(Path classes) throws IOException {
    Path copy = folder.resolve("classes");
    try (Stream<Path> files = Files.walk(classes)) {
      for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
        Path target = copy.resolve(classes.relativize(file));
        if (!file.toString().contains("jninativenorm")) {
          Files.createDirectories(target.getParent());
          Files.copy(file, target);
        }
      }
    }
    return copy;
  }

  private void assertRunsOn(Backend backend, boolean fused, boolean onednn, String... lines)
      throws Exception {
    JavaProcess process = JavaProcess.run(Rows.class, classPath(fused, onednn), Map.of());
    String output = process.output();
    assertEquals(0, process.status(), output);
    assertTrue(output.contains("y -1.3416 1.3416"), output);
    assertTrue(output.contains("dbias -85.86"), output);
    for (String direction : List.of("inference", "training", "backward")) {
      assertTrue(output.contains(direction + ": " + backend), output);
    }
    for (String line : lines) {
      assertEquals(
          1, output.lines().filter(l -> l.contains("missing") && l.contains(line)).count(), output);
    }
  }

  @Test
  void withoutOurLibraryItRunsOnOneDnn() throws Exception {
    assertRunsOn(Backend.ONEDNN, false, true, "this build has no library for " + PLATFORM);
  }

  @Test
  void withoutOneDnnItRunsOnOurLibrary() throws Exception {
    assertRunsOn(Backend.FUSED, true, false, "oneDNN's library cannot be loaded");
  }

  @Test
  void withNeitherItRunsOnJava() throws Exception {
    assertRunsOn(
        Backend.JAVA,
        false,
        false,
        "this build has no library for " + PLATFORM,
        "oneDNN's library cannot be loaded");
  }
}
