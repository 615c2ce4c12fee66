package io.nativenorm.bench.contestant;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Sums over neighbours, a vector at a time. */
final class Lanes {
  static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  private Lanes() {}

  static float sum(float[] values, int from, int count) {
    FloatVector sums = FloatVector.zero(SPECIES);
    int bound = SPECIES.loopBound(count);
    int i = 0;
    for (; i < bound; i += SPECIES.length()) {
      sums = sums.add(FloatVector.fromArray(SPECIES, values, from + i));
    }
    float sum = sums.reduceLanes(VectorOperators.ADD);
    for (; i < count; i++) {
      sum += values[from + i];
    }
    return sum;
  }

  /** Of (x - center)^2. */
  static float squares(float[] x, int from, int count, float center) {
    FloatVector sums = FloatVector.zero(SPECIES);
    int bound = SPECIES.loopBound(count);
    int i = 0;
    for (; i < bound; i += SPECIES.length()) {
      FloatVector distance = FloatVector.fromArray(SPECIES, x, from + i).sub(center);
      sums = distance.fma(distance, sums);
    }
    float sum = sums.reduceLanes(VectorOperators.ADD);
    for (; i < count; i++) {
      float distance = x[from + i] - center;
      sum += distance * distance;
    }
    return sum;
  }

  /** Of dy (x - center). */
  static float products(float[] dy, float[] x, int from, int count, float center) {
    FloatVector sums = FloatVector.zero(SPECIES);
    int bound = SPECIES.loopBound(count);
    int i = 0;
    for (; i < bound; i += SPECIES.length()) {
      FloatVector distance = FloatVector.fromArray(SPECIES, x, from + i).sub(center);
      sums = FloatVector.fromArray(SPECIES, dy, from + i).fma(distance, sums);
    }
    float sum = sums.reduceLanes(VectorOperators.ADD);
    for (; i < count; i++) {
      sum += dy[from + i] * (x[from + i] - center);
    }
    return sum;
  }
}
