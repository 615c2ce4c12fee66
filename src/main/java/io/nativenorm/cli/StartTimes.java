package io.nativenorm.cli;

import io.nativenorm.Backend;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * How long it takes from the start of a JVM like this one to its end after one call, on an engine:
 * with an empty cache, into which JavaCPP extracts the libraries, and with a full one.
 *
 * @param backend the engine
 * @param coldMilliseconds with an empty cache
 * @param warmMilliseconds with a full one
 */
record StartTimes(Backend backend, long coldMilliseconds, long warmMilliseconds) {
  private static final String CACHE = "org.bytedeco.javacpp.cachedir";
  private static final int PATIENCE_SECONDS = 120;

  /**
   * Of options for the JVM, those that are for one process only, or would load what is not asked.
   */
  private static final List<String> OWN =
      List.of("-agentlib", "-agentpath", "-javaagent", "-Djdk.module.main", "-Dnativenorm.require");

  /** Measures each engine, in a folder that is gone afterwards. */
  static List<StartTimes> of(List<Backend> backends) throws IOException {
    List<StartTimes> all = new ArrayList<>();
    for (Backend backend : backends) {
      Path cache = emptyCache();
      try {
        long cold = milliseconds(backend, cache);
        all.add(new StartTimes(backend, cold, milliseconds(backend, cache)));
      } finally {
        delete(cache);
      }
    }
    return all;
  }

  /** Beside the cache in use, if there is one: there libraries may be executed. */
  private static Path emptyCache() throws IOException {
    Path home = Path.of(System.getProperty("user.home"), ".javacpp");
    Path used = Path.of(System.getProperty(CACHE, home.toString()));
    return Files.isWritable(used)
        ? Files.createTempDirectory(used, "start")
        : Files.createTempDirectory("start");
  }

  private static long milliseconds(Backend backend, Path cache) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String option : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (OWN.stream().noneMatch(option::startsWith)) {
        command.add(option);
      }
    }
    command.add("-D" + CACHE + "=" + cache);
    Module module = Main.class.getModule();
    if (module.isNamed()) {
      command.addAll(List.of("-m", module.getName() + "/" + Main.class.getName()));
    } else {
      command.add("--enable-native-access=ALL-UNNAMED");
      command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    }
    command.addAll(List.of(FirstCall.NAME, backend.name()));
    long start = System.nanoTime();
    run(command);
    return (System.nanoTime() - start) / 1_000_000;
  }

  private static void run(List<String> command) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectOutput(Redirect.DISCARD)
            .redirectError(Redirect.DISCARD);
    Process process = builder.start();
    try {
      if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        throw new IOException("no end after " + PATIENCE_SECONDS + " s: " + command);
      }
      if (process.exitValue() != 0) {
        throw new IOException("exit status " + process.exitValue() + ": " + command);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } finally {
      process.destroyForcibly();
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : (Iterable<Path>) files.sorted(Comparator.reverseOrder())::iterator) {
        Files.delete(file);
      }
    }
  }
}
