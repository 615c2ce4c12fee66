package io.nativenorm.bench;

import io.nativenorm.DataType;
import io.nativenorm.bench.report.Report;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import org.openjdk.jmh.runner.RunnerException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Checks the answers of every contestant, times them, and writes the report. */
@Command(
    name = "bench/run.sh",
    mixinStandardHelpOptions = true,
    description =
        "Races NativeNorm against what else a JVM program has: answers first, then time. "
            + "Exit status 1 if a contestant failed or NativeNorm was wrong.")
public final class Race implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "MODE",
      description = "One of ${COMPLETION-CANDIDATES}; quick if not given.")
  private Mode mode = Mode.QUICK;

  @Option(
      names = "--contestant",
      paramLabel = "NAME",
      description = "Races this one; may be given again.")
  private List<String> contestants = List.of();

  @Option(names = "--shape", paramLabel = "NAME", description = "On this one; may be given again.")
  private List<String> shapes = List.of();

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      description =
          "In this one, F32, BF16 or F16; may be given again. F32 if not given, in full all.")
  private List<DataType> types = List.of();

  @Spec private CommandSpec command;

  private RawFile raw;

  /** Exit status 1 if a contestant failed or NativeNorm was wrong, 2 for a command not known. */
  public static void main(String[] arguments) {
    CommandLine command = new CommandLine(new Race()).setCaseInsensitiveEnumValuesAllowed(true);
    System.exit(command.execute(arguments));
  }

  @Override
  public Integer call() throws IOException {
    requireKnown(contestants, Contestants.all().stream().map(Contestant::name).toList());
    requireKnown(shapes, Shape.all().stream().map(Shape::name).toList());
    requireKnown(names(types), names(Cell.TYPES));
    Path results = Path.of("target/results");
    Files.createDirectories(results); // whose own result is absolute where it made the folder
    String time = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss").format(LocalDateTime.now());
    String cpu = Environment.cpu().replaceAll("\\W+", "-");
    raw = new RawFile(results.resolve(time + "-" + cpu + ".json"), Environment.of(line()));
    Runtime.getRuntime().addShutdownHook(new Thread(this::report));
    Steps steps = new Steps(mode, contestants, shapes, types, raw);
    run(steps);
    steps.failures().forEach(System.err::println);
    return steps.failures().isEmpty() ? 0 : 1;
  }

  private static List<String> names(List<DataType> types) {
    return types.stream().map(DataType::name).toList();
  }

  private void requireKnown(List<String> names, List<String> all) {
    for (String name : names) {
      if (!all.contains(name)) {
        throw new ParameterException(
            command.commandLine(), name + " is none of " + String.join(", ", all));
      }
    }
  }

  private static void run(Steps steps) throws IOException {
    List<Steps.Step> all = steps.all();
    try (ProgressBar progress =
        new ProgressBarBuilder()
            .setTaskName("race")
            .setInitialMax(all.size())
            .setUpdateIntervalMillis(1000)
            .build()) {
      for (Steps.Step step : all) {
        progress.setExtraMessage(step.name());
        try {
          step.action().run();
        } catch (RunnerException e) {
          steps.failures().add(step.name() + ": " + e);
        }
        progress.step();
      }
    }
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

  private String line() {
    StringBuilder line = new StringBuilder("bench/run.sh " + mode.name().toLowerCase(Locale.ROOT));
    contestants.forEach(name -> line.append(" --contestant '").append(name).append('\''));
    shapes.forEach(name -> line.append(" --shape ").append(name));
    types.forEach(type -> line.append(" --type ").append(type));
    return line.toString();
  }
}
