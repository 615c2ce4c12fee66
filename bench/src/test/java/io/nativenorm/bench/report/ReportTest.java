package io.nativenorm.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The reports of a small raw file, and the section of the committed one. */
class ReportTest {
  static final Path SAMPLE = Path.of("src/test/resources/io/nativenorm/bench/report/sample.json");

  @TempDir Path folder;

  @Test
  void figuresKeepWhatWasMeasured() throws IOException {
    Figures figures = Figures.read(SAMPLE);
    Row own = row(figures, "NativeNorm AUTO");
    assertEquals(4, own.microseconds());
    assertEquals(1, own.ratio());
    assertEquals(0.5, own.share()); // the stream takes 2 us
    assertFalse(own.wrong());
    Row rival = row(figures, "PyTorch");
    assertEquals(2.5, rival.ratio());
    assertEquals(16, rival.allocated());
    Row wrong = row(figures, "ND4J");
    assertTrue(wrong.wrong());
    assertEquals(List.of("it is a sample"), standing(figures, "TensorFlow").missing());
  }

  @Test
  void aTypeHasLinesOfItsOwnAgainstNativeNormInThatType() throws IOException {
    Figures figures = Figures.read(SAMPLE);
    Row rival = row(figures, "PyTorch in BF16");
    assertEquals("bert-single rows BF16 training", rival.cell());
    assertEquals(2, rival.ratio());
    assertEquals(9 / 11.0, rival.overF32());
    assertNull(rival.allocated());
    assertFalse(rival.wrong()); // by 3e-3, of 3.2e-2 in BF16
    Standing standing = standing(figures, "PyTorch in BF16");
    assertEquals(1, standing.raced());
    assertEquals(2, standing.ratio());
    assertEquals(200.5, standing.megabytes()); // the contestant's
    assertNull(standing(figures, "TensorFlow").megabytes());
    assertEquals(9 / 11.0, standing.overF32());
    assertEquals("2", standing.version());
    double inF32 = standing(figures, "PyTorch").ratio();
    assertEquals(2.5 * 11 / 5, inF32 * inF32, 1e-9);
  }

  private static Standing standing(Figures figures, String contestant) {
    return Standing.of(figures).stream()
        .filter(standing -> standing.contestant().equals(contestant))
        .findFirst()
        .orElseThrow();
  }

