package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Explanation;
import io.nativenorm.Gradients;
import io.nativenorm.Layout;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.Tensor;
import io.nativenorm.engine.Storage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Whether engines that take tensors in 16 bits give F32's results on the same numbers, rounded
 * once, by bits: inference, training, statistics and gradients of every layer.
 */
final class TypeCheck {
  /**
   * What was found of one type on one engine that has it.
   *
   * @param results how many tensors were compared
   * @param different how many of them were others
   */
  record Row(DataType type, Backend backend, int results, int different, boolean agrees) {}

  private TypeCheck() {}

  /** All types beside F32, on some engines. */
  static List<Row> of(List<Backend> engines) {
    List<Row> rows = new ArrayList<>();
    for (DataType type : Storage.COMPUTED) {
      for (Backend engine : engines) {
        Row row = type == DataType.F32 ? null : check(type, engine);
        if (row != null) {
          rows.add(row);
        }
      }
    }
    return rows;
  }

  /** Null if the engine has the type nowhere. */
  private static Row check(DataType type, Backend engine) {
    int results = 0;
    int different = 0;
    for (Checkup.Subject subject : Checkup.SUBJECTS) {
      for (Layout layout : subject.layouts()) {
        // Training changes what inference takes next: each has a layer of its own.
        try (NormLayer layer = layer(subject, engine);
            NormLayer layer32 = layer(subject, engine);
            Tensor x = Checkup.normal(1, layout, subject.shape());
            Tensor dy = Checkup.normal(2, layout, subject.shape());
            Tensor shortX = x.to(type);
            Tensor shortDy = dy.to(type);
            Tensor wideX = shortX.to(DataType.F32);
            Tensor wideDy = shortDy.to(DataType.F32)) {
          if (!takes(layer, shortX)) {
            continue;
          }
          List<float[]> expected = results(layer32, wideX, wideDy, type);
          List<float[]> found = results(layer, shortX, shortDy, type);
          for (int i = 0; i < found.size(); i++) {
            results++;
            different += Arrays.equals(expected.get(i), found.get(i)) ? 0 : 1;
          }
        }
      }
    }
    return results == 0 ? null : new Row(type, engine, results, different, different == 0);
  }

  private static NormLayer layer(Checkup.Subject subject, Backend engine) {
    NormLayer layer = subject.builder().get().backend(engine).build();
    Checkup.setParameters(layer);
    return layer;
  }

  private static boolean takes(NormLayer layer, Tensor x) {
    Explanation said = layer.explanation(x);
    return Stream.of(said.inference(), said.training(), said.backward())
        .allMatch(choice -> choice.engine().isPresent());
  }

  /**
   * What is of the input's type rounded to another, which rounds nothing twice; the rest is F32.
   */
  private static List<float[]> results(NormLayer layer, Tensor x, Tensor dy, DataType type) {
    List<float[]> results = new ArrayList<>();
    try (Tensor y = layer.forward(x);
        Pass pass = layer.forwardTraining(x);
        Gradients gradients = pass.backward(dy)) {
      for (Tensor data : List.of(y, pass.output(), gradients.input())) {
        try (Tensor rounded = data.to(type)) {
          results.add(rounded.toArray());
        }
      }
      Stream.of(pass.mean(), pass.variance(), gradients.weight(), gradients.bias())
          .filter(tensor -> tensor != null)
          .map(Tensor::toArray)
          .forEach(results::add);
    }
    return results;
  }
}
