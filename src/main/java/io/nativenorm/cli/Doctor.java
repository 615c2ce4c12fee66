package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.NativeNorm;
import io.nativenorm.NativeNorm.EngineInfo;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Tells what runs here, and whether it computes what it should. */
@Command(
    name = "doctor",
    description =
        "Shows platform and engines, then checks every layer on every engine against pure Java,"
            + " and shows which engine AUTO takes, how near it comes to a plain pass over the same"
            + " memory, and how long a start takes. Exit status 1 if anything differs.",
    mixinStandardHelpOptions = true)
final class Doctor implements Callable<Integer> {
  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");

  /** What matters to the engines, among a CPU's many features. */
  private static final List<String> FEATURES =
      List.of("sse4_1", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "asimd", "sve");

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    out.println(NativeNorm.describe());
    out.println("  CPU: " + cpu());
    out.println();
    out.flush();

    List<Backend> engines =
        NativeNorm.engines().stream()
            .filter(EngineInfo::available)
            .map(EngineInfo::backend)
            .toList();
    List<Checkup.Row> rows = Checkup.of(engines);
    table(rows).forEach(out::println);
    out.println();
    out.println(summary(rows));
    out.println();
    out.flush();
    StartTimes.of(engines).stream().map(Doctor::line).forEach(out::println);
    out.println(
        "From the start of a JVM to its end after one call: cold with an empty cache, into which"
            + " the libraries\nare extracted first, warm with a full one.");
    out.flush();
    return rows.stream().allMatch(Checkup.Row::agrees) ? 0 : 1;
  }

  private static String line(StartTimes times) {
    return String.format(
        Locale.ROOT,
        "start with %-7s cold %5d ms, warm %5d ms",
        times.backend(),
        times.cold(),
        times.warm());
  }

  private static String cpu() throws IOException {
    String fallback = System.getProperty("os.arch");
    if (!Files.isReadable(CPU_INFO)) {
      return fallback;
    }
    List<String> lines = Files.readAllLines(CPU_INFO);
    String model = value(lines, "model name", fallback);
    List<String> flags = List.of(value(lines, "flags", value(lines, "Features", "")).split(" "));
    return model + ", " + String.join(" ", FEATURES.stream().filter(flags::contains).toList());
  }

  private static String value(List<String> lines, String key, String fallback) {
    return lines.stream()
        .filter(line -> line.startsWith(key))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse(fallback);
  }

  private static List<String> table(List<Checkup.Row> rows) {
    List<String[]> cells = new ArrayList<>();
    cells.add(
        new String[] {
          "layer",
          "input",
          "layout",
          "direction",
          "engine and kernel",
          "AUTO",
          "error",
          "time us",
          "speed-up",
          "of limit",
          ""
        });
    for (Checkup.Row row : rows) {
      boolean reference = row.backend() == Backend.JAVA;
      cells.add(
          new String[] {
            row.layer(),
            row.input(),
            row.layout().name().toLowerCase(Locale.ROOT).replace('_', ' '),
            row.direction(),
            row.kernel(),
            row.chosen() ? "takes it" : "",
            reference ? "reference" : String.format(Locale.ROOT, "%.1e", row.error()),
            String.format(Locale.ROOT, "%.0f", row.microseconds()),
            String.format(Locale.ROOT, "%.1fx", row.speedUp()),
            Double.isNaN(row.share()) ? "" : String.format(Locale.ROOT, "%.2f", row.share()),
            row.agrees() ? "ok" : "WRONG"
          });
    }
    return align(cells);
  }

  /** Columns as wide as their widest cell; the figures, from the seventh on, to the right. */
  private static List<String> align(List<String[]> cells) {
    int columns = cells.get(0).length;
    List<String> lines = new ArrayList<>();
    for (String[] row : cells) {
      StringBuilder line = new StringBuilder();
      for (int c = 0; c < columns; c++) {
        int column = c;
        int width =
            cells.stream().map(r -> r[column].length()).max(Comparator.naturalOrder()).orElse(0);
        boolean figure = c >= 6 && c < columns - 1;
        line.append(String.format("%" + (figure ? "" : "-") + Math.max(width, 1) + "s", row[c]));
        line.append("  ");
      }
      lines.add(line.toString().stripTrailing());
    }
    return lines;
  }

  private static String summary(List<Checkup.Row> rows) {
    long wrong = rows.stream().filter(row -> !row.agrees()).count();
    if (wrong > 0) {
      return wrong + " of " + rows.size() + " checks differ from pure Java.";
    }
    double largest = rows.stream().mapToDouble(Checkup.Row::error).max().orElse(0);
    return String.format(
        Locale.ROOT,
        "All %d checks agree with pure Java. The largest error is %.1e of the allowed 1e-5:%n"
            + "|error| / (1 + |y|) forward, relative in the L2 norm backward.%n"
            + "The limit is a plain pass, y = a * x + b, over the same memory with as many threads;"
            + " training and backward%nallocate their results here, which a plain pass does not.",
        rows.size(),
        largest);
  }
}
