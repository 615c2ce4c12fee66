package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The finished jars in a program's hands: {@link Rows}, on what a dependency on nativenorm-platform
 * brings, with an empty cache, where the machine is less obliging than a developer's.
 */
class LoadingIT {
  /** The main jar without its ending: {@code target/nativenorm-<version>}. */
  private static final String JAR = System.getProperty("nativenorm.jar");

  private static final String JAVA = System.getProperty("java.home") + "/bin/java";

  /** The engine that AUTO takes. */
  private static final Backend BEST = hasFused() ? Backend.FUSED : Backend.ONEDNN;

  private static final String REQUIRE =
      "-Dnativenorm.require=" + (hasFused() ? "fused,onednn" : "onednn");

  @TempDir Path folder;

  private Path cache;

  @BeforeEach
  void nameCache() {
    cache = folder.resolve("cache");
  }

  /** Whether the jar for this platform has a library: this JVM's class path has none. */
  private static boolean hasFused() {
    String library = "/" + System.mapLibraryName("jninativenorm");
    try (JarFile jar = new JarFile(JAR + "-" + Loader.getPlatform() + ".jar")) {
      return jar.stream().anyMatch(entry -> entry.getName().endsWith(library));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What the dependency brings for this platform. */
  private static List<Path> jars() {
    List<Path> jars = new ArrayList<>();
    jars.add(Path.of(JAR + ".jar"));
    jars.add(Path.of(JAR + "-" + Loader.getPlatform() + ".jar"));
    jars.addAll(jarsOf("bytedeco"));
    jars.addAll(jarsOf("gson"));
    return jars;
  }

  private static List<Path> jarsOf(String group) {
    return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(Path::of)
        .filter(path -> path.getParent().toString().contains(group))
        .toList();
  }

  private static String path(List<Path> entries) {
    return String.join(File.pathSeparator, entries.stream().map(Path::toString).toList());
  }

  private static Path testClasses() throws Exception {
    return Path.of(Rows.class.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  /** The command for a class of the tests on jars. */
  private static List<String> program(List<Path> jars, String... options) throws Exception {
    List<Path> entries = new ArrayList<>(jars);
    entries.add(testClasses());
    List<String> command = new ArrayList<>(List.of(JAVA, JavaProcess.SHORT));
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", path(entries), Rows.class.getName()));
    return command;
  }

  private String cacheOption() {
    return "-Dorg.bytedeco.javacpp.cachedir=" + cache;
  }

  private static JavaProcess run(List<String> command) throws Exception {
    return JavaProcess.run(command, Map.of());
  }

  private static void assertRunsOn(Backend backend, JavaProcess process) {
    String output = process.output();
    assertEquals(0, process.status(), output);
    assertTrue(output.contains("y -1.3416 1.3416"), output);
    assertTrue(output.contains("backward: " + backend), output);
  }

  private static void assertRunsOnJavaSaying(String what, JavaProcess process) {
    assertRunsOn(Backend.JAVA, process);
    String output = process.output();
    assertEquals(
        1,
        output
            .lines()
            .filter(l -> l.contains("NativeNorm runs on JAVA") && l.contains(what))
            .count(),
        output);
  }

  /** Extracted for the first time, then found again; with oneDNN, which is large. */
  @Test
  void anEmptyCacheAndAFullOne() throws Exception {
    List<String> command = program(jars(), cacheOption(), REQUIRE);
    assertRunsOn(BEST, run(command));
    try (Stream<Path> files = Files.walk(cache)) {
      List<String> names = files.map(file -> file.getFileName().toString()).toList();
      assertEquals(
          hasFused(), names.contains(System.mapLibraryName("jninativenorm")), names::toString);
      assertTrue(names.contains(System.mapLibraryName("jnidnnl")), names::toString);
    }
    assertRunsOn(BEST, run(command));
  }

  @Test
  void fourProcessesAtOnceOnAnEmptyCache() throws Exception {
    List<String> command = program(jars(), cacheOption(), REQUIRE);
    ExecutorService processes = Executors.newFixedThreadPool(4);
    try {
      Callable<JavaProcess> start = () -> run(command);
      List<Future<JavaProcess>> all = processes.invokeAll(List.of(start, start, start, start));
      for (Future<JavaProcess> process : all) {
        assertRunsOn(BEST, process.get());
      }
    } finally {
      processes.shutdown();
    }
  }

  @Test
  void aPathWithSpacesAndLettersOfAllKinds() throws Exception {
    Path strange = Files.createDirectory(folder.resolve("Ein Ordner für 正規化 100%"));
    List<Path> copies = new ArrayList<>();
    for (Path jar : jars()) {
      copies.add(Files.copy(jar, strange.resolve(jar.getFileName())));
    }
    cache = strange.resolve("cache");
    List<String> command = program(copies, cacheOption(), REQUIRE);
    // Else the JVM itself cannot name such files.
    assertRunsOn(BEST, JavaProcess.run(command, Map.of("LC_ALL", "C.UTF-8")));
  }

  /**
   * A command where folders of the test's are file systems of their own: a namespace of its own,
   * which on Linux everybody may have unless it is forbidden.
   */
  private static List<String> mounted(String mounts, List<String> command) throws Exception {
    List<String> all = new ArrayList<>(List.of("unshare", "-r", "-m", "sh", "-c"));
    all.add("set -e; " + mounts + " exec \"$@\"");
    all.add("sh");
    try {
      List<String> nothing = new ArrayList<>(all);
      nothing.add("true");
      JavaProcess trial = run(nothing);
      assumeTrue(trial.status() == 0, () -> "NOT TESTED, no mounts here: " + trial.output());
    } catch (IOException e) {
      assumeTrue(false, "NOT TESTED, no mounts here: " + e);
    }
    all.addAll(command);
    return all;
  }

  private static String mount(Path at, String option) {
    return "mount -t tmpfs -o " + option + " tmpfs '" + at + "'; ";
  }

  @Test
  void aHomeThatIsReadOnly() throws Exception {
    Path home = Files.createDirectory(folder.resolve("home"));
    Path temporary = Files.createDirectory(folder.resolve("tmp"));
    List<String> command = program(jars(), "-Duser.home=" + home, "-Djava.io.tmpdir=" + temporary);
    assertRunsOn(BEST, run(mounted(mount(home, "ro"), command)));
    assertTrue(Files.list(temporary).anyMatch(file -> file.toString().contains(".javacpp")));
  }

  @Test
  void whereNothingMayBeExecutedItSaysWhatToSet() throws Exception {
    Path home = Files.createDirectory(folder.resolve("home"));
    Path temporary = Files.createDirectory(folder.resolve("tmp"));
    String mounts = mount(home, "ro") + mount(temporary, "noexec");
    String[] options = {"-Duser.home=" + home, "-Djava.io.tmpdir=" + temporary};

    JavaProcess process = run(mounted(mounts, program(jars(), options)));
    String what = "name another one with -Dorg.bytedeco.javacpp.cachedir=";
    assertRunsOnJavaSaying(what, process);

    List<String> asTold = program(jars(), options[0], options[1], cacheOption());
    assertRunsOn(BEST, run(mounted(mounts, asTold)));
  }

  @Test
  void deniedNativeAccessSaysWhatToAllow() throws Exception {
    assumeTrue(
        Runtime.version().feature() >= 24, "NOT TESTED, this JDK denies nobody native access");
    String deny = "--illegal-native-access=deny";
    JavaProcess process = run(program(jars(), cacheOption(), deny));
    String what = "start Java with --enable-native-access=ALL-UNNAMED";
    assertRunsOnJavaSaying(what, process);

    JavaProcess required = run(program(jars(), cacheOption(), deny, REQUIRE));
    assertEquals(1, required.status(), required.output());
    assertTrue(required.output().contains("NativeNormException"), required.output());
    assertTrue(required.output().contains(what), required.output());

    String allow = "--enable-native-access=ALL-UNNAMED";
    JavaProcess allowed = run(program(jars(), cacheOption(), deny, allow));
    assertRunsOn(BEST, allowed);
    assertTrue(!allowed.output().contains("WARNING"), allowed.output());
  }

  @Test
  void theModulePathAndItsNativeAccess() throws Exception {
    List<Path> named = new ArrayList<>(jars());
    named.removeIf(jar -> jar.getFileName().toString().contains("-platform-"));
    named.addAll(jarsOf("picocli"));
    List<String> command =
        new ArrayList<>(
            List.of(JAVA, cacheOption(), "-p", path(named), "--add-modules", "ALL-MODULE-PATH"));
    boolean denies = Runtime.version().feature() >= 24;
    if (denies) {
      command.add("--illegal-native-access=deny");
    }
    List<String> main = List.of("-m", "io.nativenorm/io.nativenorm.cli.Main", "--version");
    List<String> denied = new ArrayList<>(command);
    denied.addAll(main);
    JavaProcess process = run(denied);
    if (denies) {
      String what =
          "start Java with --enable-native-access="
              + "io.nativenorm,org.bytedeco.javacpp,org.bytedeco.dnnl,org.bytedeco.opencl";
      assertTrue(process.output().contains(what), process.output());
      command.add(what.substring(what.indexOf("--")));
      command.addAll(main);
      process = run(command);
    }
    assertEquals(0, process.status(), process.output());
    String fused = hasFused() ? "  FUSED: kernels for" : "  FUSED is missing: its lib";
    assertTrue(process.output().contains(fused), process.output());
    assertTrue(process.output().contains("  ONEDNN: oneDNN"), process.output());
  }
}
