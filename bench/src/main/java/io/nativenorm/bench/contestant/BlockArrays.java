package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import java.util.LinkedHashMap;
import java.util.Map;

/** The arrays of one of a block's layers, as convolutions leave and take them. */
final class BlockArrays {
  final float[] x;
  final float[] dy;
  final float[] y;
  final float[] dx;
  final float[] dWeight;
  final float[] dBias;

  BlockArrays(Workload workload) {
    x = workload.x();
    dy = workload.dy();
    y = new float[x.length];
    dx = new float[x.length];
    dWeight = new float[workload.weight().length];
    dBias = new float[workload.weight().length];
  }

  static Results results(BlockArrays first, BlockArrays second) {
    Map<String, float[]> values = new LinkedHashMap<>();
    first.putInto(values, 1);
    second.putInto(values, 2);
    return new Results(values);
  }

  private void putInto(Map<String, float[]> values, int layer) {
    values.put(Results.OUTPUT + layer, y);
    values.put(Results.GRADIENT_INPUT + layer, dx);
    values.put(Results.GRADIENT_WEIGHT + layer, dWeight);
    values.put(Results.GRADIENT_BIAS + layer, dBias);
  }
}
