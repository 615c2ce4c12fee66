package io.nativenorm.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
      // Else JavaCPP tries its libraries all the same. Beside gcompat some load, and crash.
      System.setProperty("org.bytedeco.javacpp.loadLibraries", "false");
      return "this JVM runs on musl (Alpine Linux), and there are binaries for glibc only";
    }
    try {
      Loader.load(Pointer.class);
      // The first call, which may be what is denied: loading alone does not tell.
      Loader.totalProcessors();
      return null;
    } catch (LinkageError | RuntimeException e) {
      return "JavaCPP's library cannot be loaded: " + explain(e, Pointer.class, "jnijavacpp");
    }
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
    if (!isFound(binding, Loader.getPlatform() + "/" + file)) {
      return "no "
          + file
          + " for "
          + Loader.getPlatform()
          + " was found, which io.nativenorm:nativenorm-platform brings";
    }
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof IllegalCallerException || !isEnabled(binding.getModule())) {
      String modules = binding.getModule().isNamed() ? MODULES : "ALL-UNNAMED";
      return "native access is denied, start Java with --enable-native-access=" + modules;
    }
    String message = cause.toString().lines().findFirst().orElse("");
    if (message.contains("failed to map segment")) {
      return message
          + " (its folder is mounted noexec: name another one with"
          + " -Dorg.bytedeco.javacpp.cachedir=<folder>)";
    }
    return message;
  }

  private static boolean isFound(Class<?> binding, String resource) {
    try {
      return Loader.findResource(binding, resource) != null;
    } catch (IOException e) {
      return false;
    }
  }

  /** {@code Module.isNativeAccessEnabled}, which is there from JDK 22 on. */
  private static boolean isEnabled(Module module) {
    try {
      return (boolean) Module.class.getMethod("isNativeAccessEnabled").invoke(module);
    } catch (ReflectiveOperationException e) {
      return true; // an older JDK denies nobody
    }
  }
}
