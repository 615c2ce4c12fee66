package io.nativenorm.bench.report;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The report as text. */
final class MarkdownReport {
  private MarkdownReport() {}

  static String of(Figures figures) {
    return "# Normalization on the JVM, measured\n\n"
        + figures.environment().entrySet().stream()
            .map(entry -> "- " + entry.getKey() + ": " + entry.getValue() + "\n")
            .collect(Collectors.joining())
        + "\n## Contestants\n\n"
        + standings(figures)
        + "\nTimes are the geometric mean of a contestant's times over those of "
        + Figures.NATIVE_NORM
        + ", on the cells it has, in the same type; over F32 that of its times over its own in F32; cold start is a "
        + "whole JVM that makes one call.\n\n"
        + missing(figures)
        + "\n## Times\n\n"
        + times(figures)
        + "\nTimes are medians of the iterations, ± half of what lies between the fastest and the slowest. "
        + "Share is that of the streaming limit, y = a x + b over as many bytes in the same run. "
        + "A time in brackets is of a contestant whose answer is wrong by more than 2e-5, in BF16 3.2e-2, in "
        + "F16 2e-3.\n"
        + program(figures)
        + "\n## Largest error around a mean, standard deviation 1\n\n"
        + accuracy(figures)
        + "\n## Threads and callers\n\n"
        + scaling(figures);
  }

  private static String standings(Figures figures) {
    return Text.table(
        List.of(
            "",
            "version",
            "cells",
            "time",
            "slowest",
            "over F32",
            "wrong",
            "error",
            "MB",
            "cold start ms"),
        Standing.of(figures).stream()
            .map(
                standing ->
                    List.of(
                        standing.contestant(),
                        standing.version(),
                        Integer.toString(standing.raced()),
                        Text.times(standing.ratio()),
                        Text.times(standing.slowest()),
                        Text.times(standing.overF32()),
                        Long.toString(standing.wrong()),
                        Text.error(standing.largestError()),
                        Text.number(standing.megabytes()),
                        Text.number(standing.start())))
            .toList());
  }

  private static String missing(Figures figures) {
    return Standing.of(figures).stream()
        .flatMap(
            standing ->
                standing.missing().stream()
                    .map(reason -> "- " + standing.contestant() + ": " + reason + "\n"))
        .collect(Collectors.joining());
  }

  private static String times(Figures figures) {
    return Text.table(
        List.of(
            "cell",
            "contestant",
            "µs",
            "± µs",
            "GB/s",
            "share",
            "time",
            "over F32",
            "B/call",
            "error"),
        Row.of(figures).stream()
            .map(
                row ->
                    List.of(
                        row.cell(),
                        row.contestant(),
                        row.wrong()
                            ? "(" + Text.number(row.microseconds()) + ")"
                            : Text.number(row.microseconds()),
                        Text.number(row.margin()),
                        Text.number(row.gigabytesPerSecond()),
                        Text.percent(row.share()),
                        Text.times(row.ratio()),
                        Text.times(row.overF32()),
                        Text.number(row.allocated()),
                        Text.error(row.error())))
            .toList());
  }

  /** Not every race has it. */
  private static String program(Figures figures) {
    return figures.stacks().isEmpty() ? "" : "\n## In a program\n\n" + Program.of(figures);
  }

  /** The largest error of each contestant around each mean; a failure has none. */
  private static String accuracy(Figures figures) {
    List<Double> means =
        figures.errors().stream().map(Figures.Error::mean).distinct().sorted().toList();
    Set<Figures.Entrant> checked =
        figures.errors().stream()
            .map(Figures.Error::entrant)
            .collect(Collectors.toCollection(LinkedHashSet::new));
    return Text.table(
        Stream.concat(Stream.of(""), means.stream().map(Text::number)).toList(),
        checked.stream()
            .map(
                entrant ->
                    Stream.concat(
                            Stream.of(entrant.toString()),
                            means.stream().map(mean -> largest(figures, entrant, mean)))
                        .toList())
            .toList());
  }

  private static String largest(Figures figures, Figures.Entrant entrant, double mean) {
    List<Figures.Error> errors =
        figures.errors().stream()
            .filter(error -> error.entrant().equals(entrant) && error.mean() == mean)
            .toList();
    return errors.stream().anyMatch(error -> error.error() == null)
        ? "not a number"
        : Text.error(errors.stream().map(Figures.Error::error).max(Double::compare).orElse(null));
  }

  private static String scaling(Figures figures) {
    Map<String, Long> perCell =
        figures.calls().stream()
            .collect(
                Collectors.groupingBy(
                    call -> call.contestant() + call.cell().id(), Collectors.counting()));
    return Text.table(
        List.of("cell", "contestant", "threads", "callers", "µs", "calls/s"),
        figures.calls().stream()
            .filter(call -> perCell.get(call.contestant() + call.cell().id()) > 1)
            .map(
                call ->
                    List.of(
                        call.cell().id(),
                        call.contestant(),
                        Integer.toString(call.threads()),
                        Integer.toString(call.callers()),
                        Text.number(call.microseconds()),
                        Text.number(call.callers() / call.microseconds() * 1e6)))
            .toList());
  }
}
