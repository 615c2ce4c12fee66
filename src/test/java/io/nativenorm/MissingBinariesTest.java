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
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What happens on a platform that has not all binaries: they are taken off the class path. */
@SameOnAnyJvm
class MissingBinariesTest {
  private static final String PLATFORM = Loader.getPlatform();

  private static final String FILE = System.mapLibraryName("jninativenorm");

  @TempDir Path folder;

  /** Our classes, where they were copied without the library. */
  private Path classes;

  @BeforeEach
  void nameFolder() {
    classes = folder.resolve("target/classes");
  }

  /** Asks for an engine that is not there. */
  public static final class NamesFused {
    public static void main(String[] args) {
      try (LayerNorm norm = LayerNorm.builder(4).backend(Backend.FUSED).build()) {
        norm.forward(new float[8]);
      } catch (NativeNormException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  /** The class path without our library ("nativenorm") or others' for this platform ("dnnl"). */
  private String classPathWithout(Set<String> libraries) throws IOException {
    List<String> entries = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(entry);
      String name = path.getFileName().toString();
      if (libraries.contains("nativenorm")
          && Files.isDirectory(path.resolve("io/nativenorm/engine/fused"))) {
        copyWithoutLibrary(path);
        entries.add(classes.toString());
      } else if (libraries.stream()
          .noneMatch(library -> name.matches(library + "-.*-" + PLATFORM + ".jar"))) {
        entries.add(entry);
      }
    }
    return String.join(File.pathSeparator, entries);
  }

  private void copyWithoutLibrary(Path all) throws IOException {
    try (Stream<Path> files = Files.walk(all)) {
      for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
        Path target = classes.resolve(all.relativize(file));
        if (!file.getFileName().toString().equals(FILE)) {
          Files.createDirectories(target.getParent());
          Files.copy(file, target);
        }
      }
    }
  }

  /** Runs on an engine in every direction; each line is said once of engines that are missing. */
  private static void assertRunsOn(Backend backend, JavaProcess process, String... lines) {
    String output = process.output();
    assertEquals(0, process.status(), output);
    assertTrue(output.contains("y -1.3416 1.3416"), output);
    assertTrue(output.contains("dbias -85.86"), output);
    for (String direction : List.of("inference", "training", "backward")) {
      assertTrue(output.contains(direction + ": " + backend), output);
    }
    for (String line : lines) {
      assertEquals(1, output.lines().filter(l -> l.matches("  " + line)).count(), output);
    }
    boolean substitute = backend != Backend.FUSED;
    assertEquals(
        substitute ? 1 : 0,
        output.lines().filter(l -> l.contains("NativeNorm runs on " + backend)).count(),
        output);
  }

  private JavaProcess runWithout(String... libraries) throws Exception {
    return JavaProcess.run(Rows.class, classPathWithout(Set.of(libraries)), Map.of());
  }

  @Test
  void withoutOurLibraryItRunsOnOneDnn() throws Exception {
    assertRunsOn(
        Backend.ONEDNN,
        runWithout("nativenorm"),
        "FUSED is missing: its library .* no "
            + FILE
            + " for "
            + PLATFORM
            + " was found, which io.nativenorm:nativenorm-platform brings");
  }

  @Test
  void inACloneItSaysHowItIsBuilt() throws Exception {
    Files.createFile(folder.resolve("build-native.sh"));
    assertRunsOn(
        Backend.ONEDNN,
        runWithout("nativenorm"),
        "FUSED is missing: .* was found, which ./build-native.sh --install in "
            + folder
            + " builds.*");
    // That brings nothing of others.
    assertTrue(
        runWithout("dnnl").output().contains(", which io.nativenorm:nativenorm-platform brings"));
  }

  @Test
  void withoutOneDnnItRunsOnOurLibrary() throws Exception {
    assertRunsOn(
        TestEngines.hasFused() ? Backend.FUSED : Backend.JAVA,
        runWithout("dnnl"),
        "ONEDNN is missing: its library cannot be loaded: no .*dnnl.* was found.*");
  }

  @Test
  void withNeitherItRunsOnJava() throws Exception {
    assertRunsOn(
        Backend.JAVA,
        runWithout("nativenorm", "dnnl"),
        "FUSED is missing: its library .* no " + FILE + " for " + PLATFORM + " was .*",
        "ONEDNN is missing: its library cannot be loaded: no .*dnnl.* was found.*");
  }

  private static void assertRunsOnJava(JavaProcess process, String why) {
    assertRunsOn(
        Backend.JAVA,
        process,
        "FUSED is missing: " + why + ".*",
        "ONEDNN is missing: " + why + ".*");
  }

  @Test
  void withoutAnyBinaryItRunsOnJava() throws Exception {
    assertRunsOnJava(
        runWithout("nativenorm", "dnnl", "opencl", "javacpp"),
        "JavaCPP's library cannot be loaded: no .* for " + PLATFORM + " was found");
  }

  @Test
  void whereNoLibraryMayBeLoadedItRunsOnJava() throws Exception {
    assertRunsOnJava(
        JavaProcess.run(Rows.class, Map.of(), "-Dorg.bytedeco.javacpp.loadLibraries=false"),
        "JavaCPP's library is not to be loaded: org.bytedeco.javacpp.loadLibraries is not true");
  }

  /** A file of the name of musl's loader in memory is what tells. */
  @Test
  void onMuslItRunsOnJava() throws Exception {
    Path loader = Files.writeString(folder.resolve("ld-musl-x86_64.so.1"), "not a library");
    List<String> command =
        List.of(
            System.getProperty("java.home") + "/bin/java",
            "-cp",
            System.getProperty("java.class.path"),
            Rows.class.getName(),
            loader.toString());
    assertRunsOnJava(JavaProcess.run(command, Map.of()), "this JVM runs on musl");
  }

  @Test
  void aNamedBackendThatIsMissingSaysWhyInOneLine() throws Exception {
    String classPath = classPathWithout(Set.of("nativenorm"));
    String output = JavaProcess.run(NamesFused.class, classPath, Map.of()).output();
    List<String> lines = output.lines().filter(line -> line.contains("FUSED")).toList();
    assertEquals(1, lines.size(), output);
    assertTrue(
        lines.get(0).startsWith("FUSED cannot run layer infer F32 2x4; FUSED: its "), output);
    assertTrue(lines.get(0).contains("no " + FILE + " for " + PLATFORM + " was found"), output);
  }

  @Test
  void aBrokenLibrarySaysWhatIsWrongWithIt() throws Exception {
    String classPath = classPathWithout(Set.of("nativenorm"));
    Path library = classes.resolve("io/nativenorm/engine/fused/" + PLATFORM + "/" + FILE);
    Files.createDirectories(library.getParent());
    Files.writeString(library, "not a library");
    String output = JavaProcess.run(NamesFused.class, classPath, Map.of()).output();
    assertEquals(1, output.lines().filter(line -> line.startsWith("FUSED")).count(), output);
    assertTrue(output.contains("cannot be loaded: java.lang.UnsatisfiedLinkError: /"), output);
  }
}
