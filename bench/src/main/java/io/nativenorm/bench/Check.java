package io.nativenorm.bench;

import com.google.gson.Gson;
import io.nativenorm.DataType;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * How wrong a contestant is on a cell.
 *
 * @param cell see {@link Cell#id}
 * @param mean of the input, whose standard deviation is 1
 * @param version of the contestant
 * @param error see {@link Agreement}; null if it failed
 * @param failure what was thrown, or how its process ended; else null
 */
record Check(
    String contestant, String cell, double mean, String version, Double error, String failure) {
  /**
   * Around which the input lies. NativeNorm is exact at all of them; a variance from one pass over
   * floats is not. Beyond them the type's numbers are too far apart for a deviation of 1.
   */
  static List<Double> means(DataType type) {
    return switch (type) {
      case BF16 -> List.of(0.0, 10.0);
      case F16 -> List.of(0.0, 10.0, 1e2);
      default -> List.of(0.0, 1e2, 1e3, 1e4);
    };
  }

  /** The failure of a contestant that ran, and whose answer cannot be compared. */
  static final String NO_NUMBER = "a result is missing, of another length, or not a number";

  private static final Gson GSON = new Gson();
  private static final int THREADS = 2;

  /** Checks a contestant in a process of its own; where that ends too early, the rest failed. */
  static List<Check> run(Contestant contestant, List<Cell> cells, List<Double> means)
      throws IOException {
    return run(List.of(contestant), cells, means);
  }

  /** Checks contestants on the cells that they take, all in one process, as above. */
  static List<Check> run(List<Contestant> contestants, List<Cell> cells, List<Double> means)
      throws IOException {
    Path file = Files.createTempFile("checks", ".json");
    try {
      String names = String.join(",", contestants.stream().map(Contestant::name).toList());
      List<String> arguments = new ArrayList<>(List.of(file.toString(), names));
      means.forEach(mean -> arguments.add(mean.toString()));
      cells.forEach(cell -> arguments.add(cell.id()));
      String end = null;
      try {
        Fork.run(Check.class, arguments);
      } catch (IOException e) {
        end = e.getMessage();
      }
      List<Check> checks =
          new ArrayList<>(
              Files.readAllLines(file).stream()
                  .map(line -> GSON.fromJson(line, Check.class))
                  .toList());
      if (end != null) {
        List<Check> all = new ArrayList<>();
        for (Cell cell : cells) {
          for (double mean : means) {
            for (Contestant contestant : taking(contestants, cell)) {
              all.add(new Check(contestant.name(), cell.id(), mean, null, null, end));
            }
          }
        }
        checks.addAll(all.subList(checks.size(), all.size()));
      }
      return checks;
    } finally {
      Files.delete(file);
    }
  }

  private static List<Contestant> taking(List<Contestant> contestants, Cell cell) {
    return contestants.stream().filter(c -> c.rejects(cell).isEmpty()).toList();
  }

  /** {@code Check FILE CONTESTANT,... MEAN... CELL...}: writes a line of JSON for each check. */
  public static void main(String[] arguments) throws IOException {
    List<Contestant> contestants =
        Stream.of(arguments[1].split(",")).map(Contestants::named).toList();
    List<Double> means = new ArrayList<>();
    Map<Double, Workload> workloads = new HashMap<>();
    try (BufferedWriter file = Files.newBufferedWriter(Path.of(arguments[0]))) {
      for (String argument : List.of(arguments).subList(2, arguments.length)) {
        if (!argument.contains("/")) {
          means.add(Double.valueOf(argument));
          continue;
        }
        Cell cell = Cell.named(argument);
        for (double mean : means) {
          Workload workload = workload(workloads, cell, mean);
          Map<String, double[]> expected = Oracle.expected(workload);
          for (Contestant contestant : taking(contestants, cell)) {
            file.write(GSON.toJson(of(contestant, workload, mean, expected)) + "\n");
            file.flush(); // so that a crash keeps it
          }
        }
      }
    }
    System.exit(0); // whatever threads the contestant leaves
  }

  /** A cell's input is that of its shape's other directions: to make it was a third of it all. */
  private static Workload workload(Map<Double, Workload> lastByMean, Cell cell, double mean) {
    Workload last = lastByMean.get(mean);
    boolean same =
        last != null
            && last.cell().shape().equals(cell.shape())
            && last.cell().layout() == cell.layout()
            && last.cell().type() == cell.type();
    Workload workload =
        same ? last.in(cell.direction()) : Workload.of(cell, THREADS, mean, Workload.SEED);
    lastByMean.put(mean, workload);
    return workload;
  }

  private static Check of(
      Contestant contestant, Workload workload, double mean, Map<String, double[]> expected) {
    Double error = null;
    String failure = null;
    try {
      error = Agreement.error(contestant, workload, expected);
      if (error.isInfinite()) {
        error = null; // which JSON does not have
        failure = NO_NUMBER;
      }
    } catch (RuntimeException | Error e) {
      failure = e.toString();
    }
    String cell = workload.cell().id();
    return new Check(contestant.name(), cell, mean, contestant.version(), error, failure);
  }
}
