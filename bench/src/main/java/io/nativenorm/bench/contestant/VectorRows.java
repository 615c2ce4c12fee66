package io.nativenorm.bench.contestant;

import static io.nativenorm.bench.contestant.Lanes.SPECIES;

import io.nativenorm.bench.Workload;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** Rows a vector at a time. */
final class VectorRows extends HeapRows {
  VectorRows(Workload workload) {
    super(workload);
  }

  @Override
  void measure(int row) {
    int at = row * length;
    float center = centered ? Lanes.sum(x, at, length) / length : 0;
    setStatistic(row, center, Lanes.squares(x, at, length, center), length);
  }

  @Override
  void normalize(int at, float center, float scale) {
    for (int i = 0; i < length; i += SPECIES.length()) {
      VectorMask<Float> inside = SPECIES.indexInRange(i, length);
      FloatVector value =
          FloatVector.fromArray(SPECIES, x, at + i, inside)
              .sub(center)
              .mul(scale)
              .mul(FloatVector.fromArray(SPECIES, weight, i, inside));
      if (centered) {
        value = value.add(FloatVector.fromArray(SPECIES, bias, i, inside));
      }
      value.intoArray(output, at + i, inside);
    }
  }

  @Override
  void gradient(int at, float center, float scale) {
    FloatVector sums = FloatVector.zero(SPECIES);
    FloatVector products = FloatVector.zero(SPECIES);
    for (int i = 0; i < length; i += SPECIES.length()) {
      VectorMask<Float> inside = SPECIES.indexInRange(i, length);
      FloatVector xhat = FloatVector.fromArray(SPECIES, x, at + i, inside).sub(center).mul(scale);
      FloatVector gradient = FloatVector.fromArray(SPECIES, dy, at + i, inside);
      gradient
          .fma(xhat, FloatVector.fromArray(SPECIES, weightGradient, i, inside))
          .intoArray(weightGradient, i, inside);
      if (centered) {
        gradient
            .add(FloatVector.fromArray(SPECIES, biasGradient, i, inside))
            .intoArray(biasGradient, i, inside);
      }
      FloatVector weighted = gradient.mul(FloatVector.fromArray(SPECIES, weight, i, inside));
      sums = sums.add(weighted);
      products = weighted.fma(xhat, products);
    }
    float meanGradient = centered ? sums.reduceLanes(VectorOperators.ADD) / length : 0;
    float meanProduct = products.reduceLanes(VectorOperators.ADD) / length;
    for (int i = 0; i < length; i += SPECIES.length()) {
      VectorMask<Float> inside = SPECIES.indexInRange(i, length);
      FloatVector xhat = FloatVector.fromArray(SPECIES, x, at + i, inside).sub(center).mul(scale);
      FloatVector.fromArray(SPECIES, dy, at + i, inside)
          .mul(FloatVector.fromArray(SPECIES, weight, i, inside))
          .sub(meanGradient)
          .sub(xhat.mul(meanProduct))
          .mul(scale)
          .intoArray(output, at + i, inside);
    }
  }
}
