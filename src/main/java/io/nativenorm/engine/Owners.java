package io.nativenorm.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Who can write files, where they have owners and modes. */
final class Owners {
  private static final Path STATUS = Path.of("/proc/self/status");

  private static final int OTHERS_WRITE = 0022;
  private static final int OTHERS_ENTER = 0011;
  private static final int STICKY = 01000;

  private Owners() {}

  /** Whether there are any where a file is: on every POSIX system. */
  static boolean are(Path file) {
    return file.getFileSystem().supportedFileAttributeViews().contains("unix");
  }

  /**
   * Whether a file is this user's, or root's: of the owner of the root folder, who in a container
   * need not be user 0.
   */
  static boolean isTrusted(Path file) throws IOException {
    int owner = uid(file);
    return owner == 0 || owner == uid(file.toAbsolutePath().getRoot()) || isOwn(file);
  }

  private static boolean isOwn(Path file) throws IOException {
    if (!Files.isReadable(STATUS)) {
      return Files.getOwner(file).getName().equals(System.getProperty("user.name")); // macOS
    }
    for (String line : Files.readAllLines(STATUS)) {
      if (line.startsWith("Uid:")) {
        // The real user and the one whose rights it has.
        return Integer.parseInt(line.split("\\s+")[2]) == uid(file);
      }
    }
    return false;
  }

  static boolean othersWrite(Path file) throws IOException {
    return (mode(file) & OTHERS_WRITE) != 0;
  }

  static boolean othersEnter(Path folder) throws IOException {
    return (mode(folder) & OTHERS_ENTER) != 0;
  }

  /** Whether only its owner can rename or remove what is in a folder. */
  static boolean isSticky(Path folder) throws IOException {
    return (mode(folder) & STICKY) != 0;
  }

  private static int mode(Path file) throws IOException {
    return (int) Files.getAttribute(file, "unix:mode");
  }

  private static int uid(Path file) throws IOException {
    return (int) Files.getAttribute(file, "unix:uid");
  }
}
