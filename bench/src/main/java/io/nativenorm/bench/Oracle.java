package io.nativenorm.bench;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a cell's results are, in double and in two passes over the elements one by one. It shares
 * nothing with any contestant.
 */
final class Oracle {
  /** Called with an element's place in memory, the statistic it belongs to, and its channel. */
  private interface Element {
    void visit(int at, int statistic, int channel);
  }

  private final Workload workload;
  private final Cell cell;
  private final double[] mean;
  private final double[] variance;

  private Oracle(Workload workload) {
    this.workload = workload;
    this.cell = workload.cell();
    this.mean = new double[statistics()];
    this.variance = new double[statistics()];
  }

  /** The exact results, named as in {@link Results}. */
  static Map<String, double[]> expected(Workload workload) {
    Oracle oracle = new Oracle(workload);
    boolean given =
        oracle.cell.operation() == Operation.BATCH
            && oracle.cell.direction() == Direction.INFERENCE;
    if (given) {
      oracle.takeRunning();
    } else {
      oracle.measure();
    }
    return oracle.cell.direction() == Direction.BACKWARD ? oracle.gradients() : oracle.outputs();
  }

  private int statistics() {
    return switch (cell.operation()) {
      case BATCH -> cell.channels();
      case LAYER, RMS -> cell.batch();
      case GROUP, INSTANCE -> cell.batch() * cell.groups();
    };
  }

  private int statisticOf(int n, int c) {
    return switch (cell.operation()) {
      case BATCH -> c;
      case LAYER, RMS -> n;
      case GROUP, INSTANCE -> n * cell.groups() + c / (cell.channels() / cell.groups());
    };
  }

  /** In the order of memory: against it, channels last took twice as long. */
  private void forEach(Element element) {
    int batch = cell.batch();
    int channels = cell.channels();
    int spatial = cell.spatial();
    int[] statistics = new int[channels];
    int at = 0;
    for (int n = 0; n < batch; n++) {
      for (int c = 0; c < channels; c++) {
        statistics[c] = statisticOf(n, c);
      }
      if (cell.channelsLast()) {
        for (int s = 0; s < spatial; s++) {
          for (int c = 0; c < channels; c++) {
            element.visit(at++, statistics[c], c);
          }
        }
      } else {
        for (int c = 0; c < channels; c++) {
          for (int s = 0; s < spatial; s++) {
            element.visit(at++, statistics[c], c);
          }
        }
      }
    }
  }

  private void takeRunning() {
    for (int c = 0; c < mean.length; c++) {
      mean[c] = workload.runningMean()[c];
      variance[c] = workload.runningVariance()[c];
    }
  }

  private int valuesOfStatistic() {
    return cell.size() / statistics();
  }

  private void measure() {
    float[] x = workload.x();
    int values = valuesOfStatistic();
    if (cell.operation() != Operation.RMS) {
      forEach((at, g, c) -> mean[g] += x[at]);
      for (int g = 0; g < mean.length; g++) {
        mean[g] /= values;
      }
    }
    forEach(
        (at, g, c) -> {
          double distance = x[at] - mean[g];
          variance[g] += distance * distance;
        });
    for (int g = 0; g < variance.length; g++) {
      variance[g] /= values;
    }
  }

  private double[] inverseDeviations() {
    double[] inverse = new double[variance.length];
    for (int g = 0; g < inverse.length; g++) {
      inverse[g] = 1 / Math.sqrt(variance[g] + Workload.EPS);
    }
    return inverse;
  }

  private Map<String, double[]> outputs() {
    float[] x = workload.x();
    float[] weight = workload.weight();
    float[] bias = workload.bias();
    double[] inverse = inverseDeviations();
    double[] y = new double[cell.size()];
    forEach(
        (at, g, c) -> {
          double shift = bias == null ? 0 : bias[c];
          y[at] = (x[at] - mean[g]) * inverse[g] * weight[c] + shift;
        });
    Map<String, double[]> expected = new LinkedHashMap<>();
    expected.put(Results.OUTPUT, y);
    if (cell.operation() == Operation.BATCH && cell.direction() == Direction.TRAINING) {
      double unbiased = (double) valuesOfStatistic() / (valuesOfStatistic() - 1);
      expected.put(Results.RUNNING_MEAN, moved(workload.runningMean(), mean, 1));
      expected.put(Results.RUNNING_VARIANCE, moved(workload.runningVariance(), variance, unbiased));
    }
    return expected;
  }

  private static double[] moved(float[] running, double[] batch, double factor) {
    double[] moved = new double[running.length];
    for (int c = 0; c < moved.length; c++) {
      moved[c] = (1 - Workload.MOMENTUM) * running[c] + Workload.MOMENTUM * factor * batch[c];
    }
    return moved;
  }

  private Map<String, double[]> gradients() {
    float[] x = workload.x();
    float[] dy = workload.dy();
    float[] weight = workload.weight();
    double[] inverse = inverseDeviations();
    double[] dWeight = new double[cell.channels()];
    double[] dBias = new double[cell.channels()];
    double[] meanG = new double[statistics()];
    double[] meanGXhat = new double[statistics()];
    int values = valuesOfStatistic();
    forEach(
        (at, g, c) -> {
          double xhat = (x[at] - mean[g]) * inverse[g];
          dWeight[c] += dy[at] * xhat;
          dBias[c] += dy[at];
          meanG[g] += (double) dy[at] * weight[c] / values;
          meanGXhat[g] += dy[at] * weight[c] * xhat / values;
        });
    boolean centered = cell.operation() != Operation.RMS;
    double[] dx = new double[cell.size()];
    forEach(
        (at, g, c) -> {
          double xhat = (x[at] - mean[g]) * inverse[g];
          double throughMean = centered ? meanG[g] : 0;
          dx[at] = inverse[g] * (dy[at] * weight[c] - throughMean - xhat * meanGXhat[g]);
        });
    Map<String, double[]> expected = new LinkedHashMap<>();
    expected.put(Results.GRADIENT_INPUT, dx);
    expected.put(Results.GRADIENT_WEIGHT, dWeight);
    if (centered) {
      expected.put(Results.GRADIENT_BIAS, dBias);
    }
    return expected;
  }
}
