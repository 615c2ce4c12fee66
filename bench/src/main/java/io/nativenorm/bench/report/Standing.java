package io.nativenorm.bench.report;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A contestant over all cells.
 *
 * @param raced on how many cells
 * @param ratio geometric mean of its times over NativeNorm's, on the cells it has; null if none
 * @param slowest the largest of those ratios
 * @param wrong on how many cells its error was beyond what is allowed, or it failed
 * @param largestError around 0
 * @param megabytes of its jars for this platform
 * @param start milliseconds of a JVM that makes one call
 * @param missing what it does not have and where it failed, each reason once
 */
record Standing(
    String contestant,
    String version,
    int raced,
    Double ratio,
    Double slowest,
    long wrong,
    Double largestError,
    double megabytes,
    Double start,
    List<String> missing) {

  static List<Standing> of(Figures figures) {
    List<Row> rows = Row.of(figures);
    return figures.contestants().stream().map(name -> of(figures, name, rows)).toList();
  }

  private static Standing of(Figures figures, String contestant, List<Row> rows) {
    List<Row> own = rows.stream().filter(row -> row.contestant().equals(contestant)).toList();
    double[] ratios =
        own.stream().filter(row -> row.ratio() != null).mapToDouble(Row::ratio).toArray();
    double logarithms = 0;
    double slowest = 0;
    for (double ratio : ratios) {
      logarithms += Math.log(ratio);
      slowest = Math.max(slowest, ratio);
    }
    List<Double> errors =
        figures.errors().stream()
            .filter(error -> error.contestant().equals(contestant) && error.mean() == 0)
            .map(Figures.Error::error)
            .filter(error -> error != null)
            .toList();
    Map<String, String> versions = figures.versions();
    return new Standing(
        contestant,
        versions.getOrDefault(contestant, "not known"),
        own.size(),
        ratios.length == 0 ? null : Math.exp(logarithms / ratios.length),
        ratios.length == 0 ? null : slowest,
        own.stream().filter(Row::wrong).count(),
        errors.stream().max(Double::compare).orElse(null),
        figures.megabytes().getOrDefault(contestant, 0.0),
        figures.starts().get(contestant),
        Stream.concat(
                figures.rejections().stream()
                    .filter(rejection -> rejection.contestant().equals(contestant))
                    .map(Figures.Rejection::reason),
                figures.errors().stream()
                    .filter(e -> e.contestant().equals(contestant) && e.failure() != null)
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
}
