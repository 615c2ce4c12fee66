package io.nativenorm.engine;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;

/**
 * The folder into which JavaCPP extracts libraries, and from which it then loads whatever has the
 * right size and time. Here loaded is what has the bytes of its jar, from files and folders that
 * nobody can write but this user and root. On Windows the bytes alone are looked at.
 */
final class LibraryCache {
  private static final System.Logger LOGGER = System.getLogger("io.nativenorm");

  private static final String FOLDER = "org.bytedeco.javacpp.cachedir";

  /** Where JavaCPP puts it if no folder is named. */
  private static final List<String> DEFAULTS =
      List.of(
          System.getProperty("user.home") + "/.javacpp/cache",
          System.getProperty("java.io.tmpdir")
              + "/.javacpp-"
              + System.getProperty("user.name")
              + "/cache");

  private LibraryCache() {}

  /**
   * Chooses the folder: the one that is named, else the first of JavaCPP's own that can be used and
   * that others cannot write. A program that has used JavaCPP before has chosen already.
   *
   * @throws UnsatisfiedLinkError with a sentence that names the folder if others can write it
   */
  static void choose() {
    if (!isUsed()) {
      return;
    }
    try {
      String named =
          System.getProperty(FOLDER, System.getProperty("org.bytedeco.javacpp.cacheDir"));
      if (named == null) {
        chooseDefault();
      } else {
        isUsable(named);
      }
      requireSafe(Loader.getCacheDir().toPath());
    } catch (IOException e) {
      LOGGER.log(Level.DEBUG, "no folder for libraries: JavaCPP takes those on its paths", e);
    }
  }

  private static void chooseDefault() throws IOException {
    for (String name : DEFAULTS) {
      if (isUsable(name)) {
        String unsafe = unsafe(Path.of(name).toRealPath());
        if (unsafe == null) {
          System.setProperty(FOLDER, name);
          return;
        }
        LOGGER.log(Level.WARNING, "NativeNorm loads nothing from " + name + ": " + unsafe);
      }
    }
  }

  /** Makes a folder that is missing, for this user alone, however open the umask is. */
  private static boolean isUsable(String name) {
    try {
      Path folder = Path.of(name);
      if (Owners.are(folder)) {
        var ours = PosixFilePermissions.fromString("rwx------");
        Files.createDirectories(folder, PosixFilePermissions.asFileAttribute(ours));
      } else {
        Files.createDirectories(folder);
      }
      return Files.isReadable(folder) && Files.isWritable(folder) && Files.isExecutable(folder);
    } catch (IOException | InvalidPathException e) {
      return false;
    }
  }

  private static boolean isUsed() {
    return !"false".equalsIgnoreCase(System.getProperty("org.bytedeco.javacpp.cacheLibraries"));
  }

  private static void requireSafe(Path folder) throws IOException {
    String unsafe = unsafe(folder);
    if (unsafe != null) {
      throw new UnsatisfiedLinkError(
          String.format(
              "nothing is loaded from %s: %s (name a folder of your own with -D%s=<folder>)",
              folder, unsafe, FOLDER));
    }
  }

  /** Why others can write a folder or put another one in its place, or null. */
  private static String unsafe(Path folder) throws IOException {
    if (!Owners.are(folder)) {
      return null;
    }
    for (Path part = folder; part != null; part = part.getParent()) {
      if (!Owners.isTrusted(part)) {
        return part + " belongs to " + Files.getOwner(part);
      }
      // What is in /tmp only its owner can rename.
      boolean isProtected = !part.equals(folder) && Owners.isSticky(part);
      if (Owners.othersWrite(part) && !isProtected) {
        return "others can write " + part;
      }
    }
    return null;
  }

  /**
   * Extracts a class's library, where that has not been done, and puts right what is not as in its
   * jar: this library, what lies beside it, and the same of the classes it builds on.
   *
   * @throws UnsatisfiedLinkError with a sentence that names the file that cannot be put right
   */
  static void fill(Class<?> binding) {
    if (!isUsed()) {
      return;
    }
    try {
      Set<String> names = new LinkedHashSet<>(properties(binding).get("global"));
      names.add(binding.getName());
      for (String name : names) {
        Class<?> each = Class.forName(name, false, binding.getClassLoader());
        URL url = find(each, properties(each).getProperty("platform.library"));
        if (url != null && !url.getProtocol().equals("file")) {
          checkFolder(url, Loader.cacheResource(url).toPath().getParent());
        }
      }
    } catch (IOException | ClassNotFoundException e) {
      LOGGER.log(Level.DEBUG, "not extracted: JavaCPP says so when it loads", e);
    }
  }

  private static ClassProperties properties(Class<?> binding) {
    return Loader.loadProperties(binding, Loader.loadProperties(), true);
  }

  /** Where a library is for this platform, or null. */
  static URL find(Class<?> binding, String library) throws IOException {
    String file = System.mapLibraryName(library);
    return Loader.findResource(binding, Loader.getPlatform() + "/" + file);
  }

  /** What is not there yet JavaCPP extracts when it comes to it. */
  private static void checkFolder(URL url, Path folder) throws IOException {
    // What is open in a folder that others cannot enter is JavaCPP's doing, under such a umask.
    boolean closed = Owners.are(folder) && !Owners.othersEnter(Loader.getCacheDir().toPath());
    if (!closed) {
      requireSafe(folder);
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        URL inJar = new URL(url, file.getFileName().toString());
        if (isThere(inJar)) {
          check(inJar, Loader.cacheResource(inJar).toPath(), closed);
        }
      }
    }
  }

  private static boolean isThere(URL url) {
    try {
      url.openConnection().connect();
      return true;
    } catch (IOException e) {
      return false; // a link of JavaCPP's
    }
  }

  private static void check(URL url, Path file, boolean closed) throws IOException {
    boolean others = false;
    String wrong = null;
    if (Owners.are(file)) {
      others = Owners.othersWrite(file);
      if (!Owners.isTrusted(file)) {
        wrong = "belonged to " + Files.getOwner(file);
      } else if (others && !closed) {
        wrong = "could be written by others";
      }
    }
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        || checksum(url) != checksum(file.toUri().toURL())) {
      wrong = "had other bytes than its jar";
    }
    if (wrong != null || others) {
      replace(file, url);
    }
    if (wrong != null) {
      LOGGER.log(Level.WARNING, "extracted again, since it " + wrong + ": " + file);
    }
  }

  /** At every moment there is a file: other processes may be about to load it. */
  private static void replace(Path file, URL url) {
    Path fresh = file.resolveSibling(file.getFileName() + "." + ProcessHandle.current().pid());
    try {
      FileTime time = Files.getLastModifiedTime(file);
      try (InputStream in = url.openStream()) {
        Files.copy(in, fresh, StandardCopyOption.REPLACE_EXISTING);
      }
      if (Owners.are(fresh)) {
        Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rwxr-xr-x"));
      }
      Files.setLastModifiedTime(fresh, time);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UnsatisfiedLinkError(file + " is not as in its jar and cannot be replaced: " + e);
    }
  }

  /** A jar has it written down: oneDNN's 90 MB need not be unpacked to be compared. */
  private static long checksum(URL url) throws IOException {
    URLConnection connection = url.openConnection();
    if (connection instanceof JarURLConnection) {
      return ((JarURLConnection) connection).getJarEntry().getCrc();
    }
    CRC32 sum = new CRC32();
    try (InputStream in = new CheckedInputStream(connection.getInputStream(), sum)) {
      in.transferTo(OutputStream.nullOutputStream());
    }
    return sum.getValue();
  }
}
