package io.nativenorm.bench;

import io.nativenorm.bench.report.Report;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Checks the answers of every contestant, times them, and writes the report. */
@Command(
    name = "bench/run.sh",
    mixinStandardHelpOptions = true,
    description =
        "Races NativeNorm against what else a JVM program has: answers first, then time. "
            + "Exit status 1 if a contestant failed or NativeNorm was wrong.")
public final class Race implements Callable<Integer> {
  /** One thread more than there are processors would measure the scheduler. */
  private static final int THREADS = Runtime.getRuntime().availableProcessors();

  /** oneDNN's threads are its environment's, plain Java's are one, so they do not scale. */
  private static final List<String> SCALED =
      List.of("NativeNorm AUTO", "PyTorch", "DJL", "ONNX Runtime");

  private static final String SCALED_CELL = "resnet50-conv2/CHANNELS_FIRST/INFERENCE";
  private static final String CALLED_CELL = "bert-single/CHANNELS_FIRST/INFERENCE";
  private static final int MOST_CALLERS = 16;
  private static final int STARTS = 3;

  @Parameters(description = "One of ${COMPLETION-CANDIDATES}; quick if not given.", arity = "0..1")
  private Mode mode = Mode.QUICK;

  @Option(
      names = "--contestant",
      paramLabel = "NAME",
      description = "Races this one; may be given again.")
  private List<String> onlyContestants = List.of();

  @Option(names = "--shape", paramLabel = "NAME", description = "On this one; may be given again.")
  private List<String> onlyShapes = List.of();

  private final List<String> failures = new ArrayList<>();
  private RawFile raw;

  /** A part of the race. */
  private interface Step {
    void run() throws IOException, RunnerException;
  }

  private record NamedStep(String name, Step step) {}

  /** Exit status 1 if a contestant failed or NativeNorm was wrong, 2 for a command not known. */
  public static void main(String[] arguments) {
    CommandLine command = new CommandLine(new Race()).setCaseInsensitiveEnumValuesAllowed(true);
    System.exit(command.execute(arguments));
  }

  @Override
  public Integer call() throws IOException {
    Path results = Files.createDirectories(Path.of("target/results"));
    String time = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss").format(LocalDateTime.now());
    String cpu = Environment.cpu().replaceAll("\\W+", "-");
    raw = new RawFile(results.resolve(time + "-" + cpu + ".json"), Environment.of(command()));
    List<NamedStep> steps = steps();
    Runtime.getRuntime().addShutdownHook(new Thread(this::report));
    try (ProgressBar progress =
        new ProgressBarBuilder()
            .setTaskName("race")
            .setInitialMax(steps.size())
            .setUpdateIntervalMillis(1000)
            .build()) {
      for (NamedStep step : steps) {
        progress.setExtraMessage(step.name);
        try {
          step.step.run();
        } catch (RunnerException e) {
          failures.add(step.name + ": " + e);
        }
        progress.step();
      }
    }
    failures.forEach(System.err::println);
    return failures.isEmpty() ? 0 : 1;
  }

  /** When the process ends, also by an interrupt. */
  private void report() {
    if (!Files.exists(raw.path())) {
      return;
    }
    try {
      Report.write(raw.path());
      System.out.println("raw figures: bench/" + raw.path());
      System.out.println("reports: bench/" + raw.path().resolveSibling("report.md") + " and .html");
    } catch (IOException e) {
      System.err.println("no report: " + e);
    }
  }

  private String command() {
    StringBuilder command = new StringBuilder("bench/run.sh " + mode.name().toLowerCase());
    onlyContestants.forEach(name -> command.append(" --contestant '").append(name).append('\''));
    onlyShapes.forEach(name -> command.append(" --shape ").append(name));
    return command.toString();
  }

  private List<Contestant> contestants() {
    return onlyContestants.isEmpty()
        ? mode.contestants()
        : onlyContestants.stream().map(Contestants::named).toList();
  }

  private List<Cell> cells() {
    return mode.cells().stream()
        .filter(cell -> onlyShapes.isEmpty() || onlyShapes.contains(cell.shape().name()))
        .toList();
  }

