package io.nativenorm.bench;

import io.nativenorm.DataType;
import io.nativenorm.NormLayer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * What a race consists of: answers, sizes and starts of each contestant, the streaming limit, the
 * calls, and those of some contestants over threads and callers.
 */
final class Steps {
  /** A contestant's call may use every processor. */
  private static final int THREADS = Runtime.getRuntime().availableProcessors();

  /** oneDNN's threads are its environment's, plain Java's are one, so they do not scale. */
  private static final List<String> SCALED =
      List.of("NativeNorm AUTO", "PyTorch", "DJL", "ONNX Runtime");

  private static final String SCALED_CELL = "resnet50-conv2/CHANNELS_FIRST/INFERENCE";
  private static final String CALLED_CELL = "bert-single/CHANNELS_FIRST/INFERENCE";
  private static final int MOST_CALLERS = 16;

  /** A part of the race. */
  interface Action {
    void run() throws IOException, RunnerException;
  }

  record Step(String name, Action action) {}

  private final Mode mode;
  private final List<Contestant> contestants;
  private final List<Cell> cells;
  private final boolean allShapes;
  private final RawFile raw;
  private final List<String> failures = new ArrayList<>();

  /**
   * By contestant: asking for it may load a library, which is done where the answers are checked.
   */
  private final Map<String, String> versions = new HashMap<>();

  /** The mode's, or those of the contestants, shapes and types that are named. */
  Steps(
      Mode mode, List<String> contestants, List<String> shapes, List<DataType> types, RawFile raw) {
    this.mode = mode;
    this.contestants =
        contestants.isEmpty()
            ? mode.contestants()
            : contestants.stream().map(Contestants::named).toList();
    List<Cell> named =
        shapes.isEmpty()
            ? mode.cells()
            : shapes.stream().flatMap(shape -> Cell.of(Shape.named(shape)).stream()).toList();
    List<DataType> wanted = types.isEmpty() ? mode.types() : types;
    this.cells = named.stream().flatMap(cell -> wanted.stream().map(cell::in)).toList();
    this.allShapes = shapes.isEmpty();
    this.raw = raw;
  }

  /** What went wrong so far. */
  List<String> failures() {
    return failures;
  }

  /** In their order. */
  List<Step> all() {
    List<Step> steps = new ArrayList<>();
    for (Contestant contestant : contestants) {
      steps.add(new Step("answers of " + contestant.name(), () -> check(contestant)));
      if (mode == Mode.TURNS) {
        continue;
      }
      if (!contestant.jars().isEmpty()) {
        steps.add(new Step("size of " + contestant.name(), () -> weigh(contestant)));
      }
      steps.add(new Step("start of " + contestant.name(), () -> start(contestant)));
    }
    if (mode == Mode.TURNS) {
      addTurns(steps);
    } else {
      addCalls(steps);
    }
    return steps;
  }

  private void addCalls(List<Step> steps) {
    for (long bytes : mode.streams(cells)) {
      steps.add(new Step("streaming " + bytes + " bytes", () -> stream(bytes)));
    }
    for (Cell cell : cells) {
      for (Contestant contestant : contestants) {
        if (contestant.rejects(cell).isEmpty()) {
          steps.add(
              new Step(
                  contestant.name() + " on " + cell.id(),
                  () -> time(contestant, cell.id(), THREADS, 1)));
        }
      }
    }
    if (allShapes) {
      addScaling(steps);
      addProgram(steps);
    }
  }

  /** What a tight loop hides, of NativeNorm beside PyTorch. */
  private void addProgram(List<Step> steps) {
    List<String> names = contestants.stream().map(Contestant::name).toList();
    if (names.containsAll(List.of("NativeNorm AUTO", "PyTorch"))) {
      steps.add(new Step("stacks of layers", this::stack));
      steps.add(new Step("calls after pauses", this::pause));
    }
  }

  private void stack() throws IOException {
    try {
      for (Stacks.Result result : Stacks.run(mode, THREADS)) {
        Map<String, String> params = new LinkedHashMap<>();
        params.put("contestant", result.contestant());
        params.put("step", result.step());
        params.put("threads", Integer.toString(THREADS));
        params.put("faults", Double.toString(result.faults()));
        raw.add(RawFile.STACK, params, result.milliseconds(), "ms/op");
      }
    } catch (IOException e) {
      failures.add("stacks of layers: " + e.getMessage());
    }
  }

  private void pause() throws IOException {
    try {
      for (Pauses.Result result : Pauses.run(mode, THREADS)) {
        addPause(result, THREADS, result.microseconds());
        addPause(result, 1, result.alone());
      }
    } catch (IOException e) {
      failures.add("calls after pauses: " + e.getMessage());
    }
  }

  private void addPause(Pauses.Result result, int threads, double median) throws IOException {
    Map<String, String> params = new LinkedHashMap<>();
    params.put("contestant", "NativeNorm AUTO");
    params.put("call", result.call());
    params.put("when", result.when());
    params.put("threads", Integer.toString(threads));
    raw.add(RawFile.PAUSE, params, new double[] {median}, "us/op");
  }

