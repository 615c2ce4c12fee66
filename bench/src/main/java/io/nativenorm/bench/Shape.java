package io.nativenorm.bench;

import io.nativenorm.Layout;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * A shape that people use, from {@code shapes.csv}.
 *
 * @param extents logical order: N, C, spatial; of rows (layer, RMS) the last one is normalized
 * @param groups of group normalization, else 0
 * @param layouts in which it is raced; rows have but one
 * @param source the network it is from
 */
public record Shape(
    String name,
    Operation operation,
    List<Integer> extents,
    int groups,
    List<Layout> layouts,
    String source) {

  /** All shapes of the table, in its order. */
  public static List<Shape> all() {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                Shape.class.getResourceAsStream("shapes.csv"), StandardCharsets.UTF_8))) {
      return lines.lines().skip(1).map(Shape::parse).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The shape of that name. */
  public static Shape named(String name) {
    return all().stream()
        .filter(shape -> shape.name.equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no shape is named " + name));
  }

  private static Shape parse(String line) {
    String[] fields = line.split(",", 6);
    return new Shape(
        fields[0],
        Operation.valueOf(fields[1].toUpperCase(Locale.ROOT)),
        Arrays.stream(fields[2].split("x")).map(Integer::valueOf).toList(),
        fields[3].isEmpty() ? 0 : Integer.parseInt(fields[3]),
        fields[4].equals("first+last")
            ? List.of(Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST)
            : List.of(Layout.CHANNELS_FIRST),
        fields[5]);
  }
}
