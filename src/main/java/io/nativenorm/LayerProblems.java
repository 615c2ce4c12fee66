package io.nativenorm;

import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import org.jspecify.annotations.Nullable;

/** The problems of a layer, on shapes that it takes: its options are the same in all of them. */
record LayerProblems(
    String layer,
    Operation operation,
    double eps,
    Activation activation,
    double unitOffset,
    LayerParameters parameters,
    @Nullable String threadsOf) {

  /** Checks an input's type. */
  void requireComputed(DataType type, Object input) {
    if (!Storage.COMPUTED.contains(type)) {
      throw new IllegalArgumentException(
          layer + ": expected an input of a type in " + Storage.COMPUTED + ", but got " + input);
    }
  }

  /** With the running statistics, which are of channels, where there are any. */
  Problem inference(Shape shape, Storage storage, int threads) {
    return parameters.running() == null
        ? problem(operation, StatisticsSource.COMPUTED, shape, storage, Task.INFER, threads)
        : problem(
            Operation.BATCH,
            StatisticsSource.GIVEN,
            shape.withGroups(1),
            storage,
            Task.INFER,
            threads);
  }

  /** With the input's own statistics. */
  Problem training(Shape shape, DataType type, int threads) {
    Storage storage = Storage.of(type);
    return problem(operation, StatisticsSource.COMPUTED, shape, storage, Task.TRAIN, threads);
  }

  private Problem problem(
      Operation unit,
      StatisticsSource statistics,
      Shape shape,
      Storage storage,
      Task task,
      int threads) {
    return new Problem(
        new Norm(unit, statistics, eps),
        shape,
        storage,
        new Affine(parameters.weight() != null, parameters.bias() != null, unitOffset),
        new Fusion(activation),
        task,
        threads,
        threadsOf);
  }
}
