package io.nativenorm.examples;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * Curves as an SVG, which is the same for the same numbers. It has a ground of its own, light or
 * dark as the reader's browser is, as the picture of the benchmarks has.
 *
 * @param title what is drawn
 * @param each how many steps of training a value is of
 * @param ticks of the values' axis, from bottom to top
 */
record Chart(String title, int each, double... ticks) {
  private static final int WIDTH = 760;
  private static final int HEIGHT = 380;
  private static final int LEFT = 60;
  private static final int RIGHT = 540;
  private static final int TOP = 48;
  private static final int BOTTOM = 330;

  /** Room for a name beside the end of a curve. */
  private static final double LINE = 17;

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
      .curve { fill: none; stroke-width: 2; }
      .c0 { stroke: #77818a; } .c1 { stroke: #1d4ed8; } .c2 { stroke: #c2410c; }
      .c3 { stroke: #15803d; } .c4 { stroke: #7e22ce; } .c5 { stroke: #0891b2; stroke-dasharray: 5 4; }
      @media (prefers-color-scheme: dark) {
        text { fill: #e8e6e1; }
        .tick { fill: #9aa5ad; }
        .ground { fill: #14181b; }
        .axis { stroke: #323a40; }
        .c0 { stroke: #9aa5ad; } .c1 { stroke: #60a5fa; } .c2 { stroke: #fb923c; }
        .c3 { stroke: #4ade80; } .c4 { stroke: #c084fc; } .c5 { stroke: #22d3ee; }
      }
      </style>
      <rect class="ground" width="%1$d" height="%2$d" rx="8"/>
      <text class="title" x="24" y="26">%3$s</text>
      %4$s</svg>
      """;

  private double least() {
    return ticks[0];
  }

  private double most() {
    return ticks[ticks.length - 1];
  }

  private double y(double value) {
    double inside = Math.max(least(), Math.min(most(), value));
    return BOTTOM - (BOTTOM - TOP) * (inside - least()) / (most() - least());
  }

  private static double x(int index, int count) {
    return LEFT + (RIGHT - LEFT) * (index + 1.0) / count;
  }

  /** The means of at most six curves that are as long, each with its name. */
  String draw(List<Curve> curves) {
    StringBuilder body = new StringBuilder();
    int count = curves.get(0).mean().length;
    for (double tick : ticks) {
      line(body, LEFT, y(tick), RIGHT, y(tick));
      text(body, "tick", "end", LEFT - 8, y(tick) + 4.5, Double.toString(tick));
    }
    for (int quarter = 0; quarter <= 4; quarter++) {
      double at = LEFT + (RIGHT - LEFT) * quarter / 4.0;
      text(body, "tick", "middle", at, BOTTOM + 20, Integer.toString(each * count * quarter / 4));
    }
    text(body, "tick", "middle", (LEFT + RIGHT) / 2.0, BOTTOM + 38, "steps");
    double[] names = places(curves);
    for (int i = 0; i < curves.size(); i++) {
      double[] mean = curves.get(i).mean();
      StringBuilder points = new StringBuilder();
      for (int k = 0; k < count; k++) {
        points.append(format("%s%.1f,%.1f", k == 0 ? "" : " ", x(k, count), y(mean[k])));
      }
      body.append(format("<polyline class=\"curve c%d\" points=\"%s\"/>%n", i, points));
      body.append(
          format(
              "<polyline class=\"curve c%d\" points=\"%d,%.1f %d,%.1f\"/>%n",
              i, RIGHT + 10, names[i], RIGHT + 32, names[i]));
      text(body, "name", "start", RIGHT + 38, names[i] + 4.5, curves.get(i).name());
    }
    return format(FRAME, WIDTH, HEIGHT, title, body);
  }

  /** Where names stand: in the order in which their curves end, from top to bottom. */
  private double[] places(List<Curve> curves) {
    List<Integer> order =
        IntStream.range(0, curves.size())
            .boxed()
            .sorted(Comparator.comparingDouble(i -> end(curves.get(i))))
            .toList();
    double[] places = new double[curves.size()];
    double next = TOP;
    for (int i : order) {
      places[i] = Math.max(next, end(curves.get(i)));
      next = places[i] + LINE;
    }
    double over = Math.max(0, next - LINE - BOTTOM);
    for (int k = 0; k < places.length; k++) {
      places[k] -= over;
    }
    return places;
  }

  private double end(Curve curve) {
    double[] mean = curve.mean();
    return y(mean[mean.length - 1]);
  }

  private static void line(StringBuilder to, double x1, double y1, double x2, double y2) {
    to.append(
        format(
            "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>%n",
            x1, y1, x2, y2));
  }

  private static void text(
      StringBuilder to, String kind, String anchor, double x, double y, String text) {
    to.append(
        format(
            "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>%n",
            kind, anchor, x, y, text));
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values).replace("\r\n", "\n");
  }
}
