package io.nativenorm.bench.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** {@code Report RAW.json}: writes report.md and report.html beside it. */
public final class Report {
  private Report() {}

  public static void main(String[] arguments) throws IOException {
    write(Path.of(arguments[0]));
  }

  /** Writes both reports of a raw file. */
  public static void write(Path raw) throws IOException {
    Figures figures = Figures.read(raw);
    Files.writeString(raw.resolveSibling("report.md"), MarkdownReport.of(figures));
    Files.writeString(raw.resolveSibling("report.html"), HtmlReport.of(figures));
  }
}
