package io.nativenorm.bench;

import java.util.List;
import java.util.stream.Stream;

/**
 * How much is raced, and how long.
 *
 * @param forks JVMs for each figure; 0 runs all in this one
 * @param milliseconds of an iteration
 */
record Mode(List<Cell> cells, int forks, int warmUps, int iterations, int milliseconds) {
  /** One shape of each operation. */
  private static final List<String> QUICK =
      List.of("resnet50-conv4", "bert-single", "llama-token", "sd-unet-mid", "style-transfer");

  /** The mode of that name. */
  static Mode named(String name) {
    List<Cell> quick =
        QUICK.stream()
            .flatMap(shape -> Cell.of(Shape.named(shape)).stream())
            .filter(cell -> !cell.channelsLast())
            .toList();
    Stream<Cell> all = Shape.all().stream().flatMap(shape -> Cell.of(shape).stream());
    return switch (name) {
      case "smoke" -> new Mode(quick, 0, 0, 1, 10);
      case "quick" -> new Mode(quick, 1, 3, 5, 200);
      case "full" -> new Mode(all.toList(), 3, 5, 5, 500);
      default ->
          throw new IllegalArgumentException("a race is smoke, quick or full, but got " + name);
    };
  }
}
