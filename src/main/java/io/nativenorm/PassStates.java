package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Makes what the passes of a layer are of, before anything is computed. */
record PassStates(NormLayer layer, Backend backend, LayerParameters parameters) {
  Problem problem(PassKind kind, Tensor x, @Nullable Pieces y) {
    RowPlaces.requireRows(layer, x);
    Problem close = problem(kind, x.dataType(), x.layout(), x.extents());
    return RowPlaces.of(layer, close, x.pieces(), y, null, null);
  }

  Problem problem(PassKind kind, DataType type, Layout layout, long[] extents) {
    return isFrozen(kind)
        ? layer.inferenceProblem(extents, Storage.of(type), layout, layer.threads())
        : layer.trainingProblem(extents, type, layout);
  }

  /** Whether a pass of a kind takes the running statistics now. */
  boolean isFrozen(PassKind kind) {
    RunningStatistics running = parameters.running();
    return kind == PassKind.FROZEN
        || (kind == PassKind.TRAINING && running != null && running.isFrozen());
  }

  PassState of(PassKind kind, Problem problem, Tensor x, @Nullable Pieces y) {
    return of(kind, problem, x.dataType(), x.layout(), x.extents(), x.pieces(), y);
  }

  PassState of(
      PassKind kind,
      Problem problem,
      DataType type,
      Layout layout,
      long[] extents,
      @Nullable Pieces x,
      @Nullable Pieces y) {
    boolean isOfBatch = problem.norm().statistics() == StatisticsSource.COMPUTED;
    SharedPass shared = isOfBatch ? layer.shared(problem) : null;
    long[] statistics =
        isOfBatch && shared == null
            ? statisticsShape(extents)
            : new long[] {problem.shape().channels()};
    boolean reordered = layer.needsReordering(extents, layout);
    PassPlans plans = new PassPlans(layer.name, problem, backend, x, y);
    GhostBatches batches = isOfBatch ? layer.ghosts(extents[0]) : null;
    boolean rms = problem.norm().operation() == Operation.RMS;
    try (Closer made = new Closer()) {
      Tensor mean = made.add(rms ? null : Training.unwritten(statistics));
      Tensor variance = made.add(Training.unwritten(statistics));
      PassState state =
          new PassState(
              layer.name,
              kind,
              plans,
              batches == null ? null : new GhostPass(batches, plans),
              type,
              layout,
              extents,
              reordered,
              mean,
              variance,
              shared);
      made.keep(mean, variance);
      return state;
    }
  }

  /** An empty input has no statistics, though there may be 2^40 units without an element. */
  private long[] statisticsShape(long[] extents) {
    long[] shape = layer.statisticsShape(extents);
    if (Shapes.size(extents) == 0 && Arrays.stream(shape).noneMatch(extent -> extent == 0)) {
      shape[0] = 0;
    }
    return shape;
  }
}