  private static Row row(Figures figures, String contestant) {
    return Row.of(figures).stream()
        .filter(row -> row.contestant().equals(contestant))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void markdownSaysWhereAFigureIsFromAndMarksWrongAnswers() throws IOException {
    String report = MarkdownReport.of(Figures.read(SAMPLE));
    for (String wanted :
        List.of(
            "cpu: Sample CPU",
            "command: bench/run.sh sample",
            "| PyTorch | 10.0 |",
            "| bert-single rows BF16 training | PyTorch in BF16 | 9.00 |",
            "| ND4J | (8.00) |",
            "TensorFlow: it is a sample",
            "ND4J: bert-single/CHANNELS_FIRST/INFERENCE around 10000: a result is missing",
            "| ND4J | 1.0e-03 | not a number |",
            "| 12 x layer 32x128x768, forward and backward | 20.0 ms | 34.0 ms | 1.70 × | 0 | 51200 |",
            "|  | in a loop | after 2000 us |",
            "| batch 16x16x16x16 training | 0.500 × | 1.04 × |",
            "2.50 ×")) {
      assertTrue(report.contains(wanted), () -> wanted + " is not in\n" + report);
    }
  }

  @Test
  void theSlowerOnesAreListedTheWorstFirst() throws IOException {
    Path slower = folder.resolve("slower.json");
    Files.writeString(
        slower,
        Files.readString(SAMPLE)
            .replaceAll(
                "\\b10\\.0(,|\\s)", "30.0$1") // PyTorch's median, which stays between others
            .replaceAll("\\b9\\.75\\b", "29.0")
            .replaceAll("\\b10\\.25\\b", "31.0")
            .replaceAll("\\b4\\.25\\b", "4.33") // NativeNorm: every iteration, but by 7 %
            .replaceAll("\\b3\\.75\\b", "4.27")
            .replaceAll("\\b4\\.0\\b", "4.3")
            .replaceAll("\\b7\\.75\\b", "9.4") // ND4J
            .replaceAll("\\b8\\.0\\b", "9.6")
            .replaceAll("\\b8\\.25\\b", "9.8"));
    List<String> lines = Compare.slower(Figures.read(SAMPLE), Figures.read(slower));
    assertEquals(2, lines.size(), lines::toString);
    assertTrue(lines.get(0).startsWith("3.00 × slower: PyTorch"), lines.get(0));
    assertTrue(lines.get(1).startsWith("1.20 × slower: ND4J"), lines.get(1));
    assertEquals(List.of(), Compare.slower(Figures.read(slower), Figures.read(SAMPLE)));
  }

  @Test
  void thePageShowsTheCommittedFigures() throws IOException {
    Path page = Path.of("../docs/benchmarks.md").toRealPath();
    List<Path> committed;
    try (Stream<Path> files = Files.list(Path.of("results").toRealPath())) {
      committed = files.filter(file -> file.toString().endsWith(".json")).toList();
    }
    List<Boolean> sixteenBits = new ArrayList<>();
    String picture = null;
    for (Path raw : committed) {
      Figures figures = Figures.read(raw);
      String section = FiguresSection.section(page, raw, figures);
      assertTrue(Files.readString(page).contains(section), "run bench/figures.sh on " + raw);
      sixteenBits.add(figures.hasSixteenBits());
      if (!figures.hasSixteenBits()) {
        picture = FiguresSection.picture(figures);
      }
    }
    assertEquals(List.of(false, true), sixteenBits.stream().sorted().toList());
    Path drawn = committed.get(0).resolveSibling("performance.svg");
    assertEquals(picture, Files.readString(drawn), "run bench/figures.sh");
  }

  @Test
  void typesHaveATableOfTheirOwn() throws IOException {
    Path page = Path.of("docs/benchmarks.md");
    String section = FiguresSection.section(page, SAMPLE, Figures.read(SAMPLE));
    String row = "| PyTorch in BF16 | 1 | 2.00 × | 2.00 × | 0.818 × | 0 | 3.0e-03 |";
    assertTrue(section.contains(row), section);
    assertTrue(section.contains("makes the table again"), section);
    String marks = "<!-- %s: begin -->\nold\n<!-- %s: end -->\n";
    String both =
        String.format(marks, "figures", "figures") + String.format(marks, "types", "types");
    assertEquals(
        both.replace("types: begin -->\nold", "types: begin -->\nnew"),
        FiguresSection.replaced(both, "types", "new\n"));
  }

  @Test
  void thePictureHasTicksThatTellTimesApart() {
    assertEquals(List.of(1.0, 2.0, 5.0, 10.0, 20.0, 50.0), Picture.ticks(1, 36));
    assertEquals(List.of(1.0, 2.0), Picture.ticks(1, 1));
    assertEquals(List.of(0.5, 1.0, 2.0, 5.0), Picture.ticks(0.94, 3));
    String picture =
        Picture.of(List.of(standing("NativeNorm AUTO", 1), standing("A", 3), standing("B", 36)));
    Matcher dots =
        Pattern.compile("<circle class=\"(own|other)\" cx=\"([0-9.]+)\"").matcher(picture);
    List<Double> at = dots.results().map(dot -> Double.valueOf(dot.group(2))).toList();
    assertEquals(3, at.size());
    double oneToFifty = (at.get(1) - at.get(0)) / Math.log(3) * Math.log(50);
    assertEquals(Math.log(12) / Math.log(50), (at.get(2) - at.get(1)) / oneToFifty, 1e-3);
    for (String tick : List.of(">1 ×<", ">5 ×<", ">10 ×<", ">50 ×<", ">36.0 ×<")) {
      assertTrue(picture.contains(tick), picture);
    }
  }

  private static Standing standing(String contestant, double ratio) {
    return new Standing(
        contestant, DataType.F32, "1", 1, ratio, ratio, null, 0, 0.0, 1.0, 1.0, List.of());
  }
}
