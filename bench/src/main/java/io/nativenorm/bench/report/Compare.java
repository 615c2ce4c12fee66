package io.nativenorm.bench.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/** {@code Compare OLD.json NEW.json}: prints what got slower from one race to another. */
public final class Compare {
  /** What two races of the same build differ by on a machine that others use too. */
  static final double NOISE = 1.1;

  private Compare() {}

  /** Exit status 1 if something got slower, 2 if the files cannot be compared. */
  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 2) {
      System.err.println("usage: bench/compare.sh OLD.json NEW.json");
      System.exit(2);
    }
    Figures before = Figures.read(Path.of(arguments[0]));
    Figures after = Figures.read(Path.of(arguments[1]));
    String oldCpu = before.environment().get("cpu");
    String newCpu = after.environment().get("cpu");
    if (!oldCpu.equals(newCpu)) {
      System.err.println("note: measured on different machines, " + oldCpu + " and " + newCpu);
    }
    List<String> slower = slower(before, after);
    slower.forEach(System.out::println);
    System.out.println(
        slower.size() + " got slower by more than 10 %, no iteration as fast as any before");
    System.exit(slower.isEmpty() ? 0 : 1);
  }

  private record Change(Figures.Call before, Figures.Call after) {
    double ratio() {
      return after.microseconds() / before.microseconds();
    }

    /** Beyond noise, and the fastest iteration above the slowest of before. */
    boolean isSlower() {
      return ratio() > NOISE && after.least() > before.most();
    }

    @Override
    public String toString() {
      return String.format(
          "%s × slower: %s on %s, %d threads, %d callers: %s µs, was %s µs",
          Text.number(ratio()),
          after.contestant(),
          after.cell().id(),
          after.threads(),
          after.callers(),
          Text.number(after.microseconds()),
          Text.number(before.microseconds()));
    }
  }

  /** A line for each, the worst first. */
  static List<String> slower(Figures before, Figures after) {
    Map<String, Figures.Call> old =
        before.calls().stream()
            .collect(Collectors.toMap(Compare::key, Function.identity(), (a, b) -> a));
    List<Change> changes = new ArrayList<>();
    for (Figures.Call call : after.calls()) {
      Figures.Call same = old.get(key(call));
      if (same != null) {
        changes.add(new Change(same, call));
      }
    }
    return changes.stream()
        .filter(Change::isSlower)
        .sorted(Comparator.comparingDouble(Change::ratio).reversed())
        .map(Change::toString)
        .toList();
  }

  private static String key(Figures.Call call) {
    return String.join(
        " ",
        call.contestant(),
        call.cell().id(),
        Integer.toString(call.threads()),
        Integer.toString(call.callers()));
  }
}
