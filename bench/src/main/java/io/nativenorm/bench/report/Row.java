package io.nativenorm.bench.report;

import io.nativenorm.DataType;
import io.nativenorm.bench.Agreement;
import io.nativenorm.bench.Cell;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A time as the reports show it.
 *
 * @param card what it has a place beside in every direction, as in {@code bert-base rows}, or
 *     {@code bert-base rows BF16}
 * @param contestant with the type if it is not F32
 * @param microseconds the median of the iterations
 * @param margin half of what lies between the fastest iteration and the slowest
 * @param share of the streaming limit: its time for as many bytes over this one; null if not known
 * @param ratio this time over NativeNorm's; null if that was not raced
 * @param overF32 this time over the same contestant's in F32; null if that was not raced
 * @param error null if it was not checked
 * @param wrong whether the error is beyond what NativeNorm allows itself
 */
record Row(
    String card,
    String operation,
    String direction,
    String contestant,
    long bytes,
    double microseconds,
    double margin,
    double gigabytesPerSecond,
    Double share,
    Double ratio,
    Double overF32,
    Double allocated,
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
        card(call.cell()),
        call.cell().operation().name().toLowerCase(Locale.ROOT),
        call.cell().direction().name().toLowerCase(Locale.ROOT),
        call.entrant().toString(),
        bytes,
        call.microseconds(),
        (call.most() - call.least()) / 2,
        bytes / call.microseconds() / 1e3,
        stream == null ? null : stream / call.microseconds(),
        over(call, figures.call(Figures.NATIVE_NORM, call.cell())),
        over(call, figures.call(call.contestant(), call.cell().in(DataType.F32))),
        call.allocated(),
        error,
        error == null || error > 2 * Agreement.allowed(call.cell().type()));
  }

  private static String card(Cell cell) {
    String layout = cell.channelsLast() ? "NHWC" : cell.isRows() ? "rows" : "NCHW";
    String card = cell.shape().name() + " " + layout;
    return cell.isF32() ? card : card + " " + cell.type();
  }

  private static Double over(Figures.Call call, Optional<Figures.Call> other) {
    return other.map(o -> call.microseconds() / o.microseconds()).orElse(null);
  }

  /** As in {@code bert-base rows backward}. */
  String cell() {
    return card + " " + direction;
  }
}
