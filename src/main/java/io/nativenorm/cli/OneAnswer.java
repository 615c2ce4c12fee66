package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.Gradients;
import io.nativenorm.GroupNorm;
import io.nativenorm.InstanceNorm;
import io.nativenorm.LayerBuilder;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.RmsNorm;
import io.nativenorm.Tensor;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;

/**
 * Whether this machine gives the bits that all others give: every layer, forward and backward, on
 * engines that promise them with several numbers of threads, as a hash.
 */
final class OneAnswer {
  /** What every machine gives. Another order of sums is another hash: docs/order-of-sums.md. */
  static final String EXPECTED = "912704a74ece4431";

  /**
   * What one engine gave.
   *
   * @param threads for one call, at most
   * @param hash FNV-1a over the bits of outputs, statistics and gradients
   * @param agrees whether it is everybody's, which is promised where it is not left out here
   */
  record Row(Backend backend, int threads, String hash, boolean agrees) {}

  private static final List<Integer> THREADS = List.of(1, 2, 3);

  /** Of more than one piece and block, and for three threads; no extent a multiple of a vector. */
  private static final List<Subject> SUBJECTS =
      List.of(
          new Subject(() -> BatchNorm.builder(13), 5, 13, 41, 43),
          new Subject(() -> LayerNorm.builder(769), 150, 769),
          new Subject(() -> RmsNorm.builder(1030), 110, 1030),
          new Subject(() -> GroupNorm.builder(3, 30), 2, 30, 45, 47),
          new Subject(() -> InstanceNorm.builder(3).affine(true), 2, 3, 151, 149));

  private record Subject(Supplier<LayerBuilder<?>> builder, long... shape) {}

  private OneAnswer() {}

  /** Engines that are there and promise it. */
  static List<Row> check() {
    List<Row> rows = new ArrayList<>();
    for (Engine engine : Engines.all()) {
      if (engine.unavailable().isPresent() || !engine.isReproducible()) {
        continue;
      }
      for (int threads : engine.backend() == Backend.JAVA ? List.of(1) : THREADS) {
        String hash = hash(engine.backend(), threads);
        rows.add(new Row(engine.backend(), threads, hash, hash.equals(EXPECTED)));
      }
    }
    return rows;
  }

  private static String hash(Backend backend, int threads) {
    long hash = 0xcbf29ce484222325L;
    for (Subject subject : SUBJECTS) {
      for (Layout layout : Layout.values()) {
        hash = hash(subject, layout, backend, threads, hash);
      }
    }
    return String.format("%016x", hash);
  }

  private static long hash(
      Subject subject, Layout layout, Backend backend, int threads, long hash) {
    try (NormLayer layer = subject.builder.get().backend(backend).threads(threads).build();
        Tensor x = Tensor.allocate(DataType.F32, layout, subject.shape);
        Tensor dy = Tensor.allocate(DataType.F32, layout, subject.shape)) {
      x.copyFrom(values(1, (int) x.size(), 0.3));
      dy.copyFrom(values(2, (int) dy.size(), 0));
      for (Tensor parameter : Arrays.asList(layer.weight(), layer.bias())) {
        if (parameter != null) {
          parameter.copyFrom(values(3, (int) parameter.size(), 1));
        }
      }
      try (Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(dy)) {
        List<Tensor> results =
            Arrays.asList(
                pass.output(),
                pass.mean(),
                pass.variance(),
                gradients.input(),
                gradients.weight(),
                gradients.bias());
        long all = hash;
        for (Tensor result : results.stream().filter(Objects::nonNull).toList()) {
          for (float value : result.toArray()) {
            all = (all ^ Float.floatToIntBits(value) & 0xffffffffL) * 0x100000001b3L;
          }
        }
        return all;
      }
    }
  }

  /**
   * Nearly normal numbers, of whole numbers and single operations alone: a logarithm may round
   * differently from machine to machine. The generator is splitmix64.
   */
  private static float[] values(long seed, int count, double mean) {
    float[] values = new float[count];
    long state = seed;
    for (int i = 0; i < count; i++) {
      state += 0x9e3779b97f4a7c15L;
      long z = (state ^ state >>> 30) * 0xbf58476d1ce4e5b9L;
      z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
      z ^= z >>> 31;
      long sum = (z & 0xffff) + (z >>> 16 & 0xffff) + (z >>> 32 & 0xffff) + (z >>> 48);
      values[i] = (float) (mean + (sum - 131070) * (1.0 / 37837));
    }
    return values;
  }
}
