package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;

/** Loops over heap arrays: what the pure Java contestants have in common. */
abstract class HeapSession implements Contestant.Session {
  final Cell cell;
  final float[] x;
  final float[] dy;
  final float[] weight;
  final float[] bias;

  /** y, or dx. */
  final float[] output;

  final float[] weightGradient;
  final float[] biasGradient;
  final float[] runningMean;
  final float[] runningVariance;

  /** Of each statistic: of a channel, a row, a group of a sample. */
  final double[] mean;

  final double[] inverseDeviation;

  HeapSession(Workload workload, int statistics) {
    cell = workload.cell();
    x = workload.x();
    dy = workload.dy();
    weight = workload.weight();
    bias = workload.bias();
    output = new float[cell.size()];
    weightGradient = new float[cell.channels()];
    biasGradient = bias == null ? null : new float[cell.channels()];
    boolean running = workload.runningMean() != null;
    runningMean = running ? workload.runningMean().clone() : null;
    runningVariance = running ? workload.runningVariance().clone() : null;
    mean = new double[statistics];
    inverseDeviation = new double[statistics];
  }

  /** Computes what backward takes from a training pass. */
  final HeapSession prepared() {
    if (cell.direction() == Direction.BACKWARD) {
      forward();
    }
    return this;
  }

  /** The output, with the statistics that the direction asks for, which it leaves in the fields. */
  abstract void forward();

  abstract void backward();

  /** BatchNorm's inference takes the running statistics, all else measures. */
  final boolean isGiven() {
    return runningMean != null && cell.direction() == Direction.INFERENCE;
  }

  final void takeRunning(int channel) {
    mean[channel] = runningMean[channel];
    inverseDeviation[channel] = 1 / Math.sqrt(runningVariance[channel] + Workload.EPS);
  }

  final void setStatistic(int statistic, double newMean, double squares, int values) {
    mean[statistic] = newMean;
    inverseDeviation[statistic] = 1 / Math.sqrt(squares / values + Workload.EPS);
    if (runningMean != null && cell.direction() == Direction.TRAINING) {
      runningMean[statistic] += Workload.MOMENTUM * (newMean - runningMean[statistic]);
      runningVariance[statistic] +=
          Workload.MOMENTUM * (squares / (values - 1) - runningVariance[statistic]);
    }
  }

  @Override
  public final void call() {
    if (cell.direction() == Direction.BACKWARD) {
      backward();
    } else {
      forward();
    }
  }

  @Override
  public final Results results() {
    if (cell.direction() == Direction.BACKWARD) {
      return Results.gradients(output, weightGradient, biasGradient);
    }
    return cell.operation() == Operation.BATCH && cell.direction() == Direction.TRAINING
        ? Results.training(output, runningMean, runningVariance)
        : Results.output(output);
  }

  @Override
  public final void close() {}
}
