package io.nativenorm.bench.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A dot for each contestant on a logarithmic axis, as an SVG. It has a ground of its own, light or
 * dark as the reader's browser is: on a page of the other kind it is read all the same.
 */
final class Picture {
  private static final int WIDTH = 760;
  private static final int ROW = 28;
  private static final int TOP = 44;
  private static final int BOTTOM = 40;

  /** Where names end and the axis begins and ends; the rest is for labels. */
  private static final int NAMES = 186;

  private static final int FIRST = 202;
  private static final int LAST = 690;

  private static final double[] STEPS = {1, 2, 5};

  private static final String FRAME =
      """
      <svg xmlns="http://www.w3.org/2000/svg" width="%1$d" height="%2$d" viewBox="0 0 %1$d %2$d" role="img">
      <title>%3$s</title>
      <style>
      text { font: 13px sans-serif; fill: #1d2327; }
      .title { font-size: 14px; font-weight: bold; }
      .tick { fill: #5d6870; }
      .ground { fill: #ffffff; }
      .axis { stroke: #dedad3; }
      .stem { stroke: #9aa5ad; }
      .other { fill: #5b7d97; }
      .own { fill: #c2410c; }
      @media (prefers-color-scheme: dark) {
        text { fill: #e8e6e1; }
        .tick { fill: #9aa5ad; }
        .ground { fill: #14181b; }
        .axis { stroke: #323a40; }
        .stem { stroke: #5d6870; }
        .other { fill: #7b9cb5; }
        .own { fill: #fb923c; }
      }
      </style>
      <rect class="ground" width="%1$d" height="%2$d" rx="8"/>
      <text class="title" x="%4$d" y="24">%3$s</text>
      %5$s</svg>
      """;

  private final double least;
  private final double most;

  private Picture(List<Standing> standings) {
    double smallest = standings.stream().mapToDouble(Standing::ratio).min().orElse(1);
    double largest = standings.stream().mapToDouble(Standing::ratio).max().orElse(1);
    List<Double> ticks = ticks(smallest, largest);
    least = ticks.get(0);
    most = ticks.get(ticks.size() - 1);
  }

  /** Of contestants with a ratio, from top to bottom. */
  static String of(List<Standing> standings) {
    return new Picture(standings).draw(standings);
  }

  /** Of 0.1, 0.2, 0.5, 1, 2 and so on those from the smallest, or 1, to the largest, and around. */
  static List<Double> ticks(double smallest, double largest) {
    List<Double> ticks = new ArrayList<>();
    for (double decade = 0.001; ; decade *= 10) {
      for (double step : STEPS) {
        double tick = decade * step;
        if (tick <= Math.min(1, smallest)) {
          ticks.clear();
        }
        ticks.add(tick);
        if (ticks.size() > 1 && tick >= largest) {
          return ticks;
        }
      }
    }
  }

  private static String name(double tick) {
    return (tick < 1 ? Double.toString(tick) : Long.toString((long) tick)) + " ×";
  }

  private double x(double ratio) {
    return FIRST + (LAST - FIRST) * Math.log(ratio / least) / Math.log(most / least);
  }

  private String draw(List<Standing> standings) {
    int height = TOP + ROW * standings.size() + BOTTOM;
    int foot = height - BOTTOM + 4;
    StringBuilder body = new StringBuilder();
    for (double tick : ticks(least, most)) {
      line(body, "axis", x(tick), TOP - 4, x(tick), foot);
      text(body, "tick", "middle", x(tick), foot + 18, name(tick));
    }
    for (int i = 0; i < standings.size(); i++) {
      Standing standing = standings.get(i);
      boolean own = standing.contestant().equals(Figures.NATIVE_NORM);
      double y = TOP + ROW * (i + 0.5);
      text(body, "name", "end", NAMES, y + 4.5, standing.contestant());
      line(body, "stem", x(1), y, x(standing.ratio()), y);
      body.append(
          format(
              "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"/>%n",
              own ? "own" : "other", x(standing.ratio()), y, own ? 7 : 6));
      text(body, "value", "start", x(standing.ratio()) + 12, y + 4.5, Text.times(standing.ratio()));
    }
    String title = "Time of a call over NativeNorm's: geometric means, on a logarithmic axis";
    return format(FRAME, WIDTH, height, title, 24, body);
  }

  private static void line(
      StringBuilder to, String kind, double x1, double y1, double x2, double y2) {
    to.append(
        format(
            "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>%n",
            kind, x1, y1, x2, y2));
  }

  private static void text(
      StringBuilder to, String kind, String anchor, double x, double y, String text) {
    to.append(
        format(
            "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>%n",
            kind, anchor, x, y, text));
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
