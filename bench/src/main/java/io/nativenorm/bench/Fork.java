package io.nativenorm.bench;

import com.google.gson.Gson;
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

  /** What bench/run.sh sets so that memory is kept. */
  private static final Set<String> ALLOCATION =
      Set.of("MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_");

  private static final Gson GSON = new Gson();

  private Fork() {}

  /**
   * Runs a main class to its end.
   *
   * @throws IOException if it fails, crashes or takes longer than ten minutes, with its last lines
   */
  static void run(Class<?> main, List<String> arguments) throws IOException {
    run(main, arguments, Set.of());
  }

  /**
   * The results of a main class whose arguments are THREADS, MODE and the file that it writes them
   * to, with memory as the C library gives it by itself.
   *
   * @param type of a line of the file
   * @throws IOException if it fails, crashes or takes longer than ten minutes, with its last lines
   */
  static <R> List<R> results(Class<?> main, int threads, Mode mode, Class<R> type)
      throws IOException {
    Path file = Files.createTempFile(main.getSimpleName(), ".json");
    try {
      run(main, List.of(Integer.toString(threads), mode.name(), file.toString()), ALLOCATION);
      return Files.readAllLines(file).stream().map(line -> GSON.fromJson(line, type)).toList();
    } finally {
      Files.delete(file);
    }
  }

  /** Where {@link #results} reads them: a line of JSON each. */
  static void write(Path file, List<?> results) throws IOException {
    Files.write(file, results.stream().map(GSON::toJson).toList());
  }

  /** The same as {@link #run(Class, List)} without some variables of the environment. */
  private static void run(Class<?> main, List<String> arguments, Set<String> variables)
      throws IOException {
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
