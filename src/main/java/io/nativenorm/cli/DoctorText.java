package io.nativenorm.cli;

import io.nativenorm.Backend;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** What doctor finds, for people. */
final class DoctorText {
  private DoctorText() {}

  /** A line for each check, under a head. */
  static List<String> table(List<Checkup.Row> rows) {
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

  /** How many are right, and what the figures mean. */
  static String summary(List<Checkup.Row> rows) {
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

  /** Whether engines have the bits that every machine has. */
  static List<String> answers(List<OneAnswer.Row> rows) {
    if (rows.isEmpty()) {
      return List.of("No engine here has the bits that others have: docs/order-of-sums.md.");
    }
    List<String> wrong =
        rows.stream()
            .filter(row -> !row.agrees())
            .map(row -> "WRONG: " + who(row) + " has " + row.hash())
            .toList();
    if (!wrong.isEmpty()) {
      List<String> lines = new ArrayList<>(wrong);
      lines.add("Every machine should have " + OneAnswer.EXPECTED + ": docs/order-of-sums.md.");
      return lines;
    }
    return List.of(
        "One answer: "
            + OneAnswer.EXPECTED
            + " are the bits of "
            + rows.stream().map(DoctorText::who).collect(Collectors.joining(", "))
            + ",\nas on every machine with this version.");
  }

  private static String who(OneAnswer.Row row) {
    return row.backend()
        + (row.threads() == 1 ? " (1 thread)" : " (" + row.threads() + " threads)");
  }

  /** Whether 16 bits have F32's results, on each engine that has them. */
  static List<String> types(List<TypeCheck.Row> rows) {
    return rows.stream()
        .map(
            row ->
                row.agrees()
                    ? row.type()
                        + " on "
                        + row.backend()
                        + ": all "
                        + row.results()
                        + " results are those of F32, rounded once."
                    : "WRONG: "
                        + row.type()
                        + " on "
                        + row.backend()
                        + ": "
                        + row.different()
                        + " of "
                        + row.results()
                        + " results are not those of F32, rounded once.")
        .toList();
  }

  /** Whether column ranges have the results of tensors in one piece, on engines that take them. */
  static List<String> ranges(List<RangeCheck.Row> rows) {
    return rows.stream()
        .map(
            row ->
                row.agrees()
                    ? "Column ranges on "
                        + row.backend()
                        + ": all "
                        + row.results()
                        + " results are those of tensors in one piece."
                    : "WRONG: column ranges on "
                        + row.backend()
                        + ": "
                        + row.different()
                        + " of "
                        + row.results()
                        + " results are not those of tensors in one piece.")
        .toList();
  }

  /** One engine's start. */
  static String line(StartTimes times) {
    return String.format(
        Locale.ROOT,
        "start with %-7s cold %5d ms, warm %5d ms",
        times.backend(),
        times.coldMilliseconds(),
        times.warmMilliseconds());
  }
}
