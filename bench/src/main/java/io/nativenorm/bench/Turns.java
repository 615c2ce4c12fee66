package io.nativenorm.bench;

import com.google.gson.Gson;
import io.nativenorm.DataType;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Times of contestants that take turns on a cell, in all its types, in one process: what the
 * machine does meanwhile, it does to all of them. They must bear each other, as NativeNorm and
 * PyTorch do.
 *
 * @param microseconds of a call, for each turn
 */
record Turns(String contestant, String cell, int threads, double[] microseconds) {
  /** Until the threads of the one before have stopped spinning: 50 ms are enough for PyTorch's. */
  private static final int PAUSE_MILLISECONDS = 50;

  /** Between two looks at the clock. */
  private static final double CHUNK_MICROSECONDS = 500;

  private static final Gson GSON = new Gson();

  /**
   * The contestants' turns on cells that they have, which have been checked.
   *
   * @throws IOException if the process fails, with its last lines
   */
  static List<Turns> run(List<Contestant> contestants, List<Cell> cells, Mode mode, int threads)
      throws IOException {
    Path file = Files.createTempFile("turns", ".json");
    try {
      String names = String.join(",", contestants.stream().map(Contestant::name).toList());
      List<String> arguments =
          new ArrayList<>(List.of(file.toString(), names, mode.name(), Integer.toString(threads)));
      cells.forEach(cell -> arguments.add(cell.id()));
      Fork.run(Turns.class, arguments);
      return Files.readAllLines(file).stream()
          .map(line -> GSON.fromJson(line, Turns.class))
          .toList();
    } finally {
      Files.delete(file);
    }
  }

  /** {@code Turns FILE CONTESTANT,... MODE THREADS CELL...}: a line of JSON for each. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    List<Contestant> contestants =
        Stream.of(arguments[1].split(",")).map(Contestants::named).toList();
    Mode mode = Mode.valueOf(arguments[2]);
    int threads = Integer.parseInt(arguments[3]);
    Map<Cell, List<Cell>> byCell = new LinkedHashMap<>();
    for (String id : List.of(arguments).subList(4, arguments.length)) {
      Cell cell = Cell.named(id);
      byCell.computeIfAbsent(cell.in(DataType.F32), c -> new ArrayList<>()).add(cell);
    }
    try (BufferedWriter file = Files.newBufferedWriter(Path.of(arguments[0]))) {
      for (List<Cell> types : byCell.values()) {
        for (Turns turns : of(contestants, types, mode, threads)) {
          file.write(GSON.toJson(turns) + "\n");
        }
      }
    }
    System.exit(0); // whatever threads the contestants leave
  }

  private static List<Turns> of(
      List<Contestant> contestants, List<Cell> cells, Mode mode, int threads)
      throws InterruptedException {
    List<Turns> all = new ArrayList<>();
    List<Contestant.Session> sessions = new ArrayList<>();
    for (Cell cell : cells) {
      Workload workload = Workload.of(cell, threads);
      for (Contestant contestant : contestants) {
        if (contestant.rejects(cell).isEmpty()) {
          sessions.add(contestant.prepare(workload));
          all.add(new Turns(contestant.name(), cell.id(), threads, new double[mode.iterations()]));
        }
      }
    }
    int milliseconds = mode.milliseconds();
    sessions.forEach(session -> microseconds(session, mode.warmUps() * milliseconds));
    for (int i = 0; i < mode.iterations(); i++) {
      for (int k = 0; k < sessions.size(); k++) {
        Thread.sleep(PAUSE_MILLISECONDS);
        microseconds(sessions.get(k), milliseconds / 4); // threads wake, caches fill
        all.get(k).microseconds[i] = microseconds(sessions.get(k), milliseconds);
      }
    }
    sessions.forEach(Contestant.Session::close);
    return all;
  }

  /** Of a call, over so many milliseconds or a single call. */
  private static double microseconds(Contestant.Session session, int milliseconds) {
    long calls = 0;
    long chunk = 1;
    long start = System.nanoTime();
    while (true) {
      for (long i = 0; i < chunk; i++) {
        session.call();
      }
      calls += chunk;
      double passed = (System.nanoTime() - start) / 1e3;
      if (passed >= milliseconds * 1e3) {
        return passed / calls;
      }
      chunk = Math.max(1, (long) (CHUNK_MICROSECONDS * calls / passed));
    }
  }
}
