package io.nativenorm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The processor.
 *
 * @param model its name, or its architecture where the system does not tell
 * @param features what matters to the engines, of many
 */
record Cpu(String model, List<String> features) {
  private static final Path INFO = Path.of("/proc/cpuinfo");

  private static final List<String> FEATURES =
      List.of("sse4_1", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "asimd", "sve");

  static Cpu here() throws IOException {
    String fallback = System.getProperty("os.arch");
    if (!Files.isReadable(INFO)) {
      return new Cpu(fallback, List.of());
    }
    List<String> lines = Files.readAllLines(INFO);
    String model = value(lines, "model name", fallback);
    List<String> flags = List.of(value(lines, "flags", value(lines, "Features", "")).split(" "));
    return new Cpu(model, FEATURES.stream().filter(flags::contains).toList());
  }

  private static String value(List<String> lines, String key, String fallback) {
    return lines.stream()
        .filter(line -> line.startsWith(key))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse(fallback);
  }

  @Override
  public String toString() {
    return features.isEmpty() ? model : model + ", " + String.join(" ", features);
  }
}
