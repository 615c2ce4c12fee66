package io.nativenorm;

import io.nativenorm.engine.Direction;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Statistics;

/** The problems of a layer, on shapes that it takes: its options are the same in all of them. */
record LayerProblems(double eps, Activation activation, LayerParameters parameters) {

  /** With the running statistics where there are any. */
  Problem inference(Shape shape, Layout layout, int threads) {
    return parameters.running() == null
        ? problem(shape, layout, threads, Direction.INFERENCE, Statistics.COMPUTED)
        : problem(ofChannels(shape), layout, threads, Direction.INFERENCE, Statistics.GIVEN);
  }

  /** With the input's own statistics. */
  Problem training(Shape shape, Layout layout, int threads) {
    return problem(shape, layout, threads, Direction.TRAINING, Statistics.COMPUTED);
  }

  /** Running statistics are of channels. */
  private static Shape ofChannels(Shape shape) {
    return new Shape(Operation.BATCH, shape.batch(), shape.channels(), shape.spatial(), 1);
  }

  private Problem problem(
      Shape shape, Layout layout, int threads, Direction direction, Statistics statistics) {
    return new Problem(
        shape.operation(),
        direction,
        statistics,
        DataType.F32,
        layout,
        shape.batch(),
        shape.channels(),
        shape.spatial(),
        shape.groups(),
        eps,
        parameters.weight() != null,
        parameters.bias() != null,
        activation,
        threads);
  }
}
