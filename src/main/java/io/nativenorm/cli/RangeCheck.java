package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Explanation;
import io.nativenorm.Gradients;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.RmsNorm;
import io.nativenorm.Tensor;
import io.nativenorm.engine.Storage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Whether engines that take column ranges of a matrix give the results of the same numbers in one
 * piece, by bits, in every type.
 */
final class RangeCheck {
  private static final int ROWS = 64;
  private static final int COLUMNS = 768;

  /**
   * What was found on one engine that takes them.
   *
   * @param results how many tensors were compared
   * @param different how many of them were others
   */
  record Row(Backend backend, int results, int different, boolean agrees) {}

  private RangeCheck() {}

  /** Those of some engines that take column ranges. */
  static List<Row> of(List<Backend> engines) {
    List<Row> rows = new ArrayList<>();
    for (Backend engine : engines) {
      int results = 0;
      int different = 0;
      for (DataType type : Storage.COMPUTED) {
        for (boolean rms : new boolean[] {false, true}) {
          int[] found = check(engine, type, rms);
          results += found[0];
          different += found[1];
        }
      }
      if (results > 0) {
        rows.add(new Row(engine, results, different, different == 0));
      }
    }
    return rows;
  }

  /** How many results there are, and how many of them are others; none if the engine refuses. */
  private static int[] check(Backend engine, DataType type, boolean rms) {
    try (NormLayer layer =
            rms
                ? RmsNorm.builder(COLUMNS).backend(engine).build()
                : LayerNorm.builder(COLUMNS).backend(engine).build();
        Tensor floats = Checkup.normal(1, Layout.CHANNELS_FIRST, ROWS, 2 * COLUMNS);
        Tensor matrix = floats.to(type);
        Tensor x = matrix.narrow(1, 0, COLUMNS);
        Tensor dy = matrix.narrow(1, COLUMNS, COLUMNS);
        Tensor closeX = x.to(Layout.CHANNELS_FIRST);
        Tensor closeDy = dy.to(Layout.CHANNELS_FIRST)) {
      Checkup.setParameters(layer);
      if (!takes(layer, x)) {
        return new int[2];
      }
      List<float[]> expected = results(layer, closeX, closeDy);
      List<float[]> found = results(layer, x, dy);
      int different = 0;
      for (int i = 0; i < found.size(); i++) {
        different += Arrays.equals(expected.get(i), found.get(i)) ? 0 : 1;
      }
      return new int[] {found.size(), different};
    }
  }

  private static boolean takes(NormLayer layer, Tensor x) {
    Explanation said = layer.explanation(x);
    return Stream.of(said.inference(), said.training(), said.backward())
        .allMatch(choice -> choice.engine().isPresent());
  }

  private static List<float[]> results(NormLayer layer, Tensor x, Tensor dy) {
    try (Pass pass = layer.forwardTraining(x);
        Gradients gradients = pass.backward(dy)) {
      layer.forward(x, dy);
      return Stream.of(
              dy,
              pass.output(),
              pass.mean(),
              pass.variance(),
              gradients.input(),
              gradients.weight(),
              gradients.bias())
          .filter(tensor -> tensor != null)
          .map(Tensor::toArray)
          .toList();
    }
  }
}
