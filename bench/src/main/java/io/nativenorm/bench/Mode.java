package io.nativenorm.bench;

import io.nativenorm.DataType;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** How much is raced, and how long. */
enum Mode {
  /** Each benchmark once, so briefly that the figures mean nothing. */
  SMOKE(cells(List.of("odd-batch"), false), Contestants.all(), 1, 0, 1, 10),

  /** A shape of each operation, channels first. */
  QUICK(
      cells(
          List.of("resnet50-conv4", "bert-single", "llama-token", "sd-unet-mid", "style-transfer"),
          false),
      Contestants.all(),
      1,
      30,
      5,
      100),

  /** Every shape and layout, NativeNorm's choice against the other libraries. */
  PEERS(cells(allShapes(), true), Contestants.peers(), 1, 15, 5, 200),

  /**
   * NativeNorm and PyTorch in turns, in every type: ratios that hold on a machine that others use
   * too.
   */
  TURNS(
      cells(allShapes(), true),
      List.of(Contestants.named("NativeNorm AUTO"), Contestants.named("PyTorch")),
      1,
      15,
      7,
      30),

  /** Everything. */
  FULL(cells(allShapes(), true), Contestants.all(), 2, 10, 5, 300);

  private static final long LARGEST_STREAM = 512 << 20;

  private final List<Cell> cells;
  private final List<Contestant> contestants;
  private final int forks;
  private final int warmUps;
  private final int iterations;
  private final int milliseconds;

  /**
   * Warm-ups take three seconds: until then the compilers work beside what is measured. On two Zen
   * 3 cores a training pass of 1x128x768 took 40 us until 2.6 s had gone by, then 15 to 19; loops
   * of the Vector API were 40 times slower for a second.
   */
  Mode(
      List<Cell> cells,
      List<Contestant> contestants,
      int forks,
      int warmUps,
      int iterations,
      int milliseconds) {
    this.cells = cells;
    this.contestants = contestants;
    this.forks = forks;
    this.warmUps = warmUps;
    this.iterations = iterations;
    this.milliseconds = milliseconds;
  }

  private static List<String> allShapes() {
    return Shape.all().stream().map(Shape::name).toList();
  }

  private static List<Cell> cells(List<String> shapes, boolean bothLayouts) {
    return shapes.stream()
        .flatMap(shape -> Cell.of(Shape.named(shape)).stream())
        .filter(cell -> bothLayouts || !cell.channelsLast())
        .toList();
  }

  List<Cell> cells() {
    return cells;
  }

  List<Contestant> contestants() {
    return contestants;
  }

  /** In which the cells are raced. */
  List<DataType> types() {
    return this == FULL || this == TURNS ? Cell.TYPES : List.of(DataType.F32);
  }

  /** Around which answers are checked: turns are about time. */
  List<Double> means(DataType type) {
    return this == TURNS ? List.of(0.0) : Check.means(type);
  }

  /** JVMs for each figure. */
  int forks() {
    return forks;
  }

  int warmUps() {
    return warmUps;
  }

  int iterations() {
    return iterations;
  }

  /** Of an iteration. */
  int milliseconds() {
    return milliseconds;
  }

  /** How often a contestant starts. */
  int starts() {
    return this == SMOKE ? 1 : 3;
  }

  /** Numbers of threads or callers: 1, 2, 4 and so on to the most; or the most alone. */
  List<Integer> doubled(int most) {
    return this == SMOKE ? List.of(most) : Stream.iterate(1, n -> n <= most, n -> 2 * n).toList();
  }

  /** How many bytes a streaming pass moves: as many as each cell does, and from 4 KB to 512 MB. */
  List<Long> streams(List<Cell> raced) {
    LongStream ladder =
        LongStream.iterate(4096, bytes -> bytes <= LARGEST_STREAM, bytes -> 2 * bytes);
    return Stream.concat(
            raced.stream().map(Cell::bytes),
            ladder.limit(this == SMOKE ? 1 : Long.MAX_VALUE).boxed())
        .distinct()
        .sorted()
        .toList();
  }
}
