package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** Files that are not regular ones, made for a test: never a system's own. */
final class SpecialFiles {
  private SpecialFiles() {}

  /** A named pipe. */
  static Path fifo(Path path) throws Exception {
    assertEquals(0, run("mkfifo", path.toString()), "mkfifo");
    return path;
  }

  /** A device like /dev/null (3), /dev/zero (5) or /dev/full (7), where root may make one. */
  static Path device(Path path, int minor) throws Exception {
    boolean made = run("mknod", path.toString(), "c", "1", "" + minor) == 0;
    boolean usable = made && opens(path);
    if (!usable) {
      Files.deleteIfExists(path);
      String loud = "NOT TESTED: this user cannot make device nodes in " + path.getParent();
      System.err.println(loud);
      Assumptions.abort(loud);
    }
    return path;
  }

  private static boolean opens(Path path) {
    try {
      Files.newOutputStream(path).close();
      return true;
    } catch (IOException e) {
      return false; // its file system is mounted nodev
    }
  }

  private static int run(String... command) throws Exception {
    return new ProcessBuilder(command).redirectErrorStream(true).start().waitFor();
  }

  /** That a path is still what was made. */
  static void assertSpecial(Path path) throws IOException {
    boolean special =
        Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS).isOther();
    assertTrue(special, path + " was replaced");
  }

  /** The names in a folder, in order: nothing is left over. */
  static void assertNames(Path folder, String... names) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(
          List.of(names), files.map(file -> file.getFileName().toString()).sorted().toList());
    }
  }
}
