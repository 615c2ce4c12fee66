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

/** The problems of a layer, on shapes that it takes: its options are the same in all of them. */
record LayerProblems(
    Operation operation, double eps, Activation activation, LayerParameters parameters) {

  /** With the running statistics, which are of channels, where there are any. */
  Problem inference(Shape shape, int threads) {
    return parameters.running() == null
        ? problem(operation, StatisticsSource.COMPUTED, shape, Task.INFER, threads)
        : problem(
            Operation.BATCH, StatisticsSource.GIVEN, shape.withGroups(1), Task.INFER, threads);
  }

  /** With the input's own statistics. */
  Problem training(Shape shape, int threads) {
    return problem(operation, StatisticsSource.COMPUTED, shape, Task.TRAIN, threads);
  }

  private Problem problem(
      Operation unit, StatisticsSource statistics, Shape shape, Task task, int threads) {
    return new Problem(
        new Norm(unit, statistics, eps),
        shape,
        Storage.of(DataType.F32),
        new Affine(parameters.weight() != null, parameters.bias() != null),
        new Fusion(activation),
        task,
        threads);
  }
}
