package io.nativenorm.bench.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * {@code FiguresSection benchmarks.md RAW.json}: writes the picture beside the raw file, and the
 * page's table between two marks; of a race in 16 bits, which has a table of its own, the table.
 */
public final class FiguresSection {
  private static final String MARK = "<!-- %s: %s -->\n";
  private static final String PICTURE = "performance.svg";

  private FiguresSection() {}

  public static void main(String[] arguments) throws IOException {
    Path page = Path.of(arguments[0]);
    Path raw = Path.of(arguments[1]);
    Figures figures = Figures.read(raw);
    if (!figures.hasSixteenBits()) {
      Files.writeString(raw.resolveSibling(PICTURE), picture(figures));
    }
    String name = figures.hasSixteenBits() ? "types" : "figures";
    Files.writeString(page, replaced(Files.readString(page), name, section(page, raw, figures)));
  }

  /** The page with the section between the marks of that name. */
  static String replaced(String page, String name, String section) {
    String first = String.format(MARK, name, "begin");
    int begin = page.indexOf(first);
    int end = page.indexOf(String.format(MARK, name, "end"));
    if (begin < 0 || end < begin) {
      throw new IllegalArgumentException("the page has no place for " + name);
    }
    return page.substring(0, begin + first.length()) + section + page.substring(end);
  }

  /** The table, with the file it is from and what it was measured on. */
  static String section(Path page, Path raw, Figures figures) {
    Path file = page.toAbsolutePath().getParent().relativize(raw.toAbsolutePath());
    return (figures.hasSixteenBits() ? types(figures) : race(file, figures))
        + source(file, figures);
  }

  /** Every contestant in every type. */
  private static String types(Figures figures) {
    return Text.table(
            List.of("", "cells", "time", "slowest", "over its F32", "wrong", "error"),
            ordered(figures).stream()
                .sorted(Comparator.comparing(Standing::type))
                .map(
                    s ->
                        List.of(
                            s.contestant(),
                            Integer.toString(s.raced()),
                            Text.times(s.ratio()),
                            Text.times(s.slowest()),
                            Text.times(s.overF32()),
                            Long.toString(s.wrong()),
                            Text.error(s.largestError())))
                .toList())
        + "\nTime is that over NativeNorm's in the same type, over its F32 that over the contestant's "
        + "own in F32, both as geometric means over the\ncells; wrong counts the cells with an error "
        + "above 2e-5, in BF16 3.2e-2, in F16 2e-3.\n";
  }

  /** The picture, and every contestant in F32. */
  private static String race(Path file, Figures figures) {
    return "![Time of a call over NativeNorm's]("
        + file.resolveSibling(PICTURE)
        + ")\n\n"
        + Text.table(
            List.of("", "version", "cells", "time", "slowest", "wrong", "error", "cold start"),
            ordered(figures).stream()
                .map(
                    s ->
                        List.of(
                            s.contestant(),
                            s.version(),
                            Integer.toString(s.raced()),
                            Text.times(s.ratio()),
                            Text.times(s.slowest()),
                            Long.toString(s.wrong()),
                            Text.error(s.largestError()),
                            Text.number(s.start()) + " ms"))
                .toList())
        + "\nTime is the geometric mean over the cells (shape, layout, direction) that a contestant "
        + "has, as a multiple of NativeNorm's; slowest is\nthe worst of them; wrong counts the cells "
        + "with an error above 2e-5; cold start is a whole JVM that makes one call.\n"
        + (figures.stacks().isEmpty() ? "" : "\n" + Program.of(figures));
  }

  private static String source(Path file, Figures figures) {
    Map<String, String> environment = figures.environment();
    String name = "bench/results/" + file.getFileName();
    return "Measured by `"
        + environment.get("command")
        + "` on "
        + environment.get("cpu")
        + ", "
        + environment.get("processors")
        + " processors, "
        + environment.get("os")
        + ", JDK "
        + environment.get("jdk")
        + ".\nEvery figure is in ["
        + name
        + "]("
        + file
        + "); `bench/figures.sh "
        + name
        + "` makes "
        + (figures.hasSixteenBits() ? "" : "the picture and ")
        + "the table again.\n";
  }

  /** The fastest first. */
  private static List<Standing> ordered(Figures figures) {
    return Standing.of(figures).stream()
        .filter(standing -> standing.ratio() != null)
        .sorted(Comparator.comparingDouble(Standing::ratio))
        .toList();
  }

  static String picture(Figures figures) {
    return Picture.of(ordered(figures));
  }
}
