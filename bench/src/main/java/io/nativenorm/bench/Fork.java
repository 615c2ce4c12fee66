package io.nativenorm.bench;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** A JVM like this one, for what must not share a process with others. */
final class Fork {
  private static final int MINUTES = 10;
  private static final int SHOWN_LINES = 5;

  private Fork() {}

  /**
   * Runs a main class to its end.
   *
   * @throws IOException if it fails, crashes or takes longer than ten minutes, with its last lines
   */
  static void run(Class<?> main, List<String> arguments) throws IOException {
    run(main, arguments, Set.of());
  }

  /** The same without some variables of the environment. */
  static void run(Class<?> main, List<String> arguments, Set<String> variables) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.add(main.getName());
    command.addAll(arguments);
    Path output = Files.createTempFile("fork", ".log");
    try {
      ProcessBuilder builder =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(Redirect.to(output.toFile()));
      // Not -cp: ONNX Runtime 1.29 crashes where a command is longer than 4 KB.
      builder.environment().put("CLASSPATH", System.getProperty("java.class.path"));
      builder.environment().keySet().removeAll(variables);
      Process process = builder.start();
      if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
        process.destroyForcibly();
        throw new IOException("took longer than " + MINUTES + " minutes");
      }
      if (process.exitValue() != 0) {
        throw new IOException("exit status " + process.exitValue() + ": " + lastLines(output));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } finally {
      Files.delete(output);
    }
  }

  /** Without the frames of a stack, and what the JVM warns of. */
  private static String lastLines(Path output) throws IOException {
    List<String> lines =
        Files.readAllLines(output).stream()
            .filter(line -> !line.startsWith("\t") && !line.startsWith("WARNING"))
            .toList();
    return String.join("\n", lines.subList(Math.max(0, lines.size() - SHOWN_LINES), lines.size()));
  }
}
