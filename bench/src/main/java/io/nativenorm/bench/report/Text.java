package io.nativenorm.bench.report;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Numbers and tables in Markdown. */
final class Text {
  private Text() {}

  /** Three digits. */
  static String number(Double value) {
    if (value == null) {
      return "–";
    }
    if (value == 0) {
      return "0";
    }
    int whole = (int) Math.floor(Math.log10(Math.abs(value))) + 1;
    return String.format(Locale.ROOT, "%." + Math.min(3, Math.max(0, 3 - whole)) + "f", value);
  }

  static String error(Double value) {
    return value == null ? "–" : String.format(Locale.ROOT, "%.1e", value);
  }

  static String percent(Double value) {
    return value == null ? "–" : String.format(Locale.ROOT, "%.0f %%", 100 * value);
  }

  static String times(Double value) {
    return value == null ? "–" : number(value) + " ×";
  }

  /** A table; the first column is left-aligned, the others right. */
  static String table(List<String> head, List<List<String>> rows) {
    return line(head)
        + "|---|"
        + "--:|".repeat(head.size() - 1)
        + "\n"
        + rows.stream().map(Text::line).collect(Collectors.joining());
  }

  private static String line(List<String> cells) {
    return "| " + String.join(" | ", cells) + " |\n";
  }
}