  private List<NamedStep> steps() {
    List<NamedStep> steps = new ArrayList<>();
    for (Contestant contestant : contestants()) {
      steps.add(new NamedStep("answers of " + contestant.name(), () -> check(contestant)));
      if (!contestant.jars().isEmpty()) {
        steps.add(new NamedStep("size of " + contestant.name(), () -> weigh(contestant)));
      }
      steps.add(new NamedStep("start of " + contestant.name(), () -> start(contestant)));
    }
    for (long bytes : mode.streams(cells())) {
      steps.add(new NamedStep("streaming " + bytes + " bytes", () -> stream(bytes)));
    }
    for (Cell cell : cells()) {
      for (Contestant contestant : contestants()) {
        if (contestant.rejects(cell).isEmpty()) {
          steps.add(
              new NamedStep(
                  contestant.name() + " on " + cell.id(),
                  () -> time(contestant, cell.id(), THREADS, 1)));
        }
      }
    }
    if (onlyShapes.isEmpty()) {
      addScaling(steps);
    }
    return steps;
  }

  private void addScaling(List<NamedStep> steps) {
    for (Contestant contestant : contestants()) {
      if (!SCALED.contains(contestant.name())) {
        continue;
      }
      for (int threads = 1; threads <= THREADS; threads *= 2) {
        int n = threads;
        steps.add(
            new NamedStep(
                contestant.name() + " with " + n + " threads",
                () -> time(contestant, SCALED_CELL, n, 1)));
      }
      for (int callers = 1; callers <= MOST_CALLERS; callers *= 2) {
        int n = callers;
        steps.add(
            new NamedStep(
                contestant.name() + " for " + n + " callers",
                () -> time(contestant, CALLED_CELL, THREADS, n)));
      }
    }
  }

  private void check(Contestant contestant) throws IOException {
    List<Cell> accepted = new ArrayList<>();
    for (Cell cell : cells()) {
      String reason = contestant.rejects(cell).orElse(null);
      if (reason == null) {
        accepted.add(cell);
      } else {
        Map<String, String> params = Map.of("contestant", contestant.name(), "cell", cell.id());
        raw.addMissing(RawFile.ERROR, params, "rejected", reason);
      }
    }
    for (Check check : Check.run(contestant, accepted, Check.MEANS)) {
      add(check);
    }
  }

  private void add(Check check) throws IOException {
    Map<String, String> params = new LinkedHashMap<>();
    params.put("contestant", check.contestant());
    params.put("version", String.valueOf(check.version()));
    params.put("cell", check.cell());
    params.put("mean", Double.toString(check.mean()));
    if (check.failure() != null) {
      raw.addMissing(RawFile.ERROR, params, "failure", check.failure());
      failures.add(check.contestant() + " failed on " + check.cell() + ": " + check.failure());
      return;
    }
    raw.add(RawFile.ERROR, params, new double[] {check.error()}, "error");
    if (check.mean() == 0
        && check.contestant().startsWith("NativeNorm")
        && check.error() > 2 * Agreement.ALLOWED) {
      failures.add(check.contestant() + " is wrong on " + check.cell() + ": " + check.error());
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
      raw.add(RawFile.COLD_START, params, ColdStart.milliseconds(contestant, STARTS), "ms");
    } catch (IOException e) {
      raw.addMissing(RawFile.COLD_START, params, "failure", e.getMessage());
      failures.add(contestant.name() + " did not start: " + e.getMessage());
    }
  }

  private void stream(long bytes) throws IOException, RunnerException {
    ChainedOptionsBuilder options =
        options(StreamBenchmark.class, THREADS).param("bytes", Long.toString(bytes));
    raw.add(new Runner(options.build()).run());
  }

  private void time(Contestant contestant, String cell, int threads, int callers)
      throws IOException, RunnerException {
    ChainedOptionsBuilder options =
        options(CallBenchmark.class, threads)
            .param("contestant", contestant.name())
            .param("cell", cell)
            .threads(callers);
    raw.add(new Runner(options.build()).run());
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
