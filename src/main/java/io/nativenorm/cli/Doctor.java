package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.NativeNorm;
import io.nativenorm.NativeNorm.EngineInfo;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Tells what runs here, and whether it computes what it should. */
@Command(
    name = "doctor",
    description =
        "Shows platform and engines, then checks every layer on every engine against pure Java,"
            + " and shows which engine AUTO takes, how near it comes to a plain pass over the same"
            + " memory, whether this machine gives the bits that all others give, 16 bits those"
            + " of F32, rounded once, and column ranges those of tensors in one piece, and how long a"
            + " start takes. Exit status 1 if anything differs.",
    mixinStandardHelpOptions = true)
final class Doctor implements Callable<Integer> {
  /** All that is found. */
  private record Report(
      String version,
      String os,
      String architecture,
      String java,
      int threads,
      Cpu cpu,
      List<String> description,
      List<EngineInfo> engines,
      double allowedError,
      boolean agrees,
      List<Checkup.Row> checks,
      String oneAnswer,
      List<OneAnswer.Row> answers,
      List<TypeCheck.Row> types,
      List<RangeCheck.Row> ranges,
      List<StartTimes> starts) {}

  @Spec private CommandSpec spec;

  @Option(
      names = "--json",
      description =
          "All of it as JSON. An error is null where a result is no number, a share where there is"
              + " no plain pass.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    List<Backend> engines =
        NativeNorm.engines().stream()
            .filter(EngineInfo::available)
            .map(EngineInfo::backend)
            .toList();
    boolean agrees = json ? printJson(out, engines) : printText(out, engines);
    return agrees ? CommandLine.ExitCode.OK : CommandLine.ExitCode.SOFTWARE;
  }

  private static boolean printJson(PrintWriter out, List<Backend> engines) throws IOException {
    List<Checkup.Row> checks = Checkup.of(engines);
    List<OneAnswer.Row> answers = OneAnswer.check();
    List<TypeCheck.Row> types = TypeCheck.of(engines);
    List<RangeCheck.Row> ranges = RangeCheck.of(engines);
    List<String> description = NativeNorm.describe().lines().toList();
    Report report =
        new Report(
            description.get(0).split(" ")[1],
            System.getProperty("os.name"),
            System.getProperty("os.arch"),
            System.getProperty("java.version"),
            NativeNorm.threads(),
            Cpu.here(),
            description,
            NativeNorm.engines(),
            Checkup.ALLOWED,
            allAgree(checks, answers, types, ranges),
            checks,
            OneAnswer.EXPECTED,
            answers,
            types,
            ranges,
            StartTimes.of(engines));
    out.println(Json.of(report));
    return report.agrees;
  }

  private static boolean allAgree(
      List<Checkup.Row> checks,
      List<OneAnswer.Row> answers,
      List<TypeCheck.Row> types,
      List<RangeCheck.Row> ranges) {
    return checks.stream().allMatch(Checkup.Row::agrees)
        && answers.stream().allMatch(OneAnswer.Row::agrees)
        && types.stream().allMatch(TypeCheck.Row::agrees)
        && ranges.stream().allMatch(RangeCheck.Row::agrees);
  }

  /** Each part as soon as it is known, for as long as somebody reads them. */
  private static boolean printText(PrintWriter out, List<Backend> engines) throws IOException {
    out.println(NativeNorm.describe());
    out.println("  CPU: " + Cpu.here());
    out.println();
    if (out.checkError()) {
      return false;
    }
    List<Checkup.Row> rows = Checkup.of(engines);
    DoctorText.table(rows).forEach(out::println);
    out.println();
    out.println(DoctorText.summary(rows));
    out.println();
    if (out.checkError()) {
      return false;
    }
    List<OneAnswer.Row> answers = OneAnswer.check();
    DoctorText.answers(answers).forEach(out::println);
    List<TypeCheck.Row> types = TypeCheck.of(engines);
    DoctorText.types(types).forEach(out::println);
    List<RangeCheck.Row> ranges = RangeCheck.of(engines);
    DoctorText.ranges(ranges).forEach(out::println);
    out.println();
    if (out.checkError()) {
      return false;
    }
    StartTimes.of(engines).stream().map(DoctorText::line).forEach(out::println);
    out.println(
        "From the start of a JVM to its end after one call: cold with an empty cache, into which"
            + " the libraries\nare extracted first, warm with a full one.");
    return allAgree(rows, answers, types, ranges);
  }
}