  private void addTurns(List<Step> steps) {
    Map<Shape, List<Cell>> byShape =
        cells.stream()
            .collect(Collectors.groupingBy(Cell::shape, LinkedHashMap::new, Collectors.toList()));
    byShape.forEach(
        (shape, own) -> steps.add(new Step("turns on " + shape.name(), () -> turn(shape, own))));
  }

  private void turn(Shape shape, List<Cell> own) throws IOException {
    try {
      for (Turns turns : Turns.run(contestants, own, mode, THREADS)) {
        Map<String, String> params = new LinkedHashMap<>();
        params.put("contestant", turns.contestant());
        params.put("cell", turns.cell());
        params.put("threads", Integer.toString(turns.threads()));
        raw.add(RawFile.TURNS, params, turns.microseconds(), "us/op");
      }
    } catch (IOException e) {
      failures.add("turns on " + shape.name() + ": " + e.getMessage());
    }
  }

  private void addScaling(List<Step> steps) {
    for (Contestant contestant : contestants) {
      if (!SCALED.contains(contestant.name())) {
        continue;
      }
      for (int n : mode.doubled(THREADS)) {
        steps.add(
            new Step(
                contestant.name() + " with " + n + " threads",
                () -> time(contestant, SCALED_CELL, n, 1)));
      }
      for (int n : mode.doubled(MOST_CALLERS)) {
        steps.add(
            new Step(
                contestant.name() + " for " + n + " callers",
                () -> time(contestant, CALLED_CELL, THREADS, n)));
      }
    }
  }

  private void check(Contestant contestant) throws IOException {
    Map<DataType, List<Cell>> accepted = new EnumMap<>(DataType.class);
    for (Cell cell : cells) {
      String reason = contestant.rejects(cell).orElse(null);
      if (reason == null) {
        accepted.computeIfAbsent(cell.type(), type -> new ArrayList<>()).add(cell);
      } else {
        Map<String, String> params = Map.of("contestant", contestant.name(), "cell", cell.id());
        raw.addMissing(RawFile.ERROR, params, "rejected", reason);
      }
    }
    for (DataType type : accepted.keySet()) {
      for (Check check : Check.run(contestant, accepted.get(type), mode.means(type))) {
        add(check);
      }
    }
  }

  private void add(Check check) throws IOException {
    if (check.version() != null) {
      versions.put(check.contestant(), check.version());
    }
    Map<String, String> params = new LinkedHashMap<>();
    params.put("contestant", check.contestant());
    params.put("version", String.valueOf(check.version()));
    params.put("cell", check.cell());
    params.put("mean", Double.toString(check.mean()));
    if (check.failure() != null) {
      raw.addMissing(RawFile.ERROR, params, "failure", check.failure());
    } else {
      raw.add(RawFile.ERROR, params, new double[] {check.error()}, "error");
    }
    // Others may be wrong: the report marks them. They must run, though, and so must the check.
    boolean own = check.contestant().startsWith("NativeNorm");
    boolean failed = check.failure() != null && (own || !check.failure().equals(Check.NO_NUMBER));
    double most = 2 * Agreement.allowed(Cell.named(check.cell()).type());
    boolean wrong = own && check.error() != null && check.mean() == 0 && check.error() > most;
    if (failed || wrong) {
      failures.add(check.toString());
    }
  }

  private void weigh(Contestant contestant) throws IOException {
    double megabytes = Jars.bytes(contestant.jars()) / 1e6;
    Map<String, String> params = Map.of("contestant", contestant.name());
    raw.add(RawFile.SIZE, params, new double[] {megabytes}, "MB");
  }

  private void start(Contestant contestant) throws IOException {
    Map<String, String> params = Map.of("contestant", contestant.name());
    try {
      raw.add(RawFile.COLD_START, params, ColdStart.milliseconds(contestant, mode.starts()), "ms");
    } catch (IOException e) {
      raw.addMissing(RawFile.COLD_START, params, "failure", e.getMessage());
      failures.add(contestant.name() + " did not start: " + e.getMessage());
    }
  }

  private void stream(long bytes) throws IOException, RunnerException {
    ChainedOptionsBuilder options =
        options(StreamBenchmark.class, THREADS).param("bytes", Long.toString(bytes));
    raw.add(
        new Runner(options.build()).run(), NormLayer.class.getPackage().getImplementationVersion());
  }

  private void time(Contestant contestant, String cell, int threads, int callers)
      throws IOException, RunnerException {
    ChainedOptionsBuilder options =
        options(CallBenchmark.class, threads)
            .param("contestant", contestant.name())
            .param("cell", cell)
            .threads(callers);
    raw.add(new Runner(options.build()).run(), versions.get(contestant.name()));
  }

  private ChainedOptionsBuilder options(Class<?> benchmark, int threads) {
    TimeValue time = TimeValue.milliseconds(mode.milliseconds());
    return new OptionsBuilder()
        .include(benchmark.getName())
        .param("threads", Integer.toString(threads))
        .forks(mode.forks())
        .warmupIterations(mode.warmUps())
        .warmupTime(time)
        .measurementIterations(mode.iterations())
        .measurementTime(time)
        .addProfiler(GCProfiler.class)
        .shouldFailOnError(true)
        .verbosity(VerboseMode.SILENT);
  }
}
