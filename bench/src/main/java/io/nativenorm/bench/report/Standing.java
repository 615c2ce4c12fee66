package io.nativenorm.bench.report;

import io.nativenorm.DataType;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A contestant over all cells.
 *
 * @param contestant with the type if it is not F32
 * @param raced on how many cells
 * @param ratio geometric mean of its times over NativeNorm's, on the cells it has; null if none
 * @param slowest the largest of those ratios
 * @param overF32 geometric mean of its times over its own in F32; null if it has none
 * @param wrong on how many cells its error was beyond what is allowed, or it failed
 * @param largestError around 0
 * @param megabytes of its jars for this platform; null if it has none or they were not weighed
 * @param start milliseconds of a JVM that makes one call; null if that was not measured
 * @param missing what it does not have and where it failed, each reason once
 */
record Standing(
    String contestant,
    DataType type,
    String version,
    int raced,
    Double ratio,
    Double slowest,
    Double overF32,
    long wrong,
    Double largestError,
    Double megabytes,
    Double start,
    List<String> missing) {

  static List<Standing> of(Figures figures) {
    List<Row> rows = Row.of(figures);
    return figures.entrants().stream().map(entrant -> of(figures, entrant, rows)).toList();
  }

  private static Standing of(Figures figures, Figures.Entrant entrant, List<Row> rows) {
    String name = entrant.toString();
    String contestant = entrant.contestant();
    List<Row> own = rows.stream().filter(row -> row.contestant().equals(name)).toList();
    List<Double> ratios = own.stream().map(Row::ratio).filter(Objects::nonNull).toList();
    List<Double> errors =
        figures.errors().stream()
            .filter(error -> error.entrant().equals(entrant) && error.mean() == 0)
            .map(Figures.Error::error)
            .filter(error -> error != null)
            .toList();
    Map<String, String> versions = figures.versions();
    return new Standing(
        name,
        entrant.type(),
        versions.getOrDefault(contestant, "not known"),
        own.size(),
        geometricMean(ratios),
        ratios.stream().max(Double::compare).orElse(null),
        geometricMean(own.stream().map(Row::overF32).filter(Objects::nonNull).toList()),
        own.stream().filter(Row::wrong).count(),
        errors.stream().max(Double::compare).orElse(null),
        figures.megabytes().get(contestant),
        figures.starts().get(contestant),
        Stream.concat(
                figures.rejections().stream()
                    .filter(rejection -> rejection.entrant().equals(entrant))
                    .map(Figures.Rejection::reason),
                figures.errors().stream()
                    .filter(e -> e.entrant().equals(entrant) && e.failure() != null)
                    .map(
                        e ->
                            e.cell().id()
                                + " around "
                                + Text.number(e.mean())
                                + ": "
                                + e.failure()))
            .distinct()
            .toList());
  }

  private static Double geometricMean(List<Double> ratios) {
    double logarithms = ratios.stream().mapToDouble(Math::log).sum();
    return ratios.isEmpty() ? null : Math.exp(logarithms / ratios.size());
  }
}
