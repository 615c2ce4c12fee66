package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What is loaded of the folder into which libraries are extracted: {@link Rows} on jars, since what
 * is no jar is not extracted.
 */
@DisabledOnOs(OS.WINDOWS)
@SameOnAnyJvm
class LibraryCacheTest {
  private static final int NOBODY = 65534;

  @TempDir static Path jars;

  private static String classPath;

  @TempDir Path folder;

  private Path cache;

  @BeforeEach
  void makeClassPath() throws Exception {
    cache = folder.resolve("cache");
    if (classPath == null) {
      List<String> entries = new ArrayList<>();
      for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
        Path classes = Path.of(entry);
        boolean ours = Files.isDirectory(classes.resolve("io/nativenorm/engine/fused"));
        // To extract oneDNN too takes as long as all the rest, and it is looked at without FUSED.
        if (!TestEngines.hasFused() || !entry.matches(".*(dnnl|opencl)-.*-linux-.*\\.jar")) {
          entries.add(ours ? jarOf(classes).toString() : entry);
        }
      }
      classPath = String.join(File.pathSeparator, entries);
    }
  }

  private static Path jarOf(Path classes) throws IOException {
    Path jar = jars.resolve(classes.getFileName() + ".jar");
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream entries = new JarOutputStream(out);
        Stream<Path> files = Files.walk(classes)) {
      for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
        entries.putNextEntry(new JarEntry(classes.relativize(file).toString()));
        Files.copy(file, entries);
      }
    }
    return jar;
  }

  private JavaProcess run(String... options) throws Exception {
    return JavaProcess.run(Rows.class, classPath, Map.of(), options);
  }

  private JavaProcess run() throws Exception {
    return run("-Dorg.bytedeco.javacpp.cachedir=" + cache);
  }

  private static void assertRunsOn(Backend backend, JavaProcess process) {
    assertEquals(0, process.status(), process.output());
    assertTrue(process.output().contains("y -1.3416 1.3416"), process.output());
    assertTrue(process.output().contains("backward: " + backend), process.output());
  }

  private static void assertSays(JavaProcess process, String first, Path then) {
    assertTrue(
        process.output().lines().anyMatch(l -> l.contains(first) && l.contains(then.toString())),
        process.output());
  }

  private static boolean isEmpty(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.findAny().isEmpty();
    }
  }

  /** Nothing native, and the warning names the folder and what to do. */
  private void assertRefuses(JavaProcess process, Path what) {
    assertRunsOn(Backend.JAVA, process);
    assertSays(process, "NativeNorm runs on JAVA: ", what);
    assertSays(process, "nothing is loaded from ", what);
    assertTrue(process.output().contains("-Dorg.bytedeco.javacpp.cachedir="), process.output());
  }

  /** A library that was extracted. */
  private Path library(String name) throws IOException {
    try (Stream<Path> files = Files.walk(cache)) {
      return files.filter(f -> f.endsWith(System.mapLibraryName(name))).findAny().orElseThrow();
    }
  }

  /** JavaCPP's own, and that of the best engine. */
  private List<Path> libraries() throws IOException {
    String engine = TestEngines.hasFused() ? "jninativenorm" : "jnidnnl";
    return List.of(library("jnijavacpp"), library(engine));
  }

  private static void mode(Path file, int mode) throws IOException {
    Files.setAttribute(file, "unix:mode", mode);
  }

  private static void belongTo(int uid, Path file) throws IOException {
    boolean root = Files.isWritable(Path.of("/"));
    assumeTrue(root, "NOT TESTED, only root can give files away");
    Files.setAttribute(file, "unix:uid", uid);
  }

  private interface Spoiler {
    void spoil(Path file) throws IOException;
  }

  /** Spoils all libraries, which are then as they were; what they are spoiled with is said. */
  private void assertReplaces(String what, Spoiler spoiler) throws Exception {
    List<byte[]> right = new ArrayList<>();
    for (Path file : libraries()) {
      right.add(Files.readAllBytes(file));
      FileTime time = Files.getLastModifiedTime(file);
      spoiler.spoil(file);
      Files.setLastModifiedTime(file, time);
    }
    JavaProcess process = run();
    assertRunsOn(TestEngines.best(), process);
    for (Path file : libraries()) {
      assertSays(process, "extracted again, since it " + what, file);
      assertArrayEquals(right.remove(0), Files.readAllBytes(file));
      assertEquals(Files.getOwner(cache), Files.getOwner(file));
      String mode = PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
      assertEquals("rwxr-xr-x", mode);
    }
  }

  @Test
  void otherBytesOfTheSameSizeAndTimeAreReplaced() throws Exception {
    assertRunsOn(TestEngines.best(), run());
    String what = "had other bytes than its jar: ";
    assertReplaces(what, file -> Files.write(file, new byte[(int) Files.size(file)]));
    assertReplaces(
        what,
        file -> {
          byte[] bytes = Files.readAllBytes(file);
          bytes[bytes.length / 2] ^= 1;
          Files.write(file, bytes);
        });
    assertFalse(run().output().contains("extracted again"));
  }

  @Test
  void aFileThatOthersCanWriteIsReplaced() throws Exception {
    assertRunsOn(TestEngines.best(), run());
    mode(cache, 0755);
    for (int mode : new int[] {0666, 0664, 0646}) {
      assertReplaces("could be written by others: ", file -> mode(file, mode));
    }
  }

  @Test
  void aFileOfAnotherUserIsReplaced() throws Exception {
    assertRunsOn(TestEngines.best(), run());
    assertReplaces("belonged to ", file -> belongTo(NOBODY, file));
  }

  @ParameterizedTest
  @ValueSource(ints = {0777, 0775, 0757, 01777})
  void aFolderThatOthersCanWriteIsNotUsed(int mode) throws Exception {
    Files.createDirectory(cache);
    mode(cache, mode);
    assertRefuses(run(), cache);
    assertTrue(isEmpty(cache));
  }

  @Test
  void aFolderOfAnotherUserIsNotUsed() throws Exception {
    Files.createDirectory(cache);
    belongTo(NOBODY, cache);
    assertRefuses(run(), cache);
    assertTrue(isEmpty(cache));
  }

  @Test
  void aFolderInOneThatOthersCanWriteIsUsedOnlyIfTheyCannotRenameIt() throws Exception {
    Path open = Files.createDirectory(folder.resolve("open"));
    cache = open.resolve("cache");
    mode(open, 0777);
    assertRefuses(run(), open);
    mode(open, 01777);
    assertRunsOn(TestEngines.best(), run());
  }

  @Test
  void aLibrarysOwnFolderThatOthersCanWriteIsNotUsed() throws Exception {
    assertRunsOn(TestEngines.best(), run());
    mode(cache, 0755);
    Path inner = library("jnijavacpp").getParent();
    mode(inner, 0777);
    assertRefuses(run(), inner);
  }

  @Test
  void theFolderIsMadeForThisUserAlone() throws Exception {
    List<String> command = new ArrayList<>(List.of("sh", "-c", "umask 002 && exec \"$@\"", "sh"));
    command.add(System.getProperty("java.home") + "/bin/java");
    command.addAll(List.of(JavaProcess.SHORT, "-Dorg.bytedeco.javacpp.cachedir=" + cache));
    command.addAll(List.of("-cp", classPath, Rows.class.getName()));
    for (int round = 0; round < 2; round++) {
      JavaProcess process = JavaProcess.run(command, Map.of());
      assertRunsOn(TestEngines.best(), process);
      assertFalse(process.output().contains("extracted again"), process.output());
    }
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(cache)));
  }

  @Test
  void ofTheFoldersThatNobodyNamedTheNextIsTaken() throws Exception {
    Path home = Files.createDirectories(folder.resolve("home/.javacpp/cache"));
    Path temporary = Files.createDirectory(folder.resolve("tmp"));
    mode(home, 0777);
    String[] options = {"-Duser.home=" + folder.resolve("home"), "-Djava.io.tmpdir=" + temporary};
    JavaProcess process = run(options);
    assertRunsOn(TestEngines.best(), process);
    assertSays(process, "NativeNorm loads nothing from ", home);
    assertTrue(isEmpty(home));
    assertFalse(isEmpty(temporary));
  }

  @Test
  void noFolderForTemporaryFilesIsUsedThatAnotherUserMade() throws Exception {
    Files.createDirectory(folder.resolve("home"));
    Files.createFile(folder.resolve("home/.javacpp"));
    Path temporary = Files.createDirectory(folder.resolve("tmp"));
    mode(temporary, 01777);
    Path name = temporary.resolve(".javacpp-" + System.getProperty("user.name"));
    Path theirs = Files.createDirectories(name.resolve("cache"));
    String[] options = {"-Duser.home=" + folder.resolve("home"), "-Djava.io.tmpdir=" + temporary};
    assertRunsOn(TestEngines.best(), run(options));
    for (Path file : List.of(theirs, name)) {
      mode(file, 0777);
      assertRefuses(run(options), theirs);
      mode(file, 0755);
    }
    for (Path file : List.of(theirs, name)) {
      belongTo(NOBODY, file);
      assertRefuses(run(options), theirs);
      belongTo(0, file);
    }
  }
}
