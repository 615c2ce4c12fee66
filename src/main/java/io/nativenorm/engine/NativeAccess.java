package io.nativenorm.engine;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.Optional;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;

/**
 * Whether native code can be used in this process: JavaCPP's own library, without which there are
 * no pointers, and so no engine but JAVA. Asked for the first time before any pointer is made.
 */
public final class NativeAccess {
  /** The modules that load or call native code, for {@code --enable-native-access}. */
  static final String MODULES =
      "io.nativenorm,org.bytedeco.javacpp,org.bytedeco.dnnl,org.bytedeco.opencl";

  /** JavaCPP's property. */
  private static final String LOAD = "org.bytedeco.javacpp.loadLibraries";

  private static final Path MAPPED_FILES = Path.of("/proc/self/maps");

  private static final String MISSING = findMissing();

  private NativeAccess() {}

  /**
   * Why there is no native access.
   *
   * @return a sentence, or nothing where there is
   */
  public static Optional<String> missing() {
    return Optional.ofNullable(MISSING);
  }

  private static String findMissing() {
    if (isMusl(MAPPED_FILES)) {
      // Beside gcompat some load, and crash.
      loadNothing();
      return "this JVM runs on musl (Alpine Linux), and there are binaries for glibc only";
    }
    if (!Boolean.parseBoolean(System.getProperty(LOAD, "true"))) {
      return "JavaCPP's library is not to be loaded: " + LOAD + " is not true";
    }
    try {
      LibraryCache.choose();
      LibraryCache.fill(Pointer.class);
    } catch (UnsatisfiedLinkError e) {
      if (Loader.getLoadedLibraries().isEmpty()) {
        loadNothing();
      }
      return "JavaCPP's library cannot be loaded: " + e.getMessage();
    }
    Throwable failure;
    try {
      Loader.load(Pointer.class);
      try {
        Loader.totalProcessors();
        return null;
      } catch (UnsatisfiedLinkError e) {
        // What the start of Pointer drops, after which JavaCPP takes its library for loaded.
        failure = new IllegalCallerException(e);
      }
    } catch (LinkageError | RuntimeException e) {
      failure = e;
    }
    return "JavaCPP's library cannot be loaded: " + explain(failure, Pointer.class, "jnijavacpp");
  }

  /** Else JavaCPP tries its library all the same, as soon as there is anything like a pointer. */
  private static void loadNothing() {
    System.setProperty(LOAD, "false");
  }

  /**
   * Loads a library, once it is seen to be what is in its jar.
   *
   * @param binding the class with the library's native methods
   * @throws LinkageError if it cannot be loaded: see {@link #explain}
   */
  public static void load(Class<?> binding) {
    LibraryCache.fill(binding);
    Loader.load(binding);
  }

  /** Whether the JVM's C library is musl's: its dynamic loader is among the files in memory. */
  static boolean isMusl(Path mappedFiles) {
    if (!Files.isReadable(mappedFiles)) {
      return false; // not Linux
    }
    try (Stream<String> lines = Files.lines(mappedFiles)) {
      return lines.anyMatch(line -> line.contains("/ld-musl-"));
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Why a library could not be loaded, and what to do about it where that is known. JavaCPP's own
   * message is that it has looked everywhere; what was wrong comes with it as a cause.
   *
   * @param e what was thrown
   * @param binding the class with the library's native methods
   * @param library its name, such as jninativenorm
   * @return a sentence
   */
  public static String explain(Throwable e, Class<?> binding, String library) {
    String file = System.mapLibraryName(library);
    if (!isFound(binding, library)) {
      return "no " + file + " for " + Loader.getPlatform() + " was found, " + advice(binding);
    }
    boolean denied = false;
    Throwable cause = e;
    for (Throwable next = e; next != null; next = next.getCause()) {
      // A class whose start failed keeps the exception of the first try as text.
      denied |= next.toString().contains(IllegalCallerException.class.getName());
      cause = next;
    }
    if (denied) {
      return denied(binding);
    }
    String message = cause.toString().lines().findFirst().orElse("");
    if (message.contains("failed to map segment")) {
      return message
          + " (its folder is mounted noexec: name another one with"
          + " -Dorg.bytedeco.javacpp.cachedir=<folder>)";
    }
    return message;
  }

  /**
   * What is said where native access is denied.
   *
   * @param caller a class that asked for it
   * @return a sentence
   */
  public static String denied(Class<?> caller) {
    String modules = caller.getModule().isNamed() ? MODULES : "ALL-UNNAMED";
    return "native access is denied, start Java with --enable-native-access=" + modules;
  }

  private static boolean isFound(Class<?> binding, String library) {
    try {
      return LibraryCache.find(binding, library) != null;
    } catch (IOException e) {
      return false;
    }
  }

  /** What brings a library that is not there: where our own is built, that. */
  private static String advice(Class<?> binding) {
    Optional<Path> clone = sourceTree(binding);
    return clone.isEmpty()
        ? "which io.nativenorm:nativenorm-platform brings"
        : "which ./build-native.sh --install in " + clone.get() + " builds for the next package";
  }

  /** The clone in whose {@code target/} a class of ours is, in a jar or in its folder. */
  private static Optional<Path> sourceTree(Class<?> binding) {
    if (!binding.getName().startsWith("io.nativenorm.")) {
      return Optional.empty(); // of JavaCPP's, in an executable jar
    }
    try {
      CodeSource source = binding.getProtectionDomain().getCodeSource();
      return Optional.of(Path.of(source.getLocation().toURI()).getParent().getParent())
          .filter(folder -> Files.exists(folder.resolve("build-native.sh")));
    } catch (RuntimeException | URISyntaxException e) {
      return Optional.empty(); // not of a file
    }
  }
}
