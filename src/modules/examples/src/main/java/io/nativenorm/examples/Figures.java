package io.nativenorm.examples;

import io.nativenorm.examples.SmallBatches.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Writes the figures of docs/small-batches.md, and its table between two marks. */
public final class Figures {
  static final Path DOCS = Path.of("../../../docs");
  static final Path PAGE = DOCS.resolve("small-batches.md");
  static final Path LOSSES = DOCS.resolve("small-batches.svg");
  static final Path NEAR = DOCS.resolve("fine-tuning-near.svg");
  static final Path FAR = DOCS.resolve("fine-tuning-far.svg");

  private static final String BEGIN = "<!-- losses: begin -->\n";
  private static final String END = "<!-- losses: end -->\n";

  private Figures() {}

  /**
   * Trains all networks, in less than a minute.
   *
   * @param arguments none
   * @throws IOException if they cannot be written
   */
  public static void main(String[] arguments) throws IOException {
    List<Result> results = SmallBatches.all();
    Files.writeString(LOSSES, SmallBatches.chart(results));
    Files.writeString(PAGE, page(Files.readString(PAGE), results));
    List<Network> trained = FineTuning.trained();
    Files.writeString(NEAR, near(FineTuning.all(trained, FineTuning.NEAR)));
    Files.writeString(FAR, far(FineTuning.all(trained, FineTuning.FAR)));
    trained.forEach(Network::close);
  }

  /** The page with the table of these results. */
  static String page(String page, List<Result> results) {
    int begin = page.indexOf(BEGIN);
    int end = page.indexOf(END);
    if (begin < 0 || end < begin) {
      throw new IllegalArgumentException("the page has no place for the table");
    }
    return page.substring(0, begin + BEGIN.length())
        + SmallBatches.table(results)
        + page.substring(end);
  }

  static String near(List<Curve> curves) {
    return FineTuning.chart("Told right, of an instrument that hears nearly the same", curves);
  }

  static String far(List<Curve> curves) {
    return FineTuning.chart("Told right, of an instrument that hears otherwise", curves);
  }
}
