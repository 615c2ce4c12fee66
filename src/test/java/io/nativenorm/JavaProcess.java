package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A JVM of its own, for what is read once at start: the environment and system properties. */
public record JavaProcess(int status, String output) {
  /**
   * What runs for a second is not worth C2's threads: 1.1 seconds of a processor instead of 2.1.
   */
  public static final String SHORT = "-XX:TieredStopAtLevel=1";

  private static final int PATIENCE_SECONDS = 120;

  /** Runs a main method to its end. */
  public static JavaProcess run(
      Class<?> main, Map<String, String> environment, String... jvmOptions)
      throws IOException, InterruptedException {
    return run(main, System.getProperty("java.class.path"), environment, jvmOptions);
  }

  /** Runs one where nothing native may be loaded, to its line "all is well". */
  public static void runWithoutNativeAccess(Class<?> main)
      throws IOException, InterruptedException {
    JavaProcess process = run(main, Map.of(), "-Dorg.bytedeco.javacpp.loadLibraries=false");
    assertEquals(0, process.status(), process.output());
    assertTrue(process.output().contains("all is well"), process.output());
  }

  /** The same as {@link #run(Class, Map, String...)} on another class path. */
  static JavaProcess run(
      Class<?> main, String classPath, Map<String, String> environment, String... jvmOptions)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(System.getProperty("java.home") + "/bin/java");
    command.add(SHORT);
    command.addAll(List.of(jvmOptions));
    command.addAll(List.of("-cp", classPath, main.getName()));
    return run(command, environment);
  }

  /** Runs any command to its end. */
  public static JavaProcess run(List<String> command, Map<String, String> environment)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Path file = Files.createTempFile("nativenorm", ".out");
    try {
      // Into a file: reading from a process waits for its end, however long that takes.
      Process process = builder.redirectOutput(file.toFile()).start();
      boolean ended = process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS);
      process.destroyForcibly();
      String output = Files.readString(file);
      if (!ended) {
        throw new IOException("no end in sight: " + output);
      }
      return new JavaProcess(process.exitValue(), output);
    } finally {
      Files.delete(file);
    }
  }
}
