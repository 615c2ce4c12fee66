package io.nativenorm.bench;

import com.google.gson.Gson;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

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
  /** NativeNorm is exact at all of them; a variance from one pass over floats is not. */
  static final List<Double> MEANS = List.of(0.0, 1e2, 1e3, 1e4);

  /** The failure of a contestant that ran, and whose answer cannot be compared. */
  static final String NO_NUMBER = "a result is missing, of another length, or not a number";

  private static final Gson GSON = new Gson();
  private static final int THREADS = 2;

  /** Checks a contestant in a process of its own; where that ends too early, the rest failed. */
  static List<Check> run(Contestant contestant, List<Cell> cells, List<Double> means)
      throws IOException {
    Path file = Files.createTempFile("checks", ".json");
    try {
      List<String> arguments = new ArrayList<>(List.of(file.toString(), contestant.name()));
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
        for (int i = checks.size(); i < cells.size() * means.size(); i++) {
          String cell = cells.get(i / means.size()).id();
          double mean = means.get(i % means.size());
          checks.add(new Check(contestant.name(), cell, mean, null, null, end));
        }
      }
      return checks;
    } finally {
      Files.delete(file);
    }
  }

  /** {@code Check FILE CONTESTANT MEAN... CELL...}: writes a line of JSON for each check. */
  public static void main(String[] arguments) throws IOException {
    Contestant contestant = Contestants.named(arguments[1]);
    List<Double> means = new ArrayList<>();
    try (BufferedWriter file = Files.newBufferedWriter(Path.of(arguments[0]))) {
      for (String argument : List.of(arguments).subList(2, arguments.length)) {
        if (!argument.contains("/")) {
          means.add(Double.valueOf(argument));
          continue;
        }
        for (double mean : means) {
          file.write(GSON.toJson(of(contestant, Cell.named(argument), mean)) + "\n");
          file.flush(); // so that a crash keeps it
        }
      }
    }
    System.exit(0); // whatever threads the contestant leaves
  }

  private static Check of(Contestant contestant, Cell cell, double mean) {
    Double error = null;
    String failure = null;
    try {
      error = Agreement.error(contestant, Workload.of(cell, THREADS, mean, Workload.SEED));
      if (error.isInfinite()) {
        error = null; // which JSON does not have
        failure = NO_NUMBER;
      }
    } catch (RuntimeException | Error e) {
      failure = e.toString();
    }
    return new Check(contestant.name(), cell.id(), mean, contestant.version(), error, failure);
  }
}
