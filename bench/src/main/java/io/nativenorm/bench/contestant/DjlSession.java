package io.nativenorm.bench.contestant;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;

/** An operator of DJL's. Each call allocates its result, as it always does. */
final class DjlSession implements Contestant.Session {
  private final Cell cell;
  private final NDManager manager;
  private final NDArray x;
  private final NDArray weight;
  private final NDArray bias;
  private final NDArray runningMean;
  private final NDArray runningVariance;
  private NDList results;

  DjlSession(Workload workload) {
    Engine engine = Engine.getEngine("PyTorch");
    // Not by its property, which is read once, when the engine is made.
    JniUtils.setNumThreads(workload.threads());
    cell = workload.cell();
    manager = engine.newBaseManager();
    x = manager.create(workload.x(), new Shape(cell.extents()));
    weight = manager.create(workload.weight());
    bias = manager.create(workload.bias());
    boolean batch = cell.operation() == Operation.BATCH;
    runningMean = batch ? manager.create(workload.runningMean()) : null;
    runningVariance = batch ? manager.create(workload.runningVariance()) : null;
  }

  @Override
  public void call() {
    if (results != null) {
      results.close();
    }
    float eps = (float) Workload.EPS;
    results =
        cell.operation() == Operation.BATCH
            ? x.getNDArrayInternal()
                .batchNorm(
                    x,
                    runningMean,
                    runningVariance,
                    weight,
                    bias,
                    1,
                    (float) (1 - Workload.MOMENTUM), // of the old statistics
                    eps,
                    cell.direction() == Direction.TRAINING)
            : x.getNDArrayInternal().layerNorm(x, new Shape(cell.channels()), weight, bias, eps);
  }

  @Override
  public Results results() {
    float[] output = results.head().toFloatArray();
    return cell.operation() == Operation.BATCH && cell.direction() == Direction.TRAINING
        ? Results.training(output, runningMean.toFloatArray(), runningVariance.toFloatArray())
        : Results.output(output);
  }

  @Override
  public void close() {
    if (results != null) {
      results.close();
    }
    manager.close();
  }
}
