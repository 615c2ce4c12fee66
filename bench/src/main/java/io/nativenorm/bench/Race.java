package io.nativenorm.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** {@code Race smoke|quick|full}: times every contestant on the cells of a {@link Mode}. */
public final class Race {
  private record Timed(String contestant, double microseconds) {}

  private static final Path RESULTS = Path.of("target/results");

  private final Mode mode;
  private final int threads = Runtime.getRuntime().availableProcessors();
  private final RawFile raw;
  private final List<String> failures = new ArrayList<>();

  private Race(Mode mode, RawFile raw) {
    this.mode = mode;
    this.raw = raw;
  }

  /** Exit status 1 if a contestant failed or was wrong. */
  public static void main(String[] arguments) throws IOException {
    Mode mode = Mode.named(arguments.length == 0 ? "quick" : arguments[0]);
    Files.createDirectories(RESULTS);
    String time = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss").format(LocalDateTime.now());
    String cpu = Environment.cpu().replaceAll("\\W+", "-");
    RawFile raw =
        new RawFile(
            RESULTS.resolve(time + "-" + cpu + ".json"),
            Environment.of("bench/run.sh " + String.join(" ", arguments)));
    Race race = new Race(mode, raw);
    race.run();
    race.failures.forEach(System.err::println);
    System.out.println("raw figures: bench/" + raw.path());
    System.exit(race.failures.isEmpty() ? 0 : 1);
  }

  private void run() throws IOException {
    List<Contestant> contestants = Contestants.all();
    List<String> table = new ArrayList<>();
    try (ProgressBar progress =
        new ProgressBarBuilder()
            .setTaskName("race")
            .setInitialMax((long) mode.cells().size() * contestants.size())
            .setUpdateIntervalMillis(1000)
            .build()) {
      for (Cell cell : mode.cells()) {
        List<Timed> times = new ArrayList<>();
        for (Contestant contestant : contestants) {
          time(contestant, cell, times);
          progress.step();
        }
        table.add(line(cell, times));
      }
    }
    System.out.println("microseconds a call, " + threads + " threads, fastest first");
    table.forEach(System.out::println);
  }

  private void time(Contestant contestant, Cell cell, List<Timed> times) throws IOException {
    if (contestant.rejects(cell).isPresent()) {
      return;
    }
    try {
      Collection<RunResult> results = new Runner(options(contestant, cell)).run();
      raw.add(results, contestant.version());
      for (RunResult result : results) {
        times.add(new Timed(contestant.name(), result.getPrimaryResult().getScore()));
      }
    } catch (RunnerException e) {
      failures.add(contestant.name() + " failed on " + cell + ": " + e);
    }
  }

  private Options options(Contestant contestant, Cell cell) {
    TimeValue time = TimeValue.milliseconds(mode.milliseconds());
    return new OptionsBuilder()
        .include(CallBenchmark.class.getName())
        .param("contestant", contestant.name())
        .param("shape", cell.shape().name())
        .param("layout", cell.layout().name())
        .param("direction", cell.direction().name())
        .param("threads", Integer.toString(threads))
        .forks(mode.forks())
        .warmupIterations(mode.warmUps())
        .warmupTime(time)
        .measurementIterations(mode.iterations())
        .measurementTime(time)
        .addProfiler(GCProfiler.class)
        .shouldFailOnError(true)
        .verbosity(VerboseMode.SILENT)
        .build();
  }

  private static String line(Cell cell, List<Timed> times) {
    StringBuilder line =
        new StringBuilder(
            String.format(
                "%-15s %-14s %-9s", cell.shape().name(), cell.layout(), cell.direction()));
    times.stream()
        .sorted(Comparator.comparingDouble(Timed::microseconds))
        .forEach(
            time -> line.append(String.format("  %s %.4g", time.contestant, time.microseconds)));
    return line.toString();
  }
}
