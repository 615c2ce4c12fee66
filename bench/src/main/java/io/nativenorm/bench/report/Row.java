package io.nativenorm.bench.report;

import io.nativenorm.bench.Agreement;
import java.util.List;
import java.util.Locale;

/**
 * A time as the reports show it.
 *
 * @param microseconds the median of the iterations
 * @param margin half of what lies between the fastest iteration and the slowest
 * @param share of the streaming limit: its time for as many bytes over this one; null if not known
 * @param ratio this time over NativeNorm's; null if that was not raced
 * @param error null if it was not checked
 * @param wrong whether the error is beyond what NativeNorm allows itself
 */
record Row(
    String shape,
    String operation,
    String layout,
    String direction,
    String contestant,
    long bytes,
    double microseconds,
    double margin,
    double gigabytesPerSecond,
    Double share,
    Double ratio,
    double allocated,
    Double error,
    boolean wrong) {

  /** The race's rows, in its order. */
  static List<Row> of(Figures figures) {
    return figures.race().stream().map(call -> of(figures, call)).toList();
  }

  private static Row of(Figures figures, Figures.Call call) {
    long bytes = call.cell().bytes();
    Double stream = figures.streams().get(bytes);
    Double error = figures.error(call).orElse(null);
    return new Row(
        call.cell().shape().name(),
        call.cell().operation().name().toLowerCase(Locale.ROOT),
        call.cell().channelsLast() ? "NHWC" : call.cell().isRows() ? "rows" : "NCHW",
        call.cell().direction().name().toLowerCase(Locale.ROOT),
        call.contestant(),
        bytes,
        call.microseconds(),
        (call.most() - call.least()) / 2,
        bytes / call.microseconds() / 1e3,
        stream == null ? null : stream / call.microseconds(),
        figures
            .nativeNorm(call.cell())
            .map(nativeNorm -> call.microseconds() / nativeNorm.microseconds())
            .orElse(null),
        call.allocated(),
        error,
        error == null || error > 2 * Agreement.ALLOWED);
  }

  /** As in {@code bert-base rows backward}. */
  String cell() {
    return shape + " " + layout + " " + direction;
  }
}
