package io.nativenorm.bench;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** What every figure depends on. */
public final class Environment {
  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");

  private Environment() {}

  /** CPU, processors, operating system, JDK, and the command that was given. */
  static JsonObject of(String command) {
    JsonObject environment = new JsonObject();
    environment.addProperty("cpu", cpu());
    environment.addProperty("processors", Runtime.getRuntime().availableProcessors());
    environment.addProperty(
        "os", System.getProperty("os.name") + " " + System.getProperty("os.version"));
    environment.addProperty(
        "jdk", System.getProperty("java.vendor") + " " + System.getProperty("java.version"));
    environment.addProperty("command", command);
    return environment;
  }

  /** The processor's name where the system tells it, else its architecture. */
  static String cpu() {
    return cpuInfo("model name").orElse(System.getProperty("os.arch"));
  }

  /** Whether oneDNN's kernels for AVX-512 run here; false where the system does not tell. */
  public static boolean hasAvx512() {
    return cpuInfo("flags").filter(flags -> flags.contains("avx512bw")).isPresent();
  }

  private static Optional<String> cpuInfo(String name) {
    try (Stream<String> lines = Files.lines(CPU_INFO)) {
      return lines
          .filter(line -> line.startsWith(name))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst();
    } catch (IOException e) {
      return Optional.empty(); // not Linux
    }
  }
}
