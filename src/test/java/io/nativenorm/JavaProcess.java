package io.nativenorm;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
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

  /** Runs a main method to its end. */
  public static JavaProcess run(
      Class<?> main, Map<String, String> environment, String... jvmOptions)
      throws IOException, InterruptedException {
    return run(main, System.getProperty("java.class.path"), environment, jvmOptions);
  }

  /** The same on another class path. */
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
  static JavaProcess run(List<String> command, Map<String, String> environment)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(120, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new IOException("no end in sight: " + output);
    }
    return new JavaProcess(process.exitValue(), output);
  }
}
